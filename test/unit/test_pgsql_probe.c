/* The dialogue with a PostgreSQL server, fed with what real ones say and with what lying ones may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "pgsql_answers.h"
#include "proto/pgsql.h"
#include "proto/pgsql_scram.h"

#define SECRET "s3cret"

static const struct probe_setup account = {.user = "router", .password = SECRET};
static const struct probe_setup no_password = {.user = "router"};
static const struct probe_setup over_tls = {.user = "router", .password = SECRET, .tls = true};
static const struct probe_setup unix_socket = {.user = "router", .password = SECRET, .local = true};

#define STARTUP                                                                                    \
    "\000\000\000\077\000\003\000\000user\000router\000database\000postgres\000"                   \
    "application_name\000router\000\000"
#define SSL_REQUEST "\000\000\000\010\004\322\026\057"

struct talk {
    void *state;
    struct observation seen;
    enum probe_step step;
    struct text sent; /* all of it */
};

static void keep_sent(struct talk *t, const char *out, size_t len)
{
    if (len > 0) {
        text_add_bytes(&t->sent, out, len);
    }
}

static void start(struct talk *t, const struct probe_setup *setup, bool greeting)
{
    const char *out;
    size_t len;
    t->step = pgsql_probe.start(t->state, setup, greeting, &out, &len);
    assert_int_equal(t->step, PROBE_STEP_READ);
    text_free(&t->sent);
    keep_sent(t, out, len);
}

