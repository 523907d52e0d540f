/* Promise: a ticket resumes a session on every worker, in the hour in which it was made and in the
 * next one, where it is renewed; then nobody has its key any more. It opens no door that its owner
 * could not go through without it. */
#include "tls_stage.h"

#include "base/mem.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static struct identity authority;
static struct identity good;
static const char *ca;
static const char *good_file;
static uint64_t now_s;

static int begin(void **state)
{
    (void)state;
    files_begin();
    authority = authority_new("authority", NULL);
    good = identity_new("server", &(struct wanted){.names = "IP:" ADDRESS}, &authority);
    ca = cert_file(&authority);
    good_file = both_file(&good);
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_end();
    identity_free(&good);
    identity_free(&authority);
    return 0;
}

static uint64_t told(void)
{
    return now_s;
}

static struct stage *stage_of(int version)
{
    struct stage *s = stage_new(plain_server(good_file), trusting_client(ca));
    only_version(s->client_context, version);
    now_s = s->tickets.began_s;
    s->tickets.clock_s = told;
    return s;
}

/* One whole connection. Returns whether it was resumed. */
static bool connect_once(struct stage *s)
{
    stage_ready(s);
    bool resumed = tls_is_resumed(s->server.conn.tls);
    assert_int_equal(tls_is_resumed(s->client.conn.tls), resumed);
    assert_true(tls_is_trusted(s->client.conn.tls));
    assert_int_equal(conn_write(&s->server.conn, "hello", 5), 0); /* behind the ticket */
    TURN_UNTIL(s->loop, s->client.len == 5);
    stage_close(s); /* without a close_notify: that must not spoil the session */
    return resumed;
}

/* The name of the key of the ticket that the client has. */
static const unsigned char *name_of_key(const struct stage *s)
{
    const unsigned char *ticket;
    size_t len;
    SSL_SESSION_get0_ticket(s->slot.session, &ticket, &len);
    assert_true(len > TLS_TICKET_NAME);
    return ticket;
}

static void a_session_is_resumed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_of(versions[i]);
        assert_false(connect_once(s));
        for (int j = 0; j < 5; j++) {
            assert_true(connect_once(s));
        }
        stage_free(s);
    }
}

/* RFC 8446, appendix C.4: who uses a ticket twice can be recognised by it. */
static void each_connection_brings_a_new_ticket(void **state)
{
    struct stage *s = stage_of(TLS1_3_VERSION);
    (void)state;
    connect_once(s);
    SSL_SESSION *first = s->slot.session;
    SSL_SESSION_up_ref(first);
    assert_true(connect_once(s));
    assert_ptr_not_equal(s->slot.session, first);
    SSL_SESSION_free(first);
    stage_free(s);
}

static void every_worker_knows_the_tickets_of_the_others(void **state)
{
    static const unsigned char seed[TLS_SEED_BYTES] = "another seed";
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_of(versions[i]);
        struct tls_tickets first = s->tickets;
        tls_tickets_init(&s->tickets, seed, now_s);
        assert_false(connect_once(s));
        tls_tickets_release(&s->tickets);
        tls_tickets_init(&s->tickets, seed, now_s); /* another copy */
        assert_true(connect_once(s));
        tls_tickets_release(&s->tickets);
        s->tickets = first; /* of another seed */
        assert_false(connect_once(s));
        assert_true(connect_once(s));
        stage_free(s);
    }
}

/* A copy that saw every hour, and one that slept for days, agree. */
static void keys_change_by_the_hour_and_agree(void **state)
{
    static const unsigned char seed[TLS_SEED_BYTES] = "seed";
    struct stage *s = stage_of(TLS1_2_VERSION);
    struct tls_tickets other;
    (void)state;
    tls_tickets_init(&other, seed, now_s);
    other.clock_s = told;
    unsigned char before[TLS_TICKET_NAME];
    connect_once(s);
    for (int hour = 0; hour < 50; hour++) {
        memcpy(before, name_of_key(s), sizeof before);
        now_s += TLS_TICKET_EPOCH_S;
        assert_true(connect_once(s));
        assert_memory_not_equal(before, name_of_key(s), sizeof before); /* renewed */
    }
    struct tls_tickets awake = s->tickets;
    s->tickets = other;
    assert_true(connect_once(s));
    assert_memory_equal(s->tickets.secret, awake.secret, sizeof awake.secret);
    tls_tickets_release(&awake);
    stage_free(s);
}

