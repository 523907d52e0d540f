/* Lines are gathered in `head` and judged when they are complete, so that nonsense is refused at
 * the first line (a control byte even earlier) and not only at the end of the head or at a
 * deadline.
 *
 * Where RFC 9112 leaves a choice, it is the strict one, because leniency is how two readers of one
 * byte stream come to disagree: no white space around names, no folded lines, no bare CR, one Host.
 * A bare LF ends a line (section 2.2 allows it), for people with a terminal. */
#include "proto/http_request.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

void http_request_init(struct http_request *r)
{
    /* Not the whole struct: `head` is valid up to `len` only. */
    memset(r, 0, offsetof(struct http_request, head));
    r->step = HTTP_STEP_MORE;
}

bool http_request_begun(const struct http_request *r)
{
    return r->len > 0;
}

void http_request_forget(struct http_request *r)
{
    wipe(r->head, r->len);
    http_request_init(r);
}

static enum http_step refuse(struct http_request *r, int status)
{
    r->status = status;
    r->keep_alive = false;
    r->step = HTTP_STEP_BAD;
    return HTTP_STEP_BAD;
}

/* RFC 9110, section 5.6.2. */
static bool is_token_char(unsigned char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    return letter || digit || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_token_char((unsigned char)s[i])) {
            return false;
        }
    }
    return len > 0;
}

static bool equals(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* RFC 9112, section 3.2: origin-form, or absolute-form, whose scheme and authority do not matter
 * here. */
static bool take_target(struct http_request *r, const char *s, size_t len)
{
    const char *end = s + len;
    bool absolute = len >= 7 && strncasecmp(s, "http://", 7) == 0;
    if (absolute) {
        s += 7;
        while (s < end && *s != '/' && *s != '?') {
            s++;
        }
    }
    const char *query = memchr(s, '?', (size_t)(end - s));
    r->path = s;
    r->path_len = (size_t)((query != NULL ? query : end) - s);
    if (query != NULL) {
        r->query = query + 1;
        r->query_len = (size_t)(end - r->query);
    }
    if (absolute && r->path_len == 0) {
        r->path = "/";
        r->path_len = 1;
    }
    return r->path_len > 0 && r->path[0] == '/';
}

/* 0, or the status to refuse with (RFC 9112, section 2.3). */
static int take_version(struct http_request *r, const char *s, size_t len)
{
    bool well_formed = len == 8 && memcmp(s, "HTTP/", 5) == 0 && s[5] >= '0' && s[5] <= '9' &&
                       s[6] == '.' && s[7] >= '0' && s[7] <= '9';
    if (!well_formed) {
        return 400;
    }
    r->http_1_0 = s[7] == '0';
    return s[5] == '1' ? 0 : 505;
}

/* method SP request-target SP HTTP-version (RFC 9112, section 3). */
static int take_request_line(struct http_request *r, const char *s, size_t len)
{
    const char *end = s + len;
    const char *method_end = memchr(s, ' ', len);
    const char *target = method_end != NULL ? method_end + 1 : end;
    const char *target_end = memchr(target, ' ', (size_t)(end - target));
    if (target_end == NULL || target_end == target || !is_token(s, (size_t)(method_end - s))) {
        return 400;
    }
    int status = take_version(r, target_end + 1, (size_t)(end - target_end - 1));
    if (status != 0) {
        return status;
    }
    size_t method_len = (size_t)(method_end - s);
    bool get = method_len == 3 && memcmp(s, "GET", 3) == 0;
    bool head = method_len == 4 && memcmp(s, "HEAD", 4) == 0;
    r->method = get ? HTTP_METHOD_GET : head ? HTTP_METHOD_HEAD : HTTP_METHOD_OTHER;
    r->has_line = true;
    bool ours = take_target(r, target, (size_t)(target_end - target));
    return ours || r->method == HTTP_METHOD_OTHER ? 0 : 400;
}

static void take_connection(struct http_request *r, const char *s, size_t len)
{
    const char *end = s + len;
    while (s < end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *stop = comma != NULL ? comma : end;
        const char *from = s;
        const char *to = stop;
        while (from < to && (*from == ' ' || *from == '\t')) {
            from++;
        }
        while (to > from && (to[-1] == ' ' || to[-1] == '\t')) {
            to--;
        }
        r->connection_close |= equals(from, (size_t)(to - from), "close");
        r->connection_keep |= equals(from, (size_t)(to - from), "keep-alive");
        s = stop + (comma != NULL);
    }
}

/* Only a length of nothing is accepted; a wrong or a repeated one is an attempt to confuse (RFC
 * 9112, section 6.3). */
static int take_length(struct http_request *r, const char *s, size_t len)
{
    bool zero = true;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return 400;
        }
        zero = zero && s[i] == '0';
    }
    if (len == 0 || r->has_length) {
        return 400;
    }
    r->has_length = true;
    return zero ? 0 : 413;
}

