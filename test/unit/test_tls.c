/* Promise: a session is ready only when its handshake is whole and the certificate is the one that
 * was asked for; whatever else a server sends ends in words, at any split and never in a crash. */
#include "tls_server.h"

#include <stdlib.h>
#include <uv.h>

#include "base/macros.h"
#include "net/tls.h"

#define HOST       "10.0.0.1"
#define NAME       "db.example.com"
#define FLIGHT_MAX 16384

static struct identity authority;
static struct identity good; /* signed by it, for HOST, ::1 and NAME */
static char ca_path[] = "/tmp/router-test-XXXXXX";

static const struct wanted for_all = {"IP:" HOST ",IP:::1,DNS:" NAME, -DAY, DAY};

static int begin(void **state)
{
    (void)state;
    authority = identity_new("authority", NULL, NULL);
    good = identity_new("server", &for_all, &authority);
    identity_save(&authority, ca_path);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(ca_path);
    identity_free(&good);
    identity_free(&authority);
    return 0;
}

/* One session and its server --------------------------------------------------------------------
 */

struct pair {
    struct tls_context *context;
    struct tls *client;
    struct tls_server server;
};

static struct tls_context *context_of(bool verify, const char *name)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_context *c;
    struct tls_setup setup = {.verify = verify, .ca = ca_path, .name = name};
    int rc = tls_context_new(&c, &setup, why);
    assert_string_equal(why, "");
    assert_int_equal(rc, 0);
    return c;
}

static struct pair pair_new(const struct identity *id, const char *host, const char *name,
                            bool verify, int version)
{
    struct pair p = {.context = context_of(verify, name), .server = tls_server_new(id, version)};
    p.client = tls_new(p.context, host);
    assert_non_null(p.client);
    assert_false(tls_is_ready(p.client));
    return p;
}

static struct pair usual_pair(int version)
{
    return pair_new(&good, HOST, NULL, true, version);
}

static void pair_free(struct pair *p)
{
    tls_free(p->client);
    tls_context_free(p->context);
    tls_server_free(&p->server);
}

/* What the client sends reaches the server. */
static size_t to_server(struct pair *p, char *out, size_t size)
{
    size_t len;
    const char *data = tls_output(p->client, &len);
    assert_int_equal(data == NULL, len == 0);
    return tls_server_feed(&p->server, data, len, out, size);
}

/* Until neither has anything to send, in pieces of `step`: what tls_feed() said. */
static int shake_hands(struct pair *p, size_t step)
{
    char flight[FLIGHT_MAX];
    char none;
    int rc = 0;
    for (;;) {
        to_server(p, &none, 0);
        size_t len = tls_server_output(&p->server, flight, sizeof(flight));
        for (size_t at = 0; at < len && rc == 0; at += step) {
            rc = tls_feed(p->client, flight + at, step < len - at ? step : len - at);
        }
        if (len == 0 || rc != 0) {
            return rc;
        }
    }
}

static void assert_ready(struct pair p)
{
    int rc = shake_hands(&p, FLIGHT_MAX);
    assert_string_equal(tls_why(p.client), "");
    assert_int_equal(rc, 0);
    assert_true(tls_is_ready(p.client));
    assert_true(tls_is_trusted(p.client));
    pair_free(&p);
}

static void assert_refused(struct pair p, const char *why)
{
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), UV_EPROTO);
    assert_string_equal(tls_why(p.client), why);
    assert_false(tls_is_ready(p.client));
    char byte;
    assert_int_equal(tls_read(p.client, &byte, 1), 0);
    assert_int_equal(tls_write(p.client, "x", 1), UV_EPROTO);
    pair_free(&p);
}

/* Certificates ------------------------------------------------------------------------------ */

static void a_certificate_for_the_address_or_the_name_is_accepted(void **state)
{
    (void)state;
    assert_ready(pair_new(&good, HOST, NULL, true, TLS1_3_VERSION));
    assert_ready(pair_new(&good, "::1", NULL, true, TLS1_3_VERSION));
    assert_ready(pair_new(&good, HOST, NAME, true, TLS1_3_VERSION));
    assert_ready(pair_new(&good, HOST, NULL, true, TLS1_2_VERSION));
    assert_ready(pair_new(&good, "10.9.9.9", NAME, true, TLS1_2_VERSION));
}

