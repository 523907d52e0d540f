#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_number.h"

struct packet {
    const char *bytes;
    size_t len;
};

#define P(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define COUNT  P("\001")
#define COLUMN P("\003def\0\0\0\001n\0\014\077\0\024\0\0\0\010\201\0\0\0\0")
#define END    P("\376\0\0\002\0")
#define OK     P("\376\0\0\002\0\0\0")

/* What the packets come to, by their number and then what the last one made of it. */
static enum mysql_number_event answer(uint32_t capabilities, const struct packet *packets,
                                      size_t count, uint64_t *value)
{
    unsigned char out[64];
    struct mysql_writer w = {.data = out, .size = sizeof out};
    struct mysql_number n;
    enum mysql_number_event event = MYSQL_NUMBER_MORE;
    mysql_number_ask(&n, capabilities, "SELECT 1", &w);
    assert_false(w.full);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(event, MYSQL_NUMBER_MORE);
        event = mysql_number_take(&n, (unsigned char)(i + 1), packets[i].bytes, packets[i].len);
    }
    *value = n.value;
    return event;
}

static void the_question_is_as_the_connection_has_it(void **state)
{
    (void)state;
    unsigned char out[64];
    struct mysql_number n;
    struct mysql_writer w = {.data = out, .size = sizeof out};
    mysql_number_ask(&n, 0, "SELECT 1", &w);
    assert_memory_equal(out, "\011\0\0\0\003SELECT 1", w.len);
    w = (struct mysql_writer){.data = out, .size = sizeof out};
    mysql_number_ask(&n, MYSQL_CAP_QUERY_ATTRIBUTES, "SELECT 1", &w);
    assert_memory_equal(out, "\013\0\0\0\003\0\001SELECT 1", w.len);
}

static void a_number_is_read_with_eof_packets_and_without(void **state)
{
    (void)state;
    static const struct packet old[] = {COUNT, COLUMN, END, P("\0031000"), END};
    static const struct packet good[] = {COUNT, COLUMN, END, P("\0041000"), END};
    static const struct packet modern[] = {COUNT, COLUMN, P("\0010"), OK};
    uint64_t value;
    assert_int_equal(answer(0, good, ARRAY_LEN(good), &value), MYSQL_NUMBER_READ);
    assert_int_equal(value, 1000);
    assert_int_equal(answer(MYSQL_CAP_DEPRECATE_EOF, modern, ARRAY_LEN(modern), &value),
                     MYSQL_NUMBER_READ);
    assert_int_equal(value, 0);
    assert_int_equal(answer(0, old, 4, &value), MYSQL_NUMBER_NONE); /* bytes behind the number */
}

static void what_is_no_such_answer_says_nothing(void **state)
{
    (void)state;
    static const struct {
        uint32_t capabilities;
        size_t count;
        struct packet packets[5];
    } cases[] = {
        {0, 1, {P("")}},
        {0, 1, {P("\377\034\007#HY000no")}},
        {0, 1, {P("\0\0\0\002\0\0\0")}},
        {0, 1, {P("\002")}},
        {0, 1, {P("\373file")}},
        {0, 3, {COUNT, COLUMN, P("\0011")}},
        {0, 4, {COUNT, COLUMN, END, END}}, /* no row */
        {0, 4, {COUNT, COLUMN, END, P("\373")}},
        {0, 4, {COUNT, COLUMN, END, P("\002-1")}},
        {0, 4, {COUNT, COLUMN, END, P("\0051")}},
        {0, 4, {COUNT, COLUMN, END, P("\02499999999999999999999")}},
        {0, 5, {COUNT, COLUMN, END, P("\0011"), P("\0012")}}, /* a second row */
        {MYSQL_CAP_DEPRECATE_EOF, 3, {COUNT, COLUMN, OK}},
        {MYSQL_CAP_DEPRECATE_EOF, 4, {COUNT, COLUMN, P("\0011"), P("\377\034\007#HY000no")}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value;
        assert_int_equal(answer(cases[i].capabilities, cases[i].packets, cases[i].count, &value),
                         MYSQL_NUMBER_NONE);
    }
}

static void a_packet_out_of_sequence_is_none(void **state)
{
    (void)state;
    unsigned char out[64];
    struct mysql_number n;
    struct mysql_writer w = {.data = out, .size = sizeof out};
    mysql_number_ask(&n, 0, "SELECT 1", &w);
    assert_int_equal(mysql_number_take(&n, 2, "\001", 1), MYSQL_NUMBER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_question_is_as_the_connection_has_it),
        cmocka_unit_test(a_number_is_read_with_eof_packets_and_without),
        cmocka_unit_test(what_is_no_such_answer_says_nothing),
        cmocka_unit_test(a_packet_out_of_sequence_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
