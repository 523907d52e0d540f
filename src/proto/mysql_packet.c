/* The inbox gives each packet's payload one buffer, which is only ever as large as the largest
 * packet that was accepted; the length in a header is compared with the bound before anything is
 * allocated for it. */
#include "proto/mysql_packet.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum mysql_inbox_state mysql_inbox_take(struct mysql_inbox *in, size_t max, const char **data,
                                        size_t *len)
{
    if (in->head_len == MYSQL_HEADER && in->have == in->length) {
        in->head_len = 0; /* the packet before was seen */
    }
    while (in->head_len < MYSQL_HEADER) {
        if (*len == 0) {
            return MYSQL_INBOX_PART;
        }
        in->head[in->head_len++] = (unsigned char)**data;
        ++*data;
        --*len;
        in->have = 0;
    }
    in->length = in->head[0] | (size_t)in->head[1] << 8 | (size_t)in->head[2] << 16;
    if (in->length > max || in->length == 0xffffff) {
        return MYSQL_INBOX_LONG;
    }
    if (in->length > in->capacity) {
        unsigned char *larger = realloc(in->payload, in->length);
        if (larger == NULL) {
            return MYSQL_INBOX_NOMEM;
        }
        in->payload = larger;
        in->capacity = in->length;
    }
    size_t now = in->length - in->have < *len ? in->length - in->have : *len;
    if (now > 0) {
        memcpy(in->payload + in->have, *data, now);
    }
    in->have += now;
    *data += now;
    *len -= now;
    return in->have == in->length ? MYSQL_INBOX_WHOLE : MYSQL_INBOX_PART;
}

bool mysql_inbox_begun(const struct mysql_inbox *in)
{
    return in->head_len > 0 && (in->head_len < MYSQL_HEADER || in->have < in->length);
}

unsigned char mysql_inbox_sequence(const struct mysql_inbox *in)
{
    return in->head[3];
}

void mysql_inbox_free(struct mysql_inbox *in)
{
    if (in->payload != NULL) {
        wipe(in->payload, in->capacity);
        free(in->payload);
    }
    *in = (struct mysql_inbox){0};
}

/* Reading ------------------------------------------------------------------------------------ */

struct mysql_cursor mysql_read(const void *payload, size_t len)
{
    const unsigned char *start = payload;
    return (struct mysql_cursor){.at = start, .end = start == NULL ? start : start + len};
}

size_t mysql_left(const struct mysql_cursor *c)
{
    return c->at == NULL ? 0 : (size_t)(c->end - c->at);
}

static bool need(struct mysql_cursor *c, size_t len)
{
    c->broken = c->broken || mysql_left(c) < len;
    return !c->broken;
}

uint64_t mysql_read_int(struct mysql_cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    if (need(c, bytes)) {
        for (unsigned i = 0; i < bytes; i++) {
            value |= (uint64_t)c->at[i] << (8 * i);
        }
        c->at += bytes;
    }
    return value;
}

uint64_t mysql_read_lenenc(struct mysql_cursor *c)
{
    uint64_t first = mysql_read_int(c, 1);
    switch (first) {
    case 0xfc:
        return mysql_read_int(c, 2);
    case 0xfd:
        return mysql_read_int(c, 3);
    case 0xfe:
        return mysql_read_int(c, 8);
    case 0xfb: /* NULL, no number */
    case 0xff: /* never the start of one */
        c->broken = true;
        return 0;
    default:
        return first;
    }
}

struct mysql_text mysql_read_bytes(struct mysql_cursor *c, size_t len)
{
    struct mysql_text text = {.data = "", .len = 0};
    if (need(c, len) && len > 0) {
        text = (struct mysql_text){(const char *)c->at, len};
        c->at += len;
    }
    return text;
}

struct mysql_text mysql_read_nul(struct mysql_cursor *c)
{
    size_t left = mysql_left(c);
    const unsigned char *nul = left > 0 ? memchr(c->at, '\0', left) : NULL;
    if (nul == NULL) {
        c->broken = true;
        return (struct mysql_text){.data = "", .len = 0};
    }
    struct mysql_text text = mysql_read_bytes(c, (size_t)(nul - c->at));
    mysql_read_int(c, 1);
    return text;
}

struct mysql_text mysql_read_rest(struct mysql_cursor *c)
{
    return mysql_read_bytes(c, mysql_left(c));
}

struct mysql_text mysql_read_string(struct mysql_cursor *c)
{
    if (need(c, 1) && *c->at == 0xfb) {
        c->at++;
        return (struct mysql_text){.data = NULL, .len = 0};
    }
    uint64_t len = mysql_read_lenenc(c);
    return mysql_read_bytes(c, len < SIZE_MAX ? (size_t)len : SIZE_MAX);
}

bool mysql_read_error(struct mysql_error *error, const void *payload, size_t len)
{
    struct mysql_cursor c = mysql_read(payload, len);
    *error = (struct mysql_error){0};
    bool is_error = mysql_read_int(&c, 1) == MYSQL_ERROR;
    error->code = (unsigned)mysql_read_int(&c, 2);
    if (mysql_left(&c) >= 6 && *c.at == '#') {
        mysql_read_int(&c, 1);
        struct mysql_text state = mysql_read_bytes(&c, sizeof error->state - 1);
        memcpy(error->state, state.data, state.len);
    }
    error->text = mysql_read_rest(&c);
    return is_error && !c.broken;
}

/* Writing ------------------------------------------------------------------------------------ */

void mysql_write_bytes(struct mysql_writer *w, const void *data, size_t len)
{
    w->full = w->full || w->size - w->len < len;
    if (!w->full && len > 0) {
        memcpy(w->data + w->len, data, len);
        w->len += len;
    }
}

void mysql_write_zeros(struct mysql_writer *w, size_t count)
{
    w->full = w->full || w->size - w->len < count;
    if (!w->full && count > 0) {
        memset(w->data + w->len, 0, count);
        w->len += count;
    }
}

void mysql_write_int(struct mysql_writer *w, uint64_t value, unsigned bytes)
{
    unsigned char little[8];
    for (unsigned i = 0; i < 8; i++) {
        little[i] = (unsigned char)(value >> (8 * i));
    }
    mysql_write_bytes(w, little, bytes);
}

void mysql_write_nul(struct mysql_writer *w, const char *text)
{
    mysql_write_bytes(w, text, strlen(text) + 1);
}

void mysql_begin(struct mysql_writer *w, unsigned char sequence)
{
    w->packet = w->len;
    mysql_write_int(w, 0, 3);
    mysql_write_int(w, sequence, 1);
}

void mysql_end(struct mysql_writer *w)
{
    if (!w->full) {
        size_t len = w->len - w->packet - MYSQL_HEADER;
        for (unsigned i = 0; i < 3; i++) {
            w->data[w->packet + i] = (unsigned char)(len >> (8 * i));
        }
    }
}
