/* Promise: what is no answer to a command is refused, wherever the bytes are cut; packets may be as
 * long as they like, and of those that say too much what counts is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_replies.h"

/* Refusals --------------------------------------------------------------------------------------
 */

/* One packet. */
#define REFUSES(capabilities, literal, ...)                                                        \
    do {                                                                                           \
        struct talk *said = talk();                                                                \
        SAY(said, literal);                                                                        \
        CHECK(said, capabilities, "bad\n", __VA_ARGS__);                                           \
        free(said);                                                                                \
    } while (0)

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    REFUSES(OLD, "", QUERY);
    REFUSES(OLD, "\0", QUERY);
    REFUSES(OLD, "\0\0\0\2\0\0", QUERY);
    REFUSES(OLD, "\0\xff\0\2\0\0\0\0", QUERY);
    REFUSES(OLD, "\0\xfc\1", PING);
    REFUSES(OLD, "\xfe\0\0\2", MYSQL_COM_DEBUG);
    REFUSES(OLD, "\xff", QUERY);
    REFUSES(OLD, "\xff\1", MYSQL_COM_STATISTICS);
    REFUSES(OLD, "\1\1", QUERY);   /* a number of columns, and more */
    REFUSES(OLD, "\xfc\1", QUERY); /* and half of one */
    REFUSES(OLD, "\0\1\0\0\0\1\0\0\0\0\0", PREPARE);
    REFUSES(OLD, "\1\1\0\0\0\1\0\0\0\0\0\0", PREPARE);
    REFUSES(OLD, "\xfe\0\0\2\0", PREPARE);
    REFUSES(OLD, "\xfe\0\0\2\0\0\0\0\0", FETCH); /* neither an EOF nor a row */
    REFUSES(NEW, "\xfe\0", FETCH);
    REFUSES(OLD, "\1", PING);
    REFUSES(OLD, "\xfb/some/file", PING);
}

static void definitions_are_as_many_as_were_told(void **state)
{
    (void)state;
    struct talk *t = talk();
    SAY(t, "\2");
    define(t, 1);
    EOF_OF(t);
    CHECK(t, OLD, "bad\n", QUERY);
    CHECK(t, NEW, "bad\n", QUERY);
    anew(t);
    SAY(t, "\1");
    define(t, 2);
    CHECK(t, OLD, "bad\n", QUERY);
    anew(t);
    SAY(t, "\1");
    define(t, 1);
    SAY(t, "\xfe\0\0\2\0\0\0"); /* an OK, where there are EOFs */
    CHECK(t, OLD, "bad\n", QUERY);
    free(t);
}

static void packets_are_counted(void **state)
{
    (void)state;
    struct talk *t = talk();
    t->sequence = 5; /* of a long command */
    SAY(t, "\1");
    define(t, 1);
    EOF_OF(t);
    SAY(t, "\1"
           "1");
    size_t row = t->len;
    SAY(t, "\1"
           "2");
    size_t len = t->len;
    EOF_OF(t);
    CHECK(t, OLD, "62: 0002 0+0 w0 rows\n", QUERY);
    t->data[row + 3]++;
    CHECK(t, OLD, "bad\n", QUERY);
    t->data[row + 3]--;
    t->data[len + 3]++;
    CHECK(t, OLD, "bad\n", QUERY);
    t->len = len;
    t->sequence = 0;
    ERR(t); /* said by who ends the connection */
    CHECK(t, OLD, "79: 0002 0+0 w0 error 1064 rows\n", QUERY);
    t->data[len + 3] = 77;
    CHECK(t, OLD, "bad\n", QUERY);
    free(t);
}

/* More than is kept -----------------------------------------------------------------------------
 */

static void say_ok(struct talk *t, size_t words, size_t changes)
{
    unsigned char ok[16 + 2 * MYSQL_REPLY_KEPT] = {0, 0, 9, 2, 0x40, 0, 0};
    size_t len = 7;
    ok[len++] = 0xfc;
    ok[len++] = words & 0xff;
    ok[len++] = (unsigned char)(words >> 8);
    memset(ok + len, 'w', words);
    len += words;
    ok[len++] = 0xfc;
    ok[len++] = changes & 0xff;
    ok[len++] = (unsigned char)(changes >> 8);
    memset(ok + len, 's', changes);
    say_packet(t, ok, len + changes);
}