static struct talk talk_new(const struct probe_setup *setup)
{
    struct talk t = {.state = calloc(1, pgsql_probe.state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    start(&t, setup, true);
    return t;
}

static void talk_free(struct talk *t)
{
    pgsql_probe.release(t->state);
    for (size_t i = 0; i < pgsql_probe.state_size; i++) {
        assert_int_equal(((const char *)t->state)[i], 0); /* no secret is left */
    }
    free(t->state);
    text_free(&t->sent);
}

static void feed(struct talk *t, struct bytes b)
{
    const char *out;
    size_t len;
    if (t->step != PROBE_STEP_READ && t->step != PROBE_STEP_TLS) {
        return;
    }
    char *copy = malloc(b.len); /* a sanitizer sees who reads behind it */
    memcpy(copy, b.p, b.len);
    t->step = pgsql_probe.feed(t->state, b.len > 0 ? copy : NULL, b.len, &t->seen, &out, &len);
    keep_sent(t, out, len);
    free(copy);
}

static void feed_pieces(struct talk *t, struct bytes b, size_t piece)
{
    for (size_t at = 0; at < b.len; at += piece) {
        feed(t, (struct bytes){b.p + at, b.len - at < piece ? b.len - at : piece});
    }
}

static bool sent(const struct talk *t, struct bytes b)
{
    return t->sent.data != NULL && memmem(t->sent.data, t->sent.len, b.p, b.len) != NULL;
}

static bool asked_for_role(const struct talk *t)
{
    return sent(t, BYTES("pg_is_in_recovery()"));
}

static bool asked_for_group(const struct talk *t)
{
    return sent(t, BYTES("pg_control_system()"));
}

static void assert_ends(const struct probe_setup *setup, struct bytes answer, enum reach reach,
                        const char *why)
{
    struct talk t = talk_new(setup);
    feed(&t, answer);
    assert_int_equal(t.step, reach == REACH_ANSWERED ? PROBE_STEP_DONE : PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, reach);
    if (strstr(t.seen.why, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, t.seen.why);
    }
    assert_null(strstr(t.seen.why, SECRET));
    assert_int_equal(t.seen.failures, 3);
    assert_int_equal(t.seen.asked, 5);
    talk_free(&t);
}

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

static void a_primary_is_seen_whatever_the_pieces(void **state)
{
    (void)state;
    struct bytes all = BYTES(GREETING GROUP PRIMARY);
    struct talk whole = talk_new(&account);
    feed(&whole, all);
    assert_int_equal(whole.step, PROBE_STEP_DONE);
    assert_int_equal(whole.seen.reach, REACH_ANSWERED);
    assert_int_equal(whole.seen.part, PART_SOURCE);
    assert_true(whole.seen.writable);
    assert_int_equal(whole.seen.channel_count, 0);
    assert_int_equal(whole.seen.term, 1);
    assert_int_equal(whole.seen.position, 50590200);
    assert_int_equal(whole.seen.behind_ms, -1);
    assert_string_equal(whole.seen.identity, "1795263977842986");
    assert_string_equal(whole.seen.group, "7710600071067284406");
    assert_string_equal(whole.seen.id, "");
    assert_string_equal(whole.seen.why, "");
    assert_int_equal(whole.seen.failures, 3);
    assert_int_equal(whole.seen.asked, 5);
    for (size_t cut = 1; cut < all.len; cut++) {
        struct talk parts = talk_new(&account);
        feed(&parts, (struct bytes){all.p, cut});
        assert_int_equal(parts.step, PROBE_STEP_READ);
        feed(&parts, (struct bytes){all.p + cut, all.len - cut});
        assert_int_equal(parts.step, PROBE_STEP_DONE);
        assert_true(same_role(&whole.seen, &parts.seen));
        assert_int_equal(parts.sent.len, whole.sent.len);
        talk_free(&parts);
    }
    struct talk bytes = talk_new(&account);
    feed_pieces(&bytes, all, 1);
    assert_int_equal(bytes.step, PROBE_STEP_DONE);
    assert_true(same_role(&whole.seen, &bytes.seen));
    talk_free(&bytes);
    talk_free(&whole);
}

static void a_server_that_stops_anywhere_is_waited_for(void **state)
{
    (void)state;
    struct bytes all = BYTES(GREETING GROUP STANDBY);
    for (size_t cut = 0; cut < all.len; cut++) {
        struct talk t = talk_new(&account);
        feed_pieces(&t, (struct bytes){all.p, cut}, 100);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.seen.reach, REACH_UNASKED);
        talk_free(&t);
    }
}

static void a_kept_connection_is_asked_for_the_role_only(void **state)
{
    (void)state;
    struct talk t = talk_new(&account);
    feed(&t, BYTES(GREETING));
    assert_true(asked_for_group(&t) && asked_for_role(&t));
    feed(&t, BYTES(GROUP PRIMARY));
    start(&t, &account, false);
    assert_true(asked_for_role(&t) && !asked_for_group(&t));
    feed(&t, BYTES(STANDBY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.channel_count, 1);
    assert_string_equal(t.seen.group, "7710600071067284406");
    talk_free(&t);
}

static void add_greeting(struct text *t)
{
    text_add_bytes(t, GREETING, sizeof(GREETING) - 1);
}

static void a_group_that_cannot_be_read_does_not_matter(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        bool again;
    } cases[] = {{"XX001", true}, {"42501", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_greeting(&answer);
        text_add_bytes(&answer, SETS, sizeof(SETS) - 1);
        add_error(&answer, "ERROR", cases[i].code, "calculated CRC checksum does not match");
        text_add_bytes(&answer, READY PRIMARY, sizeof(READY PRIMARY) - 1);
        struct talk t = talk_new(&account);
        feed(&t, (struct bytes){answer.data, answer.len});
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_string_equal(t.seen.group, "");
        assert_true(t.seen.writable);
        start(&t, &account, false);
        assert_int_equal(asked_for_group(&t), cases[i].again);
        talk_free(&t);
        text_free(&answer);
    }
}

/* Logging in -------------------------------------------------------------------------------- */

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

/* Errors ------------------------------------------------------------------------------------ */

static void errors_of_a_login_are_put_into_words(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(ERROR_HBA), REACH_DENIED,
                "pg_hba.conf, or the role): no pg_hba.conf entry for host \"127.0.0.1\"");
    assert_ends(&account, BYTES(ERROR_DATABASE), REACH_DENIED, "lacks probe_database");
    assert_ends(&account, BYTES(AUTH_MD5 ERROR_PASSWORD), REACH_DENIED,
                "does not accept the probe's user and password");
    assert_ends(&account, BYTES(ERROR_FULL), REACH_DENIED, "no connection left");
    assert_ends(&account,
                BYTES("Ecould not fork new process for connection: Cannot allocate\n\000"),
                REACH_DENIED, "cannot start a session now");
    static const struct {
        const char *code;
        enum reach reach;
        const char *why;
    } cases[] = {
        {"57P03", REACH_SILENT, "takes no sessions now: words"},
        {"57P01", REACH_REFUSED, "ended the probe's session"},
        {"57P02", REACH_REFUSED, "ended the probe's session"},
        {"42501", REACH_DENIED, "does not allow it"},
        {"0A000", REACH_DENIED, "answers the probe's login with error 0A000: words ? ?"},
        {"", REACH_DENIED, "answers the probe's login with error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_error(&answer, "FATAL", cases[i].code, "words \x1b \x80");
        assert_ends(&account, (struct bytes){answer.data, answer.len}, cases[i].reach,
                    cases[i].why);
        text_free(&answer);
    }
}

static void errors_of_a_question_are_put_into_words(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(GREETING GROUP SETS ERROR_TIMEOUT), REACH_SILENT,
                "did not answer in time");
    assert_ends(&account, BYTES(GREETING GROUP ERROR_SHUTDOWN), REACH_REFUSED,
                "ended the probe's session");
    assert_ends(&account, BYTES(GREETING ERROR_SHUTDOWN), REACH_REFUSED,
                "ended the probe's session");
    static const struct {
        const char *code;
        const char *why;
    } cases[] = {
        {"42883", "is 15.18 (Debian 15.18-0+deb12u1); the probe needs PostgreSQL 11 or later"},
        {"42501", "does not allow it to the probe's user: words"},
        {"XX000", "answers the probe's question with error XX000: words"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text answer = {0};
        add_greeting(&answer);
        text_add_bytes(&answer, GROUP, sizeof(GROUP) - 1);
        add_error(&answer, "ERROR", cases[i].code, "words");
        assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, cases[i].why);
        text_free(&answer);
    }
}

static void an_error_that_tells_the_password_is_not_quoted(void **state)
{
    (void)state;
    static const char *const codes[] = {"28P01", "28000", "XX000", "s3cret", "42883"};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        for (int later = 0; later < 2; later++) {
            struct text answer = {0};
            if (later) {
                text_add_bytes(&answer, GREETING GROUP, sizeof(GREETING GROUP) - 1);
            }
            add_error(&answer, later ? "ERROR" : "FATAL", codes[i], "no s3cret for you");
            assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, "");
            text_free(&answer);
        }
    }
}

