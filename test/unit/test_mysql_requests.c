/* What clients send first, and to change their user: as real ones do, cut anywhere, and with
 * lengths that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/macros.h"
#include "mysql_recorded_clients.h"
#include "request_fixture.h"

static void assert_within(struct mysql_text text, struct payload p)
{
    assert_non_null(text.data);
    assert_true(text.len == 0 || (text.data >= p.data && text.data + text.len <= p.data + p.len));
}

/* Logins ------------------------------------------------------------------------------------- */

#define CLIENT(text) text, sizeof(text) - 1

static const struct {
    const char *data;
    size_t len;
    bool mariadb; /* is whom it speaks to */
    uint32_t capabilities;
    uint32_t extended;
    uint16_t charset;
    const char *first; /* attribute */
} clients[] = {
    {CLIENT(pymysql), false, 0x003aa20d, 0, 45, "\014_client_name\007pymysql"},
    {CLIENT(mysqlnd), false, 0x001aa28d, 0, 45, "\014_client_name\007mysqlnd"},
    {CLIENT(libmariadb_to_mysql), false, 0x00bfa28d, 0, 33, "\003_os\005Linux"},
    {CLIENT(libmariadb), true, 0x00bfa28c, 0x0c, 33, "\003_os\005Linux"},
    {CLIENT(mysql2), false, 0x18baf3cf, 0, 224, "\014_client_name\014Node-MySQL-2"},
    {CLIENT(mysql2_to_mariadb), true, 0x00baf3ce, 0x08, 224, "\014_client_name\014Node-MySQL-2"},
};

/* Of MariaDB 10.11, without TLS. */
static const uint32_t maria_offers = 0x81fff7feU & MYSQL;

static enum mysql_request_kind read_client(size_t i, struct mysql_request *r, struct payload p)
{
    bool maria = clients[i].mariadb;
    return mysql_read_login(r, maria ? maria_offers : MYSQL, maria ? 0x0c : 0, p.data, p.len);
}

static void logins_of_real_clients_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        struct payload p = payload_of(clients[i].data, clients[i].len);
        struct mysql_request r;
        assert_int_equal(read_client(i, &r, p), MYSQL_REQUEST_LOGIN);
        assert_int_equal(r.capabilities, clients[i].capabilities);
        assert_int_equal(r.extended, clients[i].extended);
        assert_int_equal(r.charset, clients[i].charset);
        assert_text(r.user, "app");
        assert_int_equal(r.token.len, 32);
        assert_text(r.database, "shop");
        assert_text(r.plugin, "caching_sha2_password");
        assert_memory_equal(r.attributes.data, clients[i].first, strlen(clients[i].first));
        assert_ptr_equal(r.attributes.data + r.attributes.len, p.data + p.len);
        free(p.data);
    }
}

/* Behind the attributes mysql's own client says how hard it would compress. */
static void what_follows_a_login_does_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        char longer[512];
        memcpy(longer, clients[i].data, clients[i].len);
        longer[clients[i].len] = 3;
        struct payload p = payload_of(longer, clients[i].len + 1);
        struct mysql_request r;
        assert_int_equal(read_client(i, &r, p), MYSQL_REQUEST_LOGIN);
        assert_text(r.database, "shop");
        free(p.data);
    }
}

static void a_login_that_is_cut_is_never_read_past_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        size_t user_and_token = 32 + sizeof "app" + 1 + 32;
        for (size_t len = 0; len < clients[i].len; len++) {
            struct payload p = payload_of(clients[i].data, len);
            struct mysql_request r;
            enum mysql_request_kind kind = read_client(i, &r, p);
            assert_true(kind == MYSQL_REQUEST_BAD || len >= user_and_token);
            assert_true(kind == MYSQL_REQUEST_BAD || kind == MYSQL_REQUEST_LOGIN);
            assert_within(r.user, p);
            assert_within(r.token, p);
            assert_within(r.database, p);
            assert_within(r.plugin, p);
            assert_within(r.attributes, p);
            free(p.data);
        }
    }
}