/* How many bytes are kept of the state of two OK packets, SIZE_MAX if it is cut. */
static size_t kept(size_t words, size_t changes, size_t again_changes)
{
    struct talk *t = talk();
    struct mysql_reply r = {0};
    size_t used;
    say_ok(t, words, changes);
    t->data[MYSQL_HEADER + 3] |= MYSQL_STATUS_MORE_RESULTS;
    say_ok(t, 0, again_changes);
    mysql_reply_begin(&r, TRACK, QUERY);
    for (size_t at = 0; at < t->len; at += used) {
        size_t n = t->len - at < 100 ? t->len - at : 100;
        enum mysql_reply_event event = mysql_reply_look(&r, t->data + at, n, &used);
        assert_int_equal(event, at + n < t->len ? MYSQL_REPLY_MORE : MYSQL_REPLY_END);
    }
    assert_int_equal(r.insert_id, 9);
    assert_int_equal(r.status, 0x4002);
    size_t whole = r.cut ? SIZE_MAX : r.state_len;
    mysql_reply_begin(&r, TRACK, QUERY);
    assert_int_equal(mysql_reply_look(&r, t->data, t->len, &used), MYSQL_REPLY_END);
    assert_int_equal(r.cut ? SIZE_MAX : r.state_len, whole);
    free(t);
    return whole;
}

static void what_is_not_kept_of_the_state_is_told(void **state)
{
    (void)state;
    const size_t most = MYSQL_REPLY_KEPT - 13; /* of one packet: the rest are numbers */
    assert_int_equal(kept(0, 10, 10), 20);
    assert_int_equal(kept(0, most, 0), most);
    assert_int_equal(kept(0, most + 1, 0), SIZE_MAX);
    assert_int_equal(kept(100, most - 100, 0), most - 100);
    assert_int_equal(kept(100, most - 99, 0), SIZE_MAX);
    assert_int_equal(kept(MYSQL_REPLY_KEPT, 10, 0), SIZE_MAX);
    assert_int_equal(kept(0, most, 13), MYSQL_REPLY_KEPT);
    assert_int_equal(kept(0, most, 14), SIZE_MAX);
}

static void words_may_be_longer(void **state)
{
    (void)state;
    struct talk *t = talk();
    say_ok(t, MYSQL_REPLY_KEPT, 0);
    t->data[MYSQL_HEADER + 4] = 0; /* and no state has changed */
    size_t len = t->len;
    again(t);
    say_long(t, 0xff, 50000);
    char expected[200];
    snprintf(expected, sizeof expected, "%zu: 0002 0+9 w0\n%zu: 0002 0+0 w0 error %u\n", len,
             t->len, 'x' * 257);
    CHECK(t, TRACK, expected, QUERY, QUERY);
    CHECK(t, OLD, expected, PING, MYSQL_COM_STATISTICS);
    free(t);
}

/* Packets that continue -------------------------------------------------------------------------
 */

/* So many bytes, without them being anywhere. */
static void pass_over(struct mysql_reply *r, size_t len)
{
    static const char zeros[65536];
    size_t used;
    while (len > 0) {
        size_t n = len < sizeof zeros ? len : sizeof zeros;
        assert_int_equal(mysql_reply_look(r, zeros, n, &used), MYSQL_REPLY_MORE);
        assert_int_equal(used, n);
        assert_false(mysql_reply_between(r) && len > n);
        len -= n;
    }
}

static enum mysql_reply_event look_at(struct mysql_reply *r, const char *data, size_t len)
{
    size_t used;
    enum mysql_reply_event event = mysql_reply_look(r, data, len, &used);
    assert_true(event == MYSQL_REPLY_BAD || used == len);
    return event;
}

#define LOOK(r, literal) look_at(r, literal, sizeof(literal) - 1)