/* field-name ":" OWS field-value OWS (RFC 9112, section 5). */
static int take_field(struct http_request *r, const char *s, size_t len)
{
    const char *colon = memchr(s, ':', len);
    if (colon == NULL || !is_token(s, (size_t)(colon - s))) {
        return 400;
    }
    size_t name_len = (size_t)(colon - s);
    const char *value = colon + 1;
    const char *end = s + len;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (equals(s, name_len, "host")) {
        r->hosts++;
    } else if (equals(s, name_len, "connection")) {
        take_connection(r, value, (size_t)(end - value));
    } else if (equals(s, name_len, "content-length")) {
        return take_length(r, value, (size_t)(end - value));
    } else if (equals(s, name_len, "authorization")) {
        bool repeated = r->authorization != NULL;
        r->authorization = value;
        r->authorization_len = (size_t)(end - value);
        return repeated ? 400 : 0;
    } else if (equals(s, name_len, "transfer-encoding")) {
        return 400;
    }
    return 0;
}

/* The empty line: the head is complete. */
static enum http_step finish(struct http_request *r)
{
    if (r->hosts > 1 || (r->hosts == 0 && !r->http_1_0)) { /* RFC 9112, section 3.2 */
        return refuse(r, 400);
    }
    r->keep_alive = !r->connection_close && (!r->http_1_0 || r->connection_keep);
    r->step = HTTP_STEP_DONE;
    return HTTP_STEP_DONE;
}

/* The line from r->line up to the LF that was taken last. */
static enum http_step take_line(struct http_request *r)
{
    const char *s = r->head + r->line;
    size_t len = r->len - r->line - 1;
    len -= len > 0 && s[len - 1] == '\r';
    if (memchr(s, '\r', len) != NULL) {
        return refuse(r, 400);
    }
    if (len == 0 && r->has_line) {
        return finish(r);
    }
    if (len == 0) { /* empty lines before a request (RFC 9112, section 2.2) */
        r->len = 0;
        return HTTP_STEP_MORE;
    }
    int status = r->has_line ? take_field(r, s, len) : take_request_line(r, s, len);
    if (status != 0) {
        return refuse(r, status);
    }
    r->line = r->len;
    return HTTP_STEP_MORE;
}

static enum http_step take_byte(struct http_request *r, char byte)
{
    unsigned char c = (unsigned char)byte;
    bool control = c < 0x20 || c == 0x7f;
    bool allowed = c == '\n' || c == '\r' || (c == '\t' && r->has_line);
    if (control && !allowed) {
        return refuse(r, 400);
    }
    if (r->len == HTTP_REQUEST_MAX) {
        return refuse(r, 431);
    }
    r->head[r->len++] = byte;
    return c == '\n' ? take_line(r) : HTTP_STEP_MORE;
}

enum http_step http_request_feed(struct http_request *r, const char *data, size_t len, size_t *used)
{
    assert(r->step == HTTP_STEP_MORE);
    enum http_step step = HTTP_STEP_MORE;
    size_t i = 0;
    while (i < len && step == HTTP_STEP_MORE) {
        step = take_byte(r, data[i++]);
    }
    *used = i;
    return step;
}