/* A login by hand: its head, then whatever follows. */
static enum mysql_request_kind read_by_hand(struct mysql_request *r, uint32_t caps,
                                            const void *rest, size_t len)
{
    static unsigned char bytes[200000];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_int(&w, caps, 4);
    mysql_write_int(&w, 0x40000000, 4);
    mysql_write_int(&w, 255, 1);
    mysql_write_zeros(&w, 19);
    mysql_write_int(&w, ALL, 4);
    mysql_write_bytes(&w, rest, len);
    assert_false(w.full);
    static struct payload p; /* texts are borrowed from it until the next */
    free(p.data);
    p = payload_of(bytes, w.len);
    return mysql_read_login(r, mysql_caps_offered(ALL, true), 0x0c, p.data, p.len);
}

static void a_token_is_counted_as_the_capabilities_say(void **state)
{
    (void)state;
    struct mysql_request r;
    uint32_t ended = LOGIN & ~MYSQL_CAP_SECURE_CONNECTION;
    uint32_t lenenc = LOGIN | MYSQL_CAP_PLUGIN_AUTH_LENENC;
    assert_int_equal(read_by_hand(&r, LOGIN, REST("me\0\003abcname\0")), MYSQL_REQUEST_LOGIN);
    assert_text(r.token, "abc");
    assert_text(r.plugin, "name");
    assert_int_equal(read_by_hand(&r, ended, REST("me\0abc\0name\0")), MYSQL_REQUEST_LOGIN);
    assert_text(r.token, "abc");
    assert_text(r.plugin, "name");
    assert_int_equal(read_by_hand(&r, lenenc, REST("me\0\374\003\0abcname\0")),
                     MYSQL_REQUEST_LOGIN);
    assert_text(r.token, "abc");
    assert_text(r.plugin, "name");
    assert_int_equal(read_by_hand(&r, LOGIN, REST("me\0\011abcname\0")), MYSQL_REQUEST_BAD);
    assert_int_equal(read_by_hand(&r, ended, REST("me\0abc")), MYSQL_REQUEST_BAD);
    assert_int_equal(read_by_hand(&r, lenenc, REST("me\0\373abcname\0")), MYSQL_REQUEST_BAD);
    assert_int_equal(
        read_by_hand(&r, lenenc, REST("me\0\376\377\377\377\377\377\377\377\377abcname\0")),
        MYSQL_REQUEST_BAD);
}

static void parts_are_there_only_with_their_capability(void **state)
{
    (void)state;
    struct mysql_request r;
    uint32_t with_db = LOGIN | MYSQL_CAP_CONNECT_WITH_DB;
    uint32_t with_both = with_db | MYSQL_CAP_CONNECT_ATTRS;
    assert_int_equal(read_by_hand(&r, LOGIN, REST("me\0\0shop\0name\0")), MYSQL_REQUEST_LOGIN);
    assert_text(r.plugin, "shop");
    assert_text(r.database, "");
    assert_text(r.attributes, "");
    assert_int_equal(read_by_hand(&r, with_db, REST("me\0\0shop\0name\0\002\001a")),
                     MYSQL_REQUEST_LOGIN);
    assert_text(r.database, "shop");
    assert_text(r.attributes, "");
    assert_int_equal(read_by_hand(&r, with_both, REST("me\0\0shop\0name\0\002\001a")),
                     MYSQL_REQUEST_LOGIN);
    assert_text(r.attributes, "\001a");
    assert_int_equal(r.charset, 255);
}

