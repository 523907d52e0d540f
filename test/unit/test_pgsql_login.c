/* Ways into a PostgreSQL server, and who may be told what on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "pgsql_talk.h"
#include "proto/pgsql_scram.h"

static void it_logs_in_with_user_and_database(void **state)
{
    (void)state;
    struct talk t = talk_new(&account);
    assert_int_equal(t.sent.len, sizeof(STARTUP) - 1);
    assert_memory_equal(t.sent.data, STARTUP, sizeof(STARTUP) - 1);
    talk_free(&t);
    const struct probe_setup elsewhere = {.user = "u", .database = "shop"};
    t = talk_new(&elsewhere);
    assert_true(sent(&t, BYTES("user\000u\000database\000shop\000")));
    talk_free(&t);
}

static void without_a_user_it_says_so_and_does_not_log_in(void **state)
{
    (void)state;
    static const struct probe_setup nobody = {.password = SECRET};
    struct talk t = talk_new(&nobody);
    assert_int_equal(t.sent.len, 8);
    assert_memory_equal(t.sent.data, SSL_REQUEST, 8);
    talk_free(&t);
    assert_ends(&nobody, BYTES("N"), REACH_DENIED, "probe_user");
    assert_ends(&nobody, BYTES("S"), REACH_DENIED, "probe_user");
    assert_ends(&nobody, BYTES("HTTP/1.1 400 Bad Request"), REACH_DENIED, "not speak PostgreSQL");
    char *name = calloc(1, 5000);
    memset(name, 'x', 4999);
    const struct probe_setup setups[] = {
        {.user = name}, {.user = "u", .database = name}, {.user = "u", .password = name}};
    for (size_t i = 0; i < ARRAY_LEN(setups); i++) {
        assert_ends(&setups[i], BYTES("N"), REACH_DENIED, "too long");
    }
    free(name);
}

static void tls_is_begun_with_the_servers_consent(void **state)
{
    (void)state;
    struct talk t = talk_new(&over_tls);
    assert_int_equal(t.sent.len, 8);
    assert_memory_equal(t.sent.data, SSL_REQUEST, 8);
    feed(&t, BYTES("S"));
    assert_int_equal(t.step, PROBE_STEP_TLS);
    assert_int_equal(t.sent.len, 8); /* no name in the clear */
    feed(&t, BYTES(""));
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_true(sent(&t, BYTES(STARTUP)));
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);
}

static void without_tls_it_goes_no_further(void **state)
{
    (void)state;
    assert_ends(&over_tls, BYTES("N"), REACH_DENIED, "does not offer TLS");
    assert_ends(&over_tls, BYTES("S" GREETING), REACH_DENIED, "in the clear");
    assert_ends(&over_tls, BYTES(ERROR_FULL), REACH_DENIED, "wish for TLS with an error");
    assert_ends(&over_tls, BYTES("\x15\x03\x01"), REACH_DENIED, "does not speak PostgreSQL");
}

static void md5_is_answered(void **state)
{
    (void)state;
    struct talk t = talk_new(&account);
    feed(&t, BYTES(AUTH_MD5));
    assert_true(sent(&t, BYTES("p\000\000\000\050md5ae1a68ff694451f0e4c7176165ed85fc\000")));
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);
    assert_ends(&account, BYTES("R\000\000\000\013\000\000\000\005spD"), REACH_DENIED,
                "does not speak");
}

static void the_password_is_told_where_nobody_listens(void **state)
{
    (void)state;
    static const struct probe_setup *const setups[] = {&over_tls, &unix_socket};
    for (size_t i = 0; i < ARRAY_LEN(setups); i++) {
        struct talk t = talk_new(setups[i]);
        if (setups[i]->tls) {
            feed(&t, BYTES("S"));
            feed(&t, BYTES(""));
        }
        feed(&t, BYTES(AUTH_CLEARTEXT));
        assert_true(sent(&t, BYTES("p\000\000\000\013s3cret\000")));
        feed(&t, BYTES(GREETING GROUP PRIMARY));
        assert_int_equal(t.step, PROBE_STEP_DONE);
        talk_free(&t);
    }
}

