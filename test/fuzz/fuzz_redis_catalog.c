/* Whatever a server says to COMMAND or COMMAND INFO, in whatever pieces, it teaches the same; and
 * whatever a client's command is, and wherever it is cut, the verdict keeps its promises.
 *
 * The first byte chooses question and pieces, the second how long the client's command is, the
 * third where that is cut; it follows, and then what the server says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/redis_catalog.h"
#include "proto/redis_request.h"

#define ASKED "XMULTI"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right) {
        abort();
    }
}

/* In memory of its own, so that a sanitizer sees its ends. */
static void feed(struct redis_catalog *c, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        memcpy(copy, data + at, len);
        redis_catalog_feed(c, copy, len);
        free(copy);
    }
}

static struct redis_catalog *teach(bool asks, const uint8_t *data, size_t size, size_t piece,
                                   bool *learned)
{
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    if (asks) {
        redis_catalog_ask(c, ASKED, strlen(ASKED));
    }
    feed(c, data, size, piece);
    *learned = redis_catalog_end(c);
    return c;
}

static struct redis_verdict judge(const struct redis_catalog *c, const void *command, size_t len)
{
    struct redis_request r = {.argc = 0};
    const char *why;
    size_t used;
    char *copy = malloc(len);
    memcpy(copy, command, len);
    redis_request_feed(&r, copy, len, &used, &why);
    struct redis_verdict v = redis_catalog_judge(c, &r, copy, len);
    free(copy);
    return v;
}

static struct redis_verdict judge_text(const struct redis_catalog *c, const char *command)
{
    return judge(c, command, strlen(command));
}

static void check_verdict(struct redis_verdict v)
{
    size_t len = strlen(v.name);
    check(v.kind < REDIS_KIND_COUNT && v.access <= REDIS_WRITES);
    check(len > 0 && len <= 64 && (v.known || strcmp(v.name, "?") == 0));
    check(v.known || (v.kind == REDIS_STATE && v.access == REDIS_WRITES && v.secret));
    for (size_t i = 0; i < len; i++) {
        check(v.name[i] > ' ' && v.name[i] <= '~');
    }
}

/* What a name says no server can take back. */
static void check_names(const struct redis_catalog *c)
{
    check(judge_text(c, "*1\r\n$5\r\nmulti\r\n").kind == REDIS_MULTI);
    check(judge_text(c, "*2\r\n$6\r\nclient\r\n$2\r\nid\r\n").kind == REDIS_ID);
    check(judge_text(c, "*2\r\n$5\r\nblpop\r\n$1\r\nk\r\n").kind == REDIS_BLOCKS);
    check(judge_text(c, "*2\r\n$4\r\nauth\r\n$1\r\nk\r\n").secret);
    check(strcmp(judge_text(c, "*2\r\n$3\r\nget\r\n$1\r\nk\r\n").name, "get") == 0);
}

static void check_same(struct redis_verdict a, struct redis_verdict b)
{
    check(a.kind == b.kind && a.access == b.access && a.known == b.known && a.secret == b.secret &&
          strcmp(a.name, b.name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size - 3 < data[1]) {
        return 0;
    }
    const uint8_t *command = data + 3;
    size_t command_len = data[1];
    const uint8_t *reply = command + command_len;
    size_t reply_len = size - 3 - command_len;
    bool asks = data[0] & 1;
    bool learned[2];
    struct redis_catalog *c = teach(asks, reply, reply_len, reply_len + 1, &learned[0]);
    struct redis_catalog *pieces = teach(asks, reply, reply_len, data[0] / 2 + 1, &learned[1]);
    check(learned[0] == learned[1]);
    struct redis_verdict v = judge(c, command, command_len);
    check_verdict(v);
    check_same(v, judge(pieces, command, command_len));
    check_same(judge_text(c, ASKED "\r\n"), judge_text(pieces, ASKED "\r\n"));
    check_names(c);

    size_t cut = command_len > 0 ? data[2] % command_len : 0;
    struct redis_verdict before = judge(c, command, cut);
    check_verdict(before);
    if (before.known && v.known && before.kind == REDIS_PLAIN) {
        check(v.kind == REDIS_PLAIN); /* never less careful when less is there */
    }
    redis_catalog_free(c);
    redis_catalog_free(pieces);
    return 0;
}