static void a_certificate_for_somebody_else_is_not(void **state)
{
    static const char *const address = "its certificate is not accepted: IP address mismatch";
    static const char *const name = "its certificate is not accepted: hostname mismatch";
    (void)state;
    assert_refused(pair_new(&good, "10.0.0.2", NULL, true, TLS1_3_VERSION), address);
    assert_refused(pair_new(&good, "::2", NULL, true, TLS1_2_VERSION), address);
    assert_refused(pair_new(&good, HOST, "other.example.com", true, TLS1_3_VERSION), name);
    assert_refused(pair_new(&good, HOST, "example.com", true, TLS1_2_VERSION), name);
}

static void nobody_but_the_authority_may_sign_and_only_for_a_time(void **state)
{
    static const struct {
        struct wanted wanted;
        int issuer; /* 0 the authority, 1 itself, 2 another one of the same name */
        const char *why;
    } cases[] = {
        {{"IP:" HOST, -DAY, DAY}, 1, "its certificate is not accepted: self-signed certificate"},
        {{"IP:" HOST, -DAY, DAY},
         2,
         "its certificate is not accepted: certificate signature failure"},
        {{"IP:" HOST, -2 * DAY, -DAY},
         0,
         "its certificate is not accepted: certificate has expired"},
        {{"IP:" HOST, DAY, 2 * DAY},
         0,
         "its certificate is not accepted: certificate is not yet valid"},
    };
    struct identity other = identity_new("authority", NULL, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct identity *issuers[] = {&authority, NULL, &other};
        struct identity id = identity_new("x", &cases[i].wanted, issuers[cases[i].issuer]);
        assert_refused(pair_new(&id, HOST, NULL, true, TLS1_3_VERSION), cases[i].why);
        assert_refused(pair_new(&id, HOST, NULL, true, TLS1_2_VERSION), cases[i].why);
        assert_ready(pair_new(&id, HOST, NULL, false, TLS1_3_VERSION));
        assert_ready(pair_new(&id, "10.9.9.9", "any.example.com", false, TLS1_2_VERSION));
        identity_free(&id);
    }
    identity_free(&other);
}

/* For protocols whose servers count broken handshakes. */
static void assert_tolerated(struct pair p, const char *why)
{
    tls_tolerate(p.client);
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), 0);
    assert_true(tls_is_ready(p.client));
    assert_int_equal(tls_is_trusted(p.client), why[0] == '\0');
    assert_string_equal(tls_why(p.client), why);
    pair_free(&p);
}

static void a_handshake_may_be_ended_with_who_is_not_trusted(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct identity old =
        identity_new("x", &(struct wanted){"IP:" HOST, -2 * DAY, -DAY}, &authority);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        int v = versions[i];
        assert_tolerated(pair_new(&good, HOST, NULL, true, v), "");
        assert_tolerated(pair_new(&good, "10.0.0.2", NULL, false, v), "");
        assert_tolerated(pair_new(&old, HOST, NULL, false, v), "");
        assert_tolerated(pair_new(&old, HOST, NULL, true, v),
                         "its certificate is not accepted: certificate has expired");
        assert_tolerated(pair_new(&good, "10.0.0.2", NULL, true, v),
                         "its certificate is not accepted: IP address mismatch");
    }
    identity_free(&old);
}

static void the_name_is_sent_and_an_address_is_not(void **state)
{
    struct pair p = pair_new(&good, HOST, NAME, true, TLS1_3_VERSION);
    (void)state;
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), 0);
    assert_string_equal(SSL_get_servername(p.server.ssl, TLSEXT_NAMETYPE_host_name), NAME);
    pair_free(&p);
    p = usual_pair(TLS1_3_VERSION);
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), 0);
    assert_null(SSL_get_servername(p.server.ssl, TLSEXT_NAMETYPE_host_name));
    pair_free(&p);
}

static void versions_before_1_2_are_refused(void **state)
{
    struct pair p = pair_new(&good, HOST, NULL, false, TLS1_1_VERSION);
    (void)state;
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), UV_EPROTO);
    assert_non_null(strstr(tls_why(p.client), "the TLS handshake failed: "));
    assert_false(tls_is_ready(p.client));
    pair_free(&p);
}

/* Contexts ---------------------------------------------------------------------------------- */

