/* LOGIN, then for each probe a question or two in one write: the system identifier until it was
 * told, then the role. What a server may send whenever it likes (manual, "Asynchronous Operations")
 * is taken at any time, also between two probes. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "proto/pgsql.h"
#include "proto/pgsql_login.h"
#include "proto/pgsql_role.h"
#include "proto/probe_end.h"

#define PROBE_BYTES_MAX   (256 * 1024) /* of one probe's answers */
#define UNASKED_BYTES_MAX (64 * 1024)  /* between two probes */

enum expect {
    EXPECT_LOGIN,
    EXPECT_GROUP, /* the end of the answer to the first question */
    EXPECT_ROLE,
    EXPECT_NOTHING,
};

struct dialogue {
    enum expect expect;
    bool group_asked; /* it was told, or never will be */
    bool row;         /* the answer to the question has one */
    size_t fed;       /* by this probe, or since it */
    char group[REPLID_MAX];
    struct pgsql_lag lag;
    struct observation fresh;
    struct pgsql_login login;
    struct pgsql_reader reader;
    struct pgsql_out out;
};

static void send_questions(struct dialogue *d)
{
    d->expect = d->group_asked ? EXPECT_ROLE : EXPECT_GROUP;
    d->row = false;
    if (!d->group_asked) {
        pgsql_out_message(&d->out, 'Q', pgsql_group_question, strlen(pgsql_group_question) + 1);
    }
    pgsql_out_message(&d->out, 'Q', pgsql_role_question, strlen(pgsql_role_question) + 1);
}

static void clear_out(struct dialogue *d)
{
    wipe(d->out.data, d->out.len);
    d->out.len = 0;
}

/* A session is left politely, after a failure too; nothing else is sent then. */
static enum probe_step give_out(struct dialogue *d, enum probe_step step, const char **out,
                                size_t *out_len)
{
    if (step == PROBE_STEP_FAIL) {
        clear_out(d);
        if (d->login.state == PGSQL_LOGIN_DONE) {
            pgsql_out_message(&d->out, 'X', "", 0);
        }
    }
    *out = d->out.len > 0 ? d->out.data : NULL;
    *out_len = d->out.len;
    return step;
}

static enum probe_step pgsql_start(void *state, const struct probe_setup *setup, bool greeting,
                                   const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    clear_out(d);
    d->fed = 0;
    if (greeting) {
        wipe(d, sizeof(*d));
        pgsql_login_start(&d->login, setup, &d->out);
    } else {
        send_questions(d);
    }
    return give_out(d, PROBE_STEP_READ, out, out_len);
}

/* Answers ----------------------------------------------------------------------------------- */

static enum probe_step take_row(struct dialogue *d, struct observation *o)
{
    if (d->row) {
        return probe_fail(o, REACH_DENIED, "does not answer as PostgreSQL does");
    }
    d->row = true;
    if (d->expect == EXPECT_GROUP) {
        d->group_asked = pgsql_group_read(&d->reader, d->group);
        return PROBE_STEP_READ;
    }
    const char *wrong = pgsql_role_read(&d->reader, d->login.user, &d->lag, &d->fresh);
    return wrong != NULL ? probe_fail(o, REACH_DENIED, "%s", wrong) : PROBE_STEP_READ;
}

static enum probe_step take_end(struct dialogue *d, struct observation *o)
{
    if (d->expect == EXPECT_GROUP) {
        d->expect = EXPECT_ROLE;
        d->row = false;
        return PROBE_STEP_READ;
    }
    if (!d->row) {
        return probe_fail(o, REACH_DENIED, "does not answer as PostgreSQL does");
    }
    d->expect = EXPECT_NOTHING;
    memcpy(d->fresh.group, d->group, sizeof(d->group));
    probe_report(o, &d->fresh);
    return PROBE_STEP_DONE;
}

static enum probe_step take_answer(struct dialogue *d, struct observation *o)
{
    switch (pgsql_type(&d->reader)) {
    case 'T': /* RowDescription */
    case 'C': /* CommandComplete */
        return PROBE_STEP_READ;
    case 'D':
        return take_row(d, o);
    case 'Z':
        return take_end(d, o);
    default:
        return probe_fail(o, REACH_DENIED, "does not speak PostgreSQL");
    }
}

/* The system identifier is not worth the probe: it is asked again, unless it is not for us. */
static enum probe_step take_error(struct dialogue *d, struct observation *o)
{
    struct pgsql_error e = pgsql_error_read(&d->reader);
    if (d->expect != EXPECT_GROUP || strcmp(e.severity, "ERROR") != 0) {
        return pgsql_login_error(&d->login, &d->reader, o);
    }
    d->group_asked = strcmp(e.code, "42501") == 0;
    return PROBE_STEP_READ;
}

