/* Promise: a session is ready only when the peer has proved who it is; what we say is not sent
 * before. Both sides may ask. */
#include "tls_stage.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static struct identity authority;
static struct identity other; /* of the same name */
static struct identity good;  /* for ADDRESS, ::1 and NAME */
static const char *ca;
static const char *other_ca;

static int begin(void **state)
{
    (void)state;
    files_begin();
    authority = authority_new("authority", NULL);
    other = authority_new("authority", NULL);
    good = identity_new("server", &(struct wanted){.names = "IP:" ADDRESS ",IP:::1,DNS:" NAME},
                        &authority);
    ca = cert_file(&authority);
    other_ca = cert_file(&other);
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_end();
    identity_free(&good);
    identity_free(&other);
    identity_free(&authority);
    return 0;
}

/* The server's certificate ------------------------------------------------------------------ */

struct attempt {
    const struct identity *shown;
    const char *host;
    const char *name;
    bool verify;
    bool tolerate;
    int version;
};

/* Until the client is ready or has failed. */
static struct stage *attempt(const struct attempt *a)
{
    struct tls_client_setup setup = {.verify = a->verify, .ca = ca, .name = a->name};
    struct stage *s = stage_new(plain_server(both_file(a->shown)), client_context(&setup));
    only_version(s->client_context, a->version);
    stage_open(s);
    struct tls *t = tls_connect(s->client_context, a->host, NULL);
    assert_non_null(t);
    if (a->tolerate) {
        tls_tolerate(t);
    }
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_int_equal(conn_secure(&s->client.conn, t, NULL, 0), 0);
    TURN_UNTIL(s->loop, s->client.ready == 1 || s->client.closed);
    return s;
}

static void done(struct stage *s)
{
    stage_close(s);
    stage_free(s);
}

static void assert_ready(const struct attempt *a)
{
    struct stage *s = attempt(a);
    assert_string_equal(s->client.why, "");
    assert_int_equal(s->client.ready, 1);
    assert_true(conn_is_secured(&s->client.conn));
    assert_true(tls_is_trusted(s->client.conn.tls));
    done(s);
}

static void assert_refused(const struct attempt *a, const char *why)
{
    struct stage *s = attempt(a);
    assert_int_equal(s->client.error, UV_EPROTO);
    assert_string_equal(s->client.why, why);
    assert_int_equal(s->client.ready, 0);
    TURN_UNTIL(s->loop, s->server.closed); /* by an alert */
    assert_int_equal(s->server.error, UV_EPROTO);
    assert_non_null(strstr(s->server.why, "alert"));
    done(s);
}

static void a_certificate_for_the_address_or_the_name_is_accepted(void **state)
{
    (void)state;
    assert_ready(&(struct attempt){&good, ADDRESS, NULL, true, false, TLS1_3_VERSION});
    assert_ready(&(struct attempt){&good, "::1", NULL, true, false, TLS1_3_VERSION});
    assert_ready(&(struct attempt){&good, ADDRESS, NAME, true, false, TLS1_3_VERSION});
    assert_ready(&(struct attempt){&good, ADDRESS, NULL, true, false, TLS1_2_VERSION});
    assert_ready(&(struct attempt){&good, "10.9.9.9", NAME, true, false, TLS1_2_VERSION});
}

static void a_certificate_for_somebody_else_is_not(void **state)
{
    static const char *const address = "its certificate is not accepted: IP address mismatch";
    static const char *const name = "its certificate is not accepted: hostname mismatch";
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        int v = versions[i];
        assert_refused(&(struct attempt){&good, "10.0.0.2", NULL, true, false, v}, address);
        assert_refused(&(struct attempt){&good, "::2", NULL, true, false, v}, address);
        assert_refused(&(struct attempt){&good, ADDRESS, "o.example.com", true, false, v}, name);
        assert_refused(&(struct attempt){&good, ADDRESS, "example.com", true, false, v}, name);
    }
}

