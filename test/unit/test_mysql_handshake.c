/* How we greet as a server does and log in as a client does, and what either may claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_recorded_login.h"
#include "mysql_recorded_mariadb.h"
#include "request_fixture.h"

/* Capabilities ------------------------------------------------------------------------------- */

static void nothing_is_offered_that_we_cannot_stand_between(void **state)
{
    (void)state;
    assert_int_equal(mysql_caps_offered(ALL, false) & (NEVER | MYSQL_CAP_SSL), 0);
    assert_int_equal(mysql_caps_offered(ALL, true) & NEVER, 0);
    assert_int_equal(mysql_caps_offered(ALL, false), MYSQL);
    assert_int_equal(mysql_caps_offered_extended(ALL), MYSQL_EXT_BULK | MYSQL_EXT_TYPE_INFO);
}

static void what_the_server_has_not_is_not_offered_but_for_tls(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t without = ~(1U << bit);
        assert_int_equal(mysql_caps_offered(without, false) & ~without, 0);
        assert_int_equal(mysql_caps_offered_extended(without) & ~without, 0);
    }
    assert_int_equal(mysql_caps_offered(0, true), MYSQL_CAP_SSL);
    assert_int_equal(mysql_caps_offered(MYSQL_CAP_SSL, false), 0);
}

static void a_key_has_all_that_changes_the_wire_and_nothing_else(void **state)
{
    (void)state;
    static const uint32_t wire[] = {
        MYSQL_CAP_FOUND_ROWS,
        MYSQL_CAP_LONG_FLAG,
        MYSQL_CAP_NO_SCHEMA,
        MYSQL_CAP_ODBC,
        MYSQL_CAP_LOCAL_FILES,
        MYSQL_CAP_IGNORE_SPACE,
        MYSQL_CAP_INTERACTIVE,
        MYSQL_CAP_MULTI_STATEMENTS,
        MYSQL_CAP_MULTI_RESULTS,
        MYSQL_CAP_PS_MULTI_RESULTS,
        MYSQL_CAP_SESSION_TRACK,
        MYSQL_CAP_DEPRECATE_EOF,
        MYSQL_CAP_EXPIRED_PASSWORDS,
        MYSQL_CAP_QUERY_ATTRIBUTES,
        MYSQL_CAP_MFA,
    };
    uint32_t all = 0;
    for (size_t i = 0; i < ARRAY_LEN(wire); i++) {
        assert_true(mysql_caps_key(wire[i], 0) != mysql_caps_key(0, 0));
        all |= wire[i];
    }
    assert_true(mysql_caps_key(ALL, 0) == mysql_caps_key(all, 0));
    assert_true(mysql_caps_key(~all, 0) == mysql_caps_key(0, 0));
    assert_true(mysql_caps_key(0, MYSQL_EXT_BULK) != mysql_caps_key(0, 0));
    assert_true(mysql_caps_key(0, MYSQL_EXT_BULK) != mysql_caps_key(MYSQL_EXT_BULK, 0));
    assert_true(mysql_caps_key(0, MYSQL_EXT_BULK) != mysql_caps_key(0, MYSQL_EXT_TYPE_INFO));
}

static void a_login_by_a_key_has_that_key_and_what_logins_need(void **state)
{
    (void)state;
    uint32_t needed = MYSQL_CAP_PROTOCOL_41 | MYSQL_CAP_SECURE_CONNECTION | MYSQL_CAP_PLUGIN_AUTH |
                      MYSQL_CAP_PLUGIN_AUTH_LENENC | MYSQL_CAP_CONNECT_ATTRS |
                      MYSQL_CAP_CONNECT_WITH_DB;
    for (uint64_t random = 1, i = 0; i < 1000; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint64_t key = mysql_caps_key((uint32_t)(random >> 32), i % 2 == 0 ? (uint32_t)random : 0);
        uint32_t caps = mysql_caps_login(key);
        uint32_t extended = mysql_caps_login_extended(key);
        assert_true(mysql_caps_key(caps, extended) == key);
        assert_int_equal(caps & needed, needed);
        assert_int_equal(caps & (NEVER | MYSQL_CAP_SSL), 0);
        assert_int_equal((caps & MYSQL_CAP_LONG_PASSWORD) == 0, extended != 0);
    }
}