static void what_real_servers_forgive_is_forgiven(void **state)
{
    (void)state;
    struct mysql_request r;
    uint32_t with_db = LOGIN | MYSQL_CAP_CONNECT_WITH_DB;
    uint32_t with_both = with_db | MYSQL_CAP_CONNECT_ATTRS;
    assert_int_equal(read_by_hand(&r, with_db, REST("me\0\0shop")), MYSQL_REQUEST_LOGIN);
    assert_text(r.database, "shop");
    assert_text(r.plugin, "");
    assert_int_equal(read_by_hand(&r, with_both, REST("me\0\0shop\0name")), MYSQL_REQUEST_LOGIN);
    assert_text(r.plugin, "name");
    assert_int_equal(read_by_hand(&r, with_both, REST("\0\0\0\0")), MYSQL_REQUEST_LOGIN);
    assert_text(r.user, "");
    assert_int_equal(read_by_hand(&r, with_both, REST("me\0\0shop\0name\0\001\0zzz")),
                     MYSQL_REQUEST_LOGIN);
}

/* A login with a user, a database and attributes of these lengths. */
static enum mysql_request_kind read_long(size_t user, size_t database, size_t attributes)
{
    static char rest[150000];
    struct mysql_writer w = {.data = (unsigned char *)rest, .size = sizeof rest};
    memset(rest, 'u', sizeof rest);
    w.len = user;
    mysql_write_int(&w, 0, 2);
    w.len += database;
    mysql_write_int(&w, 0, 1);
    mysql_write_nul(&w, "name");
    mysql_write_int(&w, 0xfd, 1);
    mysql_write_int(&w, attributes, 3);
    w.len += attributes;
    struct mysql_request r;
    return read_by_hand(&r, LOGIN | MYSQL_CAP_CONNECT_WITH_DB | MYSQL_CAP_CONNECT_ATTRS, rest,
                        w.len);
}

static void names_and_attributes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_long(255, 255, 65536), MYSQL_REQUEST_LOGIN);
    assert_int_equal(read_long(256, 255, 65536), MYSQL_REQUEST_BAD);
    assert_int_equal(read_long(255, 256, 65536), MYSQL_REQUEST_BAD);
    assert_int_equal(read_long(255, 255, 65537), MYSQL_REQUEST_BAD);
    struct mysql_request r;
    uint32_t caps = LOGIN | MYSQL_CAP_CONNECT_ATTRS;
    assert_int_equal(read_by_hand(&r, caps, REST("me\0\0name\0\005abcd")), MYSQL_REQUEST_BAD);
    assert_int_equal(read_by_hand(&r, caps, REST("me\0\0name\0\373")), MYSQL_REQUEST_BAD);
}

static void a_request_for_tls_is_one_where_it_was_offered(void **state)
{
    (void)state;
    unsigned char bytes[64];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_tls_request(&w, LOGIN & ~MYSQL_CAP_LONG_PASSWORD, MYSQL_EXT_BULK, 45);
    static const char expected[] = "\040\0\0\001\0\212\010\0\0\0\0\001\055\0\0\0\0\0\0\0\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\004\0\0";
    assert_int_equal(w.len, sizeof expected);
    assert_memory_equal(bytes, expected, w.len);
    struct payload p = payload_of(bytes + MYSQL_HEADER, w.len - MYSQL_HEADER);
    struct mysql_request r;
    assert_int_equal(mysql_read_login(&r, MYSQL_CAP_SSL, ALL, p.data, p.len), MYSQL_REQUEST_TLS);
    assert_int_equal(r.capabilities, MYSQL_CAP_SSL);
    assert_int_equal(r.extended, MYSQL_EXT_BULK);
    assert_int_equal(r.charset, 45);
    assert_int_equal(mysql_read_login(&r, MYSQL, ALL, p.data, p.len), MYSQL_REQUEST_BAD);
    assert_int_equal(mysql_read_login(&r, MYSQL_CAP_SSL, ALL, p.data, p.len - 1),
                     MYSQL_REQUEST_BAD);
    free(p.data);
    assert_int_equal(read_by_hand(&r, LOGIN | MYSQL_CAP_SSL, REST("me\0\0name\0")),
                     MYSQL_REQUEST_LOGIN); /* what follows under TLS */
}