static void nobody_but_the_authority_may_sign_and_only_for_a_time(void **state)
{
    static const struct {
        struct wanted wanted;
        int issuer; /* 0 the authority, 1 itself, 2 another one of the same name */
        const char *why;
    } cases[] = {
        {{.names = "IP:" ADDRESS}, 1, "its certificate is not accepted: self-signed certificate"},
        {{.names = "IP:" ADDRESS},
         2,
         "its certificate is not accepted: certificate signature failure"},
        {{.names = "IP:" ADDRESS, .from = -2 * DAY, .to = -DAY},
         0,
         "its certificate is not accepted: certificate has expired"},
        {{.names = "IP:" ADDRESS, .from = DAY, .to = 2 * DAY},
         0,
         "its certificate is not accepted: certificate is not yet valid"},
    };
    const struct identity *issuers[] = {&authority, NULL, &other};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct identity id = identity_new("x", &cases[i].wanted, issuers[cases[i].issuer]);
        for (size_t j = 0; j < ARRAY_LEN(versions); j++) {
            int v = versions[j];
            assert_refused(&(struct attempt){&id, ADDRESS, NULL, true, false, v}, cases[i].why);
            assert_ready(&(struct attempt){&id, ADDRESS, NULL, false, false, v});
            assert_ready(&(struct attempt){&id, "10.9.9.9", "any.example.com", false, false, v});
        }
        identity_free(&id);
    }
}

/* For protocols whose servers count broken handshakes. */
static void assert_tolerated(const struct attempt *a, const char *why)
{
    struct stage *s = attempt(a);
    assert_int_equal(s->client.ready, 1);
    assert_int_equal(tls_is_trusted(s->client.conn.tls), why[0] == '\0');
    assert_string_equal(s->client.why, why);
    TURN_UNTIL(s->loop, s->server.ready == 1);
    done(s);
}

static void a_handshake_may_be_ended_with_who_is_not_trusted(void **state)
{
    struct identity old = identity_new(
        "x", &(struct wanted){.names = "IP:" ADDRESS, .from = -2 * DAY, .to = -DAY}, &authority);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        int v = versions[i];
        assert_tolerated(&(struct attempt){&good, ADDRESS, NULL, true, true, v}, "");
        assert_tolerated(&(struct attempt){&good, "10.0.0.2", NULL, false, true, v}, "");
        assert_tolerated(&(struct attempt){&old, ADDRESS, NULL, false, true, v}, "");
        assert_tolerated(&(struct attempt){&old, ADDRESS, NULL, true, true, v},
                         "its certificate is not accepted: certificate has expired");
        assert_tolerated(&(struct attempt){&good, "10.0.0.2", NULL, true, true, v},
                         "its certificate is not accepted: IP address mismatch");
    }
    identity_free(&old);
}

static void the_name_is_sent_and_an_address_is_not(void **state)
{
    (void)state;
    struct stage *s = attempt(&(struct attempt){&good, ADDRESS, NAME, true, false, TLS1_3_VERSION});
    TURN_UNTIL(s->loop, s->server.ready == 1);
    assert_string_equal(SSL_get_servername(s->server.conn.tls->ssl, TLSEXT_NAMETYPE_host_name),
                        NAME);
    done(s);
    s = attempt(&(struct attempt){&good, ADDRESS, NULL, true, false, TLS1_3_VERSION});
    TURN_UNTIL(s->loop, s->server.ready == 1);
    assert_null(SSL_get_servername(s->server.conn.tls->ssl, TLSEXT_NAMETYPE_host_name));
    done(s);
}

