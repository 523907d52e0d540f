/* Promise: a server's replies are told apart wherever the bytes are cut, RESP2 and RESP3, nested as
 * deep as they like; what is no reply is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/redis_reply.h"

/* One line for each reply: its type, its length, its head. */
struct account {
    char text[4096];
    size_t len;
};

static void note_reply(struct account *a, const struct redis_reply *r)
{
    assert_true(r->head_whole);
    assert_true(r->head_len <= REDIS_HEAD_MAX);
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, "%c %u <%.*s>\n", r->type,
                               (unsigned)r->len, (int)r->head_len, r->head);
    assert_true(a->len < sizeof a->text);
}

struct feeder {
    const char *stream;
    size_t at;    /* of all that was fed */
    size_t first; /* where the reply that is coming in began */
    struct redis_reply r;
    struct account account;
    const char *why;
};

/* In memory of its own, so that a sanitizer sees its ends. False: no reply. */
static bool feed(struct feeder *f, size_t len)
{
    char *piece = malloc(len);
    memcpy(piece, f->stream + f->at, len);
    size_t at = 0;
    enum redis_scan scan = REDIS_MORE;
    while (at < len && scan != REDIS_BAD) {
        size_t used = SIZE_MAX;
        scan = redis_reply_feed(&f->r, piece + at, len - at, &used, &f->why);
        if (scan == REDIS_BAD) {
            break;
        }
        assert_true(used > 0 && used <= len - at);
        assert_true(scan == REDIS_WHOLE || used == len - at);
        at += used;
        assert_int_equal(f->first + f->r.len, f->at + at);
        if (scan == REDIS_WHOLE) {
            note_reply(&f->account, &f->r);
            f->first += f->r.len;
            f->r = (struct redis_reply){0};
        }
    }
    free(piece);
    f->at += len;
    return scan != REDIS_BAD;
}

static void assert_account(const struct feeder *f, const char *expected, const char *why)
{
    assert_string_equal(f->account.text, expected);
    if (why == NULL) {
        assert_null(f->why);
    } else {
        assert_string_equal(f->why, why);
    }
}

/* Whole, in two pieces wherever it is cut, in pieces of each size. `why`: how it ends badly. */
static void check(const char *stream, size_t len, const char *expected, const char *why)
{
    for (size_t cut = 0; cut < len; cut++) {
        struct feeder *f = calloc(1, sizeof *f);
        f->stream = stream;
        (void)(feed(f, cut) && feed(f, len - cut));
        assert_account(f, expected, why);
        free(f);
    }
    for (size_t piece = 1; piece < len; piece++) {
        struct feeder *f = calloc(1, sizeof *f);
        f->stream = stream;
        while (f->at < len && feed(f, piece < len - f->at ? piece : len - f->at)) {
        }
        assert_account(f, expected, why);
        free(f);
    }
}

#define TAKES(stream, expected)        check(stream, sizeof(stream) - 1, expected, NULL)
#define REFUSES(stream, expected, why) check(stream, sizeof(stream) - 1, expected, why)

/* Values ----------------------------------------------------------------------------------------
 */

static void simple_values_end_with_their_line(void **state)
{
    (void)state;
    TAKES("+OK\r\n-ERR no\r\n:-12\r\n+\r\n", "+ 5 <OK>\n- 9 <ERR no>\n: 6 <-12>\n+ 3 <>\n");
    TAKES("_\r\n,3.25\r\n,-inf\r\n#t\r\n#f\r\n(34928903284092384092\r\n",
          "_ 3 <>\n, 7 <3.25>\n, 7 <-inf>\n# 4 <t>\n# 4 <f>\n( 23 <34928903284092384092>\n");
    TAKES("+a\rb\r\r\n+\r\r\n+c\nd\r\n", "+ 7 <a\rb\r>\n+ 4 <\r>\n+ 6 <c\nd>\n");
}

static void strings_end_where_their_lengths_say(void **state)
{
    (void)state;
    TAKES("$5\r\nhello\r\n$0\r\n\r\n$4\r\n+a\r\n\r\n+OK\r\n",
          "$ 11 <>\n$ 6 <>\n$ 10 <>\n+ 5 <OK>\n");
    TAKES("=7\r\ntxt:abc\r\n!8\r\nERR  a\r\n\r\n!0\r\n\r\n",
          "= 13 <>\n! 14 <ERR  a\r\n>\n! 6 <>\n");
}