static void assert_no_context(const char *ca, const char *begins)
{
    struct tls_context *c;
    char why[TLS_WHY_MAX];
    struct tls_setup setup = {.verify = true, .ca = ca};
    assert_int_equal(tls_context_new(&c, &setup, why), UV_EINVAL);
    assert_null(c);
    assert_memory_equal(why, begins, strlen(begins));
    setup.verify = false; /* then it is not asked for */
    assert_int_equal(tls_context_new(&c, &setup, why), 0);
    tls_context_free(c);
}

static void certificates_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    assert_no_context("/not/there", "cannot read certificates from /not/there");
    assert_no_context("/dev/null", "cannot read certificates from /dev/null");
    tls_context_free(NULL);
    tls_free(NULL);
}

static void what_is_no_address_cannot_be_verified_without_a_name(void **state)
{
    struct tls_context *c = context_of(true, NULL);
    (void)state;
    assert_null(tls_new(c, "localhost"));
    tls_context_free(c);
}

static void a_session_outlives_its_context(void **state)
{
    struct pair p = usual_pair(TLS1_3_VERSION);
    (void)state;
    tls_context_free(p.context);
    p.context = NULL;
    assert_ready(p);
}

/* Splits and garbage ------------------------------------------------------------------------ */

static void a_handshake_may_come_byte_by_byte(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct pair p = usual_pair(versions[i]);
        assert_int_equal(shake_hands(&p, 1), 0);
        assert_true(tls_is_ready(p.client));
        pair_free(&p);
    }
}

/* The server's first flight with the byte at `at` turned over (SIZE_MAX: none), cut before `cut`.
 * Returns the flight's length; *rc is what the client said. */
static size_t feed_flight(struct pair *p, size_t at, size_t cut, int *rc)
{
    char flight[FLIGHT_MAX];
    char none;
    to_server(p, &none, 0);
    size_t len = tls_server_output(&p->server, flight, sizeof(flight));
    if (at < len) {
        flight[at] = (char)~flight[at];
    }
    *rc = tls_feed(p->client, flight, cut < len ? cut : len);
    return len;
}

static void check_truncated(int version)
{
    int rc;
    struct pair p = usual_pair(version);
    size_t len = feed_flight(&p, SIZE_MAX, SIZE_MAX, &rc);
    assert_true(len > 500);
    pair_free(&p);
    for (size_t cut = 0; cut + 80 < len; cut += 1 + cut / 40) {
        char byte;
        p = usual_pair(version);
        feed_flight(&p, SIZE_MAX, cut, &rc);
        assert_int_equal(rc, 0); /* the rest may come */
        assert_false(tls_is_ready(p.client));
        assert_int_equal(tls_read(p.client, &byte, 1), 0);
        assert_int_equal(tls_write(p.client, "x", 1), UV_EPROTO);
        pair_free(&p);
    }
}

static void a_handshake_that_stops_is_not_over(void **state)
{
    (void)state;
    check_truncated(TLS1_2_VERSION);
    check_truncated(TLS1_3_VERSION);
}

/* It is what verifies the server that may not be forged: so the session must not be ready, but for
 * bytes that say nothing (the version of a record in the clear, RFC 8446, section 5.1). */
static void a_byte_turned_over_anywhere_ends_the_handshake(void **state)
{
    size_t len = SIZE_MAX;
    size_t harmless = 0;
    (void)state;
    for (size_t at = 0; at < len; at++) {
        int rc;
        struct pair p = usual_pair(TLS1_3_VERSION);
        len = feed_flight(&p, at, SIZE_MAX, &rc);
        assert_true(rc == 0 || rc == UV_EPROTO);
        assert_true(rc == 0 || tls_why(p.client)[0] != '\0');
        assert_false(rc != 0 && tls_is_ready(p.client));
        harmless += tls_is_ready(p.client);
        pair_free(&p);
    }
    assert_in_range(harmless, 0, 4);
}

static void what_is_no_tls_is_told(void **state)
{
    static const char *const words[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR unknown command\r\n",
        "J\0\0\0\n9.7.0\0\x08\0\0\0",       "\x80\x2e\x01\0\x02garbage of some length",
        "\x15\x03\x03\0\x02\x02\x28", /* a fatal alert: handshake failure */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct pair p = usual_pair(TLS1_3_VERSION);
        int rc = 0;
        for (size_t at = 0; at < 20 && rc == 0; at++) {
            rc = tls_feed(p.client, words[i] + (at < 7 ? at : 6), 1);
        }
        assert_int_equal(rc, UV_EPROTO);
        assert_non_null(strstr(tls_why(p.client), "the TLS handshake failed: "));
        assert_false(tls_is_ready(p.client));
        pair_free(&p);
    }
}

