/* The login of the probe: plugins, TLS, refusals, and that no password is told to whoever listens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/macros.h"
#include "mysql_fake.h"
#include "mysql_recorded_login.h"
#include "proto/mysql_crypt.h"

static const struct probe_setup on_socket = {.user = "router", .password = "s3cret", .local = true};
static const struct probe_setup with_tls = {.user = "router", .password = "s3cret", .tls = true};
static const struct probe_setup without_password = {.user = "router"};

static void assert_ends(struct talk *t, enum reach reach, const char *why)
{
    assert_int_equal(t->step, PROBE_STEP_FAIL);
    assert_int_equal(t->seen.reach, reach);
    if (strstr(t->seen.why, why) == NULL) {
        fail_msg("'%s' says nothing of '%s'", t->seen.why, why);
    }
    assert_int_equal(t->seen.failures, 3);
    assert_int_equal(t->out_len, 0);
    assert_false(mysql_probe.unfinished(t->state));
    talk_free(t);
}

/* The proof in a packet of ours: by the plugin's name, for the nonce of the fake server. */
static void assert_proof(const struct talk *t, size_t at, const char *plugin)
{
    unsigned char proof[MYSQL_SHA2_LEN];
    size_t len = strcmp(plugin, SHA2) == 0 ? MYSQL_SHA2_LEN : MYSQL_NATIVE_LEN;
    const char *given = at == 4 ? NEW_NONCE : NONCE; /* after a switch: in a packet of its own */
    const unsigned char *nonce = (const unsigned char *)given;
    assert_true(len == MYSQL_SHA2_LEN ? mysql_crypt_sha2(proof, "s3cret", nonce)
                                      : mysql_crypt_native(proof, "s3cret", nonce));
    assert_true(t->out_len >= at + len);
    assert_memory_equal(t->out + at, proof, len);
}

#define LOGIN_PROOF (4 + 32 + sizeof "router" + 1) /* where it stands in our login */

static void the_login_proves_the_password_by_the_servers_plugin(void **state)
{
    (void)state;
    static const char *const plugins[] = {NATIVE, SHA2};
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
        struct talk t = talk_new(&router);
        assert_int_equal(t.out_len, 0); /* the server speaks first */
        fake_greet(&t, "9.7.0", SERVER_CAPS, plugins[i]);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.out[3], 1);
        assert_string_equal(t.out + 36, "router");
        assert_proof(&t, LOGIN_PROOF, plugins[i]);
        assert_string_equal(t.out + t.out_len - strlen(plugins[i]) - 1, plugins[i]);
        assert_true(mysql_probe.unfinished(t.state));
        fake_ok(&t);
        assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
        assert_int_equal(t.out[3], 0);
        assert_false(mysql_probe.unfinished(t.state));
        talk_free(&t);
    }
}

static void the_server_may_switch_to_either_plugin(void **state)
{
    (void)state;
    static const char *const from[] = {NATIVE, SHA2, "client_ed25519", ""};
    static const char *const to[] = {NATIVE, SHA2};
    for (size_t i = 0; i < ARRAY_LEN(from) * ARRAY_LEN(to); i++) {
        struct talk t = talk_new(&router);
        fake_greet(&t, "9.7.0", SERVER_CAPS, from[i / 2]);
        assert_proof(&t, LOGIN_PROOF, i / 2 == 1 ? SHA2 : NATIVE);
        fake_switch(&t, to[i % 2]);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.out[3], 3);
        assert_proof(&t, 4, to[i % 2]);
        fake_ok(&t);
        assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
        talk_free(&t);
    }
}

static void no_password_is_said_as_the_plugins_say_it(void **state)
{
    (void)state;
    struct talk t = talk_new(&without_password);
    fake_greet(&t, "9.7.0", SERVER_CAPS, NATIVE);
    assert_int_equal(t.out[LOGIN_PROOF - 1], 0);
    fake_switch(&t, SHA2);
    assert_int_equal(t.out_len, 5);
    assert_int_equal(t.out[4], 0);
    fake_switch(&t, NATIVE);
    assert_int_equal(t.out_len, 4);
    fake_error(&t, 1045, "#28000Access denied");
    assert_ends(&t, REACH_DENIED, "asks for a password");
}

/* Full authentication ------------------------------------------------------------------------ */

static struct talk asked_for_the_password(const struct probe_setup *account)
{
    struct talk t = talk_new(account);
    fake_greet(&t, "9.7.0", SERVER_CAPS, SHA2);
    if (t.step == PROBE_STEP_TLS) {
        t.step = mysql_probe.feed(t.state, NULL, 0, &t.seen, &t.out, &t.out_len);
    }
    fake_say(&t, "\001\004", 2);
    return t;
}