static void a_server_that_was_looked_up_must_carry_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        int v = versions[i];
        struct stage *s = attempt(&(struct attempt){&good, NAME ".", NULL, true, false, v});
        TURN_UNTIL(s->loop, s->server.ready == 1);
        assert_string_equal(SSL_get_servername(s->server.conn.tls->ssl, TLSEXT_NAMETYPE_host_name),
                            NAME);
        done(s);
        assert_refused(&(struct attempt){&good, "other.example", NULL, true, false, v},
                       "its certificate is not accepted: hostname mismatch");
    }
}

static void who_has_neither_name_nor_address_cannot_be_verified(void **state)
{
    struct tls_context *c = trusting_client(ca);
    (void)state;
    assert_null(tls_connect(c, "", NULL));
    tls_context_unref(c);
    tls_free(NULL);
}

static void a_session_outlives_its_context(void **state)
{
    (void)state;
    struct stage *s = attempt(&(struct attempt){&good, ADDRESS, NULL, true, false, TLS1_3_VERSION});
    tls_context_unref(s->client_context);
    s->client_context = NULL;
    assert_int_equal(conn_write(&s->client.conn, "still here", 10), 0);
    TURN_UNTIL(s->loop, s->server.len == 10);
    done(s);
}

/* It is what verifies the server that may not be forged: the session must not be ready, but for
 * bytes that say nothing (the version of a record in the clear, RFC 8446, section 5.1). */
static void a_byte_turned_over_anywhere_ends_the_handshake(void **state)
{
    size_t len = SIZE_MAX;
    size_t harmless = 0;
    struct loop *l = loop_new();
    struct tls_context *c = trusting_client(ca);
    (void)state;
    for (size_t at = 0; at < len; at++) {
        struct end e;
        struct peer p = peer_new(&e, l, TLS_server_method(), false);
        SSL_CTX_use_certificate(p.ctx, good.cert);
        SSL_CTX_use_PrivateKey(p.ctx, good.key);
        peer_begin(&p);
        SSL_set_accept_state(p.ssl);
        assert_int_equal(conn_secure(&e.conn, tls_connect(c, ADDRESS, NULL), NULL, 0), 0);
        while (BIO_pending(p.out) == 0) {
            uv_run(&l->uv, UV_RUN_NOWAIT);
            peer_hear(&p);
            SSL_do_handshake(p.ssl);
        }
        char *flight;
        len = (size_t)BIO_get_mem_data(p.out, &flight);
        flight[at] = (char)~flight[at];
        peer_send(&p, l);
        shutdown(p.fd, SHUT_WR);
        TURN_UNTIL(l, e.error != 0 || e.eofs > 0);
        assert_true(e.ready + (e.error != 0) == 1);
        assert_true(e.error == 0 || e.why[0] != '\0');
        harmless += e.ready;
        peer_free(&p);
        end_close(&e, l);
    }
    assert_in_range(harmless, 0, 4);
    assert_true(len > 500);
    tls_context_unref(c);
    loop_end(l);
}

/* The client's certificate ------------------------------------------------------------------ */

static struct stage *asking_stage(const char *shown, int version)
{
    const char *cert = both_file(&good);
    struct tls_context *server = server_context(&(struct tls_server_setup){
        .certs = &cert,
        .keys = (const char *[]){NULL},
        .count = 1,
        .client_ca = ca,
        .min_version = TLS1_2_VERSION,
    });
    struct tls_client_setup setup = {.verify = true, .ca = ca, .cert = shown};
    struct stage *s = stage_new(server, client_context(&setup));
    only_version(s->client_context, version);
    stage_open(s);
    stage_secure(s);
    return s;
}

static void assert_client_refused(const char *shown, const char *why)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = asking_stage(shown, versions[i]);
        TURN_UNTIL(s->loop, s->server.closed && s->client.closed);
        assert_int_equal(s->server.error, UV_EPROTO);
        assert_int_equal(s->server.ready, 0);
        assert_string_equal(s->server.why, why);
        assert_int_equal(s->client.error, UV_EPROTO); /* TLS 1.3: when it was ready already */
        assert_non_null(strstr(s->client.why, "alert"));
        done(s);
    }
}

