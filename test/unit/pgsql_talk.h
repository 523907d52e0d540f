/* A dialogue of pgsql_probe with a server that the test plays. */
#ifndef TEST_PGSQL_TALK_H
#define TEST_PGSQL_TALK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgsql_answers.h"
#include "proto/pgsql.h"

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

static inline void keep_sent(struct talk *t, const char *out, size_t len)
{
    if (len > 0) {
        text_add_bytes(&t->sent, out, len);
    }
}

static inline void start(struct talk *t, const struct probe_setup *setup, bool greeting)
{
    const char *out;
    size_t len;
    t->step = pgsql_probe.start(t->state, setup, greeting, &out, &len);
    assert_int_equal(t->step, PROBE_STEP_READ);
    text_free(&t->sent);
    keep_sent(t, out, len);
}

static inline struct talk talk_new(const struct probe_setup *setup)
{
    struct talk t = {.state = calloc(1, pgsql_probe.state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    start(&t, setup, true);
    return t;
}

static inline void talk_free(struct talk *t)
{
    pgsql_probe.release(t->state);
    for (size_t i = 0; i < pgsql_probe.state_size; i++) {
        assert_int_equal(((const char *)t->state)[i], 0); /* no secret is left */
    }
    free(t->state);
    text_free(&t->sent);
}

static inline void feed(struct talk *t, struct bytes b)
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

static inline void feed_pieces(struct talk *t, struct bytes b, size_t piece)
{
    for (size_t at = 0; at < b.len; at += piece) {
        feed(t, (struct bytes){b.p + at, b.len - at < piece ? b.len - at : piece});
    }
}

static inline bool sent(const struct talk *t, struct bytes b)
{
    return t->sent.data != NULL && memmem(t->sent.data, t->sent.len, b.p, b.len) != NULL;
}

static inline bool asked_for_role(const struct talk *t)
{
    return sent(t, BYTES("pg_is_in_recovery()"));
}

static inline bool asked_for_group(const struct talk *t)
{
    return sent(t, BYTES("pg_control_system()"));
}

static inline void assert_ends(const struct probe_setup *setup, struct bytes answer,
                               enum reach reach, const char *why)
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

#endif