static char *public_key(EVP_PKEY *key, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    char *text;
    long got = BIO_get_mem_data(bio, &text);
    char *payload = malloc((size_t)got + 1);
    payload[0] = 1;
    memcpy(payload + 1, text, (size_t)got);
    *len = (size_t)got + 1;
    BIO_free(bio);
    return payload;
}

static void without_tls_the_password_is_encrypted_with_the_servers_key(void **state)
{
    (void)state;
    struct talk t = asked_for_the_password(&router);
    assert_int_equal(t.out_len, 5);
    assert_int_equal(t.out[4], 2); /* send me your key */
    EVP_PKEY *key = EVP_RSA_gen(2048);
    size_t len;
    char *payload = public_key(key, &len);
    fake_say(&t, payload, len);
    assert_int_equal(t.out_len, 4 + 256);

    unsigned char plain[256];
    size_t plain_len = sizeof plain;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_true(EVP_PKEY_decrypt_init(ctx) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0);
    const unsigned char *secret = (const unsigned char *)t.out + 4;
    assert_true(EVP_PKEY_decrypt(ctx, plain, &plain_len, secret, 256) > 0);
    assert_int_equal(plain_len, sizeof "s3cret");
    for (size_t i = 0; i < plain_len; i++) {
        assert_int_equal(plain[i], "s3cret"[i] ^ NONCE[i]);
    }
    fake_ok(&t);
    assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    free(payload);
    talk_free(&t);
}

static void a_real_servers_key_is_taken(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    for (size_t i = 0; i < ARRAY_LEN(mysql_full); i++) {
        assert_int_equal(t.step, PROBE_STEP_READ);
        if (mysql_full[i].sent_len > 0) {
            assert_int_equal(t.out_len, mysql_full[i].sent_len);
            assert_memory_equal(t.out, mysql_full[i].sent, t.out_len);
        }
        talk_feed(&t, mysql_full[i].answer, mysql_full[i].answer_len, 7);
    }
    assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
    talk_free(&t);
}

static void a_switch_after_the_key_was_asked_for_begins_anew(void **state)
{
    (void)state;
    struct talk t = asked_for_the_password(&router);
    fake_switch(&t, SHA2);
    assert_proof(&t, 4, SHA2);
    fake_say(&t, "\001\003", 2);
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_int_equal(t.out_len, 0); /* "fast" is no key */
    talk_free(&t);
}

static void packets_out_of_order_are_refused(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "9.7.0", SERVER_CAPS, NATIVE);
    talk_feed(&t, "\007\0\0\003\0\0\0\002\0\0\0", 11, SIZE_MAX / 2);
    assert_ends(&t, REACH_DENIED, "does not go on with the login");
}

/* The login ends as one that failed, not as one that broke. */
static void a_key_that_is_none_ends_the_login_properly(void **state)
{
    (void)state;
    struct talk t = asked_for_the_password(&router);
    fake_say(&t, "\001no key", 7);
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_int_equal(t.out_len, 4);
    assert_true(mysql_probe.unfinished(t.state));
    fake_error(&t, 1045, "#28000Access denied");
    assert_ends(&t, REACH_DENIED, "probe_tls = yes");
}

static void the_password_itself_is_said_where_nobody_listens(void **state)
{
    (void)state;
    static const struct probe_setup *const safe[] = {&on_socket, &with_tls};
    for (size_t i = 0; i < ARRAY_LEN(safe); i++) {
        struct talk t = asked_for_the_password(safe[i]);
        assert_int_equal(t.out_len, 4 + sizeof "s3cret");
        assert_string_equal(t.out + 4, "s3cret");
        fake_ok(&t);
        assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
        talk_free(&t);
    }
}

/* TLS ---------------------------------------------------------------------------------------- */

static void tls_begins_before_anything_of_the_account_is_said(void **state)
{
    (void)state;
    assert_true(mysql_probe.tls_inside);
    struct talk t = talk_new(&with_tls);
    fake_greet(&t, "9.7.0", SERVER_CAPS, SHA2);
    assert_int_equal(t.step, PROBE_STEP_TLS);
    assert_int_equal(t.out_len, 36);
    assert_int_equal(t.out[3], 1);
    assert_true((t.out[5] & 8) != 0); /* CLIENT_SSL */
    assert_true(mysql_probe.unfinished(t.state));
    t.step = mysql_probe.feed(t.state, NULL, 0, &t.seen, &t.out, &t.out_len);
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_int_equal(t.out[3], 2);
    assert_string_equal(t.out + 36, "router");
    assert_proof(&t, LOGIN_PROOF, SHA2);
    fake_ok(&t);
    assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
    talk_free(&t);
}