static void only_a_client_whom_the_authority_knows_is_let_in(void **state)
{
    struct identity client = identity_new("client", &(struct wanted){.rsa = false}, &authority);
    struct identity stranger = identity_new("client", &(struct wanted){.rsa = false}, &other);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = asking_stage(both_file(&client), versions[i]);
        TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
        done(s);
    }
    assert_client_refused(NULL, "the TLS handshake failed: peer did not return a certificate");
    assert_client_refused(both_file(&stranger),
                          "its certificate is not accepted: certificate signature failure");
    identity_free(&client);
    identity_free(&stranger);
}

/* ALPN -------------------------------------------------------------------------------------- */

/* What a client that offers `offer` gets from a server that speaks two protocols. */
static bool agreed(const char *offer, struct stage *s, char out[32])
{
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    const unsigned char *chosen;
    unsigned len;
    const unsigned char *server_says = NULL;
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_int_equal(
        SSL_set_alpn_protos(p.ssl, (const unsigned char *)offer, (unsigned)strlen(offer)), 0);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    bool ready = peer_shake(&p, s->loop);
    SSL_get0_alpn_selected(p.ssl, &chosen, &len);
    snprintf(out, 32, "%.*s", (int)len, chosen != NULL ? (const char *)chosen : "");
    if (ready) {
        TURN_UNTIL(s->loop, s->server.ready == 1);
        unsigned n;
        SSL_get0_alpn_selected(s->server.conn.tls->ssl, &server_says, &n);
        assert_int_equal(n, len);
        assert_true(n == 0 || memcmp(server_says, out, n) == 0);
    } else {
        TURN_UNTIL(s->loop, s->server.closed);
        assert_string_equal(s->server.why, "the TLS handshake failed: no application protocol");
    }
    peer_free(&p);
    end_close(&s->server, s->loop);
    return ready;
}

static void the_servers_favourite_protocol_is_chosen(void **state)
{
    char got[32];
    const char *cert = both_file(&good);
    struct tls_context *server = server_context(&(struct tls_server_setup){
        .certs = &cert,
        .keys = (const char *[]){NULL},
        .count = 1,
        .min_version = TLS1_2_VERSION,
        .alpn = (const char *[]){"h2", "http/1.1"},
        .alpn_count = 2,
    });
    struct stage *s = stage_new(server, trusting_client(ca));
    (void)state;
    assert_true(agreed("\x08http/1.1\x02h2", s, got));
    assert_string_equal(got, "h2");
    assert_true(agreed("\x05other\x08http/1.1", s, got));
    assert_string_equal(got, "http/1.1");
    assert_true(agreed("", s, got));
    assert_string_equal(got, "");
    assert_false(agreed("\x05other", s, got)); /* RFC 7301, section 3.2 */
    stage_free(s);
    s = stage_new(plain_server(cert), trusting_client(ca));
    assert_true(agreed("\x05other", s, got));
    assert_string_equal(got, "");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_for_the_address_or_the_name_is_accepted),
        cmocka_unit_test(a_certificate_for_somebody_else_is_not),
        cmocka_unit_test(nobody_but_the_authority_may_sign_and_only_for_a_time),
        cmocka_unit_test(a_handshake_may_be_ended_with_who_is_not_trusted),
        cmocka_unit_test(the_name_is_sent_and_an_address_is_not),
        cmocka_unit_test(a_server_that_was_looked_up_must_carry_its_name),
        cmocka_unit_test(who_has_neither_name_nor_address_cannot_be_verified),
        cmocka_unit_test(a_session_outlives_its_context),
        cmocka_unit_test(a_byte_turned_over_anywhere_ends_the_handshake),
        cmocka_unit_test(only_a_client_whom_the_authority_knows_is_let_in),
        cmocka_unit_test(the_servers_favourite_protocol_is_chosen),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