/* Greetings ---------------------------------------------------------------------------------- */

static void assert_greeting(const struct turn *turn, const char *version, const char *plugin,
                            uint32_t capabilities, uint32_t extended)
{
    struct payload p = payload_of(turn->answer + MYSQL_HEADER, turn->answer_len - MYSQL_HEADER);
    struct mysql_greeting g;
    assert_true(mysql_read_greeting(&g, p.data, p.len));
    assert_string_equal(g.says.version, version);
    assert_string_equal(g.says.plugin, plugin);
    assert_int_equal(g.says.capabilities, capabilities);
    assert_int_equal(g.says.extended, extended);
    assert_int_equal(g.status, 2);
    free(p.data);

    unsigned char bytes[256];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_greeting(&w, &g);
    assert_int_equal(w.len, turn->answer_len);
    assert_memory_equal(bytes, turn->answer, w.len);
}

static void greetings_of_real_servers_are_read_and_written_as_they_were(void **state)
{
    (void)state;
    assert_greeting(&mysql_full[0], "9.7.4-2", "caching_sha2_password", 0xdfffffffU, 0);
    assert_greeting(&mariadb_replica[0], "5.5.5-10.11.19-MariaDB-0+deb12u1-log",
                    "mysql_native_password", 0x81fff7feU, 0x1d);
}

/* Up to the nonce's last byte all is needed; the plugin's name may end where it wants. */
static void a_greeting_that_is_cut_is_none(void **state)
{
    (void)state;
    const struct turn *turn = &mysql_full[0];
    size_t whole = turn->answer_len - MYSQL_HEADER;
    size_t needed = whole - sizeof "caching_sha2_password" - 1;
    for (size_t len = 0; len < whole; len++) {
        struct payload p = payload_of(turn->answer + MYSQL_HEADER, len);
        struct mysql_greeting g;
        assert_int_equal(mysql_read_greeting(&g, p.data, p.len), len >= needed);
        assert_true(len < needed ||
                    strncmp(g.says.plugin, "caching_sha2_password", strlen(g.says.plugin)) == 0);
        free(p.data);
    }
}

static void a_server_that_knows_no_plugins_has_no_greeting_for_us(void **state)
{
    (void)state;
    static const uint32_t needed[] = {MYSQL_CAP_PROTOCOL_41, MYSQL_CAP_SECURE_CONNECTION,
                                      MYSQL_CAP_PLUGIN_AUTH};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        struct mysql_greeting g = {.says = {.version = "5", .capabilities = ~needed[i]}};
        unsigned char bytes[256];
        struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
        mysql_write_greeting(&w, &g);
        assert_false(mysql_read_greeting(&g, bytes + MYSQL_HEADER, w.len - MYSQL_HEADER));
    }
    struct mysql_greeting g;
    assert_false(mysql_read_greeting(&g, "\377\020\004Too many connections", 23));
}

static void texts_of_a_greeting_are_bounded_and_printable(void **state)
{
    (void)state;
    char payload[512] = {MYSQL_V10};
    struct mysql_greeting like = {.says = {.capabilities = ALL}};
    unsigned char tail[128];
    struct mysql_writer w = {.data = tail, .size = sizeof tail};
    mysql_write_greeting(&w, &like); /* header, 10, an empty version, the rest */
    memset(payload + 1, '\033', 200);
    memcpy(payload + 202, tail + MYSQL_HEADER + 2, w.len - MYSQL_HEADER - 2);
    size_t len = 202 + w.len - MYSQL_HEADER - 2;
    memset(payload + len - 1, 'p', 200);
    struct mysql_greeting g;
    assert_true(mysql_read_greeting(&g, payload, len - 1 + 200));
    assert_int_equal(strlen(g.says.version), GREETING_VERSION_MAX - 1);
    assert_int_equal(g.says.version[0], '?');
    assert_int_equal(strlen(g.says.plugin), GREETING_PLUGIN_MAX - 1);
}

/* Our own ------------------------------------------------------------------------------------ */

