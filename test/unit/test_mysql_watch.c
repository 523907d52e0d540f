#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "login_fixture.h"
#include "proto/mysql_watch.h"

/* What servers and clients say, by themselves. */
#define GREETING_TEXT                                                                              \
    "\x0a"                                                                                         \
    "9.7.0\0\1\2\3\4abcdefgh\0\x00\x8a\x21\2\0\x08\0\x15\0\0\0\0\0\0\0\0\0\0ABCDEFGHIJKL\0plugin"
#define CAN_41  "\x00\x82\x08\x00"
#define CAN_TLS "\x00\x8a\x08\x00"
#define FIXED   "\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const char greeting[] = GREETING_TEXT;
static const char login[] = CAN_41 FIXED "user\0\0plugin";
static const char accepted[] = "\0\0\0\2\0\0";
static const char denied[] = "\xff\x15\x04#28000no";
static const char switched[] = "\xfe"
                               "caching_sha2_password\0nonce";

static size_t packet(char *to, unsigned sequence, const char *payload, size_t len)
{
    const char head[] = {(char)len, (char)(len >> 8), (char)(len >> 16), (char)sequence};
    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, payload, len);
    return sizeof head + len;
}

static enum login_step server_says(struct login_fixture *f, unsigned sequence, const char *payload,
                                   size_t len)
{
    char bytes[512];
    return login_server(f, bytes, packet(bytes, sequence, payload, len));
}

static enum login_step client_says(struct login_fixture *f, unsigned sequence, const char *payload,
                                   size_t len)
{
    char bytes[512];
    return login_client(f, bytes, packet(bytes, sequence, payload, len));
}

static struct login_fixture *greeted(void)
{
    struct login_fixture *f = login_fixture_new(&mysql_login);
    assert_int_equal(server_says(f, 0, greeting, sizeof greeting), LOGIN_CLIENT);
    return f;
}

static struct login_fixture *answered(void)
{
    struct login_fixture *f = greeted();
    assert_int_equal(client_says(f, 1, login, sizeof login), LOGIN_SERVER);
    assert_int_equal(f->passed_len, 4 + sizeof login);
    return f;
}

static void ok_and_err_end_a_login_and_questions_do_not(void **state)
{
    (void)state;
    struct login_fixture *f = answered();
    assert_int_equal(server_says(f, 2, switched, sizeof switched), LOGIN_CLIENT);
    assert_int_equal(client_says(f, 3, "x", 1), LOGIN_SERVER);
    assert_int_equal(server_says(f, 4, "\x01\x04", 2), LOGIN_CLIENT);
    assert_int_equal(client_says(f, 5, "\x02", 1), LOGIN_SERVER);
    assert_int_equal(server_says(f, 6, "\x01-----BEGIN", 11), LOGIN_CLIENT);
    assert_int_equal(client_says(f, 7, "y", 1), LOGIN_SERVER);
    assert_int_equal(server_says(f, 8, "\x01\x03", 2), LOGIN_SERVER);
    assert_int_equal(server_says(f, 9, accepted, sizeof accepted - 1), LOGIN_OVER);
    login_fixture_free(f);
    f = answered();
    assert_int_equal(server_says(f, 2, denied, sizeof denied - 1), LOGIN_OVER);
    login_fixture_free(f);
}

static void an_empty_packet_is_an_answer_too(void **state)
{
    (void)state;
    struct login_fixture *f = answered();
    assert_int_equal(server_says(f, 2, switched, sizeof switched), LOGIN_CLIENT);
    assert_int_equal(client_says(f, 3, "", 0), LOGIN_SERVER);
    assert_int_equal(server_says(f, 4, denied, sizeof denied - 1), LOGIN_OVER);
    login_fixture_free(f);
}

static void the_same_whatever_the_pieces(void **state)
{
    (void)state;
    char server[1024];
    char client[1024];
    size_t greeting_len = packet(server, 0, greeting, sizeof greeting);
    size_t client_len = packet(client, 1, login, sizeof login);
    char rest[256];
    size_t rest_len = packet(rest, 2, switched, sizeof switched);
    for (size_t piece = 1; piece < greeting_len; piece++) {
        struct login_fixture *f = login_fixture_new(&mysql_login);
        for (size_t at = 0; at < greeting_len; at += piece) {
            size_t left = greeting_len - at;
            enum login_step want = left <= piece ? LOGIN_CLIENT : LOGIN_SERVER;
            assert_int_equal(login_server(f, server + at, left < piece ? left : piece), want);
        }
        for (size_t at = 0; at < client_len; at += piece) {
            size_t left = client_len - at;
            assert_int_equal(f->passed_len, 0);
            enum login_step want = left <= piece ? LOGIN_SERVER : LOGIN_CLIENT;
            assert_int_equal(login_client(f, client + at, left < piece ? left : piece), want);
        }
        assert_int_equal(f->passed_len, client_len);
        assert_memory_equal(f->passed, client, client_len);
        for (size_t at = 0; at < rest_len; at += piece) {
            size_t left = rest_len - at;
            enum login_step want = left <= piece ? LOGIN_CLIENT : LOGIN_SERVER;
            assert_int_equal(login_server(f, rest + at, left < piece ? left : piece), want);
        }
        login_fixture_free(f);
    }
}

