/* Promise: where commands begin in what a client sends is found wherever the bytes are cut; what is
 * no command is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_talk.h"
#include "proto/mysql_command.h"

/* A line for each command: where it begins, its code and length; one for the end of a file, and for
 * what is bad. */
struct account {
    char text[4096];
    size_t len;
};

struct reader {
    const struct talk *talk;
    size_t at;    /* of all that was looked at for good */
    size_t there; /* bytes that have come */
    size_t file;  /* behind which command a file is sent, from 1; 0: behind none */
    size_t commands;
    struct mysql_command c;
    struct account account;
};

static void note(struct account *a, const char *word, size_t at, unsigned code, unsigned length)
{
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, "%s %zu %u %u\n", word,
                               at, code, length);
    assert_true(a->len < sizeof a->text);
}

/* Looks at what has come, in memory of its own so that a sanitizer sees its ends. */
static enum mysql_command_event look_once(struct reader *r)
{
    size_t len = r->there - r->at;
    char *copy = malloc(len + 1);
    size_t used = SIZE_MAX;
    memcpy(copy, r->talk->data + r->at, len);
    enum mysql_command_event event = mysql_command_look(&r->c, copy, len, &used);
    free(copy);
    if (event == MYSQL_COMMAND_BAD) {
        assert_true(used <= len);
    } else {
        assert_true(used <= len && (event != MYSQL_COMMAND_MORE || used == len));
        assert_true(event != MYSQL_COMMAND_PART || (len - used > 0 && len - used <= 9));
        r->at += used;
    }
    return event;
}

/* False: it is bad. */
static bool look(struct reader *r)
{
    for (;;) {
        switch (look_once(r)) {
        case MYSQL_COMMAND_BEGIN:
            assert_true(mysql_command_is_whole(&r->c));
            note(&r->account, r->c.continues ? "begins" : "command", r->at, r->c.code, r->c.length);
            mysql_command_enter(&r->c);
            assert_false(mysql_command_is_whole(&r->c));
            if (++r->commands == r->file) {
                mysql_command_file(&r->c);
            }
            break;
        case MYSQL_COMMAND_END:
            assert_true(mysql_command_is_whole(&r->c));
            note(&r->account, "file", r->at, 0, 0);
            break;
        case MYSQL_COMMAND_BAD:
            note(&r->account, "bad", 0, 0, 0);
            return false;
        default:
            return true;
        }
    }
}

/* Whole, in two pieces wherever it is cut, byte by byte and in pieces of some sizes. */
static void check(const struct talk *t, size_t file, const char *expected)
{
    size_t step = t->len > 2000 ? 97 : 1;
    for (size_t cut = 0; cut < t->len; cut += step) {
        struct reader r = {.talk = t, .there = cut, .file = file};
        bool good = look(&r);
        r.there = t->len;
        (void)(good && look(&r));
        assert_string_equal(r.account.text, expected);
    }
    for (size_t piece = 1; piece < 10; piece++) {
        struct reader r = {.talk = t, .file = file};
        do {
            r.there = r.there + piece < t->len ? r.there + piece : t->len;
        } while (look(&r) && r.there < t->len);
        assert_string_equal(r.account.text, expected);
    }
}

static struct talk *talk(void)
{
    return calloc(1, sizeof(struct talk));
}

static void command(struct talk *t, const void *payload, size_t len)
{
    t->sequence = 0;
    say_packet(t, payload, len);
}

static void commands_begin_behind_each_other(void **state)
{
    (void)state;
    struct talk *t = talk();
    command(t, "\x03SELECT 1", 9);
    check(t, 0, "command 0 3 9\n");
    command(t, "\x0e", 1);
    command(t, "\x01", 1);
    command(t, "\x17....................", 21);
    check(t, 0, "command 0 3 9\ncommand 13 14 1\ncommand 18 1 1\ncommand 23 23 21\n");
    free(t);
}