static void the_password_is_not_told_to_whoever_asks(void **state)
{
    (void)state;
    struct talk t = talk_new(&account);
    feed(&t, BYTES(AUTH_CLEARTEXT));
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_non_null(strstr(t.seen.why, "only over TLS"));
    assert_false(sent(&t, BYTES(SECRET)));
    talk_free(&t);
}

static void a_password_that_is_asked_for_must_be_there(void **state)
{
    (void)state;
    assert_ends(&no_password, BYTES(AUTH_CLEARTEXT), REACH_DENIED, "probe_password");
    assert_ends(&no_password, BYTES(AUTH_MD5), REACH_DENIED, "probe_password");
    assert_ends(&no_password, BYTES(AUTH_SASL), REACH_DENIED, "probe_password");
    assert_ends(&no_password, BYTES(GREETING GROUP PRIMARY), REACH_ANSWERED, "");
}

static void logins_that_it_cannot_do_are_named(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(AUTH_GSS), REACH_DENIED, "GSSAPI");
    assert_ends(&account, BYTES(AUTH_SASL_OTHER), REACH_DENIED, "OAUTHBEARER");
    assert_ends(&account, BYTES("R\000\000\000\010\000\000\000\002"), REACH_DENIED, "(2)");
}

/* The server's side of SCRAM: sees the client's first message, and has the same secrets. */
struct scram_server {
    struct scram mirror;
    struct text final; /* what it would say at the end */
};

static void base64(const unsigned char *in, size_t len, char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        unsigned a = in[i];
        unsigned b = i + 1 < len ? in[i + 1] : 0;
        unsigned c = i + 2 < len ? in[i + 2] : 0;
        *out++ = letters[a >> 2];
        *out++ = letters[(a & 3) << 4 | b >> 4];
        *out++ = i + 1 < len ? letters[(b & 15) << 2 | c >> 6] : '=';
        *out++ = i + 2 < len ? letters[c & 63] : '=';
    }
    *out = '\0';
}

static void add_authentication(struct text *t, uint32_t kind, const char *data)
{
    struct text body = {0};
    char code[4];
    pgsql_put32(code, kind);
    text_add_bytes(&body, code, 4);
    text_add_bytes(&body, data, strlen(data));
    add_message(t, 'R', body.data, body.len);
    text_free(&body);
}

/* Answers the client's first message and checks its last one. */
static void serve_scram(struct talk *t, const char *request, size_t len, struct scram_server *s)
{
    char nonce[64] = "";
    char text[256];
    char signature[64];
    struct text answer = {0};
    size_t begun = t->sent.len;
    feed(t, (struct bytes){request, len});
    assert_memory_equal(t->sent.data + begun,
                        "p\000\000\000\066SCRAM-SHA-256\000\000\000\000 n,,n=,r=", 31);
    memcpy(nonce, t->sent.data + begun + 31, 24);
    snprintf(text, sizeof(text), "r=%sSERVER,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", nonce);
    assert_null(scram_begin(&s->mirror, "", nonce));
    assert_null(scram_prove(&s->mirror, SECRET, text, strlen(text)));
    add_authentication(&answer, 11, text);
    feed_pieces(t, (struct bytes){answer.data, answer.len}, 7);
    text_free(&answer);
    assert_int_equal(t->step, PROBE_STEP_READ);
    assert_true(sent(t, (struct bytes){s->mirror.last, strlen(s->mirror.last)}));
    base64(s->mirror.signature, SCRAM_KEY, signature);
    snprintf(text, sizeof(text), "v=%s", signature);
    add_authentication(&s->final, 12, text);
}

