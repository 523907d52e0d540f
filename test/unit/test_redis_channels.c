/* Promise: what a client has subscribed to is known, each name once, and can be said again to
 * another server; whatever names it thinks of, they are bounded and quickly found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/redis_channels.h"
#include "proto/redis_request.h"

static int add(struct redis_channels *c, enum redis_channel_kind kind, const char *name)
{
    return redis_channels_add(c, kind, name, strlen(name));
}

static void drop(struct redis_channels *c, enum redis_channel_kind kind, const char *name)
{
    redis_channels_remove(c, kind, name, strlen(name));
}

/* In memory of its own, so that a sanitizer sees its end. */
static void assert_written(const struct redis_channels *c, const char *expected)
{
    size_t size = redis_channels_bound(c, NULL, NULL);
    assert_int_equal(size, strlen(expected));
    char *out = malloc(size + 1);
    assert_int_equal(redis_channels_write(c, NULL, NULL, out, size), size);
    assert_memory_equal(out, expected, size);
    free(out);
}

static void nothing_is_written_of_nothing(void **state)
{
    (void)state;
    struct redis_channels *c = redis_channels_new();
    assert_written(c, "");
    add(c, REDIS_CHANNEL, "news");
    drop(c, REDIS_CHANNEL, "news");
    drop(c, REDIS_CHANNEL, "news");
    assert_written(c, "");
    redis_channels_free(c);
    redis_channels_free(NULL);
}

static void each_kind_is_one_command_in_the_order_of_its_names(void **state)
{
    (void)state;
    struct redis_channels *c = redis_channels_new();
    assert_int_equal(add(c, REDIS_PATTERN, "n*"), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, "news"), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, "a"), 0);
    assert_int_equal(add(c, REDIS_SHARD, "news"), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, ""), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, "news"), 0);
    assert_int_equal(redis_channels_count(c, REDIS_CHANNEL), 3);
    assert_int_equal(redis_channels_count(c, REDIS_PATTERN), 1);
    assert_int_equal(redis_channels_count(c, REDIS_SHARD), 1);
    assert_written(c, "*4\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n$1\r\na\r\n$0\r\n\r\n"
                      "*2\r\n$10\r\nPSUBSCRIBE\r\n$2\r\nn*\r\n"
                      "*2\r\n$10\r\nSSUBSCRIBE\r\n$4\r\nnews\r\n");
    drop(c, REDIS_CHANNEL, "news");
    drop(c, REDIS_PATTERN, "n*");
    drop(c, REDIS_PATTERN, "never");
    assert_int_equal(redis_channels_count(c, REDIS_PATTERN), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, "news"), 0);
    assert_written(c, "*4\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$0\r\n\r\n$4\r\nnews\r\n"
                      "*2\r\n$10\r\nSSUBSCRIBE\r\n$4\r\nnews\r\n");
    redis_channels_clear(c, REDIS_CHANNEL);
    assert_int_equal(redis_channels_count(c, REDIS_CHANNEL), 0);
    assert_written(c, "*2\r\n$10\r\nSSUBSCRIBE\r\n$4\r\nnews\r\n");
    redis_channels_free(c);
}

static void the_count_may_have_one_digit_more_than_there_are_names(void **state)
{
    (void)state;
    struct redis_channels *c = redis_channels_new();
    for (char name[] = "1"; name[0] <= '9'; name[0]++) {
        assert_int_equal(add(c, REDIS_CHANNEL, name), 0);
    }
    assert_written(c, "*10\r\n$9\r\nSUBSCRIBE\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n"
                      "$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n");
    redis_channels_free(c);
}

static void names_are_bytes(void **state)
{
    (void)state;
    struct redis_channels *c = redis_channels_new();
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, "a\0b", 3), 0);
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, "a\0c", 3), 0);
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, "a\0", 2), 0);
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, "a", 1), 0);
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, "a\0c", 3), 0);
    assert_int_equal(redis_channels_count(c, REDIS_CHANNEL), 4);
    redis_channels_remove(c, REDIS_CHANNEL, "a\0b", 3);
    redis_channels_remove(c, REDIS_CHANNEL, "\xff", 1);
    assert_int_equal(redis_channels_count(c, REDIS_CHANNEL), 3);
    redis_channels_free(c);
}

static const char *renamed(const void *renames, const char *command)
{
    return strcmp(command, "SUBSCRIBE") == 0 ? renames : command;
}

