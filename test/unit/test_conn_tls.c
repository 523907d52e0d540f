/* Promise: under TLS a conn carries what its owners write, whole and in order, whatever way the
 * bytes fall; an end is told from a cut. */
#include "tls_usual.h"

#include <linux/sockios.h>

/* Handshakes -------------------------------------------------------------------------------- */

static void text_goes_both_ways(void **state)
{
    static const char *const names[] = {"TLSv1.2", "TLSv1.3"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = ready_stage(versions[i]);
        assert_string_equal(SSL_get_version(s->client.conn.tls->ssl), names[i]);
        assert_string_equal(SSL_get_version(s->server.conn.tls->ssl), names[i]);
        assert_true(tls_is_trusted(s->client.conn.tls));
        assert_string_equal(s->client.why, "");
        assert_int_equal(conn_write(&s->client.conn, pattern, MANY), 0);
        assert_int_equal(conn_write(&s->client.conn, "", 0), 0);
        TURN_UNTIL(s->loop, s->server.len == MANY);
        assert_int_equal(conn_write(&s->server.conn, pattern, MANY), 0);
        TURN_UNTIL(s->loop, s->client.len == MANY);
        assert_got(&s->server, MANY);
        assert_got(&s->client, MANY);
        assert_int_equal(s->server.ready + s->client.ready, 2);
        stage_end(s);
    }
}

/* Bytes that the kernel has been given and holds back. */
static int held_back(const struct end *e)
{
    int n = 0;
    assert_int_equal(ioctl(e->conn.fd, SIOCOUTQNSD, &n), 0);
    return n;
}

/* A client of TLS 1.2 waits for the last word of the handshake; one of TLS 1.3 not for its ticket.
 */
static void no_client_waits_for_the_end_of_a_handshake(void **state)
{
    struct stage *s = usual_stage(TLS1_2_VERSION);
    (void)state;
    stage_open(s);
    stage_secure(s);
    TURN_UNTIL(s->loop, s->server.ready == 1);
    assert_int_equal(held_back(&s->server), 0);
    stage_end(s);

    s = ready_stage(TLS1_3_VERSION);
    assert_int_equal(conn_write(&s->server.conn, "hello", 5), 0);
    assert_int_equal(held_back(&s->server), 0);
    stage_end(s);
}

/* MySQL and PostgreSQL: first some words in the clear. */
static void what_was_read_before_is_part_of_the_handshake(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    assert_int_equal(conn_write(&s->server.conn, "S", 1), 0);
    TURN_UNTIL(s->loop, s->client.len == 1);
    s->server.upgrade = stage_accept(s);
    s->client.len = 0;
    assert_int_equal(conn_secure(&s->client.conn, stage_connect(s), NULL, 0), 0);
    TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
    assert_int_equal(s->server.upgraded, 0);
    assert_int_equal(conn_write(&s->client.conn, pattern, MANY), 0);
    TURN_UNTIL(s->loop, s->server.len == MANY);
    assert_got(&s->server, MANY);
    stage_end(s);
}

static void nothing_may_be_written_before_it_is_ready(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    stage_secure(s);
    assert_false(conn_is_secured(&s->server.conn));
    assert_int_equal(conn_write(&s->server.conn, "secret", 6), UV_EPROTO);
    assert_int_equal(conn_write(&s->client.conn, "secret", 6), UV_EPROTO);
    TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
    assert_int_equal(conn_write(&s->client.conn, "later", 5), 0);
    TURN_UNTIL(s->loop, s->server.len == 5);
    stage_end(s);
}

static void who_has_ended_shakes_no_hands(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open(s);
    conn_finish(&s->client.conn);
    assert_int_equal(conn_secure(&s->client.conn, stage_connect(s), NULL, 0), UV_EPIPE);
    TURN_UNTIL(s->loop, s->server.eofs == 1);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), UV_EOF);
    stage_end(s);
}