/* What somebody put in before the connection was TLS is never read as if it came later. */
static void bytes_ahead_of_tls_are_refused(void **state)
{
    (void)state;
    struct talk t = talk_new(&with_tls);
    fake_greet(&t, "9.7.0", SERVER_CAPS, SHA2);
    t.step =
        mysql_probe.feed(t.state, "\007\0\0\003\0\0\0\002\0\0\0", 11, &t.seen, &t.out, &t.out_len);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.out_len, 0);
    talk_free(&t);
}

static void a_server_without_tls_hears_nothing_of_the_account(void **state)
{
    (void)state;
    struct talk t = talk_new(&with_tls);
    fake_greet(&t, "10.11", SERVER_CAPS & ~NO_TLS, NATIVE);
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_null(memmem(t.out, t.out_len, "router", 6));
    assert_int_equal(t.out[36], 0); /* no user */
    assert_int_equal(t.out[37], 0); /* no proof */
    fake_switch(&t, SHA2);
    assert_int_equal(t.out_len, 4);
    fake_say(&t, "\001\004", 2);
    assert_int_equal(t.out_len, 4);
    fake_error(&t, 1045, "#28000Access denied");
    assert_ends(&t, REACH_DENIED, "does not offer TLS");

    t = talk_new(&with_tls);
    fake_greet(&t, "10.11", SERVER_CAPS & ~NO_TLS, NATIVE);
    fake_ok(&t); /* it lets everybody in */
    assert_ends(&t, REACH_DENIED, "does not offer TLS");
}

/* Plugins that we cannot do ------------------------------------------------------------------ */

static void a_foreign_plugin_is_named_after_the_servers_refusal(void **state)
{
    (void)state;
    static const char *const foreign[] = {"client_ed25519", "sha256_password", "dialog", "parsec"};
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        struct talk t = talk_new(&router);
        fake_greet(&t, "10.11", SERVER_CAPS, NATIVE);
        fake_switch(&t, foreign[i]);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.out_len, 4 + 64); /* of a length that ed25519 does not hold against us */
        assert_null(memmem(t.out, t.out_len, "s3cret", 6));
        assert_true(mysql_probe.unfinished(t.state));
        fake_say(&t, "\001more?", 6);
        assert_int_equal(t.step, PROBE_STEP_READ);
        fake_error(&t, 1045, "#28000Access denied");
        char why[64];
        snprintf(why, sizeof why, "its account uses %s, which the probe cannot do", foreign[i]);
        assert_ends(&t, REACH_DENIED, why);
    }
}

static void an_account_with_a_second_plugin_is_logged_in_by_it(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "10.11-MariaDB", SERVER_CAPS, NATIVE);
    fake_switch(&t, "client_ed25519");
    fake_switch(&t, NATIVE);
    assert_proof(&t, 4, NATIVE);
    fake_ok(&t);
    assert_true(asks(&t, "SHOW GLOBAL VARIABLES"));
    talk_free(&t);
}

static void a_foreign_plugins_name_is_quoted_with_care(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "10.11", SERVER_CAPS, NATIVE);
    fake_switch(&t, "\033[31ms3");
    fake_error(&t, 1045, "");
    assert_ends(&t, REACH_DENIED, "its account uses ?[31ms3,");
    t = talk_new(&router);
    fake_greet(&t, "10.11", SERVER_CAPS, NATIVE);
    fake_switch(&t, "xs3cretx");
    fake_error(&t, 1045, "");
    assert_ends(&t, REACH_DENIED, "its account uses a plugin,");
}

static void a_login_without_end_is_left(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "10.11", SERVER_CAPS, NATIVE);
    for (int i = 0; i < 20 && t.step == PROBE_STEP_READ; i++) {
        fake_switch(&t, "dialog");
    }
    assert_ends(&t, REACH_DENIED, "never comes to the end");
}

static void a_login_that_goes_wrong_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } wrong[] = {
        {"\376caching_sha2_password", 22},        /* no NUL */
        {"\376caching_sha2_password\0short", 28}, /* a nonce of 5 bytes */
        {"\001", 1},                              /* nothing more */
        {"\001\003", 2},                          /* not to mysql_native_password */
        {"\012", 1},                              /* another greeting */
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct talk t = talk_new(&router);
        fake_greet(&t, "10.11", SERVER_CAPS, NATIVE);
        fake_say(&t, wrong[i].bytes, wrong[i].len);
        assert_ends(&t, REACH_DENIED, "does not go on with the login as MySQL does");
    }
    struct talk t = talk_new(&router);
    fake_greet(&t, "4.0", 0x2000, "");
    assert_ends(&t, REACH_DENIED, "older than MySQL 4.1");
}

/* Refusals ----------------------------------------------------------------------------------- */