/* Up to its rows. */
static void begin_rows(struct mysql_reply *r, uint32_t capabilities)
{
    mysql_reply_begin(r, capabilities, QUERY);
    assert_int_equal(LOOK(r, "\1\0\0\1\1\1\0\0\2d"), MYSQL_REPLY_MORE);
    if ((capabilities & NEW) == 0) {
        assert_int_equal(LOOK(r, "\5\0\0\3\xfe\0\0\2\0"), MYSQL_REPLY_MORE);
    } else {
        assert_int_equal(LOOK(r, "\1\0\0\3z"), MYSQL_REPLY_MORE);
    }
}

/* 0xfe is a length of eight bytes, that of a value of 16 MB at least. */
static void rows_may_have_more_than_one_packet(void **state)
{
    (void)state;
    static const uint32_t ways[] = {OLD, NEW};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct mysql_reply r = {0};
        begin_rows(&r, ways[i]);
        assert_int_equal(LOOK(&r, "\xff\xff\xff\4\xfe"), MYSQL_REPLY_MORE);
        pass_over(&r, MYSQL_FULL - 1);
        assert_false(mysql_reply_between(&r));
        assert_int_equal(LOOK(&r, "\xff\xff\xff\5"), MYSQL_REPLY_MORE);
        pass_over(&r, MYSQL_FULL);
        struct mysql_reply other = r;
        assert_int_equal(LOOK(&other, "\5\0\0\7"), MYSQL_REPLY_BAD);
        assert_int_equal(LOOK(&r, "\5\0\0\6\xfe\xff\0\2\0"), MYSQL_REPLY_MORE);
        assert_true(mysql_reply_between(&r));
        /* One that is as long as a packet may be: another follows, which is empty. */
        assert_int_equal(LOOK(&r, "\xff\xff\xff\7x"), MYSQL_REPLY_MORE);
        pass_over(&r, MYSQL_FULL - 1);
        assert_int_equal(LOOK(&r, "\0\0\0\x8"), MYSQL_REPLY_MORE);
        assert_true(mysql_reply_between(&r));
        assert_int_equal(ways[i] == OLD ? LOOK(&r, "\5\0\0\x9\xfe\0\0\x12\0")
                                        : LOOK(&r, "\7\0\0\x9\xfe\0\0\x12\0\0\0"),
                         MYSQL_REPLY_END);
        assert_int_equal(r.status, 0x12);
    }
}

static void a_full_packet_may_come_at_once(void **state)
{
    (void)state;
    static const char ok[] = "\0\0\7\x22\0\0\0";
    size_t len = MYSQL_HEADER + (size_t)MYSQL_FULL;
    char *data = calloc(1, len);
    struct mysql_reply r = {0};
    memset(data, 0xff, 3);
    data[3] = 1;
    memcpy(data + MYSQL_HEADER, ok, sizeof ok - 1);
    mysql_reply_begin(&r, OLD, QUERY);
    assert_int_equal(look_at(&r, data, len), MYSQL_REPLY_MORE);
    assert_int_equal(LOOK(&r, "\0\0\0\2"), MYSQL_REPLY_END);
    assert_int_equal(r.insert_id, 7);
    free(data);
}

static void what_is_kept_may_have_more_than_one_packet(void **state)
{
    (void)state;
    struct mysql_reply r = {0};
    mysql_reply_begin(&r, OLD, QUERY);
    assert_int_equal(LOOK(&r, "\xff\xff\xff\1\0\0\7\x22\0\0\0"), MYSQL_REPLY_MORE);
    pass_over(&r, MYSQL_FULL - 7);
    assert_int_equal(LOOK(&r, "\0\0\0\2"), MYSQL_REPLY_END);
    assert_int_equal(r.status, 0x22);
    assert_int_equal(r.insert_id, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(definitions_are_as_many_as_were_told),
        cmocka_unit_test(packets_are_counted),
        cmocka_unit_test(what_is_not_kept_of_the_state_is_told),
        cmocka_unit_test(words_may_be_longer),
        cmocka_unit_test(rows_may_have_more_than_one_packet),
        cmocka_unit_test(a_full_packet_may_come_at_once),
        cmocka_unit_test(what_is_kept_may_have_more_than_one_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