/* The owner may close in any call, and hears nothing from then on. */
static void who_closes_hears_nothing_more(void **state)
{
    (void)state;
    struct stage *s = usual_stage(TLS1_3_VERSION);
    stage_open(s);
    s->server.close_when_ready = true;
    stage_secure(s);
    TURN_UNTIL(s->loop, s->client.ready == 1);
    (void)conn_write(&s->client.conn, pattern, MANY);
    TURN_UNTIL(s->loop, s->server.closed && (s->client.eofs > 0 || s->client.error != 0));
    assert_int_equal(s->server.calls, 0);
    stage_end(s);

    s = ready_stage(TLS1_3_VERSION);
    s->server.close_in_data = true;
    (void)conn_write(&s->client.conn, pattern, MANY);
    conn_finish(&s->client.conn);
    TURN_UNTIL(s->loop, s->server.closed);
    assert_int_equal(s->server.calls, 1);
    assert_int_equal(s->server.eofs, 0);
    stage_end(s);
}

/* Ends -------------------------------------------------------------------------------------- */

static void an_end_is_told_from_a_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = ready_stage(versions[i]);
        assert_int_equal(conn_write(&s->client.conn, pattern, MANY), 0);
        conn_finish(&s->client.conn);
        conn_finish(&s->client.conn);
        assert_int_equal(conn_write(&s->client.conn, "x", 1), UV_EPIPE);
        TURN_UNTIL(s->loop, s->server.eofs == 1);
        assert_false(s->server.conn.abrupt);
        assert_got(&s->server, MANY);
        assert_int_equal(conn_write(&s->server.conn, pattern, MANY), 0); /* it is half closed */
        conn_finish(&s->server.conn);
        TURN_UNTIL(s->loop, s->client.eofs == 1);
        assert_false(s->client.conn.abrupt);
        assert_got(&s->client, MANY);
        stage_end(s);

        s = ready_stage(versions[i]);
        assert_int_equal(conn_write(&s->client.conn, pattern, MANY), 0);
        TURN_UNTIL(s->loop, conn_queued(&s->client.conn) == 0);
        shutdown(s->client.conn.fd, SHUT_WR);
        TURN_UNTIL(s->loop, s->server.eofs == 1);
        assert_true(s->server.conn.abrupt);
        assert_got(&s->server, MANY);
        stage_end(s);
    }
}

static void closing_says_nothing_and_resetting_resets(void **state)
{
    struct stage *s = ready_stage(TLS1_3_VERSION);
    (void)state;
    assert_int_equal(conn_write(&s->server.conn, "x", 1), 0);
    TURN_UNTIL(s->loop,
               s->client.len == 1); /* and the ticket: unread bytes would make it a reset */
    conn_close(&s->client.conn);
    TURN_UNTIL(s->loop, s->server.eofs == 1);
    assert_true(s->server.conn.abrupt);
    stage_end(s);

    s = ready_stage(TLS1_3_VERSION);
    conn_reset(&s->server.conn);
    TURN_UNTIL(s->loop, s->client.error != 0);
    assert_int_equal(s->client.error, UV_ECONNRESET);
    stage_end(s);
}