static void nulls_are_values(void **state)
{
    (void)state;
    TAKES("$-1\r\n*-1\r\n_\r\n+OK\r\n", "$ 5 <>\n* 5 <>\n_ 3 <>\n+ 5 <OK>\n");
    TAKES("*3\r\n$-1\r\n*-1\r\n_\r\n+OK\r\n", "* 17 <>\n+ 5 <OK>\n");
}

static void aggregates_end_with_their_last_value(void **state)
{
    (void)state;
    TAKES("*0\r\n%0\r\n~0\r\n>0\r\n", "* 4 <>\n% 4 <>\n~ 4 <>\n> 4 <>\n");
    TAKES("*2\r\n:1\r\n:2\r\n%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n~1\r\n:1\r\n+OK\r\n",
          "* 12 <>\n% 20 <a>\n~ 8 <>\n+ 5 <OK>\n");
    TAKES("*3\r\n*2\r\n$1\r\na\r\n%1\r\n:1\r\n~2\r\n:1\r\n:2\r\n*0\r\n$-1\r\n+OK\r\n",
          "* 44 <>\n+ 5 <OK>\n");
    TAKES("*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n*1\r\n*1\r\n$3\r\nend\r\n", "* 20 <>\n* 17 <>\n");
}

static void the_first_string_of_an_aggregate_is_its_head(void **state)
{
    (void)state;
    TAKES(">3\r\n$7\r\nmessage\r\n$3\r\nfoo\r\n$5\r\nhello\r\n+OK\r\n",
          "> 37 <message>\n+ 5 <OK>\n");
    TAKES("*3\r\n$9\r\nsubscribe\r\n$3\r\nfoo\r\n:1\r\n", "* 32 <subscribe>\n");
    TAKES(">2\r\n+invalidate\r\n_\r\n", "> 20 <invalidate>\n");
    TAKES("*2\r\n=6\r\ntxt:ab\r\n+no\r\n", "* 21 <txt:ab>\n");
    TAKES("*2\r\n$0\r\n\r\n$2\r\nno\r\n", "* 18 <>\n");
    TAKES("*2\r\n:1\r\n$2\r\nno\r\n", "* 16 <>\n");
    TAKES("*2\r\n-no\r\n$2\r\nno\r\n", "* 17 <>\n");
    TAKES("*2\r\n!2\r\nno\r\n$2\r\nno\r\n", "* 20 <>\n");
    TAKES("*2\r\n$-1\r\n$2\r\nno\r\n", "* 17 <>\n");
    TAKES("*2\r\n*0\r\n$2\r\nno\r\n", "* 16 <>\n");
    TAKES("*2\r\n*1\r\n$2\r\nno\r\n+no\r\n", "* 21 <>\n");
    TAKES("*1\r\n|1\r\n+no\r\n+no\r\n+no\r\n", "* 23 <>\n");
}

static void heads_are_cut(void **state)
{
    (void)state;
    TAKES("+12345678901234567890123456789012\r\n+123456789012345678901234567890123\r\n",
          "+ 35 <12345678901234567890123456789012>\n+ 36 <12345678901234567890123456789012>\n");
    TAKES("*2\r\n$35\r\n12345678901234567890123456789012345\r\n+no\r\n",
          "* 51 <12345678901234567890123456789012>\n");
    TAKES("!35\r\n1234567890123456789012345678901\r\r\r\r\r\n",
          "! 42 <1234567890123456789012345678901\r>\n");
}

static void a_head_is_whole_when_nothing_follows_it(void **state)
{
    static const struct {
        const char *text;
        size_t not_before; /* that many bytes */
    } cases[] = {
        {"+OK\r\n", 5},
        {"$2\r\nab\r\n", 1},
        {"*0\r\n", 4},
        {"*2\r\n:1\r\n:2\r\n", 5},
        {">2\r\n$3\r\nabc\r\n:2\r\n", 13},
        {"+1234567890123456789012345678901234\r\n", 33},
        {"|1\r\n+a\r\n+b\r\n+OK\r\n", 17},
        {"|1\r\n+a\r\n+b\r\n$2\r\nab\r\n", 13},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_reply r = {0};
        const char *why;
        size_t used;
        for (size_t at = 0; at < strlen(cases[i].text); at++) {
            assert_int_not_equal(redis_reply_feed(&r, cases[i].text + at, 1, &used, &why),
                                 REDIS_BAD);
            assert_int_equal(r.head_whole, at + 1 >= cases[i].not_before);
        }
    }
}