static const struct mysql_request shop = {
    .charset = 45,
    .extended = MYSQL_EXT_BULK,
    .user = {"app", 3},
    .token = {"never sent", 10},
    .database = {"shop", 4},
    .plugin = {"never named", 11},
    .attributes = {"\003_os\005Linux", 10},
};

#define NO_PLUGIN "router_asks_for_the_plugin"

static void a_login_has_no_token_and_a_plugin_that_no_account_uses(void **state)
{
    (void)state;
    static const char expected[] =
        "\120\0\0\002\010\202\070\0\0\0\0\001\055\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\004\0\0\0"
        "app\0\0shop\0" NO_PLUGIN "\0\012\003_os\005Linux";
    unsigned char bytes[256];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    uint32_t caps =
        LOGIN | MYSQL_CAP_CONNECT_WITH_DB | MYSQL_CAP_CONNECT_ATTRS | MYSQL_CAP_PLUGIN_AUTH_LENENC;
    mysql_write_login(&w, 2, caps & ~MYSQL_CAP_LONG_PASSWORD, &shop);
    assert_int_equal(w.len, sizeof expected - 1);
    assert_memory_equal(bytes, expected, w.len);

    struct mysql_request r;
    assert_int_equal(mysql_read_login(&r, ALL, ALL, bytes + MYSQL_HEADER, w.len - MYSQL_HEADER),
                     MYSQL_REQUEST_LOGIN);
    assert_text(r.user, "app");
    assert_text(r.token, "");
    assert_text(r.database, "shop");
    assert_text(r.plugin, MYSQL_NO_PLUGIN);
    assert_text(r.attributes, "\003_os\005Linux");

    w.len = 0; /* to MySQL, and with less */
    mysql_write_login(&w, 1, LOGIN, &shop);
    assert_int_equal(bytes[MYSQL_HEADER + 28], 0);
    assert_int_equal(w.len, 4 + 32 + sizeof "app" + 1 + sizeof NO_PLUGIN);
}

/* There is one byte for it; the server's default is better than half of another. */
static void a_login_leaves_out_a_charset_that_has_no_room(void **state)
{
    (void)state;
    unsigned char bytes[256];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    struct mysql_request r = shop;
    r.charset = 308;
    mysql_write_login(&w, 2, LOGIN, &r);
    assert_int_equal(bytes[MYSQL_HEADER + 8], 0);
}

static void a_change_of_user_has_no_token_either(void **state)
{
    (void)state;
    static const char expected[] = "\063\0\0\0\021"
                                   "app\0\0shop\0\055\0" NO_PLUGIN "\0\012\003_os\005Linux";
    unsigned char bytes[256];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_change_user(&w, &shop);
    assert_int_equal(w.len, sizeof expected - 1);
    assert_memory_equal(bytes, expected, w.len);
    struct mysql_request r;
    assert_true(mysql_read_change_user(&r, LOGIN | MYSQL_CAP_CONNECT_ATTRS, bytes + MYSQL_HEADER,
                                       w.len - MYSQL_HEADER));
    assert_text(r.database, "shop");
    assert_text(r.plugin, MYSQL_NO_PLUGIN);
    assert_text(r.attributes, "\003_os\005Linux");
}

static void the_room_that_a_request_needs_is_enough_and_not_much_more(void **state)
{
    (void)state;
    static char long_text[65536];
    memset(long_text, 'x', sizeof long_text);
    static const size_t attributes[] = {0, 250, 251, 65535, 65536};
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        struct mysql_request r = {
            .charset = 255,
            .user = {long_text, 255},
            .database = {long_text, 255},
            .attributes = {long_text, attributes[i]},
        };
        size_t size = mysql_request_size(&r);
        assert_true(size < 700 + attributes[i]);
        unsigned char *bytes = malloc(size);
        struct mysql_writer w = {.data = bytes, .size = size};
        mysql_write_login(&w, 1, mysql_caps_login(0), &r);
        struct mysql_request got;
        assert_int_equal(mysql_read_login(&got, ALL, 0, bytes + 4, w.len - 4), MYSQL_REQUEST_LOGIN);
        assert_int_equal(got.attributes.len, attributes[i]);
        w.len = 0;
        mysql_write_change_user(&w, &r);
        assert_false(w.full);
        assert_true(mysql_read_change_user(&got, mysql_caps_login(0), bytes + 4, w.len - 4));
        assert_int_equal(got.attributes.len, attributes[i]);
        free(bytes);
    }
}

