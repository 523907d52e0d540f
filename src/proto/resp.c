#include "proto/resp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "router_proto.h"

#define TEXT_DIGITS_MAX 5 /* an INFO section has a few KB: 99,999 bytes are plenty */
#define LIST_DIGITS_MAX 3

bool resp_auth(struct resp_command *c, const char *name, const struct probe_setup *setup)
{
    const char *password = setup->password != NULL ? setup->password : "";
    if (setup->user != NULL) {
        *c = (struct resp_command){.words = {name, setup->user, password}, .count = 3};
    } else {
        *c = (struct resp_command){.words = {name, password}, .count = 2};
    }
    return setup->user != NULL || setup->password != NULL;
}

size_t resp_bound(const struct resp_command *c)
{
    size_t bound = 32; /* "*3\r\n" and a NUL */
    for (size_t i = 0; i < c->count; i++) {
        bound += strlen(c->words[i]) + 32; /* "$len\r\n" and "\r\n" */
    }
    return bound;
}

size_t resp_write(const struct resp_command *c, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "*%zu\r\n", c->count);
    for (size_t i = 0; i < c->count; i++) {
        len += (size_t)snprintf(out + len, size - len, "$%zu\r\n%s\r\n", strlen(c->words[i]),
                                c->words[i]);
    }
    return len;
}

/* Replies ----------------------------------------------------------------------------------- */

int resp_open(struct resp_reader *r, redisReplyObjectFunctions *on_reply, void *user)
{
    resp_close(r);
    r->hiredis = redisReaderCreateWithFunctions(on_reply);
    if (r->hiredis == NULL) {
        return -ENOMEM;
    }
    r->hiredis->privdata = user;
    return 0;
}

void resp_close(struct resp_reader *r)
{
    if (r->hiredis != NULL) {
        redisReaderFree(r->hiredis);
    }
    *r = (struct resp_reader){0};
}

int resp_feed(struct resp_reader *r, const char *data, size_t len)
{
    return redisReaderFeed(r->hiredis, data, len) == REDIS_OK ? 0 : -ENOMEM;
}

size_t resp_waiting(const struct resp_reader *r)
{
    return r->hiredis->len - r->hiredis->pos;
}

/* The digits of a length and the line's end. *whole says whether enough of it is there to tell. */
static bool check_length(const char *p, size_t len, size_t digits, bool *whole)
{
    size_t i = 1;
    while (i < len && p[i] >= '0' && p[i] <= '9') {
        i++;
    }
    if (i > 1 + digits || (i < len && (i == 1 || p[i] != '\r'))) {
        return false;
    }
    *whole = i + 1 < len;
    return !*whole || p[i + 1] == '\n';
}

/* "*-1", which stands for no array. */
static bool check_none(const char *p, size_t len, bool *whole)
{
    static const char none[] = "*-1\r\n";
    size_t have = len < strlen(none) ? len : strlen(none);
    *whole = have == strlen(none);
    return memcmp(p, none, have) == 0;
}

/* The reply's first line, before the reader sees it. */
static bool check_head(const char *p, size_t len, enum resp_shape shape, bool *whole)
{
    *whole = true;
    if (p[0] == '+' || p[0] == '-') {
        return true;
    }
    if (shape == RESP_TEXT) {
        return p[0] == '$' && check_length(p, len, TEXT_DIGITS_MAX, whole);
    }
    if (p[0] != '*') {
        return false;
    }
    return len > 1 && p[1] == '-' ? check_none(p, len, whole)
                                  : check_length(p, len, LIST_DIGITS_MAX, whole);
}

enum resp_read resp_next(struct resp_reader *r, enum resp_shape shape)
{
    redisReader *h = r->hiredis;
    void *reply = NULL;
    if (!r->head_checked) {
        if (h->pos == h->len) {
            return RESP_MORE;
        }
        if (!check_head(h->buf + h->pos, h->len - h->pos, shape, &r->head_checked)) {
            return RESP_BROKEN;
        }
        if (!r->head_checked) {
            return RESP_MORE;
        }
    }
    if (redisReaderGetReply(h, &reply) != REDIS_OK) {
        return RESP_BROKEN;
    }
    if (reply == NULL) {
        return RESP_MORE;
    }
    r->head_checked = false;
    return RESP_REPLY;
}

/* Errors ------------------------------------------------------------------------------------ */

void resp_error_keep(struct resp_error *e, const char *text, size_t len, const char *secret)
{
    size_t kept = len < RESP_ERROR_MAX - 1 ? len : RESP_ERROR_MAX - 1;
    memcpy(e->text, text, kept);
    e->text[kept] = '\0';
    e->tells = secret != NULL && memmem(text, len, secret, strlen(secret)) != NULL;
}

bool resp_error_is(const struct resp_error *e, const char *start)
{
    return strncmp(e->text, start, strlen(start)) == 0;
}

void resp_forget(char **secret, size_t size)
{
    if (*secret != NULL) {
        wipe(*secret, size);
        free(*secret);
        *secret = NULL;
    }
}