static void a_session_is_left_politely(void **state)
{
    (void)state;
    const char *out;
    size_t len;
    struct talk t = talk_new(&account);
    pgsql_probe.goodbye(t.state, &account, &out, &len);
    assert_int_equal(len, 0); /* there is none yet */
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    pgsql_probe.goodbye(t.state, &account, &out, &len);
    assert_int_equal(len, 5);
    assert_memory_equal(out, "X\000\000\000\004", 5);
    talk_free(&t);
    t = talk_new(&account);
    feed(&t, BYTES(GREETING GROUP SETS ERROR_TIMEOUT));
    assert_memory_equal(t.sent.data + t.sent.len - 5, "X\000\000\000\004", 5);
    talk_free(&t);
}

/* Bytes that nobody asked for --------------------------------------------------------------- */

static struct talk idle(void)
{
    struct talk t = talk_new(&account);
    feed(&t, BYTES(GREETING GROUP PRIMARY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    return t;
}

static bool unasked(struct talk *t, struct bytes b)
{
    return pgsql_probe.unasked(t->state, b.p, b.len);
}

static void parameters_notices_and_a_last_word_may_come_at_any_time(void **state)
{
    (void)state;
    static const struct bytes fine[] = {
        BYTES(HOT_STANDBY_OFF),
        BYTES("N\000\000\000\006Sx"),
        BYTES(ERROR_SHUTDOWN),
        BYTES("A\000\000\000\013\000\000\000\001a\000\000"),
    };
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        struct talk t = idle();
        for (size_t at = 0; at < fine[i].len; at++) {
            assert_true(unasked(&t, (struct bytes){fine[i].p + at, 1}));
        }
        start(&t, &account, false);
        feed(&t, BYTES(STANDBY));
        assert_int_equal(t.step, PROBE_STEP_DONE);
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY HOT_STANDBY_OFF ERROR_SHUTDOWN),
                REACH_ANSWERED, "");
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY HOT_STANDBY_OFF "S\000"), REACH_ANSWERED,
                "");
}