static void a_ticket_is_good_for_the_next_hour_and_no_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_of(versions[i]);
        connect_once(s);
        now_s += TLS_TICKET_EPOCH_S - 1;
        assert_true(connect_once(s));
        struct tls_resume old = s->slot;
        SSL_SESSION_up_ref(old.session);
        now_s += 1;
        assert_true(connect_once(s));
        tls_resume_release(&s->slot);
        s->slot = old;
        now_s += TLS_TICKET_EPOCH_S;
        assert_false(connect_once(s));
        assert_true(connect_once(s));
        stage_free(s);
    }
}

static void a_ticket_of_this_hour_is_not_renewed_in_tls_1_2(void **state)
{
    struct stage *s = stage_of(TLS1_2_VERSION);
    (void)state;
    connect_once(s);
    const void *first = s->slot.session;
    assert_true(connect_once(s));
    assert_ptr_equal(s->slot.session, first);
    stage_free(s);
}

static bool holds(const struct tls_tickets *t, const void *secret, size_t len)
{
    return memmem(t, sizeof *t, secret, len) != NULL;
}

static void old_keys_are_forgotten(void **state)
{
    struct stage *s = stage_of(TLS1_3_VERSION);
    (void)state;
    connect_once(s);
    struct tls_tickets first = s->tickets;
    assert_true(holds(&s->tickets, first.secret, 32));
    now_s += TLS_TICKET_EPOCH_S;
    connect_once(s);
    assert_false(holds(&s->tickets, first.secret, 32)); /* or the key could be made again */
    assert_true(holds(&s->tickets, first.keys[0].cipher, 32));
    now_s += TLS_TICKET_EPOCH_S;
    connect_once(s);
    assert_false(holds(&s->tickets, first.keys[0].cipher, 32));
    assert_false(holds(&s->tickets, first.keys[0].mac, 32));
    wipe(&first, sizeof first);
    struct tls_tickets last = s->tickets;
    tls_tickets_release(&s->tickets);
    assert_false(holds(&s->tickets, last.secret, 32));
    assert_false(holds(&s->tickets, last.keys[0].cipher, 32));
    tls_tickets_init(&s->tickets, last.secret, now_s);
    stage_free(s);
}

/* What may not be resumed ------------------------------------------------------------------- */

static struct tls_context *asking_server(const char *client_ca)
{
    return server_context(&(struct tls_server_setup){
        .certs = &good_file,
        .keys = (const char *[]){NULL},
        .count = 1,
        .client_ca = client_ca,
        .min_version = TLS1_2_VERSION,
    });
}

/* All frontends have the same keys. */
static void a_ticket_does_not_spare_a_certificate(void **state)
{
    struct identity client = identity_new("client", &(struct wanted){.rsa = false}, &authority);
    struct identity other = authority_new("other", NULL);
    const char *both = chain_file((const struct identity *[]){&authority, &other, NULL}, NULL);
    struct tls_client_setup setup = {.verify = true, .ca = ca, .cert = both_file(&client)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_new(plain_server(good_file), client_context(&setup));
        only_version(s->client_context, versions[i]);
        assert_false(connect_once(s));
        assert_true(connect_once(s));
        tls_context_unref(s->server_context);
        s->server_context = asking_server(ca);
        assert_false(connect_once(s)); /* it was asked for its certificate */
        assert_true(connect_once(s));
        tls_context_unref(s->server_context);
        s->server_context = asking_server(both);
        assert_false(connect_once(s));
        tls_context_unref(s->server_context);
        s->server_context = asking_server(both); /* made again from the same files */
        assert_true(connect_once(s));
        stage_free(s);
    }
    identity_free(&client);
    identity_free(&other);
}

/* It does not matter in what role: one that we show is not one that we demand. */
static void a_certificate_shown_is_not_one_demanded(void **state)
{
    struct identity both = authority_new("both", NULL);
    const char *other = both_file(&both);
    (void)state;
    struct stage *s = stage_new(server_context(&(struct tls_server_setup){
                                    .certs = (const char *[]){good_file, other},
                                    .keys = (const char *[]){NULL, NULL},
                                    .count = 2,
                                    .min_version = TLS1_2_VERSION,
                                }),
                                trusting_client(ca));
    assert_false(connect_once(s));
    assert_true(connect_once(s));
    tls_context_unref(s->server_context);
    s->server_context = asking_server(other);
    stage_open(s);
    stage_secure(s);
    TURN_UNTIL(s->loop, s->server.ready == 1 || s->server.closed);
    assert_int_equal(s->server.error, UV_EPROTO); /* it has no certificate */
    stage_close(s);
    stage_free(s);
    identity_free(&both);
}