static void only_whole_packets_go_on_and_each_in_its_turn(void **state)
{
    (void)state;
    char bytes[512];
    struct login_fixture *f = login_fixture_new(&mysql_login);
    size_t len = packet(bytes, 1, login, sizeof login);
    len += packet(bytes + len, 3, "token", 5);
    len += packet(bytes + len, 0, "\x03SELECT", 7);
    assert_int_equal(login_client(f, bytes, len), LOGIN_SERVER); /* it speaks too early */
    assert_int_equal(f->passed_len, 0);
    assert_int_equal(server_says(f, 0, greeting, sizeof greeting), LOGIN_SERVER);
    assert_int_equal(f->passed_len, 4 + sizeof login);
    assert_int_equal(server_says(f, 2, switched, sizeof switched), LOGIN_SERVER);
    assert_int_equal(f->passed_len, 4 + sizeof login + 9);
    assert_int_equal(server_says(f, 4, accepted, sizeof accepted - 1), LOGIN_OVER);
    assert_int_equal(f->kept_len, 11);
    login_fixture_free(f);
}

struct nonsense {
    const char *bytes;
    size_t len;
};

static void nonsense_is_seen_before_it_is_whole(void **state)
{
    (void)state;
    static const struct nonsense cases[] = {
        {"GET ", 4},                             /* sequence */
        {"\x40\0\0\2", 4},                       /* sequence */
        {"\x16\x03\x01\x02", 4},                 /* TLS without a question */
        {"\xff\xff\xff\1", 4},                   /* length */
        {"\x1f\0\0\1", 4},                       /* shorter than a login */
        {"\x40\0\0\1\x85\x20", 6},               /* older than 4.1 */
        {"\x21\0\0\1" CAN_TLS FIXED "x", 4 + 33} /* longer than the request for TLS */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct login_fixture *f = greeted();
        assert_int_equal(login_client(f, cases[i].bytes, cases[i].len), LOGIN_BAD);
        assert_int_equal(f->passed_len, 0);
        assert_true(strlen(f->why) > 0);
        login_fixture_free(f);
    }
}

static void a_server_without_tls_is_not_asked_for_it(void **state)
{
    (void)state;
    struct login_fixture *f = login_fixture_new(&mysql_login);
    char plain[sizeof greeting];
    memcpy(plain, greeting, sizeof greeting);
    char *can = memchr(plain, '\x8a', sizeof plain);
    assert_non_null(can);
    *can = '\x82';
    server_says(f, 0, plain, sizeof plain);
    assert_int_equal(client_says(f, 1, CAN_TLS FIXED, 32), LOGIN_BAD);
    login_fixture_free(f);
}

static void tls_goes_on_with_its_first_record(void **state)
{
    (void)state;
    static const char hello[] = "\x16\x03\x01\x00\x04"
                                "hell"
                                "o";
    struct login_fixture *f = greeted();
    assert_int_equal(client_says(f, 1, CAN_TLS FIXED, 32), LOGIN_CLIENT);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(login_client(f, hello + i, 1), LOGIN_CLIENT);
        assert_int_equal(f->passed_len, 0);
    }
    assert_int_equal(login_client(f, hello + 8, 2), LOGIN_OVER);
    assert_int_equal(f->passed_len, 36 + 10);
    login_fixture_free(f);
    f = greeted();
    client_says(f, 1, CAN_TLS FIXED, 32);
    assert_int_equal(login_client(f, "GET /", 5), LOGIN_BAD);
    login_fixture_free(f);
}

static void who_greets_otherwise_is_not_watched(void **state)
{
    (void)state;
    static const struct nonsense cases[] = {
        {"\x10\0\0\0\xff", 5}, {"HTTP/1.1", 8}, {"\0\0\0\0", 4}, {"\x10\0\0\0\x09", 5}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct login_fixture *f = login_fixture_new(&mysql_login);
        assert_int_equal(login_server(f, cases[i].bytes, cases[i].len), LOGIN_OVER);
        login_fixture_free(f);
    }
}

/* Refusals ---------------------------------------------------------------------------------- */

static void check_error(const struct login_out *out, unsigned sequence, const char *error,
                        size_t len)
{
    assert_int_equal(out->len, 4 + len);
    assert_int_equal((unsigned char)out->data[0], len);
    assert_int_equal((unsigned char)out->data[3], sequence);
    assert_memory_equal(out->data + 4, error, len);
}

