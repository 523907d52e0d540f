/* Feeds arbitrary bytes in arbitrary splits (the first byte of the input chooses them) and checks
 * that every split comes to the same end. Build with -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/authorize.h"
#include "proto/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the first request ends, how, and what was asked. */
struct end {
    enum http_step step;
    int status;
    size_t used;
    size_t path_len;
};

static struct end run(const char *data, size_t size, size_t piece)
{
    struct http_request *r = malloc(sizeof(*r));
    if (r == NULL) {
        abort();
    }
    struct end e = {.step = HTTP_STEP_MORE};
    http_request_init(r);
    while (e.used < size && e.step == HTTP_STEP_MORE) {
        size_t len = size - e.used < piece ? size - e.used : piece;
        size_t used = 0;
        char *copy = malloc(len); /* of exactly this size: an over-read is seen */
        if (copy == NULL) {
            abort();
        }
        memcpy(copy, data + e.used, len);
        e.step = http_request_feed(r, copy, len, &used);
        free(copy);
        if (used > len || (e.step == HTTP_STEP_MORE && used != len)) {
            abort();
        }
        e.used += used;
    }
    e.status = e.step == HTTP_STEP_BAD ? r->status : 0;
    if (e.step == HTTP_STEP_DONE) {
        e.path_len = r->path_len;
        bool ours = r->method != HTTP_METHOD_OTHER;
        if ((ours && (r->path_len == 0 || r->path[0] != '/')) ||
            memchr(r->path, '\n', r->path_len) != NULL) {
            abort();
        }
    }
    if (e.step == HTTP_STEP_DONE && r->authorization != NULL) {
        static char decoded[HTTP_REQUEST_MAX];
        long len = base64_decode(r->authorization, r->authorization_len, decoded);
        if (len > (long)r->authorization_len / 4 * 3 ||
            memchr(r->authorization, '\n', r->authorization_len) != NULL) {
            abort();
        }
    }
    free(r);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    struct end whole = run(text, size - 1, size);
    struct end split = run(text, size - 1, (size_t)data[0] + 1);
    if (whole.step != split.step || whole.status != split.status || whole.used != split.used ||
        whole.path_len != split.path_len) {
        abort();
    }
    return 0;
}