static void refusals_instead_of_the_greeting_are_understood(void **state)
{
    (void)state;
    static const struct {
        unsigned code;
        const char *text;
        const char *why;
    } cases[] = {
        {1040, "Too many connections", "max_connections"},
        {1040, "#08004Too many connections", "max_connections"},
        {1129, "Host '10.0.0.1' is blocked because of many connection errors", "FLUSH HOSTS"},
        {1130, "Host '10.0.0.1' is not allowed to connect", "no account"},
        {1105, "Something \033 new", "error 1105: Something ? new"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct talk t = talk_new(&router);
        fake_error(&t, cases[i].code, cases[i].text);
        assert_ends(&t, REACH_DENIED, cases[i].why);
    }
}

static void refusals_of_the_login_are_understood(void **state)
{
    (void)state;
    static const struct {
        unsigned code;
        enum reach reach;
        const char *why;
    } cases[] = {
        {1045, REACH_DENIED, "does not accept the probe's user and password"},
        {1044, REACH_DENIED, "probe_database"},
        {1049, REACH_DENIED, "probe_database"},
        {1203, REACH_DENIED, "max_user_connections"},
        {1226, REACH_DENIED, "resource limits"},
        {1820, REACH_DENIED, "expired"},
        {1862, REACH_DENIED, "expired"},
        {3118, REACH_DENIED, "locked"},
        {4151, REACH_DENIED, "locked"},
        {3159, REACH_DENIED, "probe_tls = yes"},
        {3032, REACH_REFUSED, "offline_mode"},
        {6400, REACH_REFUSED, "offline_mode"},
        {1053, REACH_REFUSED, "shutting down"},
        {9999, REACH_DENIED, "error 9999: new words"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct talk t = talk_new(&router);
        fake_greet(&t, "9.7.0", SERVER_CAPS, NATIVE);
        fake_error(&t, cases[i].code, "#HY000new words");
        assert_ends(&t, cases[i].reach, cases[i].why);
    }
}

static void the_password_is_never_told(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "9.7.0", SERVER_CAPS, NATIVE);
    fake_error(&t, 9999, "#HY000you said s3cret");
    assert_null(strstr(t.seen.why, "s3"));
    assert_ends(&t, REACH_DENIED, "error 9999");
    char text[400];
    memset(text, 'x', sizeof text); /* nor a piece of it, where the quote is cut */
    memcpy(text + 76, "s3cret", 7);
    t = talk_new(&router);
    fake_greet(&t, "9.7.0", SERVER_CAPS, NATIVE);
    fake_error(&t, 9999, text);
    assert_null(strstr(t.seen.why, "s3c"));
    assert_ends(&t, REACH_DENIED, "error 9999");
}

static void the_database_is_entered_at_the_login(void **state)
{
    (void)state;
    const struct probe_setup account = {.user = "router", .password = "x", .database = "app"};
    struct talk t = talk_new(&account);
    fake_greet(&t, "9.7.0", SERVER_CAPS | MYSQL_CAP_PLUGIN_AUTH, NATIVE);
    assert_true((t.out[4] & 8) != 0); /* CLIENT_CONNECT_WITH_DB */
    assert_non_null(memmem(t.out, t.out_len, "app\0mysql_native_password", 25));
    talk_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login_proves_the_password_by_the_servers_plugin),
        cmocka_unit_test(the_server_may_switch_to_either_plugin),
        cmocka_unit_test(no_password_is_said_as_the_plugins_say_it),
        cmocka_unit_test(without_tls_the_password_is_encrypted_with_the_servers_key),
        cmocka_unit_test(a_real_servers_key_is_taken),
        cmocka_unit_test(a_switch_after_the_key_was_asked_for_begins_anew),
        cmocka_unit_test(packets_out_of_order_are_refused),
        cmocka_unit_test(a_key_that_is_none_ends_the_login_properly),
        cmocka_unit_test(the_password_itself_is_said_where_nobody_listens),
        cmocka_unit_test(tls_begins_before_anything_of_the_account_is_said),
        cmocka_unit_test(bytes_ahead_of_tls_are_refused),
        cmocka_unit_test(a_server_without_tls_hears_nothing_of_the_account),
        cmocka_unit_test(a_foreign_plugin_is_named_after_the_servers_refusal),
        cmocka_unit_test(an_account_with_a_second_plugin_is_logged_in_by_it),
        cmocka_unit_test(a_foreign_plugins_name_is_quoted_with_care),
        cmocka_unit_test(a_login_without_end_is_left),
        cmocka_unit_test(a_login_that_goes_wrong_is_left),
        cmocka_unit_test(refusals_instead_of_the_greeting_are_understood),
        cmocka_unit_test(refusals_of_the_login_are_understood),
        cmocka_unit_test(the_password_is_never_told),
        cmocka_unit_test(the_database_is_entered_at_the_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