static void commands_have_the_names_that_the_server_gave_them(void **state)
{
    (void)state;
    static const char expected[] =
        "*2\r\n$3\r\nabo\r\n$1\r\na\r\n*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\nb\r\n";
    char out[sizeof expected];
    struct redis_channels *c = redis_channels_new();
    add(c, REDIS_CHANNEL, "a");
    add(c, REDIS_PATTERN, "b");
    assert_int_equal(redis_channels_bound(c, renamed, "abo"), sizeof expected - 1);
    assert_int_equal(redis_channels_write(c, renamed, "abo", out, sizeof out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    redis_channels_free(c);
}

static void all_names_together_are_bounded(void **state)
{
    (void)state;
    struct redis_channels *c = redis_channels_new();
    static char name[REDIS_CHANNELS_BYTES_MAX];
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, name, sizeof name), -E2BIG);
    assert_int_equal(redis_channels_add(c, REDIS_CHANNEL, name, SIZE_MAX - 8), -E2BIG);
    size_t fits = REDIS_CHANNELS_BYTES_MAX - strlen("$1000000\r\n\r\n");
    assert_int_equal(redis_channels_add(c, REDIS_PATTERN, name, fits + 1), -E2BIG);
    assert_int_equal(redis_channels_add(c, REDIS_PATTERN, name, fits), 0);
    assert_int_equal(add(c, REDIS_CHANNEL, ""), -E2BIG);
    assert_int_equal(redis_channels_add(c, REDIS_PATTERN, name, fits), 0); /* is there */
    assert_int_equal(redis_channels_count(c, REDIS_CHANNEL), 0);
    redis_channels_remove(c, REDIS_PATTERN, name, fits);
    unsigned added = 0;
    for (int error = 0; error == 0; added++) {
        char text[16];
        snprintf(text, sizeof text, "%07u", added);
        error = add(c, added % REDIS_CHANNEL_KINDS, text);
        assert_true(error == 0 || error == -E2BIG);
    }
    assert_int_equal(added - 1, REDIS_CHANNELS_BYTES_MAX / strlen("$7\r\n1234567\r\n"));
    redis_channels_clear(c, REDIS_SHARD);
    assert_int_equal(add(c, REDIS_CHANNEL, "more"), 0);
    redis_channels_free(c);
}

/* Against what is as simple as can be: a flag for each name. */
static void what_is_kept_is_what_came_and_did_not_go(void **state)
{
    (void)state;
    enum { NAMES = 3000, TURNS = 60000 };
    static bool there[REDIS_CHANNEL_KINDS][NAMES];
    struct redis_channels *c = redis_channels_new();
    uint32_t random = 7;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        random = random * 1664525 + 1013904223;
        unsigned n = (random >> 8) % NAMES;
        enum redis_channel_kind kind = (random >> 24) % REDIS_CHANNEL_KINDS;
        bool comes = turn < TURNS / 2 ? (random >> 5 & 3) != 0 : (random >> 5 & 3) == 0;
        char name[16];
        snprintf(name, sizeof name, "%x", n * 7919);
        if (comes) {
            assert_int_equal(add(c, kind, name), 0);
        } else {
            drop(c, kind, name);
        }
        there[kind][n] = comes;
    }
    for (size_t kind = 0; kind < REDIS_CHANNEL_KINDS; kind++) {
        size_t count = 0;
        for (size_t n = 0; n < NAMES; n++) {
            count += there[kind][n] ? 1 : 0;
        }
        assert_true(count > 100);
        assert_int_equal(redis_channels_count(c, (enum redis_channel_kind)kind), count);
    }
    size_t size = redis_channels_bound(c, NULL, NULL);
    char *out = malloc(size);
    assert_int_equal(redis_channels_write(c, NULL, NULL, out, size), size);
    size_t at = 0;
    for (size_t kind = 0; kind < REDIS_CHANNEL_KINDS; kind++) {
        struct redis_request r = {0};
        size_t used;
        const char *why;
        assert_int_equal(redis_request_feed(&r, out + at, size - at, &used, &why), REDIS_WHOLE);
        assert_int_equal(r.argc, 1 + redis_channels_count(c, (enum redis_channel_kind)kind));
        for (unsigned i = 1; i < r.word_count; i++) {
            char name[16] = "";
            memcpy(name, out + at + r.words[i].at, r.words[i].len);
            size_t n = strtoul(name, NULL, 16) / 7919;
            assert_true(there[kind][n]);
        }
        at += used;
    }
    assert_int_equal(at, size);
    free(out);
    for (size_t i = 0; i < (size_t)REDIS_CHANNEL_KINDS * NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%x", (unsigned)(i % NAMES) * 7919);
        if (there[i / NAMES][i % NAMES]) {
            drop(c, (enum redis_channel_kind)(i / NAMES), name);
        }
    }
    assert_int_equal(redis_channels_bound(c, NULL, NULL), 0);
    redis_channels_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_of_nothing),
        cmocka_unit_test(each_kind_is_one_command_in_the_order_of_its_names),
        cmocka_unit_test(the_count_may_have_one_digit_more_than_there_are_names),
        cmocka_unit_test(names_are_bytes),
        cmocka_unit_test(commands_have_the_names_that_the_server_gave_them),
        cmocka_unit_test(all_names_together_are_bounded),
        cmocka_unit_test(what_is_kept_is_what_came_and_did_not_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