static void a_client_that_is_too_old_is_told_from_nonsense(void **state)
{
    (void)state;
    struct mysql_request r;
    assert_int_equal(mysql_read_login(&r, MYSQL, 0, REST("\205\044\0\0\0old\0abcdefgh")),
                     MYSQL_REQUEST_OLD);
    assert_int_equal(read_by_hand(&r, LOGIN & ~MYSQL_CAP_PLUGIN_AUTH, REST("me\0\0")),
                     MYSQL_REQUEST_OLD);
    assert_int_equal(mysql_read_login(&r, MYSQL & ~MYSQL_CAP_PLUGIN_AUTH, 0, REST(pymysql)),
                     MYSQL_REQUEST_OLD);
    assert_int_equal(mysql_read_login(&r, MYSQL, 0, "abc", 3), MYSQL_REQUEST_BAD);
    assert_int_equal(mysql_read_login(&r, MYSQL, 0, NULL, 0), MYSQL_REQUEST_BAD);
}

static void what_was_not_offered_is_not_believed(void **state)
{
    (void)state;
    struct mysql_request r;
    char rest[] = "me\0\003abcname\0";
    assert_int_equal(read_by_hand(&r, LOGIN | NEVER, REST(rest)), MYSQL_REQUEST_LOGIN);
    assert_int_equal(r.capabilities, LOGIN);
    assert_int_equal(r.extended, 0); /* of nobody who says that he is MySQL's */
    assert_int_equal(read_by_hand(&r, LOGIN & ~MYSQL_CAP_LONG_PASSWORD, REST(rest)),
                     MYSQL_REQUEST_LOGIN);
    assert_int_equal(r.extended, 0x0c);
    assert_int_equal(mysql_read_login(&r, maria_offers, 0x0c, REST(pymysql)), MYSQL_REQUEST_LOGIN);
    assert_int_equal(r.capabilities & MYSQL_CAP_LONG_PASSWORD, MYSQL_CAP_LONG_PASSWORD);
}

static void changes_of_user_are_read_as_clients_send_them(void **state)
{
    (void)state;
    struct mysql_request r;
    uint32_t caps = LOGIN | MYSQL_CAP_CONNECT_ATTRS;
    static const char whole[] = "\021me\0\003abcshop\0\377\0name\0\002\001a";
    assert_true(mysql_read_change_user(&r, caps, REST(whole)));
    assert_text(r.user, "me");
    assert_text(r.token, "abc");
    assert_text(r.database, "shop");
    assert_int_equal(r.charset, 255);
    assert_text(r.plugin, "name");
    assert_text(r.attributes, "\001a");
    assert_int_equal(r.capabilities, caps);
    assert_true(mysql_read_change_user(&r, caps, REST("\021me\0\0\0"))); /* as old clients */
    assert_text(r.database, "");
    assert_false(mysql_read_change_user(&r, caps, REST("\003me\0\0\0")));
    assert_false(mysql_read_change_user(&r, caps, REST("\021me\0\011abc\0")));
    assert_false(mysql_read_change_user(&r, caps, NULL, 0));
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        struct payload p = payload_of(whole, len);
        mysql_read_change_user(&r, caps, p.data, p.len);
        assert_within(r.user, p);
        assert_within(r.token, p);
        assert_within(r.database, p);
        assert_within(r.plugin, p);
        assert_within(r.attributes, p);
        free(p.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logins_of_real_clients_are_read),
        cmocka_unit_test(what_follows_a_login_does_not_matter),
        cmocka_unit_test(a_login_that_is_cut_is_never_read_past_its_end),
        cmocka_unit_test(a_token_is_counted_as_the_capabilities_say),
        cmocka_unit_test(parts_are_there_only_with_their_capability),
        cmocka_unit_test(what_real_servers_forgive_is_forgiven),
        cmocka_unit_test(names_and_attributes_are_bounded),
        cmocka_unit_test(a_request_for_tls_is_one_where_it_was_offered),
        cmocka_unit_test(a_client_that_is_too_old_is_told_from_nonsense),
        cmocka_unit_test(what_was_not_offered_is_not_believed),
        cmocka_unit_test(changes_of_user_are_read_as_clients_send_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
