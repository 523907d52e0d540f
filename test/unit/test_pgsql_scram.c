/* SCRAM-SHA-256 with the vectors of RFC 7677, section 3, and servers that do it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/pgsql_scram.h"

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define NONCE        CLIENT_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT         "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SERVER_FIRST "r=" NONCE ",s=" SALT ",i=4096"
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram begun(void)
{
    struct scram s = {0};
    assert_null(scram_begin(&s, "user", CLIENT_NONCE));
    return s;
}

static struct scram proved(void)
{
    struct scram s = begun();
    assert_null(scram_prove(&s, "pencil", SERVER_FIRST, strlen(SERVER_FIRST)));
    return s;
}

static void the_vectors_of_rfc_7677_come_out(void **state)
{
    (void)state;
    struct scram s = proved();
    assert_string_equal(s.first, "n,,n=user,r=" CLIENT_NONCE);
    assert_string_equal(s.last,
                        "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_null(scram_verify(&s, SERVER_FINAL, strlen(SERVER_FINAL)));
}

static void every_exchange_has_a_nonce_of_its_own(void **state)
{
    (void)state;
    struct scram one = {0};
    struct scram two = {0};
    assert_null(scram_begin(&one, "", NULL));
    assert_null(scram_begin(&two, "", NULL));
    assert_string_not_equal(one.first, two.first);
    assert_int_equal(strlen(one.first), strlen("n,,n=,r=") + 24);
}

static void assert_first_refused(const char *text, size_t len, const char *why)
{
    struct scram s = begun();
    char *copy = malloc(len); /* a sanitizer sees who reads behind it */
    memcpy(copy, text, len);
    const char *wrong = scram_prove(&s, "pencil", copy, len);
    free(copy);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, why));
    assert_string_equal(s.last, "");
}

static void a_wrong_first_message_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"r=" CLIENT_NONCE ",s=" SALT ",i=4096", "nonce"}, /* nothing added to ours */
        {"r=xOprNGfwEbeRWgbNEkqO123,s=" SALT ",i=4096", "nonce"},
        {"r=,s=" SALT ",i=4096", "nonce"},
        {"m=new," SERVER_FIRST, "RFC 5802"}, /* an extension that we must know */
        {"e=other-error", "RFC 5802"},
        {"s=" SALT ",r=" NONCE ",i=4096", "RFC 5802"},
        {"r=" NONCE ",i=4096", "RFC 5802"},
        {"r=" NONCE ",s=" SALT, "RFC 5802"},
        {"r=" NONCE ",s=,i=4096", "RFC 5802"},
        {"r=" NONCE ",s=W22,i=4096", "RFC 5802"},
        {"r=" NONCE ",s=W22===,i=4096", "RFC 5802"},
        {"r=" NONCE ",s=W2 Z,i=4096", "RFC 5802"},
        {"r=" NONCE ",s=====,i=4096", "RFC 5802"},
        {"r=" NONCE ",s=" SALT ",i=", "RFC 5802"},
        {"r=" NONCE ",s=" SALT ",i=0", "RFC 5802"},
        {"r=" NONCE ",s=" SALT ",i=-1", "RFC 5802"},
        {"r=" NONCE ",s=" SALT ",i=4e3", "RFC 5802"},
        {"r=" NONCE ",s=" SALT ",i=100001", "100000 rounds"},
        {"r=" NONCE ",s=" SALT ",i=4294967297", "100000 rounds"},
        {"r=" NONCE ",s=" SALT ",i=99999999999999999999999999", "100000 rounds"},
        {"r", "RFC 5802"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_first_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
    }
    assert_first_refused(SERVER_FIRST "\0", strlen(SERVER_FIRST) + 1, "RFC 5802");
    char huge[SCRAM_TEXT_MAX + 64];
    memset(huge, 'x', sizeof(huge));
    memcpy(huge, "r=" CLIENT_NONCE, strlen("r=" CLIENT_NONCE));
    memcpy(huge + sizeof(huge) - 16, ",s=W22Z,i=000004", 16);
    assert_first_refused(huge, sizeof(huge), "RFC 5802");
}

/* Its salt too: 128 bytes are plenty. */
static void a_salt_beyond_bounds_is_refused(void **state)
{
    (void)state;
    char text[SCRAM_TEXT_MAX];
    char salt[201];
    memset(salt, 'A', 200);
    salt[200] = '\0';
    int len = snprintf(text, sizeof(text), "r=%s,s=%s,i=1", NONCE, salt);
    assert_first_refused(text, (size_t)len, "RFC 5802");
}

static void what_is_cut_never_passes(void **state)
{
    (void)state;
    /* Up to the number of rounds, which may be cut and still be one. */
    for (size_t len = 1; len <= strlen(SERVER_FIRST) - strlen("4096"); len++) {
        assert_first_refused(SERVER_FIRST, len, "");
    }
    struct scram s = proved();
    for (size_t len = 0; len < strlen(SERVER_FINAL); len++) {
        assert_non_null(scram_verify(&s, SERVER_FINAL, len));
    }
}

static void a_server_that_does_not_know_the_password_is_found_out(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G0=", /* one bit */
        "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    struct scram s = proved();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const char *why = scram_verify(&s, wrong[i], strlen(wrong[i]));
        assert_non_null(why);
        assert_non_null(strstr(why, "not who it should be"));
    }
    assert_non_null(strstr(scram_verify(&s, "e=invalid-proof", 15), "does not accept"));
    assert_non_null(strstr(scram_verify(&s, "v=", 2), "RFC 5802"));
    assert_non_null(strstr(scram_verify(&s, "x=1", 3), "RFC 5802"));
    assert_non_null(strstr(scram_verify(&s, "v=6rri", 6), "RFC 5802"));
}

static void extensions_behind_are_ignored(void **state)
{
    (void)state;
    static const char first[] = "r=" NONCE ",s=" SALT ",i=4096,x=new";
    struct scram s = begun();
    assert_null(scram_prove(&s, "pencil", first, strlen(first)));
    assert_string_not_equal(s.last, proved().last); /* they are part of what is signed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_7677_come_out),
        cmocka_unit_test(every_exchange_has_a_nonce_of_its_own),
        cmocka_unit_test(a_wrong_first_message_is_refused),
        cmocka_unit_test(a_salt_beyond_bounds_is_refused),
        cmocka_unit_test(what_is_cut_never_passes),
        cmocka_unit_test(a_server_that_does_not_know_the_password_is_found_out),
        cmocka_unit_test(extensions_behind_are_ignored),
    };
    return cmocka_run_group_tests_name("pgsql_scram", tests, NULL, NULL);
}