static void take_parameter(struct dialogue *d)
{
    static const char name[] = "server_version";
    const struct pgsql_reader *r = &d->reader;
    if (r->kept > sizeof(name) && memcmp(r->body, name, sizeof(name)) == 0) {
        char quote[PROBE_QUOTE_MAX];
        probe_quote(quote, r->body + sizeof(name), d->login.password);
        snprintf(d->login.version, sizeof(d->login.version), "%.31s", quote);
    }
}

static bool is_asynchronous(char type)
{
    return type == 'S' || type == 'N' || type == 'A';
}

static enum probe_step take_message(struct dialogue *d, struct observation *o)
{
    char type = pgsql_type(&d->reader);
    if (is_asynchronous(type)) {
        if (type == 'S') {
            take_parameter(d);
        }
        return PROBE_STEP_READ;
    }
    if (type == 'E') {
        return take_error(d, o);
    }
    if (d->expect != EXPECT_LOGIN) {
        return take_answer(d, o);
    }
    enum probe_step step = pgsql_login_take(&d->login, &d->reader, o, &d->out);
    if (step == PROBE_STEP_READ && d->login.state == PGSQL_LOGIN_DONE) {
        send_questions(d);
    }
    return step;
}

/* A server that cannot even fork says so in the form of protocol 2: an E and words. */
static enum probe_step broken(struct dialogue *d, struct observation *o)
{
    bool old = d->expect == EXPECT_LOGIN && pgsql_type(&d->reader) == 'E';
    return probe_fail(o, REACH_DENIED,
                      old ? "cannot start a session now" : "does not speak PostgreSQL");
}

/* What is behind an answer, or comes while nobody asked. A FATAL error there means that the
 * connection is about to end, which then tells enough. */
static bool take_unasked(struct dialogue *d, const char *data, size_t len)
{
    d->fed += len;
    while (len > 0 && d->fed <= UNASKED_BYTES_MAX) {
        enum pgsql_read got = pgsql_read(&d->reader, &data, &len);
        char type = pgsql_type(&d->reader);
        if (got == PGSQL_READ_BROKEN || (!is_asynchronous(type) && type != 'E')) {
            return false;
        }
    }
    return d->fed <= UNASKED_BYTES_MAX;
}

static enum probe_step pgsql_feed(void *state, const char *data, size_t len,
                                  struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    enum probe_step step = PROBE_STEP_READ;
    clear_out(d);
    if (d->login.state == PGSQL_LOGIN_BYTE || d->login.state == PGSQL_LOGIN_TLS) {
        step = pgsql_login_raw(&d->login, data, len, result, &d->out);
        return give_out(d, step, out, out_len);
    }
    d->fed += len;
    if (d->fed > PROBE_BYTES_MAX) {
        step = probe_fail(result, REACH_DENIED, "answers with more than %d KB",
                          PROBE_BYTES_MAX / 1024);
    }
    if (d->expect == EXPECT_NOTHING) {
        step = probe_fail(result, REACH_DENIED, "says more than it was asked");
    }
    while (len > 0 && step == PROBE_STEP_READ) {
        enum pgsql_read got = pgsql_read(&d->reader, &data, &len);
        if (got == PGSQL_READ_MESSAGE) {
            step = take_message(d, result);
        } else if (got == PGSQL_READ_BROKEN) {
            step = broken(d, result);
        }
    }
    if (step == PROBE_STEP_DONE) {
        d->fed = 0;
        if (!take_unasked(d, data, len)) {
            step = probe_fail(result, REACH_DENIED, "says more than it was asked");
        }
    }
    return give_out(d, step, out, out_len);
}

static bool pgsql_unasked(void *state, const char *data, size_t len)
{
    struct dialogue *d = state;
    return d->expect == EXPECT_NOTHING && take_unasked(d, data, len);
}

static void pgsql_goodbye(void *state, const struct probe_setup *setup, const char **out,
                          size_t *out_len)
{
    struct dialogue *d = state;
    (void)setup;
    give_out(d, PROBE_STEP_FAIL, out, out_len);
}

static void pgsql_release(void *state)
{
    wipe(state, sizeof(struct dialogue));
}

const struct probe_dialogue pgsql_probe = {
    .state_size = sizeof(struct dialogue),
    .tls_inside = true,
    .start = pgsql_start,
    .feed = pgsql_feed,
    .goodbye = pgsql_goodbye,
    .release = pgsql_release,
    .unasked = pgsql_unasked,
};