/* What would be answered in an open session is not, and breaks nothing. */
static void who_has_ended_still_hears_the_other(void **state)
{
    struct stage *s = ready_stage(TLS1_3_VERSION);
    (void)state;
    conn_finish(&s->client.conn);
    TURN_UNTIL(s->loop, s->server.eofs == 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(s->server.conn.tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(conn_write(&s->server.conn, pattern + i * 100, 100), 0);
    }
    conn_finish(&s->server.conn);
    TURN_UNTIL(s->loop, s->client.eofs == 1 || s->client.closed);
    assert_int_equal(s->client.error, 0);
    assert_got(&s->client, 300);
    stage_end(s);
}

/* The plain FIN comes with the close_notify or after it: it is one end. */
static void an_end_is_told_once(void **state)
{
    struct stage *s = ready_stage(TLS1_3_VERSION);
    struct stage *other = ready_stage(TLS1_3_VERSION);
    (void)state;
    conn_finish(&s->client.conn);
    TURN_UNTIL(s->loop, s->server.eofs == 1);
    conn_close(&s->client.conn);
    TURN_UNTIL(s->loop, s->client.closed);
    assert_true(conn_peer_left(&s->server.conn));
    for (int i = 0; i < 20; i++) {
        uv_run(&s->loop->uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(s->server.eofs, 1);
    assert_int_equal(s->server.error, 0);
    stage_end(s);
    stage_end(other);
}

/* Splits ------------------------------------------------------------------------------------ */

/* A client whose bytes come `step` at a time. */
static void check_pieces(int version, size_t step)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    SSL_CTX_set_max_proto_version(p.ctx, version);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    p.step = step;
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_true(peer_shake(&p, s->loop));
    size_t lens[] = {1, 700, 20000};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        size_t n = step < 3 && lens[i] > 1000 ? 1000 : lens[i];
        assert_int_equal(SSL_write(p.ssl, pattern + len, (int)n), n);
        len += n;
    }
    SSL_shutdown(p.ssl);
    assert_true(peer_send(&p, s->loop));
    TURN_UNTIL(s->loop, s->server.eofs == 1);
    assert_false(s->server.conn.abrupt);
    assert_got(&s->server, len);
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

static void bytes_may_be_split_anywhere(void **state)
{
    static const size_t steps[] = {1, 2, 5, 6, 23, 1000, 16389, 30000, SIZE_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        check_pieces(TLS1_2_VERSION, steps[i]);
        check_pieces(TLS1_3_VERSION, steps[i]);
    }
}

/* Bytes that lie in the kernel. */
static size_t unread(const struct end *e)
{
    int n = 0;
    assert_int_equal(ioctl(e->conn.fd, FIONREAD, &n), 0);
    return (size_t)n;
}

/* Until all `n` bytes are there for the conn to be read. */
static void send_all(const struct peer *p, const struct end *e, const char *data, size_t n)
{
    assert_int_equal(send(p->fd, data, n, 0), n);
    for (uint64_t until = uv_hrtime() + PATIENCE; unread(e) < n;) {
        assert_true(uv_hrtime() < until);
    }
}

/* A record whose last byte comes with as much as a receive takes is more than the loop's buffer for
 * plain text holds. */
static void check_parts(bool closes)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_true(peer_shake(&p, s->loop));
    TURN_UNTIL(s->loop, s->server.ready == 1);
    char *data;
    SSL_write(p.ssl, pattern, 16384);
    SSL_write(p.ssl, pattern + 16384, 16384);
    SSL_write(p.ssl, pattern + 32768, 16384);
    SSL_write(p.ssl, pattern + 49152, 16290);
    size_t len = (size_t)BIO_get_mem_data(p.out, &data);
    size_t head = 16384; /* of a record of 16,406 */
    assert_true(len - head <= LOOP_RECEIVE_BYTES);
    send_all(&p, &s->server, data, head);
    TURN_UNTIL(s->loop, unread(&s->server) == 0);
    assert_int_equal(s->server.calls, 0);
    conn_pause(&s->server.conn, PAUSE_HOLD);
    send_all(&p, &s->server, data + head, len - head);
    s->server.pause = PAUSE_PEER_FULL; /* what was received comes all the same */
    s->server.close_in_data = closes;
    conn_resume(&s->server.conn, PAUSE_HOLD);
    TURN_UNTIL(s->loop, s->server.closed || s->server.len == 49152 + 16290);
    assert_int_equal(s->server.calls, closes ? 1 : 2);
    assert_got(&s->server, closes ? 49152 : 49152 + 16290);
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

static void more_than_the_buffer_holds_is_handed_over_in_parts(void **state)
{
    (void)state;
    check_parts(false);
    check_parts(true);
}

/* Queues and pauses ------------------------------------------------------------------------- */

static void what_the_kernel_does_not_take_is_kept(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    (void)state;
    stage_open_with(s, true);
    stage_secure(s);
    TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
    conn_pause(&s->client.conn, PAUSE_PEER_FULL);
    while (conn_queued(&s->server.conn) == 0) {
        assert_true(s->server.len < BIG);
        assert_int_equal(conn_write(&s->server.conn, pattern + s->server.len, MANY), 0);
        s->server.len += MANY; /* what was written */
    }
    assert_int_equal(conn_write(&s->server.conn, pattern + s->server.len, 5), 0);
    conn_finish(&s->server.conn);
    assert_int_equal(s->server.drained, 0);
    assert_int_equal(s->client.len, 0);
    conn_resume(&s->client.conn, PAUSE_PEER_FULL);
    TURN_UNTIL(s->loop, s->client.eofs == 1);
    assert_false(s->client.conn.abrupt);
    assert_int_equal(s->server.drained, 1);
    assert_got(&s->client, s->server.len + 5);
    stage_end(s);
}

/* What was queued before in the clear goes first, and its owner waits for on_secured only. */
static void words_in_the_clear_go_before_the_handshake(void **state)
{
    struct stage *s = usual_stage(TLS1_3_VERSION);
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), true);
    size_t said = 0;
    size_t heard = 0;
    char bytes[4096];
    (void)state;
    while (conn_queued(&s->server.conn) == 0) {
        assert_true(said < BIG - MANY);
        assert_int_equal(conn_write(&s->server.conn, pattern + said, MANY), 0);
        said += MANY;
    }
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    for (uint64_t until = uv_hrtime() + PATIENCE; heard < said;) {
        assert_true(uv_hrtime() < until);
        size_t room = said - heard < sizeof bytes ? said - heard : sizeof bytes;
        ssize_t n = recv(p.fd, bytes, room, 0);
        assert_true(n <= 0 || memcmp(bytes, pattern + heard, (size_t)n) == 0);
        heard += n > 0 ? (size_t)n : 0;
        uv_run(&s->loop->uv, UV_RUN_NOWAIT);
    }
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_true(peer_shake(&p, s->loop));
    TURN_UNTIL(s->loop, s->server.ready == 1);
    assert_int_equal(s->server.drained, 0);
    peer_free(&p);
    end_close(&s->server, s->loop);
    stage_free(s);
}

