/* Promise: a client's commands are told apart wherever the bytes are cut, with their words, as a
 * real server does it (what is expected here was asked of Redis 7.0); what is no command is told
 * in its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/redis_request.h"

#define PING "*1\r\n$4\r\nPING\r\n"

/* One line for each command: where it ends, how many arguments it has, its words. */
struct account {
    char text[4096];
    size_t len;
};

static void note_command(struct account *a, const struct redis_request *r, const char *first)
{
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, "%u%s%s:", r->argc,
                               r->is_inline ? " inline" : "", r->is_odd ? " odd" : "");
    for (unsigned i = 0; i < r->word_count; i++) {
        assert_true(r->words[i].at + (uint64_t)r->words[i].len <= r->len);
        a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, " <%.*s>",
                                   (int)r->words[i].len, first + r->words[i].at);
    }
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, "\n");
    assert_true(a->len < sizeof a->text);
}

struct feeder {
    const char *stream;
    size_t at;    /* of all that was fed */
    size_t first; /* where the command that is coming in began */
    struct redis_request r;
    struct account account;
    const char *why;
};

/* In memory of its own, so that a sanitizer sees its ends. False: no command. */
static bool feed(struct feeder *f, size_t len)
{
    char *piece = malloc(len);
    memcpy(piece, f->stream + f->at, len);
    size_t at = 0;
    enum redis_scan scan = REDIS_MORE;
    while (at < len && scan != REDIS_BAD) {
        size_t used = SIZE_MAX;
        scan = redis_request_feed(&f->r, piece + at, len - at, &used, &f->why);
        if (scan == REDIS_BAD) {
            break;
        }
        assert_true(used > 0 && used <= len - at);
        assert_true(scan == REDIS_WHOLE || used == len - at);
        at += used;
        assert_int_equal(f->first + f->r.len, f->at + at);
        assert_true(f->r.declared >= f->r.len);
        if (scan == REDIS_WHOLE) {
            assert_int_equal(f->r.declared, f->r.len);
            note_command(&f->account, &f->r, f->stream + f->first);
            f->first += f->r.len;
            f->r = (struct redis_request){0};
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

/* With lengths ----------------------------------------------------------------------------------
 */

static void commands_end_where_their_lengths_say(void **state)
{
    (void)state;
    TAKES(PING, "1: <PING>\n");
    TAKES("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n" PING,
          "2: <GET> <key:000000000001>\n1: <PING>\n");
    TAKES("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$7\r\na\r\n*1\r\n\r\n" PING,
          "3: <SET> <> <a\r\n*1\r\n>\n1: <PING>\n");
    TAKES("*1\r\n$0\r\n\r\n" PING, "1: <>\n1: <PING>\n");
}

static void of_many_words_the_first_are_told(void **state)
{
    (void)state;
    TAKES("*10\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n"
          "$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n" PING,
          "10: <0> <1> <2> <3> <4> <5> <6> <7>\n1: <PING>\n");
    TAKES("a b c d e f g h i j\n", "10 inline: <a> <b> <c> <d> <e> <f> <g> <h>\n");
}

static void empty_commands_are_commands_of_nothing(void **state)
{
    (void)state;
    TAKES("*0\r\n" PING "*-1\r\n" PING "*-77\r\n*-9223372036854775808\r\n" PING,
          "0:\n1: <PING>\n0:\n1: <PING>\n0:\n0:\n1: <PING>\n");
    TAKES("\n\r\n  \r\n\r\r\n" PING, "0 inline:\n0 inline:\n0 inline:\n0 inline:\n1: <PING>\n");
}

static void a_count_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char why[] = "invalid multibulk length";
    REFUSES("*x\r\n", "", why);
    REFUSES("*\r\n", "", why);
    REFUSES("*-\r\n", "", why);
    REFUSES("*-0\r\n", "", why);
    REFUSES("*--1\r\n", "", why);
    REFUSES("*1-\r\n", "", why);
    REFUSES("*00\r\n", "", why);
    REFUSES("*01\r\n", "", why);
    REFUSES("*+1\r\n", "", why);
    REFUSES("* 1\r\n", "", why);
    REFUSES("*1 \r\n", "", why);
    REFUSES("*1\n$4\nPING\n", "", why);
    REFUSES("*1\rX", "", why);
    REFUSES("*1\r2\n", "", why);
    REFUSES("*1X\n$4\r\nPING\r\n", "", why);
    REFUSES("*2147483648\r\n", "", why);
    REFUSES("*18446744073709551617\r\n", "", why);
    REFUSES("*-9223372036854775809\r\n", "", why);
    REFUSES(PING "*?\r\n", "1: <PING>\n", why);
    TAKES("*2147483647\r\n", "");
}

static void a_length_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char why[] = "invalid bulk length";
    REFUSES("*1\r\n$-1\r\n", "", why);
    REFUSES("*1\r\n$x\r\n", "", why);
    REFUSES("*1\r\n$\r\n", "", why);
    REFUSES("*1\r\n$04\r\nPING\r\n", "", why);
    REFUSES("*1\r\n$+4\r\nPING\r\n", "", why);
    REFUSES("*1\r\n$4 \r\nPING\r\n", "", why);
    REFUSES("*1\r\n$4\nPING\r\n", "", why);
    REFUSES("*1\r\n$4\rPING\r\n", "", why);
    REFUSES("*1\r\n$4\r4\nPING\r\n", "", why);
    REFUSES("*1\r\n$4X\nPING\r\n", "", why);
    REFUSES("*1\r\n$536870913\r\n", "", why);
    REFUSES("*1\r\n$1000000000\r\n", "", why);
    REFUSES("*1\r\n$18446744073709551620\r\n", "", why);
    TAKES("*1\r\n$536870912\r\n", "");
}

static void what_is_no_argument_is_refused(void **state)
{
    (void)state;
    REFUSES("*1\r\n#4\r\n", "", "expected '$', got '#'");
    REFUSES("*2\r\n$4\r\nPING\r\n" PING, "", "expected '$', got '*'");
    REFUSES("*1\r\n~", "", "expected '$', got '~'");
    REFUSES("*1\r\n ", "", "expected '$', got ' '");
    REFUSES("*1\r\n'", "", "expected '$', got '''");
    REFUSES("*1\r\nx", "", "expected '$', got 'x'");
    REFUSES("*1\r\n\r\n", "", "expected '$', got '?'");
    REFUSES("*1\r\n\0", "", "expected '$', got '?'");
    REFUSES("*1\r\n\xff", "", "expected '$', got '?'");
    REFUSES("*1\r\n\x7f", "", "expected '$', got '?'");
}

/* Servers skip two bytes there, whatever they are: a wrong length would go unnoticed. */
static void an_argument_without_its_end_is_refused(void **state)
{
    (void)state;
    static const char why[] = "expected a line end after an argument";
    REFUSES("*1\r\n$4\r\nPINGX\r\n", "", why);
    REFUSES("*1\r\n$4\r\nPING\rX", "", why);
    REFUSES("*1\r\n$4\r\nPING\n\n", "", why);
    REFUSES("*1\r\n$3\r\nPING\r\n", "", why);
    REFUSES("*2\r\n$0\r\n\n\r\n", "", why);
}

/* Inline ----------------------------------------------------------------------------------------
 */

static void inline_words_are_split_at_blanks(void **state)
{
    (void)state;
    TAKES("PING\r\nPING\n" PING, "1 inline: <PING>\n1 inline: <PING>\n1: <PING>\n");
    TAKES(" \v\fECHO\ta \r b \r\n", "3 inline: <ECHO> <a> <b>\n");
    TAKES("PING a\rb\r\r\n", "3 inline: <PING> <a> <b>\n");
    TAKES("ECHO a\vb\fc\n", "2 inline: <ECHO> <a\vb\fc>\n");
    TAKES("$4\r\n:1\r\n", "1 inline: <$4>\n1 inline: <:1>\n");
    TAKES("a *1 $4\n", "3 inline: <a> <*1> <$4>\n");
    TAKES("ECHO a\\ b\\\n", "3 inline: <ECHO> <a\\> <b\\>\n");
}

static void quotes_hold_inline_words_together(void **state)
{
    (void)state;
    TAKES("ECHO \"a b\" c\r\n", "3 inline odd: <ECHO> <\"a b\"> <c>\n");
    TAKES("ECHO a\"b c\"\n", "2 inline odd: <ECHO> <a\"b c\">\n");
    TAKES("ECHO 'a \"b' \"c 'd\"\n", "3 inline odd: <ECHO> <'a \"b'> <\"c 'd\">\n");
    TAKES("ECHO \"a\\\" b\"\n", "2 inline odd: <ECHO> <\"a\\\" b\">\n");
    TAKES("ECHO \"a\\\\\" b\n", "3 inline odd: <ECHO> <\"a\\\\\"> <b>\n");
    TAKES("ECHO \"\\x22 \"\n", "2 inline odd: <ECHO> <\"\\x22 \">\n");
    TAKES("ECHO 'a\\'b c'\n", "2 inline odd: <ECHO> <'a\\'b c'>\n");
    TAKES("ECHO 'a\\b c\\\\' d'\n", "2 inline odd: <ECHO> <'a\\b c\\\\' d'>\n");
    TAKES("\"PING\"\v\n\"\"\n", "1 inline odd: <\"PING\">\n1 inline odd: <\"\">\n");
    TAKES("\"a\r\"\r\n", "1 inline odd: <\"a\r\">\n");
}

static void quotes_that_do_not_match_are_refused(void **state)
{
    (void)state;
    static const char why[] = "unbalanced quotes in request";
    REFUSES("ECHO \"a b\r\n", "", why);
    REFUSES("ECHO 'a b\n", "", why);
    REFUSES("ECHO \"a b\"c\n", "", why);
    REFUSES("ECHO 'a'\"b\"\n", "", why);
    REFUSES("ECHO \"a\\\"\n", "", why);
    REFUSES("ECHO \"a\\\r\n", "", why);
    REFUSES("ECHO 'a\\'\n", "", why);
    REFUSES("PING\n'\n", "1 inline: <PING>\n", why);
}

static void a_line_with_a_nul_is_refused(void **state)
{
    (void)state;
    static const char why[] = "NUL in an inline request";
    REFUSES("PING\0\n", "", why);
    REFUSES("\0", "", why);
    REFUSES("PING\n\x16\x03\x01\0", "1 inline: <PING>\n", why);
    REFUSES("ECHO \"\0\"\n", "", why);
    TAKES("*1\r\n$2\r\n\0\n\r\n", "1: <>\n");
}

static void a_line_may_have_64_kib(void **state)
{
    (void)state;
    static char line[REDIS_INLINE_MAX + 2];
    const char *why = NULL;
    size_t used;
    memset(line, 'a', sizeof line);
    memcpy(line, "PING ", 5);
    for (size_t piece = 1; piece <= REDIS_INLINE_MAX + 1; piece *= 16) {
        struct redis_request r = {0};
        line[REDIS_INLINE_MAX] = '\n';
        for (size_t at = 0; at < REDIS_INLINE_MAX; at += piece) {
            assert_int_equal(redis_request_feed(&r, line + at, piece, &used, &why), REDIS_MORE);
        }
        assert_int_equal(redis_request_feed(&r, "\n", 1, &used, &why), REDIS_WHOLE);
        assert_int_equal(r.len, REDIS_INLINE_MAX + 1);
        assert_int_equal(r.words[1].len, REDIS_INLINE_MAX - 5);
        r = (struct redis_request){0};
        line[REDIS_INLINE_MAX] = 'a';
        for (size_t at = 0; at < REDIS_INLINE_MAX; at += piece) {
            assert_int_equal(redis_request_feed(&r, line + at, piece, &used, &why), REDIS_MORE);
        }
        assert_int_equal(redis_request_feed(&r, "a", 1, &used, &why), REDIS_BAD);
        assert_string_equal(why, "too big inline request");
    }
    struct redis_request r = {0};
    assert_int_equal(redis_request_feed(&r, line, sizeof line, &used, &why), REDIS_BAD);
}

/* What is declared ------------------------------------------------------------------------------
 */

static uint64_t declared_after(const char *text)
{
    struct redis_request r = {0};
    const char *why;
    size_t used;
    assert_int_equal(redis_request_feed(&r, text, strlen(text), &used, &why), REDIS_MORE);
    return r.declared;
}

static void what_a_command_says_of_its_size_is_believed_at_once(void **state)
{
    (void)state;
    assert_int_equal(declared_after("*1\r\n$536870912\r\n"), 16 + 536870912 + 2);
    assert_int_equal(declared_after("*1\r\n$536870912"), 14 + 536870912 + 4);
    assert_int_equal(declared_after("*3\r\n$536870912\r\nabc"), 16 + 536870912 + 2 + 12);
    assert_int_equal(declared_after("*2147483647\r\n"), 13 + 6 * 2147483647ULL);
    assert_int_equal(declared_after("*2147483647\r\n$0\r\n\r\n"), 13 + 6 * 2147483647ULL);
    assert_int_equal(declared_after("*"), 1);
    assert_int_equal(declared_after("PING"), 4);
}

/* At no byte less than before, nor more than it will be. */
static void what_is_declared_grows_to_the_length(void **state)
{
    (void)state;
    static const char text[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nHello\r\nWorld\r\n$1\r\n1\r\n";
    struct redis_request r = {0};
    const char *why;
    size_t used;
    uint64_t before = 0;
    for (size_t at = 0; at < sizeof text - 1; at++) {
        enum redis_scan scan = redis_request_feed(&r, text + at, 1, &used, &why);
        assert_int_equal(scan, at == sizeof text - 2 ? REDIS_WHOLE : REDIS_MORE);
        assert_true(r.declared >= before && r.declared <= sizeof text - 1);
        before = r.declared;
    }
    assert_int_equal(before, sizeof text - 1);
}

static void long_arguments_are_counted_as_they_pass(void **state)
{
    (void)state;
    static char block[65536];
    struct redis_request r = {0};
    const char *why;
    size_t used;
    static const char head[] = "*9\r\n";
    assert_int_equal(redis_request_feed(&r, head, 4, &used, &why), REDIS_MORE);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(redis_request_feed(&r, "$536870912\r\n", 12, &used, &why), REDIS_MORE);
        for (uint64_t left = REDIS_BULK_MAX; left > 0; left -= sizeof block) {
            assert_int_equal(redis_request_feed(&r, block, sizeof block, &used, &why), REDIS_MORE);
        }
        enum redis_scan scan = redis_request_feed(&r, "\r\n", 2, &used, &why);
        assert_int_equal(scan, i < 8 ? REDIS_MORE : REDIS_WHOLE);
    }
    assert_int_equal(r.len, 4 + 9 * (12 + REDIS_BULK_MAX + 2));
    assert_int_equal(r.words[7].at, 4 + 7 * (12 + REDIS_BULK_MAX + 2) + 12);
    assert_int_equal(r.words[7].len, REDIS_BULK_MAX);
}

/* Nor if all of it is there: pages that nobody looks into cost nothing. */
static void an_argument_that_is_too_long_is_refused_whole(void **state)
{
    (void)state;
    static const char head[] = "*1\r\n$536870913\r\n";
    size_t len = sizeof head - 1 + REDIS_BULK_MAX + 1 + 2;
    char *text = calloc(1, len);
    struct redis_request r = {0};
    const char *why;
    size_t used;
    memcpy(text, head, sizeof head - 1);
    memcpy(text + len - 2, "\r\n", 2);
    assert_int_equal(redis_request_feed(&r, text, len, &used, &why), REDIS_BAD);
    assert_string_equal(why, "invalid bulk length");
    text[13] = '2';
    memcpy(text + len - 3, "\r\n", 2);
    r = (struct redis_request){0};
    assert_int_equal(redis_request_feed(&r, text, len, &used, &why), REDIS_WHOLE);
    assert_int_equal(used, len - 1);
    free(text);
}

static void long_pipelines_are_counted_exactly(void **state)
{
    (void)state;
    static const char *const kinds[] = {PING, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "PING\r\n",
                                        "*0\r\n"};
    enum { COMMANDS = 10000 };
    char *stream = malloc((size_t)COMMANDS * 32);
    for (size_t piece = 1; piece <= 65536; piece = piece * 3 + 1) {
        size_t len = 0;
        for (unsigned i = 0; i < COMMANDS; i++) {
            const char *kind = kinds[i * 7 / 5 % ARRAY_LEN(kinds)];
            memcpy(stream + len, kind, strlen(kind));
            len += strlen(kind);
        }
        struct redis_request r = {0};
        unsigned whole = 0;
        for (size_t at = 0; at < len;) {
            size_t used;
            const char *why;
            size_t n = piece - at % piece < len - at ? piece - at % piece : len - at;
            enum redis_scan scan = redis_request_feed(&r, stream + at, n, &used, &why);
            assert_int_not_equal(scan, REDIS_BAD);
            at += used;
            if (scan == REDIS_WHOLE) {
                assert_int_equal(r.len, strlen(kinds[whole * 7 / 5 % ARRAY_LEN(kinds)]));
                r = (struct redis_request){0};
                whole++;
            }
        }
        assert_int_equal(whole, COMMANDS);
    }
    free(stream);
}

static void nothing_is_taken_from_nothing(void **state)
{
    (void)state;
    struct redis_request r = {0};
    size_t used = 7;
    const char *why;
    assert_int_equal(redis_request_feed(&r, "", 0, &used, &why), REDIS_MORE);
    assert_int_equal(used, 0);
    assert_int_equal(r.len, 0);
}

static void words_are_compared_whatever_their_case(void **state)
{
    (void)state;
    static const char text[] = "*3\r\n$6\r\nCliEnt\r\n$2\r\nID\r\n$2\r\ni\0\r\n";
    struct redis_request r = {0};
    const char *why;
    size_t used;
    assert_int_equal(redis_request_feed(&r, text, sizeof text - 1, &used, &why), REDIS_WHOLE);
    assert_true(redis_word_is(&r, text, 0, "client"));
    assert_true(redis_word_is(&r, text, 0, "CLIENT"));
    assert_true(redis_word_is(&r, text, 1, "id"));
    assert_false(redis_word_is(&r, text, 0, "clien"));
    assert_false(redis_word_is(&r, text, 0, "clients"));
    assert_false(redis_word_is(&r, text, 1, "client"));
    assert_false(redis_word_is(&r, text, 2, "i"));
    assert_false(redis_word_is(&r, text, 3, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_end_where_their_lengths_say),
        cmocka_unit_test(of_many_words_the_first_are_told),
        cmocka_unit_test(empty_commands_are_commands_of_nothing),
        cmocka_unit_test(a_count_that_is_none_is_refused),
        cmocka_unit_test(a_length_that_is_none_is_refused),
        cmocka_unit_test(what_is_no_argument_is_refused),
        cmocka_unit_test(an_argument_without_its_end_is_refused),
        cmocka_unit_test(inline_words_are_split_at_blanks),
        cmocka_unit_test(quotes_hold_inline_words_together),
        cmocka_unit_test(quotes_that_do_not_match_are_refused),
        cmocka_unit_test(a_line_with_a_nul_is_refused),
        cmocka_unit_test(a_line_may_have_64_kib),
        cmocka_unit_test(what_a_command_says_of_its_size_is_believed_at_once),
        cmocka_unit_test(what_is_declared_grows_to_the_length),
        cmocka_unit_test(long_arguments_are_counted_as_they_pass),
        cmocka_unit_test(an_argument_that_is_too_long_is_refused_whole),
        cmocka_unit_test(long_pipelines_are_counted_exactly),
        cmocka_unit_test(nothing_is_taken_from_nothing),
        cmocka_unit_test(words_are_compared_whatever_their_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