/* Plain text -------------------------------------------------------------------------------- */

static struct pair ready_pair(int version)
{
    struct pair p = usual_pair(version);
    assert_int_equal(shake_hands(&p, FLIGHT_MAX), 0);
    assert_true(tls_is_ready(p.client));
    return p;
}

static int from_server(struct pair *p)
{
    char bytes[FLIGHT_MAX];
    size_t len = tls_server_output(&p->server, bytes, sizeof(bytes));
    assert_true(len > 0);
    return tls_feed(p->client, bytes, len);
}

static void text_goes_both_ways(void **state)
{
    static char sent[100000];
    static char got[100000];
    struct pair p = ready_pair(TLS1_3_VERSION);
    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = (char)(i * 7);
    }
    assert_int_equal(tls_write(p.client, sent, sizeof(sent)), 0);
    assert_int_equal(tls_write(p.client, "", 0), 0);
    assert_int_equal(to_server(&p, got, sizeof(got)), sizeof(sent));
    assert_memory_equal(sent, got, sizeof(sent));
    size_t len;
    assert_null(tls_output(p.client, &len)); /* it was sent */
    assert_int_equal(len, 0);

    memset(got, 0, sizeof(got));
    assert_int_equal(SSL_write(p.server.ssl, sent, sizeof(sent)), sizeof(sent));
    size_t total = 0;
    while (total < sizeof(sent)) {
        assert_int_equal(from_server(&p), 0);
        for (size_t n; (n = tls_read(p.client, got + total, 1000)) > 0;) {
            total += n;
        }
    }
    assert_memory_equal(sent, got, sizeof(sent));
    pair_free(&p);
}

static void an_end_is_told_after_all_that_was_said(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        char got[16];
        struct pair p = ready_pair(versions[i]);
        assert_int_equal(SSL_write(p.server.ssl, "bye", 3), 3);
        SSL_shutdown(p.server.ssl);
        assert_int_equal(from_server(&p), 0); /* the text is not lost */
        assert_int_equal(tls_read(p.client, got, sizeof(got)), 3);
        assert_memory_equal(got, "bye", 3);
        assert_int_equal(tls_feed(p.client, "", 0), UV_EOF);
        assert_int_equal(tls_read(p.client, got, sizeof(got)), 0);
        pair_free(&p);
        p = ready_pair(versions[i]);
        SSL_shutdown(p.server.ssl);
        assert_int_equal(from_server(&p), UV_EOF);
        pair_free(&p);
    }
}

static void a_forged_record_ends_the_session(void **state)
{
    char bytes[1000];
    struct pair p = ready_pair(TLS1_3_VERSION);
    (void)state;
    SSL_write(p.server.ssl, "+PONG\r\n", 7);
    size_t len = tls_server_output(&p.server, bytes, sizeof(bytes));
    bytes[len - 1] = (char)~bytes[len - 1];
    assert_int_equal(tls_feed(p.client, bytes, len), UV_EPROTO);
    assert_non_null(strstr(tls_why(p.client), "TLS failed: "));
    assert_int_equal(tls_read(p.client, bytes, sizeof(bytes)), 0);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_for_the_address_or_the_name_is_accepted),
        cmocka_unit_test(a_certificate_for_somebody_else_is_not),
        cmocka_unit_test(nobody_but_the_authority_may_sign_and_only_for_a_time),
        cmocka_unit_test(a_handshake_may_be_ended_with_who_is_not_trusted),
        cmocka_unit_test(the_name_is_sent_and_an_address_is_not),
        cmocka_unit_test(versions_before_1_2_are_refused),
        cmocka_unit_test(certificates_that_cannot_be_read_are_told),
        cmocka_unit_test(what_is_no_address_cannot_be_verified_without_a_name),
        cmocka_unit_test(a_session_outlives_its_context),
        cmocka_unit_test(a_handshake_may_come_byte_by_byte),
        cmocka_unit_test(a_handshake_that_stops_is_not_over),
        cmocka_unit_test(a_byte_turned_over_anywhere_ends_the_handshake),
        cmocka_unit_test(what_is_no_tls_is_told),
        cmocka_unit_test(text_goes_both_ways),
        cmocka_unit_test(an_end_is_told_after_all_that_was_said),
        cmocka_unit_test(a_forged_record_ends_the_session),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
