/* A ClientHello that holds anything, in every split and however its records are cut, comes to one
 * answer, and a name that it gives is a host name. The first two bytes choose the pieces. */
#include "../unit/hello_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    size_t label = 0;
    assert(strnlen(name, 256) <= TLS_NAME_MAX);
    for (const char *p = name; *p != '\0'; p++) {
        assert((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' ||
               (*p == '.' && label > 0 && p[1] != '\0'));
        label = *p == '.' ? 0 : label + 1;
        assert(label <= 63);
    }
}

static void check(const struct tls_hello *h, enum tls_hello_step step, const char *why)
{
    assert(h->name[sizeof h->name - 1] == '\0');
    assert((why != NULL) == (step == TLS_HELLO_NONE || step == TLS_HELLO_BAD));
    assert(step == TLS_HELLO_DONE || h->name[0] == '\0');
    check_name(h->name);
}

/* The same message in records of another size is the same hello. */
static void cut_again(const struct tls_hello *h, const uint8_t *data, size_t size, size_t record)
{
    struct bytes *message = bytes_new();
    for (size_t at = 0; at + 5 < size && message->len < h->message;) {
        size_t len = (size_t)data[at + 3] << 8 | data[at + 4];
        size_t have = size - at - 5 < len ? size - at - 5 : len;
        put(message, data + at + 5, have);
        at += 5 + len;
    }
    if (h->message * (record + 5) / record + 5 < TLS_HELLO_MAX) {
        struct bytes *records = into_records(message->data, h->message, record);
        struct tls_hello other;
        size_t seen;
        const char *why = NULL;
        enum tls_hello_step step =
            look_in_pieces(&other, records->data, records->len, record, &seen, &why);
        assert(step == TLS_HELLO_DONE && strcmp(h->name, other.name) == 0);
        free(records);
    }
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_hello whole;
    struct tls_hello parts;
    size_t seen;
    const char *why = NULL;
    const char *why_parts = NULL;
    if (size < 3 || size > 100000) {
        return 0;
    }
    size_t piece = 1 + data[0] % 16 + size / 512;
    size_t record = 1 + (size_t)data[1] * data[1];
    data += 2;
    size -= 2;
    tls_hello_init(&whole);
    enum tls_hello_step step = look(&whole, data, size, &why);
    check(&whole, step, why);
    assert(step != TLS_HELLO_MORE || size < TLS_HELLO_MAX);
    assert(look_in_pieces(&parts, data, size, piece, &seen, &why_parts) == step);
    check(&parts, step, why_parts);
    assert(why == why_parts && strcmp(whole.name, parts.name) == 0);
    if (step == TLS_HELLO_DONE) {
        cut_again(&whole, data, size, record < 16384 ? record : 16384);
    }
    return 0;
}