static void a_refusal_takes_the_place_of_what_comes_next(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&mysql_login);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_SAID);
    check_error(&out, 0, "\xff\x10\x04router: full", 15);
    login_fixture_free(f);
    f = greeted();
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_SAID);
    check_error(&out, 2, "\xff\x10\x04#08004router: full", 21);
    login_fixture_free(f);
    f = answered();
    assert_int_equal(login_refuse(f, REFUSED_FENCED, "gone", &out), REFUSE_SAID);
    check_error(&out, 2, "\xff\x51\x04#HY000router: gone", 21);
    server_says(f, 2, switched, sizeof switched);
    assert_int_equal(login_refuse(f, REFUSED_LOGIN, "late", &out), REFUSE_SAID);
    check_error(&out, 4, "\xff\x13\x04#08S01router: late", 21);
    client_says(f, 3, "x", 1);
    server_says(f, 4, "\x01\x03", 2);
    assert_int_equal(login_refuse(f, REFUSED_SHUTDOWN, "ends", &out), REFUSE_SAID);
    check_error(&out, 5, "\xff\x1d\x04#08S01router: ends", 21);
    login_fixture_free(f);
}

static void in_the_midst_of_a_packet_nothing_can_be_said(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&mysql_login);
    login_server(f, "\x40", 1);
    assert_int_equal(login_refuse(f, REFUSED_FENCED, "gone", &out), REFUSE_CUT);
    login_fixture_free(f);
    f = answered();
    login_server(f, "\x40\0\0\2\xfe", 5);
    assert_int_equal(login_refuse(f, REFUSED_FENCED, "gone", &out), REFUSE_CUT);
    login_fixture_free(f);
}

static void long_words_are_cut(void **state)
{
    (void)state;
    struct login_out out;
    char words[1000];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    struct login_fixture *f = greeted();
    assert_int_equal(login_refuse(f, REFUSED_QUEUE_FULL, words, &out), REFUSE_SAID);
    assert_int_equal(out.len, 4 + (unsigned char)out.data[0] + 256 * (unsigned char)out.data[1]);
    assert_int_equal(out.data[out.len - 1], 'x');
    login_fixture_free(f);
}

/* In the client's place --------------------------------------------------------------------- */

static bool finish(struct login_fixture *f, unsigned sequence, const char *payload, size_t len,
                   struct login_out *out)
{
    char bytes[512];
    return mysql_login.finish(f->state, bytes, packet(bytes, sequence, payload, len), out);
}

static void a_login_is_finished_from_the_greeting_on(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&mysql_login);
    assert_false(mysql_login.finish(f->state, NULL, 0, &out));
    assert_int_equal(out.len, 0);
    assert_false(finish(f, 0, greeting, sizeof greeting, &out));
    assert_int_equal(out.data[3], 1);
    assert_int_equal((unsigned char)out.data[0], out.len - 4);
    assert_string_equal(out.data + 4 + 32, "router_gone");
    assert_false(finish(f, 2, switched, sizeof switched, &out));
    check_error(&out, 3, "", 0);
    assert_true(finish(f, 4, denied, sizeof denied - 1, &out));
    assert_int_equal(out.len, 0);
    login_fixture_free(f);
}

static void a_login_is_finished_from_where_the_client_left_it(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = greeted();
    login_client(f, "\x30\0\0\1", 4); /* part of a login, which was not passed on */
    assert_false(mysql_login.finish(f->state, NULL, 0, &out));
    assert_int_equal(out.data[3], 1);
    login_fixture_free(f);
    f = answered();
    assert_false(mysql_login.finish(f->state, NULL, 0, &out));
    assert_int_equal(out.len, 0);
    assert_true(finish(f, 2, accepted, sizeof accepted - 1, &out));
    check_error(&out, 0, "\1", 1); /* COM_QUIT */
    login_fixture_free(f);
}

static void each_plugin_gets_an_answer_that_it_can_refuse(void **state)
{
    (void)state;
    static const char ed25519[] = "\xfe"
                                  "client_ed25519\0nonce";
    struct login_out out;
    struct login_fixture *f = answered();
    assert_false(finish(f, 2, ed25519, sizeof ed25519, &out));
    char zeros[64] = {0};
    check_error(&out, 3, zeros, sizeof zeros);
    assert_false(finish(f, 4, "\x01\x04", 2, &out));
    check_error(&out, 5, "\x02", 1);
    assert_false(finish(f, 6, "\x01-----BEGIN", 11, &out));
    check_error(&out, 7, "", 0);
    assert_false(finish(f, 8, "\x01\x03", 2, &out));
    assert_int_equal(out.len, 0);
    assert_true(finish(f, 9, accepted, sizeof accepted - 1, &out));
    login_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_and_err_end_a_login_and_questions_do_not),
        cmocka_unit_test(an_empty_packet_is_an_answer_too),
        cmocka_unit_test(the_same_whatever_the_pieces),
        cmocka_unit_test(only_whole_packets_go_on_and_each_in_its_turn),
        cmocka_unit_test(nonsense_is_seen_before_it_is_whole),
        cmocka_unit_test(a_server_without_tls_is_not_asked_for_it),
        cmocka_unit_test(tls_goes_on_with_its_first_record),
        cmocka_unit_test(who_greets_otherwise_is_not_watched),
        cmocka_unit_test(a_refusal_takes_the_place_of_what_comes_next),
        cmocka_unit_test(in_the_midst_of_a_packet_nothing_can_be_said),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(a_login_is_finished_from_the_greeting_on),
        cmocka_unit_test(a_login_is_finished_from_where_the_client_left_it),
        cmocka_unit_test(each_plugin_gets_an_answer_that_it_can_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
