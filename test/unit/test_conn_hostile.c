/* Promise: what is not TLS, or not proper TLS, ends in words and an alert, never in a crash, and in
 * no more memory than a session may have. */
#include "tls_usual.h"

/* Handshakes -------------------------------------------------------------------------------- */

static void what_is_no_tls_is_told(void **state)
{
    static const struct {
        const char *bytes;
        const char *why;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: hub.example.com\r\n\r\n",
         "the TLS handshake failed: http request"},
        {"-ERR unknown command, and more of it\r\n", "the TLS handshake failed: "},
        {"\x16\x03\x01\x7f\xff a record that is too long", "the TLS handshake failed: "},
        {"\x16\x03\x01\0\x05\x01\x00\x00\x01\x07 a hello of one byte",
         "the TLS handshake failed: "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char alert[64];
        struct stage *s = usual_stage(TLS1_3_VERSION);
        struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
        assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
        size_t len = i < 2 ? strlen(cases[i].bytes) : 30;
        assert_int_equal(send(p.fd, cases[i].bytes, len, 0), len);
        TURN_UNTIL(s->loop, s->server.closed);
        assert_int_equal(s->server.error, UV_EPROTO);
        assert_memory_equal(s->server.why, cases[i].why, strlen(cases[i].why));
        ssize_t n = recv(p.fd, alert, sizeof alert, 0);
        assert_int_equal(n, i < 2 ? 0 : 7);    /* what does not look like TLS gets no alert */
        assert_true(n == 0 || alert[0] == 21); /* RFC 8446, section 6 */
        peer_free(&p);
        end_close(&s->server, s->loop);
        stage_free(s);
    }
}

static void garbage_that_was_read_before_fails_at_once(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    const char *words = "GET / HTTP/1.1\r\n";
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), words, strlen(words)),
                     UV_EPROTO);
    assert_string_equal(conn_why(&s->server.conn), "the TLS handshake failed: http request");
    assert_string_equal(conn_why(&s->client.conn), "");
    assert_int_equal(s->server.error, 0);
    stage_end(s);
}

static void a_handshake_that_is_cut_is_told(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    conn_finish(&s->client.conn);
    TURN_UNTIL(s->loop, s->server.closed);
    assert_int_equal(s->server.error, UV_EOF);
    assert_string_equal(s->server.why, "the connection was closed in the TLS handshake");
    assert_int_equal(s->server.eofs, 0);
    stage_end(s);
}

static void a_forged_record_ends_the_session(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = usual_stage(TLS1_3_VERSION);
        struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
        SSL_CTX_set_max_proto_version(p.ctx, versions[i]);
        peer_begin(&p);
        SSL_set_connect_state(p.ssl);
        assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
        assert_true(peer_shake(&p, s->loop));
        SSL_write(p.ssl, pattern, 1000);
        SSL_write(p.ssl, pattern, 1000);
        char *data;
        long len = BIO_get_mem_data(p.out, &data);
        data[len - 1] = (char)~data[len - 1];
        assert_true(peer_send(&p, s->loop));
        TURN_UNTIL(s->loop, s->server.closed);
        assert_int_equal(s->server.error, UV_EPROTO);
        assert_memory_equal(s->server.why, "TLS failed: ", 12);
        assert_got(&s->server, 1000); /* what came before it is good */
        peer_free(&p);
        end_close(&s->server, s->loop);
        stage_free(s);
    }
}