static void a_pause_loses_nothing(void **state)
{
    struct stage *s = ready_stage(TLS1_2_VERSION);
    (void)state;
    s->client.pause = PAUSE_WAITING;
    assert_int_equal(conn_write(&s->server.conn, pattern, BIG), 0);
    conn_finish(&s->server.conn);
    while (s->client.eofs == 0) {
        size_t calls = s->client.calls;
        size_t len = s->client.len;
        TURN_UNTIL(s->loop, s->client.calls > calls || s->client.eofs > 0);
        assert_true(s->client.calls <= calls + 2);
        assert_true(s->client.len - len <= LOOP_RECEIVE_BYTES + 16384);
        conn_resume(&s->client.conn, PAUSE_WAITING);
    }
    assert_got(&s->client, BIG);
    stage_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_both_ways),
        cmocka_unit_test(no_client_waits_for_the_end_of_a_handshake),
        cmocka_unit_test(what_was_read_before_is_part_of_the_handshake),
        cmocka_unit_test(nothing_may_be_written_before_it_is_ready),
        cmocka_unit_test(who_has_ended_shakes_no_hands),
        cmocka_unit_test(who_closes_hears_nothing_more),
        cmocka_unit_test(an_end_is_told_from_a_cut),
        cmocka_unit_test(closing_says_nothing_and_resetting_resets),
        cmocka_unit_test(who_has_ended_still_hears_the_other),
        cmocka_unit_test(an_end_is_told_once),
        cmocka_unit_test(bytes_may_be_split_anywhere),
        cmocka_unit_test(more_than_the_buffer_holds_is_handed_over_in_parts),
        cmocka_unit_test(what_the_kernel_does_not_take_is_kept),
        cmocka_unit_test(words_in_the_clear_go_before_the_handshake),
        cmocka_unit_test(a_pause_loses_nothing),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