static void an_error_is_as_servers_write_it(void **state)
{
    (void)state;
    unsigned char bytes[64];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_error(&w, 2, 1040, "08004", "Too many");
    assert_int_equal(w.len, 4 + 17);
    assert_memory_equal(bytes, "\021\0\0\002\377\020\004#08004Too many", w.len);
    w.len = 0;
    mysql_write_error(&w, 0, 1040, NULL, "Too many");
    assert_int_equal(w.len, 4 + 11);
    assert_memory_equal(bytes, "\013\0\0\0\377\020\004Too many", w.len);
}

static void who_writes_with_too_little_room_is_told(void **state)
{
    (void)state;
    for (size_t size = 0; size < 4 + 51; size++) {
        unsigned char *bytes = malloc(size > 0 ? size : 1);
        struct mysql_writer w = {.data = bytes, .size = size};
        mysql_write_change_user(&w, &shop);
        assert_true(w.full);
        w = (struct mysql_writer){.data = bytes, .size = size};
        mysql_write_login(&w, 1, LOGIN, &shop);
        assert_true(w.full);
        free(bytes);
    }
}

/* Sorted by what SHOW COLLATION of MySQL 9.7 and MariaDB 10.11 say, with ids that a login has. */
static void what_servers_count_as_a_broken_login_is_found_before(void **state)
{
    (void)state;
    static const uint16_t wide[] = {35,  54,  55,  56,  60,  61,  62, 90,
                                    101, 124, 128, 151, 159, 160, 183};
    static const uint16_t utf8[] = {33, 45, 46, 76, 83, 192, 215, 223, 224, 247, 255};
    static const uint16_t others[] = {0,  8,   11,  28,  34,  53,  57,  63,
                                      91, 100, 125, 152, 184, 191, 216, 248};
    struct mysql_request r = shop;
    const char *words;
    for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
        r.charset = wide[i];
        assert_int_equal(mysql_request_fault(&r, &words), 1231);
    }
    for (size_t i = 0; i < ARRAY_LEN(utf8) + ARRAY_LEN(others); i++) {
        bool other = i >= ARRAY_LEN(utf8);
        r.charset = other ? others[i - ARRAY_LEN(utf8)] : utf8[i];
        r.database = (struct mysql_text){"sch\303\266n", 6};
        assert_int_equal(mysql_request_fault(&r, &words), 0);
        r.database.len = 4; /* cut in its midst */
        assert_int_equal(mysql_request_fault(&r, &words), other ? 0 : 1300);
        r.database.len = 0;
        assert_int_equal(mysql_request_fault(&r, &words), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_offered_that_we_cannot_stand_between),
        cmocka_unit_test(what_the_server_has_not_is_not_offered_but_for_tls),
        cmocka_unit_test(a_key_has_all_that_changes_the_wire_and_nothing_else),
        cmocka_unit_test(a_login_by_a_key_has_that_key_and_what_logins_need),
        cmocka_unit_test(greetings_of_real_servers_are_read_and_written_as_they_were),
        cmocka_unit_test(a_greeting_that_is_cut_is_none),
        cmocka_unit_test(a_server_that_knows_no_plugins_has_no_greeting_for_us),
        cmocka_unit_test(texts_of_a_greeting_are_bounded_and_printable),
        cmocka_unit_test(a_login_has_no_token_and_a_plugin_that_no_account_uses),
        cmocka_unit_test(a_login_leaves_out_a_charset_that_has_no_room),
        cmocka_unit_test(a_change_of_user_has_no_token_either),
        cmocka_unit_test(the_room_that_a_request_needs_is_enough_and_not_much_more),
        cmocka_unit_test(what_servers_count_as_a_broken_login_is_found_before),
        cmocka_unit_test(an_error_is_as_servers_write_it),
        cmocka_unit_test(who_writes_with_too_little_room_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
