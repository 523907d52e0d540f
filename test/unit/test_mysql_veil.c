/* Promise: of replies to a client that did not ask for its session's state only that is taken out,
 * wherever the bytes are cut and however long an OK is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mysql_reply.h"
#include "proto/mysql_veil.h"

#define ROOM 70000

struct stream {
    char data[ROOM];
    size_t len;
};

static void put(struct stream *s, uint8_t sequence, const char *payload, size_t len)
{
    assert_true(s->len + MYSQL_HEADER + len <= ROOM);
    s->data[s->len++] = (char)len;
    s->data[s->len++] = (char)(len >> 8);
    s->data[s->len++] = (char)(len >> 16);
    s->data[s->len++] = (char)sequence;
    memcpy(s->data + s->len, payload, len);
    s->len += len;
}

static void lenenc(char *out, size_t *at, size_t number)
{
    if (number < 251) {
        out[(*at)++] = (char)number;
        return;
    }
    out[(*at)++] = (char)0xfc;
    out[(*at)++] = (char)number;
    out[(*at)++] = (char)(number >> 8);
}

/* What the server says, and what the client is to see of it: `told` bytes less. */
static void put_ok(struct stream *said, struct stream *seen, char first, uint8_t sequence,
                   const char *words, size_t told)
{
    static char payload[ROOM];
    size_t at = 0;
    memcpy(payload, "\0\7\xfc\1\2\2\x40\3\0", 9);
    payload[0] = first;
    at = 9;
    size_t numbers = at;
    lenenc(payload, &at, strlen(words));
    memcpy(payload + at, words, strlen(words));
    at += strlen(words);
    size_t end = words[0] != '\0' ? at : numbers;
    payload[6] = (char)(told > 0 ? 0x40 : 0);
    if (told > 0) {
        lenenc(payload, &at, told);
        memset(payload + at, 'T', told);
        at += told;
    }
    put(said, sequence, payload, at);
    payload[6] = 0;
    put(seen, sequence, payload, told > 0 ? end : at);
}

/* As core/mysql_flights.c does it. */
static void pass(struct mysql_veil *v, struct mysql_reply *r, struct stream *out, char *data,
                 size_t len)
{
    while (len > 0) {
        char *piece = data;
        size_t size = mysql_veil_run(v, data, len, mysql_reply_in_rows(r));
        bool begins = size == 0 && v->left == 0;
        size_t taken = size > 0 ? size : mysql_veil_take(v, data, len, &piece, &size);
        data += taken;
        len -= taken;
        size_t used = 0;
        uint32_t oks = r->oks;
        bool drops = v->drops;
        if (piece == NULL) {
            return;
        }
        enum mysql_reply_event event = mysql_reply_look(r, piece, size, &used);
        assert_true(event != MYSQL_REPLY_BAD && used == size);
        if (begins && (r->oks != oks || (v->left > 0 && r->keeps))) {
            size = mysql_veil_strip(piece, used);
            v->drops = v->left > 0 && size != used;
        } else if (drops) {
            size = 0;
        }
        memcpy(out->data + out->len, piece, size);
        out->len += size;
    }
}

static void check(const struct stream *said, const struct stream *seen, uint32_t capabilities)
{
    static struct stream copy;
    static struct stream out;
    size_t step = said->len > 4096 ? 97 : 1;
    for (size_t cut = 0; cut <= said->len; cut += step) {
        struct mysql_veil v = {0};
        struct mysql_reply r = {0};
        mysql_reply_begin(&r, capabilities, 3);
        copy = *said;
        out.len = 0;
        pass(&v, &r, &out, copy.data, cut);
        pass(&v, &r, &out, copy.data + cut, copy.len - cut);
        assert_int_equal(out.len, seen->len);
        assert_memory_equal(out.data, seen->data, seen->len);
        assert_true(v.left == 0 && v.have == 0);
    }
    struct mysql_veil v = {0};
    struct mysql_reply r = {0};
    mysql_reply_begin(&r, capabilities, 3);
    copy = *said;
    out.len = 0;
    for (size_t i = 0; i < copy.len; i++) {
        pass(&v, &r, &out, copy.data + i, 1);
    }
    assert_int_equal(out.len, seen->len);
    assert_memory_equal(out.data, seen->data, seen->len);
}

