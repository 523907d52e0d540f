#include "proto/pgsql_message.h"

#include <string.h>

uint32_t pgsql_get32(const void *from)
{
    const unsigned char *p = from;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint16_t pgsql_get16(const void *from)
{
    const unsigned char *p = from;
    return (uint16_t)(p[0] << 8 | p[1]);
}

void pgsql_put32(void *to, uint32_t value)
{
    unsigned char *p = to;
    p[0] = (unsigned char)(value >> 24);
    p[1] = (unsigned char)(value >> 16);
    p[2] = (unsigned char)(value >> 8);
    p[3] = (unsigned char)value;
}

char pgsql_type(const struct pgsql_reader *r)
{
    return r->have > 0 ? (char)r->head[0] : 0;
}

bool pgsql_whole(const struct pgsql_reader *r)
{
    return r->kept == r->length;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void take(size_t n, const char **data, size_t *len)
{
    *data += n;
    *len -= n;
}

enum pgsql_read pgsql_read(struct pgsql_reader *r, const char **data, size_t *len)
{
    if (r->have == PGSQL_HEAD + r->length) {
        r->have = 0; /* the message before this one */
    }
    if (r->have < PGSQL_HEAD) {
        size_t n = least(PGSQL_HEAD - r->have, *len);
        memcpy(r->head + r->have, *data, n);
        take(n, data, len);
        r->have += n;
        r->length = 0;
        r->kept = 0;
        if (r->have < PGSQL_HEAD) {
            return PGSQL_READ_MORE;
        }
        uint32_t length = pgsql_get32(r->head + 1);
        if (length < 4 || length > PGSQL_MESSAGE_MAX) {
            return PGSQL_READ_BROKEN;
        }
        r->length = length - 4;
    }
    size_t n = least(PGSQL_HEAD + r->length - r->have, *len);
    size_t keep = least(n, PGSQL_KEPT - r->kept);
    memcpy(r->body + r->kept, *data, keep);
    r->kept += keep;
    r->body[r->kept] = '\0';
    r->have += n;
    take(n, data, len);
    return r->have == PGSQL_HEAD + r->length ? PGSQL_READ_MESSAGE : PGSQL_READ_MORE;
}

struct pgsql_error pgsql_error_read(const struct pgsql_reader *r)
{
    struct pgsql_error e = {.severity = "", .code = "", .message = ""};
    const char *end = r->body + r->kept;
    const char *p = r->body;
    while (p < end && *p != '\0') {
        const char *value = p + 1;
        switch (*p) {
        case 'S':
            e.severity = e.severity[0] == '\0' ? value : e.severity;
            break;
        case 'V':
            e.severity = value;
            break;
        case 'C':
            e.code = value;
            break;
        case 'M':
            e.message = value;
            break;
        default:
            break;
        }
        p = value + strlen(value) + 1; /* body ends in NUL, whatever the server sent */
    }
    return e;
}