static void whether_it_asks_for_a_cursor_is_known_when_it_begins(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        uint8_t asks;
    } commands[] = {
        {"\x17\1\0\0\0\0\1\0\0\0", 10, MYSQL_COM_EXECUTE_AT_ONCE},
        {"\x17\1\0\0\0\1\1\0\0\0", 10, MYSQL_COM_STMT_EXECUTE},
        {"\x17\1\0\0\0\x81", 6, MYSQL_COM_STMT_EXECUTE},
        {"\x17\1\0\0\0\x0e", 6, MYSQL_COM_EXECUTE_AT_ONCE},
        {"\x17\1\0\0\0", 5, MYSQL_COM_EXECUTE_AT_ONCE}, /* the server says what it thinks of it */
        {"\x16\1\0\0\0\1", 6, MYSQL_COM_STMT_PREPARE},
    };
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct talk *t = talk();
        command(t, commands[i].text, commands[i].len);
        for (size_t len = 1; len <= t->len; len++) {
            struct mysql_command c = {0};
            size_t used = 1;
            bool has_flags = commands[i].text[0] == '\x17' && commands[i].len > 5;
            bool known = len >= (has_flags ? 10 : 5);
            assert_int_equal(mysql_command_look(&c, t->data, len, &used),
                             known ? MYSQL_COMMAND_BEGIN : MYSQL_COMMAND_PART);
            assert_int_equal(used, 0);
            assert_true(!known || mysql_command_asks(&c) == commands[i].asks);
        }
        free(t);
    }
}

static void a_command_that_was_not_entered_is_told_again(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\0\x03", 5, &used),
                         MYSQL_COMMAND_BEGIN);
        assert_int_equal(used, 0);
        assert_true(mysql_command_is_whole(&c));
        assert_true(c.continues);
    }
    mysql_command_enter(&c);
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\0\x03", 5, &used), MYSQL_COMMAND_MORE);
    assert_int_equal(used, 5);
    assert_false(mysql_command_is_whole(&c));
}

static void what_is_out_of_sequence_is_told_with_what_is_before_it(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used = 1;
    assert_int_equal(mysql_command_look(&c, "\2\0\0\0\x03x", 6, &used), MYSQL_COMMAND_BEGIN);
    mysql_command_enter(&c);
    for (int i = 0; i < 2; i++) { /* the same again */
        struct mysql_command other = c;
        assert_int_equal(mysql_command_look(&other, "\2\0\0\0\x03x\1\0\0\1", 10, &used),
                         MYSQL_COMMAND_BAD);
        assert_int_equal(used, 6);
        assert_int_equal(mysql_command_look(&other, "\1\0\0\1", 4, &used), MYSQL_COMMAND_BAD);
        assert_int_equal(used, 0);
        assert_true(mysql_command_is_whole(&other));
    }
}

static void a_command_without_a_code_is_one_that_nobody_knows(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used = 1;
    assert_int_equal(mysql_command_look(&c, "\0\0\0", 3, &used), MYSQL_COMMAND_PART);
    assert_int_equal(mysql_command_look(&c, "\0\0\0\0", 4, &used), MYSQL_COMMAND_BEGIN);
    assert_int_equal(used, 0);
    assert_int_equal(c.code, MYSQL_COM_SLEEP);
    mysql_command_enter(&c);
    assert_int_equal(mysql_command_look(&c, "\0\0\0\0\1\0\0\0\x0e", 9, &used), MYSQL_COMMAND_BEGIN);
    assert_int_equal(used, 4);
    assert_int_equal(c.code, MYSQL_COM_PING);
    assert_int_equal(mysql_command_look(&c, "\0\0\0\1", 4, &used), MYSQL_COMMAND_BAD);
}

/* All bytes of a packet but those of its header, without them being anywhere. */
static void pass_over(struct mysql_command *c, size_t len)
{
    static const char zeros[65536];
    size_t used;
    while (len > 0) {
        size_t n = len < sizeof zeros ? len : sizeof zeros;
        assert_int_equal(mysql_command_look(c, zeros, n, &used), MYSQL_COMMAND_MORE);
        assert_int_equal(used, n);
        len -= n;
    }
}

static void full_packets_continue(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used;
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\0\x03", 5, &used), MYSQL_COMMAND_BEGIN);
    mysql_command_enter(&c);
    pass_over(&c, MYSQL_HEADER + MYSQL_FULL);
    assert_false(mysql_command_is_whole(&c));
    struct mysql_command other = c;
    assert_int_equal(mysql_command_look(&other, "\0\0\0\0", 4, &used), MYSQL_COMMAND_BAD);
    other = c; /* the last one is empty */
    assert_int_equal(mysql_command_look(&other, "\0\0\0\1\1\0\0\0\x0e", 9, &used),
                     MYSQL_COMMAND_BEGIN);
    assert_int_equal(used, 4);
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff", 3, &used), MYSQL_COMMAND_PART);
    assert_int_equal(used, 0);
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\1", 4, &used), MYSQL_COMMAND_MORE);
    pass_over(&c, MYSQL_FULL);
    assert_int_equal(mysql_command_look(&c, "\2\0\0\2ab\1\0\0\0\x0e", 11, &used),
                     MYSQL_COMMAND_BEGIN);
    assert_int_equal(used, 6);
    assert_true(mysql_command_is_whole(&c));
}

