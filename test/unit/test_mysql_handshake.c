/* The packets that begin a connection of MySQL's protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_handshake.h"

#define ALL 0xffffffffU

static void assert_text(struct mysql_text text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void our_login_is_read_as_it_was_written(void **state)
{
    (void)state;
    unsigned char bytes[512];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    struct mysql_request r = {
        .charset = 45,
        .extended = MYSQL_EXT_BULK,
        .user = {"app", 3},
        .database = {"shop", 4},
        .attributes = {"\003_os\005Linux", 10},
    };
    uint64_t key = mysql_caps_key(ALL, ALL);
    mysql_write_login(&w, 1, mysql_caps_login(key), &r);
    assert_false(w.full);
    assert_true(w.len <= mysql_request_size(&r));
    struct mysql_request got;
    assert_int_equal(mysql_read_login(&got, ALL, ALL, bytes + 4, w.len - 4), MYSQL_REQUEST_LOGIN);
    assert_int_equal(mysql_caps_key(got.capabilities, got.extended) & ~(8ULL << 32),
                     key & ~(8ULL << 32));
    assert_int_equal(got.extended, MYSQL_EXT_BULK);
    assert_int_equal(got.charset, 45);
    assert_text(got.user, "app");
    assert_text(got.token, "");
    assert_text(got.database, "shop");
    assert_text(got.plugin, MYSQL_NO_PLUGIN);
    assert_int_equal(got.attributes.len, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_login_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