static void versions_before_1_2_are_refused(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    (void)state;
    SSL_CTX_set_security_level(p.ctx, 0);
    SSL_CTX_set_min_proto_version(p.ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(p.ctx, TLS1_1_VERSION);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_false(peer_shake(&p, s->loop));
    TURN_UNTIL(s->loop, s->server.closed);
    assert_string_equal(s->server.why, "the TLS handshake failed: unsupported protocol");
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

/* RFC 5746 would allow it; a client has no use for it here, and it costs us much. */
static void a_renegotiation_is_refused(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    char got[5];
    (void)state;
    SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_true(peer_shake(&p, s->loop));
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    SSL_do_handshake(p.ssl);
    assert_true(peer_send(&p, s->loop));
    assert_int_equal(peer_read(&p, s->loop, got, sizeof got), 0); /* no_renegotiation */
    assert_non_null(strstr(ERR_reason_error_string(ERR_peek_error()), "renegotiation"));
    assert_int_equal(s->server.ready, 1);
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

/* A server may ask for one as well. */
static void a_server_that_asks_for_a_renegotiation_gets_none(void **state)
{
    struct end e;
    struct loop *l = loop_new();
    struct tls_context *c = trusting_client(ca);
    struct peer p = peer_new(&e, l, TLS_server_method(), false);
    char got[5];
    (void)state;
    SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
    SSL_CTX_use_certificate(p.ctx, good.cert);
    SSL_CTX_use_PrivateKey(p.ctx, good.key);
    peer_begin(&p);
    SSL_set_accept_state(p.ssl);
    assert_int_equal(conn_secure(&e.conn, tls_connect(c, ADDRESS, NULL), NULL, 0), 0);
    assert_true(peer_shake(&p, l));
    TURN_UNTIL(l, e.ready == 1);
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    SSL_do_handshake(p.ssl);
    assert_true(peer_send(&p, l));
    assert_int_equal(peer_read(&p, l, got, sizeof got), 0);
    assert_non_null(strstr(ERR_reason_error_string(ERR_peek_error()), "renegotiation"));
    peer_free(&p);
    end_close(&e, l);
    tls_context_unref(c);
    loop_end(l);
}

/* A peer that changes its keys; each change must be answered (RFC 8446, section 4.6.3). `said`:
 * some data with each. Returns the most that was queued. */
static size_t change_keys_for_ever(struct stage *s, struct peer *p, size_t said, bool hears)
{
    size_t most = 0;
    while (s->server.error == 0) {
        for (int i = 0; i < 100; i++) {
            assert_int_equal(SSL_key_update(p->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_do_handshake(p->ssl), 1);
            assert_true(said == 0 || SSL_write(p->ssl, pattern, (int)said) == (int)said);
        }
        s->server.len = 0;
        peer_send(p, s->loop);
        size_t queued = conn_queued(&s->server.conn);
        most = queued > most ? queued : most;
        if (hears) {
            peer_hear(p);
        }
    }
    return most;
}

static void check_flood(size_t said, bool hears, const char *why)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), true);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_true(peer_shake(&p, s->loop));
    size_t most = change_keys_for_ever(s, &p, said, hears);
    assert_int_equal(s->server.error, UV_EPROTO);
    assert_string_equal(s->server.why, why);
    assert_true(most < 2 * 16384);
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

static void answers_that_nobody_reads_are_not_kept_for_ever(void **state)
{
    (void)state;
    check_flood(1, false, "TLS failed: the peer does not read what it asks for");
}

static void nobody_may_keep_us_busy_with_keys(void **state)
{
    (void)state;
    check_flood(0, true, "TLS failed: the peer changes keys again and again");
}

/* Keys may be changed as often as anybody likes while the answers are read. */
static void keys_may_change_in_a_living_session(void **state)
{
    struct stage *s = ready_stage(TLS1_3_VERSION);
    (void)state;
    for (size_t i = 1; i <= 200; i++) {
        assert_int_equal(SSL_key_update(s->client.conn.tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(conn_write(&s->client.conn, pattern + (i - 1) * 100, 100), 0);
        TURN_UNTIL(s->loop, s->server.len == i * 100);
        assert_int_equal(conn_write(&s->server.conn, pattern + (i - 1) * 100, 100), 0);
        TURN_UNTIL(s->loop, s->client.len == i * 100);
    }
    assert_got(&s->server, 20000);
    assert_got(&s->client, 20000);
    stage_end(s);
}

/* A server waits for the second half of a message before it may say anything more: OpenSSL's way.
 */
static void words_of_one_failure_are_not_those_of_another_conn(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    stage_secure(s);
    shutdown(s->client.conn.fd, SHUT_RDWR);
    TURN_UNTIL(s->loop, s->server.closed && s->client.closed);
    assert_string_equal(s->server.why, "the connection was closed in the TLS handshake");
    free(s->client.got);
    free(s->server.got);
    stage_open(s); /* at the same addresses */
    assert_string_equal(conn_why(&s->server.conn), "");
    assert_string_equal(conn_why(&s->client.conn), "");
    stage_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_tls_is_told),
        cmocka_unit_test(garbage_that_was_read_before_fails_at_once),
        cmocka_unit_test(a_handshake_that_is_cut_is_told),
        cmocka_unit_test(a_forged_record_ends_the_session),
        cmocka_unit_test(versions_before_1_2_are_refused),
        cmocka_unit_test(a_renegotiation_is_refused),
        cmocka_unit_test(a_server_that_asks_for_a_renegotiation_gets_none),
        cmocka_unit_test(answers_that_nobody_reads_are_not_kept_for_ever),
        cmocka_unit_test(nobody_may_keep_us_busy_with_keys),
        cmocka_unit_test(keys_may_change_in_a_living_session),
        cmocka_unit_test(words_of_one_failure_are_not_those_of_another_conn),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