/* What was verified by other rules was not verified. */
static void a_client_that_verifies_anew_resumes_nothing(void **state)
{
    struct stage *s = stage_new(plain_server(good_file),
                                client_context(&(struct tls_client_setup){.verify = false}));
    (void)state;
    assert_false(connect_once(s));
    assert_true(connect_once(s));
    tls_context_unref(s->client_context);
    s->client_context = trusting_client(ca);
    assert_false(connect_once(s));
    assert_true(connect_once(s));
    stage_free(s);
}

static void who_was_not_trusted_is_not_trusted_when_resumed(void **state)
{
    struct identity old = identity_new(
        "x", &(struct wanted){.names = "IP:" ADDRESS, .from = -2 * DAY, .to = -DAY}, &authority);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_new(plain_server(both_file(&old)), trusting_client(ca));
        only_version(s->client_context, versions[i]);
        for (int j = 0; j < 2; j++) {
            stage_open(s);
            struct tls *t = stage_connect(s);
            tls_tolerate(t);
            assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
            assert_int_equal(conn_secure(&s->client.conn, t, NULL, 0), 0);
            TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
            assert_int_equal(tls_is_resumed(s->client.conn.tls), j);
            assert_false(tls_is_trusted(s->client.conn.tls));
            assert_string_equal(s->client.why,
                                "its certificate is not accepted: certificate has expired");
            assert_int_equal(conn_write(&s->server.conn, "hello", 5), 0);
            TURN_UNTIL(s->loop, s->client.len == 5);
            stage_close(s);
        }
        stage_free(s);
    }
    identity_free(&old);
}

/* The server may be a new one, which does not understand what the old one gave. */
static void a_session_that_fails_to_resume_is_not_tried_again(void **state)
{
    struct stage *s = stage_of(TLS1_3_VERSION);
    (void)state;
    connect_once(s);
    assert_non_null(s->slot.session);
    stage_open(s);
    assert_int_equal(conn_secure(&s->client.conn, stage_connect(s), NULL, 0), 0);
    assert_int_equal(conn_write(&s->server.conn, "\x15\x03\x03\0\x02\x02\x28", 7), 0); /* alert */
    TURN_UNTIL(s->loop, s->client.closed);
    assert_int_equal(s->client.error, UV_EPROTO);
    assert_null(s->slot.session);
    stage_close(s);
    assert_false(connect_once(s));
    stage_free(s);
}

static void without_keys_there_are_no_tickets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct stage *s = stage_of(versions[i]);
        stage_open(s);
        struct tls *t = tls_accept(s->server_context, NULL);
        assert_int_equal(conn_secure(&s->server.conn, t, NULL, 0), 0);
        assert_int_equal(conn_secure(&s->client.conn, stage_connect(s), NULL, 0), 0);
        TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
        assert_int_equal(conn_write(&s->server.conn, "hello", 5), 0);
        TURN_UNTIL(s->loop, s->client.len == 5);
        assert_true(s->slot.session == NULL || SSL_SESSION_has_ticket(s->slot.session) == 0);
        stage_close(s);
        stage_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_resumed),
        cmocka_unit_test(each_connection_brings_a_new_ticket),
        cmocka_unit_test(every_worker_knows_the_tickets_of_the_others),
        cmocka_unit_test(keys_change_by_the_hour_and_agree),
        cmocka_unit_test(a_ticket_is_good_for_the_next_hour_and_no_longer),
        cmocka_unit_test(a_ticket_of_this_hour_is_not_renewed_in_tls_1_2),
        cmocka_unit_test(old_keys_are_forgotten),
        cmocka_unit_test(a_ticket_does_not_spare_a_certificate),
        cmocka_unit_test(a_certificate_shown_is_not_one_demanded),
        cmocka_unit_test(a_client_that_verifies_anew_resumes_nothing),
        cmocka_unit_test(who_was_not_trusted_is_not_trusted_when_resumed),
        cmocka_unit_test(a_session_that_fails_to_resume_is_not_tried_again),
        cmocka_unit_test(without_keys_there_are_no_tickets),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