static void a_message_may_begin_before_the_question_and_end_after_it(void **state)
{
    (void)state;
    struct bytes half = BYTES(HOT_STANDBY_OFF);
    struct talk t = idle();
    assert_true(unasked(&t, (struct bytes){half.p, 9}));
    start(&t, &account, false);
    feed(&t, (struct bytes){half.p + 9, half.len - 9});
    feed(&t, BYTES(STANDBY));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);
}

static void an_answer_without_a_question_is_not_fine(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        BYTES(PRIMARY),
        BYTES(READY),
        BYTES("S\000\000\000\003"),
        BYTES("S\377\377\377\377"),
        BYTES(HOT_STANDBY_OFF AUTH_MD5),
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct talk t = idle();
        assert_false(unasked(&t, wrong[i]));
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING GROUP PRIMARY READY), REACH_DENIED, "more than it was");
}

static void a_flood_ends(void **state)
{
    (void)state;
    struct talk t = idle();
    size_t n = 0;
    while (unasked(&t, BYTES(HOT_STANDBY_OFF)) && n < 1000000) {
        n++;
    }
    assert_in_range(n, 100, 3000);
    talk_free(&t);

    static const struct bytes floods[] = {BYTES(HOT_STANDBY_OFF), BYTES("N\000\003\000\000Sx")};
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        t = talk_new(&account);
        for (n = 0; t.step == PROBE_STEP_READ && n < 1000000; n++) {
            feed(&t, floods[i]);
        }
        assert_int_equal(t.seen.reach, REACH_DENIED);
        assert_true(n < 300 * 1024 / 7);
        talk_free(&t);
    }
    assert_ends(&account, BYTES(GREETING "N\000\020\000\000"), REACH_DENIED, "does not speak");
}

static void a_long_message_is_skipped(void **state)
{
    (void)state;
    struct text answer = {0};
    char *body = calloc(1, 60000);
    memset(body, 'M', 60000 - 1);
    add_greeting(&answer);
    add_message(&answer, 'N', body, 60000);
    text_add_bytes(&answer, GROUP PRIMARY, sizeof(GROUP PRIMARY) - 1);
    assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_ANSWERED, "");
    text_free(&answer);
    add_message(&answer, 'E', body, 60000);
    assert_ends(&account, (struct bytes){answer.data, answer.len}, REACH_DENIED, "");
    text_free(&answer);
    free(body);
}

static void it_needs_exactly_one_row(void **state)
{
    (void)state;
    assert_ends(&account, BYTES(GREETING GROUP SETS COLUMNS DONE), REACH_DENIED, "does not answer");
    assert_ends(&account, BYTES(GREETING GROUP SETS COLUMNS PRIMARY_ROW("t") PRIMARY_ROW("t") DONE),
                REACH_DENIED, "does not answer");
    assert_ends(&account, BYTES(GREETING GROUP GROUP), REACH_DENIED, "does not answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_logs_in_with_user_and_database),
        cmocka_unit_test(without_a_user_it_says_so_and_does_not_log_in),
        cmocka_unit_test(a_primary_is_seen_whatever_the_pieces),
        cmocka_unit_test(a_server_that_stops_anywhere_is_waited_for),
        cmocka_unit_test(a_kept_connection_is_asked_for_the_role_only),
        cmocka_unit_test(a_group_that_cannot_be_read_does_not_matter),
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
        cmocka_unit_test(errors_of_a_login_are_put_into_words),
        cmocka_unit_test(errors_of_a_question_are_put_into_words),
        cmocka_unit_test(an_error_that_tells_the_password_is_not_quoted),
        cmocka_unit_test(a_session_is_left_politely),
        cmocka_unit_test(parameters_notices_and_a_last_word_may_come_at_any_time),
        cmocka_unit_test(a_message_may_begin_before_the_question_and_end_after_it),
        cmocka_unit_test(an_answer_without_a_question_is_not_fine),
        cmocka_unit_test(a_flood_ends),
        cmocka_unit_test(a_long_message_is_skipped),
        cmocka_unit_test(it_needs_exactly_one_row),
    };
    return cmocka_run_group_tests_name("pgsql_probe", tests, NULL, NULL);
}