static void attributes_belong_to_the_reply_behind_them(void **state)
{
    (void)state;
    TAKES("|1\r\n+ttl\r\n:3600\r\n$2\r\nab\r\n+OK\r\n", "$ 25 <>\n+ 5 <OK>\n");
    TAKES("|1\r\n+ttl\r\n*2\r\n:1\r\n*1\r\n:2\r\n-ERR no\r\n+OK\r\n", "- 35 <ERR no>\n+ 5 <OK>\n");
    TAKES("|0\r\n+OK\r\n|0\r\n|1\r\n_\r\n_\r\n>1\r\n+p\r\n", "+ 9 <OK>\n> 22 <p>\n");
    TAKES("|1\r\n|1\r\n+a\r\n+b\r\n+c\r\n+d\r\n+e\r\n", "+ 28 <e>\n");
    TAKES("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n+OK\r\n", "* 24 <>\n+ 5 <OK>\n");
}

/* What is none ----------------------------------------------------------------------------------
 */

static void what_is_no_reply_is_refused(void **state)
{
    (void)state;
    static const char why[] = "a reply of no known type";
    REFUSES("x", "", why);
    REFUSES("\r\n", "", why);
    REFUSES("+OK\r\n\n", "+ 5 <OK>\n", why);
    REFUSES("+OK\r\n\0", "+ 5 <OK>\n", why);
    REFUSES("*2\r\n:1\r\nHTTP/1.1 400", "", why);
    REFUSES("*1\r\n\xff", "", why);
    REFUSES(".\r\n", "", why);
    REFUSES(";4\r\n", "", why);
    REFUSES("*1\r\n>1\r\n", "", "a push inside of a reply");
    REFUSES("|1\r\n+a\r\n>1\r\n", "", "a push inside of a reply");
}

static void a_length_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char why[] = "an invalid length in a reply";
    static const char types[] = "$*%~>|!=";
    static const char *const lengths[] = {
        "\r\n",
        "x\r\n",
        "-\r\n",
        "-2\r\n",
        "-0\r\n",
        "-01\r\n",
        "-10\r\n",
        "+1\r\n",
        "01\r\n",
        "00\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\rX",
        "1\r1\n",
        "1X\n",
        "?\r\n",
        "\0\r\n",
        "18446744073709551617\r\n",
        "99999999999999999999999\r\n",
    };
    for (size_t t = 0; t < sizeof types - 1; t++) {
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            char text[64];
            size_t len = (size_t)snprintf(text, sizeof text, "+OK\r\n%c%s", types[t], lengths[i]);
            check(text, len + (lengths[i][0] == '\0' ? 1 : 0), "+ 5 <OK>\n", why);
        }
        bool has_null = types[t] == '$' || types[t] == '*';
        char null[] = "?-1\r\n";
        char expected[] = "? 5 <>\n";
        null[0] = types[t];
        expected[0] = types[t];
        check(null, 5, has_null ? expected : "", has_null ? NULL : why);
    }
    REFUSES("*4294967296\r\n", "", why);
    REFUSES("$68719476737\r\n", "", why);
    TAKES("*4294967295\r\n", "");
    TAKES("$68719476736\r\n", "");
}

static void a_string_without_its_end_is_refused(void **state)
{
    (void)state;
    static const char why[] = "a string in a reply has no end";
    REFUSES("$2\r\nabc\r\n", "", why);
    REFUSES("$2\r\nab\n\n", "", why);
    REFUSES("$2\r\nab\rX", "", why);
    REFUSES("*2\r\n!0\r\nab", "", why);
}