static void scram_goes_both_ways(void **state)
{
    (void)state;
    static const struct bytes requests[] = {BYTES(AUTH_SASL), BYTES(AUTH_SASL_PLUS)};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct scram_server server = {0};
        struct talk t = talk_new(&account);
        serve_scram(&t, requests[i].p, requests[i].len, &server);
        feed_pieces(&t, (struct bytes){server.final.data, server.final.len}, 5);
        feed(&t, BYTES(GREETING GROUP PRIMARY));
        assert_int_equal(t.step, PROBE_STEP_DONE);
        text_free(&server.final);
        talk_free(&t);
    }
}

static void a_server_that_does_not_prove_itself_is_told_nothing(void **state)
{
    (void)state;
    struct text liar = {0};
    add_authentication(&liar, 12, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    const struct bytes ends[] = {
        {liar.data, liar.len},         /* a signature, but not of this password */
        BYTES(GREETING GROUP PRIMARY), /* none */
        BYTES(AUTH_CLEARTEXT),         /* another way, please */
        BYTES(AUTH_MD5),
        BYTES(AUTH_SASL),
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct scram_server server = {0};
        struct talk t = talk_new(&unix_socket);
        serve_scram(&t, AUTH_SASL, sizeof(AUTH_SASL) - 1, &server);
        size_t before = t.sent.len;
        feed(&t, ends[i]);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_int_equal(t.seen.reach, REACH_DENIED);
        assert_non_null(strstr(t.seen.why, "not who it should be"));
        assert_int_equal(t.sent.len, before);
        text_free(&server.final);
        talk_free(&t);
    }
    text_free(&liar);
}

static void what_comes_out_of_turn_breaks_the_login(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        BYTES(READY),
        BYTES("K\000\000\000\014\000\000L\342\005\360\026_"),
        BYTES(PRIMARY),
        BYTES("R\000\000\000\004"),
        BYTES(AUTH_OK AUTH_OK),
        BYTES(AUTH_OK AUTH_MD5),
        BYTES(AUTH_OK PRIMARY),
        BYTES(AUTH_MD5 AUTH_MD5),
        BYTES("R\000\000\000\010\000\000\000\013"), /* the middle of SCRAM */
        BYTES("R\000\000\000\010\000\000\000\014"),
        BYTES("\000"),
        BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"),
        BYTES("-ERR unknown command\r\n"),
        BYTES("J\000\000\000\012"
              "5.5.5-10.11"), /* the greeting of MariaDB */
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct talk t = talk_new(&account);
        feed(&t, wrong[i]);
        if (t.step == PROBE_STEP_READ) { /* a long message perhaps */
            assert_int_equal(t.seen.reach, REACH_UNASKED);
            assert_true(wrong[i].len < PGSQL_HEAD);
        } else {
            assert_int_equal(t.step, PROBE_STEP_FAIL);
            assert_int_equal(t.seen.reach, REACH_DENIED);
        }
        talk_free(&t);
    }
}

static void another_version_of_the_protocol_may_be_named(void **state)
{
    (void)state;
    assert_ends(&account,
                BYTES("v\000\000\000\014\000\003\000\000\000\000\000\000" GREETING GROUP PRIMARY),
                REACH_ANSWERED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_logs_in_with_user_and_database),
        cmocka_unit_test(without_a_user_it_says_so_and_does_not_log_in),
        cmocka_unit_test(tls_is_begun_with_the_servers_consent),
        cmocka_unit_test(without_tls_it_goes_no_further),
        cmocka_unit_test(md5_is_answered),
        cmocka_unit_test(the_password_is_told_where_nobody_listens),
        cmocka_unit_test(the_password_is_not_told_to_whoever_asks),
        cmocka_unit_test(a_password_that_is_asked_for_must_be_there),
        cmocka_unit_test(logins_that_it_cannot_do_are_named),
        cmocka_unit_test(scram_goes_both_ways),
        cmocka_unit_test(a_server_that_does_not_prove_itself_is_told_nothing),
        cmocka_unit_test(what_comes_out_of_turn_breaks_the_login),
        cmocka_unit_test(another_version_of_the_protocol_may_be_named),
    };
    return cmocka_run_group_tests_name("pgsql_login", tests, NULL, NULL);
}
