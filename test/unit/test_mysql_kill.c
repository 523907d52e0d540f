#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_kill.h"

#define NEW_ID 42

/* The statement as it leaves; NULL: it is no order to kill. */
static const char *rewritten(uint32_t capabilities, const char *head, size_t head_len,
                             const char *text, uint32_t *id)
{
    static unsigned char out[256];
    char payload[256];
    struct mysql_kill k;
    struct mysql_writer w = {.data = out, .size = sizeof out - 1};
    size_t len = head_len + strlen(text);
    memcpy(payload, head, head_len);
    memcpy(payload + head_len, text, strlen(text));
    if (!mysql_kill_read(&k, capabilities, payload, len)) {
        return NULL;
    }
    *id = k.id;
    mysql_kill_write(&w, &k, payload, len, NEW_ID);
    assert_false(w.full);
    assert_int_equal(out[0], w.len - MYSQL_HEADER);
    assert_memory_equal(out + MYSQL_HEADER, head, head_len);
    out[w.len] = '\0';
    return (const char *)out + MYSQL_HEADER + head_len;
}

static void the_id_is_found_and_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t id;
        const char *becomes;
    } rows[] = {
        {"KILL 7", 7, "KILL 42"},
        {"KILL QUERY 2147483648", 2147483648U, "KILL QUERY 42"},
        {"KILL QUERY 4294967295;", UINT32_MAX, "KILL QUERY 42;"},
        {" \n\tkill\r\nconnection\t2147483649 ; ", 2147483649U, " \n\tkill\r\nconnection\t42 ; "},
        {"kIlL hArD qUeRy 1", 1, "kIlL hArD qUeRy 42"},
        {"KILL SOFT CONNECTION 0010", 10, "KILL SOFT CONNECTION 42"},
        {"KILL HARD 3", 3, "KILL HARD 42"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t id = 0;
        const char *text = rewritten(0, "\003", 1, rows[i].text, &id);
        assert_non_null(text);
        assert_string_equal(text, rows[i].becomes);
        assert_int_equal(id, rows[i].id);
        text = rewritten(MYSQL_CAP_QUERY_ATTRIBUTES, "\003\0\001", 3, rows[i].text, &id);
        assert_non_null(text);
        assert_string_equal(text, rows[i].becomes);
    }
}

static void what_names_no_connection_passes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "KILL",
        "KILL ",
        "KILL QUERY",
        "KILL QUERY ",
        "KILLQUERY 5",
        "KILL QUERY5",
        "KILL QUERY ID 5",
        "KILL USER root",
        "KILL 5 + 1",
        "KILL 5.0",
        "KILL -5",
        "KILL @x",
        "KILL '5'",
        "KILL 5; KILL 6",
        "KILL 4294967296",
        "KILL 21474836480",
        "SELECT 5",
        "/* KILL */ KILL 5",
        "KILL CONNECTION QUERY 5",
        "KILL SOFT HARD 5",
        "KILL 5                                                            ",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint32_t id;
        assert_null(rewritten(0, "\003", 1, texts[i], &id));
    }
}

static void attributes_are_left_alone(void **state)
{
    (void)state;
    uint32_t id;
    assert_null(rewritten(MYSQL_CAP_QUERY_ATTRIBUTES, "\003", 1, "KILL 5", &id));
    assert_null(rewritten(MYSQL_CAP_QUERY_ATTRIBUTES, "\003\001\001", 3, "KILL 5", &id));
    assert_null(rewritten(MYSQL_CAP_QUERY_ATTRIBUTES, "\003\0", 2, "", &id));
    assert_null(rewritten(0, "\003\0\001", 3, "KILL 5", &id));
    assert_null(rewritten(0, "\026", 1, "KILL 5", &id)); /* to be prepared */
}

static void the_old_command_is_one_too(void **state)
{
    (void)state;
    static const unsigned char payload[] = {0x0c, 1, 0, 0, 0x80};
    static const unsigned char packet[] = {5, 0, 0, 0, 0x0c, NEW_ID, 0, 0, 0};
    unsigned char out[16];
    struct mysql_writer w = {.data = out, .size = sizeof out};
    struct mysql_kill k;
    assert_true(mysql_kill_read(&k, 0, payload, sizeof payload));
    assert_int_equal(k.id, 0x80000001U);
    mysql_kill_write(&w, &k, payload, sizeof payload, NEW_ID);
    assert_int_equal(w.len, sizeof packet);
    assert_memory_equal(out, packet, sizeof packet);
    assert_false(mysql_kill_read(&k, 0, payload, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_is_found_and_replaced),
        cmocka_unit_test(what_names_no_connection_passes),
        cmocka_unit_test(attributes_are_left_alone),
        cmocka_unit_test(the_old_command_is_one_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