static void a_simple_value_may_have_64_kib(void **state)
{
    (void)state;
    static char line[REDIS_LINE_MAX + 8];
    static const size_t pieces[] = {1, 32, 993, sizeof line};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t piece = pieces[i];
        for (size_t extra = 0; extra < 2; extra++) {
            struct redis_reply r = {0};
            const char *why = NULL;
            size_t used;
            size_t len = 1 + REDIS_LINE_MAX + extra + 2;
            memset(line, 'a', sizeof line);
            line[0] = '(';
            memcpy(line + len - 2, "\r\n", 2);
            enum redis_scan scan = REDIS_MORE;
            for (size_t at = 0; at < len && scan == REDIS_MORE; at += piece) {
                size_t n = piece < len - at ? piece : len - at;
                scan = redis_reply_feed(&r, line + at, n, &used, &why);
            }
            assert_int_equal(scan, extra == 0 ? REDIS_WHOLE : REDIS_BAD);
            assert_true(extra == 0 || strcmp(why, "a simple reply that is too long") == 0);
            assert_true(extra == 1 || r.len == len);
        }
    }
}

static void each_simple_value_has_64_kib_of_its_own(void **state)
{
    (void)state;
    struct redis_reply r = {0};
    const char *why;
    size_t used;
    assert_int_equal(redis_reply_feed(&r, "*3\r\n", 4, &used, &why), REDIS_MORE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(redis_reply_feed(&r, "+", 1, &used, &why), REDIS_MORE);
        for (size_t n = 0; n < REDIS_LINE_MAX; n++) {
            assert_int_equal(redis_reply_feed(&r, "a", 1, &used, &why), REDIS_MORE);
        }
        enum redis_scan scan = redis_reply_feed(&r, "\r\n", 2, &used, &why);
        assert_int_equal(scan, i < 2 ? REDIS_MORE : REDIS_WHOLE);
    }
}

/* Each opens a billion values in the first of the one before it. */
static void values_are_counted_without_overflow(void **state)
{
    (void)state;
    static const char open[] = "%999999999\r\n";
    struct redis_reply r = {0};
    const char *why = NULL;
    size_t used;
    uint64_t before = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(redis_reply_feed(&r, open, 12, &used, &why), REDIS_MORE);
        assert_true(r.values_left > before);
        before = r.values_left;
    }
    for (size_t piece = 1; piece <= 12; piece++) {
        r = (struct redis_reply){0};
        assert_int_equal(redis_reply_feed(&r, open, 12, &used, &why), REDIS_MORE);
        r.values_left = UINT64_C(1) << 60; /* which takes terabytes to come to */
        enum redis_scan scan = REDIS_MORE;
        for (size_t at = 0; at < 12 && scan == REDIS_MORE; at += piece) {
            scan = redis_reply_feed(&r, open + at, piece < 12 - at ? piece : 12 - at, &used, &why);
        }
        assert_int_equal(scan, REDIS_BAD);
        assert_string_equal(why, "a reply of too many values");
    }
}

/* Much of it ------------------------------------------------------------------------------------
 */

static void deep_nesting_needs_nothing(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    for (size_t piece = 1; piece < 100; piece += 7) {
        struct redis_reply r = {0};
        const char *why;
        size_t used;
        static char text[DEPTH * 4 + 4];
        for (size_t i = 0; i < DEPTH; i++) {
            memcpy(text + 4 * i, "*1\r\n", 4);
        }
        memcpy(text + sizeof text - 4, ":1\r\n", 4);
        for (size_t at = 0; at < sizeof text; at += piece) {
            size_t n = piece < sizeof text - at ? piece : sizeof text - at;
            enum redis_scan scan = redis_reply_feed(&r, text + at, n, &used, &why);
            assert_int_equal(scan, at + n == sizeof text ? REDIS_WHOLE : REDIS_MORE);
        }
        assert_int_equal(r.len, sizeof text);
    }
}

static void long_strings_are_counted_as_they_pass(void **state)
{
    (void)state;
    static char block[65536];
    struct redis_reply r = {0};
    const char *why;
    size_t used;
    uint64_t size = UINT64_C(5) << 30;
    assert_int_equal(redis_reply_feed(&r, "*1\r\n$5368709120\r\n", 17, &used, &why), REDIS_MORE);
    for (uint64_t left = size; left > 0; left -= sizeof block) {
        assert_int_equal(redis_reply_feed(&r, block, sizeof block, &used, &why), REDIS_MORE);
    }
    assert_int_equal(redis_reply_feed(&r, "\r\n+OK\r\n", 7, &used, &why), REDIS_WHOLE);
    assert_int_equal(used, 2);
    assert_int_equal(r.len, 17 + size + 2);
    assert_int_equal(r.head_len, REDIS_HEAD_MAX);
}