static void an_ok_of_any_length_loses_what_it_tells(void **state)
{
    (void)state;
    static const size_t told[] = {0, 1, 5, 250, 251, 2000, 2037, 2048, 2049, 3000, 65000};
    static const char *const words[] = {"", "Rows matched: 1  Changed: 1  Warnings: 0"};
    static struct stream said;
    static struct stream seen;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        for (size_t n = 0; n < 2; n++) {
            said.len = seen.len = 0;
            put_ok(&said, &seen, 0, 1, words[n], told[i]);
            check(&said, &seen, MYSQL_CAP_SESSION_TRACK);
        }
    }
}

static void put_both(struct stream *said, struct stream *seen, uint8_t sequence,
                     const char *payload, size_t len)
{
    put(said, sequence, payload, len);
    put(seen, sequence, payload, len);
}

/* Some of the rows begin as an OK and an EOF do, and are long. */
static void rows(struct stream *said, struct stream *seen)
{
    static char row[3000];
    put_both(said, seen, 1, "\2", 1);
    put_both(said, seen, 2, "\3def one", 8);
    put_both(said, seen, 3, "\3def two", 8);
    memset(row, '\x40', sizeof row);
    put_both(said, seen, 4, "\1x\1y", 4);
    row[0] = '\0';
    put_both(said, seen, 5, row, 30);
    put_both(said, seen, 6, row, sizeof row);
    row[0] = 'b';
    put_both(said, seen, 7, row, 2500);
    put_both(said, seen, 8, "\xfb\xfb", 2);
}

static void rows_pass_as_they_are_and_their_end_does_not(void **state)
{
    (void)state;
    static struct stream said;
    static struct stream seen;
    static const size_t told[] = {0, 20, 2500};
    for (size_t i = 0; i < 3; i++) {
        said.len = seen.len = 0;
        rows(&said, &seen);
        put_ok(&said, &seen, '\xfe', 9, "", told[i]);
        check(&said, &seen, MYSQL_CAP_SESSION_TRACK | MYSQL_CAP_DEPRECATE_EOF);
    }
}

static void an_eof_loses_the_flag(void **state)
{
    (void)state;
    static struct stream said;
    static struct stream seen;
    said.len = seen.len = 0;
    put_both(&said, &seen, 1, "\1", 1);
    put_both(&said, &seen, 2, "\3def one", 8);
    put(&said, 3, "\xfe\0\0\2\x40", 5);
    put(&seen, 3, "\xfe\0\0\2\0", 5);
    put_both(&said, &seen, 4, "\0", 1);
    put(&said, 5, "\xfe\1\0\x22\x40", 5);
    put(&seen, 5, "\xfe\1\0\x22\0", 5);
    check(&said, &seen, MYSQL_CAP_SESSION_TRACK);
}

static void an_error_passes_however_long_it_is(void **state)
{
    (void)state;
    static struct stream said;
    static struct stream seen;
    static char words[3000];
    memset(words, 'x', sizeof words);
    words[0] = '\xff';
    for (size_t len = 30; len <= sizeof words; len += 2970) {
        said.len = seen.len = 0;
        put_both(&said, &seen, 1, words, len);
        check(&said, &seen, MYSQL_CAP_SESSION_TRACK);
    }
}

static void what_cannot_tell_passes_together(void **state)
{
    (void)state;
    static struct stream said;
    struct mysql_veil v = {0};
    said.len = 0;
    put(&said, 1, "\1x", 2);
    put(&said, 2, "\0x", 2);
    put(&said, 3, "\2xy", 3);
    size_t rows = said.len;
    assert_int_equal(mysql_veil_run(&v, said.data, rows, true), rows);
    assert_int_equal(mysql_veil_run(&v, said.data, rows, false), 6);
    assert_int_equal(mysql_veil_run(&v, said.data, rows - 1, true), rows - 7);
    put(&said, 4, "\xfe\0\0\2\0", 5);
    assert_int_equal(mysql_veil_run(&v, said.data, said.len, true), rows);
    said.data[rows + MYSQL_HEADER] = (char)0xff;
    assert_int_equal(mysql_veil_run(&v, said.data, said.len, true), rows);
    v.left = 1;
    assert_int_equal(mysql_veil_run(&v, said.data, said.len, true), 0);
    v.left = 0;
    v.have = 1;
    assert_int_equal(mysql_veil_run(&v, said.data, said.len, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ok_of_any_length_loses_what_it_tells),
        cmocka_unit_test(rows_pass_as_they_are_and_their_end_does_not),
        cmocka_unit_test(an_eof_loses_the_flag),
        cmocka_unit_test(an_error_passes_however_long_it_is),
        cmocka_unit_test(what_cannot_tell_passes_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