static void a_file_ends_with_an_empty_packet(void **state)
{
    (void)state;
    struct talk *t = talk();
    command(t, "\x03LOAD", 5);
    t->sequence = 250; /* counted on from the server's request */
    for (int i = 0; i < 9; i++) {
        SAY(t, "a line\n");
    }
    SAY(t, "");
    command(t, "\x0e", 1);
    check(t, 1, "command 0 3 5\nfile 112 0 0\ncommand 112 14 1\n");
    t->len = 9;
    t->sequence = 2;
    SAY(t, ""); /* there is no such file, or nothing in it */
    command(t, "\x0e", 1);
    check(t, 1, "command 0 3 5\nfile 13 0 0\ncommand 13 14 1\n");
    t->len = 9;
    t->sequence = 2;
    SAY(t, "abc");
    t->sequence++;
    SAY(t, "abc");
    check(t, 1, "command 0 3 5\nbad 0 0 0\n");
    free(t);
}

static void a_full_packet_of_a_file_continues(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used;
    mysql_command_file(&c);
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\2", 4, &used), MYSQL_COMMAND_MORE);
    pass_over(&c, MYSQL_FULL);
    assert_int_equal(mysql_command_look(&c, "\0\0\0\3", 4, &used), MYSQL_COMMAND_MORE);
    assert_false(mysql_command_is_whole(&c));
    assert_int_equal(mysql_command_look(&c, "\0\0\0\4\0\0", 6, &used), MYSQL_COMMAND_END);
    assert_int_equal(used, 4);
    assert_true(mysql_command_is_whole(&c));
}

/* The server may ask for one while the client has said more than it should, or less. */
static void a_file_is_asked_for_at_an_odd_time(void **state)
{
    (void)state;
    struct mysql_command c = {0};
    size_t used;
    assert_int_equal(mysql_command_look(&c, "\xff\xff\xff\0\3", 5, &used), MYSQL_COMMAND_BEGIN);
    struct mysql_command waiting = c;
    mysql_command_file(&waiting);
    assert_int_equal(mysql_command_look(&waiting, "\0\0\0\2", 4, &used), MYSQL_COMMAND_END);
    mysql_command_enter(&c);
    pass_over(&c, MYSQL_HEADER + MYSQL_FULL);
    mysql_command_file(&c);
    struct mysql_command other = c;
    assert_int_equal(mysql_command_look(&other, "\2\0\0\2", 4, &used), MYSQL_COMMAND_BAD);
    assert_int_equal(mysql_command_look(&c, "\2\0\0\1ab", 6, &used), MYSQL_COMMAND_MORE);
    assert_int_equal(mysql_command_look(&c, "\0\0\0\7", 4, &used), MYSQL_COMMAND_END);
}

static void what_is_no_command_is_refused(void **state)
{
    (void)state;
    struct talk *t = talk();
    command(t, "\x0e", 1);
    SAY(t, "\x0e"); /* counts on */
    check(t, 0, "command 0 14 1\nbad 0 0 0\n");
    free(t);
}

static void some_commands_are_not_answered(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        bool expected = code != 0x01 && code != 0x18 && code != 0x19;
        assert_int_equal(mysql_command_is_answered((uint8_t)code), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_begin_behind_each_other),
        cmocka_unit_test(whether_it_asks_for_a_cursor_is_known_when_it_begins),
        cmocka_unit_test(a_command_that_was_not_entered_is_told_again),
        cmocka_unit_test(full_packets_continue),
        cmocka_unit_test(what_is_out_of_sequence_is_told_with_what_is_before_it),
        cmocka_unit_test(a_command_without_a_code_is_one_that_nobody_knows),
        cmocka_unit_test(a_file_ends_with_an_empty_packet),
        cmocka_unit_test(a_full_packet_of_a_file_continues),
        cmocka_unit_test(a_file_is_asked_for_at_an_odd_time),
        cmocka_unit_test(what_is_no_command_is_refused),
        cmocka_unit_test(some_commands_are_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