static void long_pipelines_are_counted_exactly(void **state)
{
    (void)state;
    static const char *const kinds[] = {"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n",
                                        ">2\r\n+a\r\n+b\r\n", "|1\r\n+a\r\n+b\r\n_\r\n"};
    enum { REPLIES = 10000 };
    char *stream = malloc((size_t)REPLIES * 32);
    size_t len = 0;
    for (unsigned i = 0; i < REPLIES; i++) {
        const char *kind = kinds[i * 7 / 5 % ARRAY_LEN(kinds)];
        memcpy(stream + len, kind, strlen(kind));
        len += strlen(kind);
    }
    for (size_t piece = 1; piece <= 65536; piece = piece * 3 + 1) {
        struct redis_reply r = {0};
        unsigned whole = 0;
        for (size_t at = 0; at < len;) {
            size_t used;
            const char *why;
            size_t n = piece - at % piece < len - at ? piece - at % piece : len - at;
            enum redis_scan scan = redis_reply_feed(&r, stream + at, n, &used, &why);
            assert_int_not_equal(scan, REDIS_BAD);
            at += used;
            if (scan == REDIS_WHOLE) {
                assert_int_equal(r.len, strlen(kinds[whole * 7 / 5 % ARRAY_LEN(kinds)]));
                r = (struct redis_reply){0};
                whole++;
            }
        }
        assert_int_equal(whole, REPLIES);
    }
    free(stream);
}

static void nothing_is_taken_from_nothing(void **state)
{
    (void)state;
    struct redis_reply r = {0};
    size_t used = 7;
    const char *why;
    assert_int_equal(redis_reply_feed(&r, "", 0, &used, &why), REDIS_MORE);
    assert_int_equal(used, 0);
    assert_int_equal(r.len, 0);
}

static bool is_error(const char *text, const char *code)
{
    struct redis_reply r = {0};
    const char *why;
    size_t used;
    assert_int_equal(redis_reply_feed(&r, text, strlen(text), &used, &why), REDIS_WHOLE);
    return redis_reply_is_error(&r, code);
}

static void errors_are_known_by_their_first_word(void **state)
{
    (void)state;
    assert_true(is_error("-READONLY You can't write\r\n", "READONLY"));
    assert_true(is_error("-READONLY\r\n", "READONLY"));
    assert_true(is_error("!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX"));
    assert_true(is_error("|1\r\n+a\r\n+b\r\n-LOADING Redis\r\n", "LOADING"));
    assert_false(is_error("-READONLYX no\r\n", "READONLY"));
    assert_false(is_error("-READ\r\n", "READONLY"));
    assert_false(is_error("-ERR READONLY\r\n", "READONLY"));
    assert_false(is_error("+READONLY\r\n", "READONLY"));
    assert_false(is_error("$8\r\nREADONLY\r\n", "READONLY"));
    assert_false(is_error("*1\r\n-READONLY\r\n", "READONLY"));
    assert_false(is_error("*1\r\n+READONLY\r\n", "READONLY"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_values_end_with_their_line),
        cmocka_unit_test(strings_end_where_their_lengths_say),
        cmocka_unit_test(nulls_are_values),
        cmocka_unit_test(aggregates_end_with_their_last_value),
        cmocka_unit_test(the_first_string_of_an_aggregate_is_its_head),
        cmocka_unit_test(heads_are_cut),
        cmocka_unit_test(a_head_is_whole_when_nothing_follows_it),
        cmocka_unit_test(attributes_belong_to_the_reply_behind_them),
        cmocka_unit_test(what_is_no_reply_is_refused),
        cmocka_unit_test(a_length_that_is_none_is_refused),
        cmocka_unit_test(a_string_without_its_end_is_refused),
        cmocka_unit_test(a_simple_value_may_have_64_kib),
        cmocka_unit_test(each_simple_value_has_64_kib_of_its_own),
        cmocka_unit_test(values_are_counted_without_overflow),
        cmocka_unit_test(deep_nesting_needs_nothing),
        cmocka_unit_test(long_strings_are_counted_as_they_pass),
        cmocka_unit_test(long_pipelines_are_counted_exactly),
        cmocka_unit_test(nothing_is_taken_from_nothing),
        cmocka_unit_test(errors_are_known_by_their_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
