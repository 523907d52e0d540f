/* One question at a time: each answer decides what is asked next (mysql_question_after()). What a
 * server sends beyond the answer that it owes is never kept for later: it fails the probe. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/mysql.h"
#include "proto/mysql_facts.h"
#include "proto/mysql_login.h"
#include "proto/mysql_rows.h"
#include "proto/mysql_words.h"
#include "proto/probe_end.h"

#define PROBE_BYTES_MAX (256 * 1024) /* of one probe's answers */
#define LOGIN_BYTES_MAX (16 * 1024)  /* of one packet of a login */
#define QUESTION_MAX    1024         /* bytes of SQL */
#define COM_QUIT        0x01
#define COM_QUERY       0x03

struct dialogue {
    struct mysql_login login; /* its account is kept for as long as the connection is */
    struct mysql_inbox inbox;
    unsigned char *out; /* owned; holds the password at times */
    size_t out_size;
    size_t fed;
    enum mysql_question asked;
    bool over; /* DONE or FAIL was said */
    struct mysql_rows rows;
    struct mysql_facts facts;
    unsigned char bye[MYSQL_HEADER + 1];
};

static void forget_out(struct dialogue *d)
{
    if (d->out != NULL) {
        wipe(d->out, d->out_size);
        free(d->out);
        d->out = NULL;
    }
}

static struct mysql_writer writer(struct dialogue *d)
{
    wipe(d->out, d->out_size);
    return (struct mysql_writer){.data = d->out, .size = d->out_size};
}

static void give(const struct mysql_writer *w, const char **out, size_t *out_len)
{
    assert(!w->full);
    *out = w->len > 0 ? (const char *)w->data : NULL;
    *out_len = w->len;
}

/* Questions ---------------------------------------------------------------------------------- */

static void ask(struct dialogue *d, enum mysql_question q, struct mysql_writer *w)
{
    char sql[QUESTION_MAX];
    size_t count;
    size_t len = mysql_question_sql(&d->facts, q, sql, sizeof sql);
    assert(len > 0 && len < sizeof sql);
    mysql_begin(w, 0);
    mysql_write_int(w, COM_QUERY, 1);
    mysql_write_bytes(w, sql, len);
    mysql_end(w);
    const struct mysql_column *columns = mysql_question_columns(q, &count);
    mysql_rows_begin(&d->rows, columns, count);
    d->asked = q;
}

static enum probe_step conclude(struct dialogue *d, struct observation *o)
{
    struct observation fresh;
    const char *wrong = mysql_facts_observe(&d->facts, &fresh);
    if (wrong != NULL) {
        return probe_fail(o, REACH_DENIED, "%s", wrong);
    }
    const char *secret = d->login.password;
    if (secret[0] != '\0' && strstr(fresh.why, secret) != NULL) {
        snprintf(fresh.why, sizeof fresh.why, "gives a reason that tells the probe's password");
    }
    probe_report(o, &fresh);
    return PROBE_STEP_DONE;
}

/* The next question, or the end. */
static enum probe_step go_on(struct dialogue *d, struct observation *o, struct mysql_writer *w)
{
    enum mysql_question next = mysql_question_after(&d->facts, d->asked);
    if (next == MYSQL_ASK_NOTHING) {
        return conclude(d, o);
    }
    ask(d, next, w);
    return PROBE_STEP_READ;
}

/* A node of Galera without its cluster still says what SHOW asks for, but not everything else. */
static enum probe_step unready(struct dialogue *d, struct mysql_text words, struct observation *o,
                               struct mysql_writer *w)
{
    if (d->asked == MYSQL_ASK_START) {
        return go_on(d, o, w);
    }
    char quote[PROBE_QUOTE_MAX];
    struct observation fresh;
    mysql_facts_unready(&d->facts, mysql_quote(quote, words, d->login.password), &fresh);
    probe_report(o, &fresh);
    return PROBE_STEP_DONE;
}

static enum probe_step take_error(struct dialogue *d, struct observation *o, struct mysql_writer *w)
{
    struct mysql_error e;
    struct mysql_facts *f = &d->facts;
    if (!mysql_read_error(&e, d->inbox.payload, d->inbox.length)) {
        return probe_fail(o, REACH_DENIED, "answers %s with no MySQL",
                          mysql_question_name(f, d->asked));
    }
    if (d->asked == MYSQL_ASK_CHANNELS && e.code == MYSQL_ER_PARSE &&
        f->dialect == MYSQL_DIALECT_REPLICA) {
        f->dialect = MYSQL_DIALECT_SLAVE;
        ask(d, MYSQL_ASK_CHANNELS, w);
        return PROBE_STEP_READ;
    }
    if (e.code == MYSQL_ER_NOT_PREPARED && e.text.len > 0 &&
        memmem(e.text.data, e.text.len, "WSREP", 5) != NULL) {
        return unready(d, e.text, o, w);
    }
    struct mysql_account who = mysql_login_account(&d->login);
    return mysql_question_refused(o, &e, &who, mysql_question_name(f, d->asked),
                                  mysql_question_grant(f, d->asked, e.text));
}

static enum probe_step take_answer(struct dialogue *d, struct observation *o,
                                   struct mysql_writer *w)
{
    switch (mysql_rows_take(&d->rows, &d->inbox)) {
    case MYSQL_ROWS_MORE:
        return PROBE_STEP_READ;
    case MYSQL_ROWS_ROW:
        if (mysql_facts_row(&d->facts, d->asked, d->rows.values)) {
            return PROBE_STEP_READ;
        }
        break;
    case MYSQL_ROWS_END:
        return go_on(d, o, w);
    case MYSQL_ROWS_ERROR:
        return take_error(d, o, w);
    case MYSQL_ROWS_BROKEN:
        break;
    }
    return probe_fail(o, REACH_DENIED, "does not answer %s as MySQL does",
                      mysql_question_name(&d->facts, d->asked));
}

/* One packet --------------------------------------------------------------------------------- */

static enum probe_step take(struct dialogue *d, struct observation *o, struct mysql_writer *w)
{
    if (d->login.state == MYSQL_LOGIN_OVER) {
        return take_answer(d, o, w);
    }
    enum probe_step step = mysql_login_take(&d->login, &d->inbox, o, w);
    if (step != PROBE_STEP_DONE) {
        return step;
    }
    d->facts.mariadb = d->login.mariadb;
    d->facts.secret = d->login.password;
    d->facts.dialect = d->login.mariadb ? MYSQL_DIALECT_MARIADB : MYSQL_DIALECT_REPLICA;
    ask(d, MYSQL_ASK_SETTINGS, w);
    return PROBE_STEP_READ;
}

/* Seen at the first byte, because a server of another protocol may wait for us to go on. */
static bool is_no_greeting(const struct dialogue *d)
{
    return d->login.state == MYSQL_LOGIN_GREETING && mysql_inbox_begun(&d->inbox) &&
           d->inbox.have > 0 && d->inbox.payload[0] != MYSQL_V10 &&
           d->inbox.payload[0] != MYSQL_ERROR;
}

static enum probe_step too_long(const struct dialogue *d, struct observation *o)
{
    if (d->login.state == MYSQL_LOGIN_GREETING) {
        return probe_fail(o, REACH_DENIED, "does not speak MySQL");
    }
    return probe_fail(o, REACH_DENIED, "answers with more than %d KB", PROBE_BYTES_MAX / 1024);
}

/* Whole packets of what came, until one makes us say something. */
static enum probe_step take_all(struct dialogue *d, const char *data, size_t len,
                                struct observation *o, struct mysql_writer *w)
{
    enum probe_step step = PROBE_STEP_READ;
    while (step == PROBE_STEP_READ && w->len == 0) {
        size_t max = d->login.state == MYSQL_LOGIN_OVER       ? PROBE_BYTES_MAX
                     : d->login.state == MYSQL_LOGIN_GREETING ? MYSQL_GREETING_MAX
                                                              : LOGIN_BYTES_MAX;
        switch (mysql_inbox_take(&d->inbox, max, &data, &len)) {
        case MYSQL_INBOX_PART:
            return is_no_greeting(d) ? too_long(d, o) : PROBE_STEP_READ;
        case MYSQL_INBOX_WHOLE:
            step = take(d, o, w);
            break;
        case MYSQL_INBOX_LONG:
            return too_long(d, o);
        case MYSQL_INBOX_NOMEM:
            return probe_fail(o, REACH_DENIED, "cannot be asked: the router is out of memory");
        }
    }
    if (step != PROBE_STEP_FAIL && len > 0) {
        return probe_fail(o, REACH_DENIED, "says more than it was asked");
    }
    return step;
}

/* The dialogue ------------------------------------------------------------------------------- */

static enum probe_step mysql_start(void *state, const struct probe_setup *setup, bool greeting,
                                   const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    *out = NULL;
    *out_len = 0;
    d->fed = 0;
    d->over = false;
    if (greeting) {
        forget_out(d);
        mysql_inbox_free(&d->inbox);
        d->facts = (struct mysql_facts){0};
        if (!mysql_login_start(&d->login, setup)) {
            return PROBE_STEP_FAIL;
        }
        d->out_size = mysql_login_size(&d->login) + QUESTION_MAX + MYSQL_HEADER;
        d->out = malloc(d->out_size);
    }
    if (d->out == NULL) {
        return PROBE_STEP_FAIL;
    }
    d->facts.topology = setup->mysql_topology;
    mysql_facts_renew(&d->facts);
    if (!greeting) {
        struct mysql_writer w = writer(d);
        ask(d, MYSQL_ASK_SETTINGS, &w);
        give(&w, out, out_len);
    }
    return PROBE_STEP_READ;
}

static enum probe_step mysql_feed(void *state, const char *data, size_t len,
                                  struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    enum probe_step step = PROBE_STEP_READ;
    struct mysql_writer w = writer(d);
    bool upgrading = d->login.state == MYSQL_LOGIN_TLS;
    *out = NULL;
    *out_len = 0;
    d->fed += len;
    if (d->over || (upgrading && len > 0)) {
        step = probe_fail(result, REACH_DENIED, "says more than it was asked");
    } else if (d->fed > PROBE_BYTES_MAX) {
        step = probe_fail(result, REACH_DENIED, "answers with more than %d KB",
                          PROBE_BYTES_MAX / 1024);
    } else if (upgrading) {
        step = mysql_login_secured(&d->login, result, &w);
    } else if (len > 0) {
        step = take_all(d, data, len, result, &w);
    }
    d->over = step == PROBE_STEP_DONE || step == PROBE_STEP_FAIL;
    result->greeting = d->login.greeting; /* also of a login that fails */
    if (step == PROBE_STEP_FAIL) {
        w.len = 0;
    }
    give(&w, out, out_len);
    return step;
}

static void mysql_goodbye(void *state, const struct probe_setup *setup, const char **out,
                          size_t *out_len)
{
    struct dialogue *d = state;
    (void)setup;
    struct mysql_writer w = {.data = d->bye, .size = sizeof d->bye};
    mysql_begin(&w, 0);
    mysql_write_int(&w, COM_QUIT, 1);
    mysql_end(&w);
    give(&w, out, out_len);
}

static void mysql_release(void *state)
{
    struct dialogue *d = state;
    forget_out(d);
    mysql_inbox_free(&d->inbox);
    mysql_login_forget(&d->login);
    *d = (struct dialogue){0};
}

/* A server counts a login that is cut before its end, from the accept on; so it is also true
 * before the greeting came. */
static bool mysql_unfinished(const void *state)
{
    const struct dialogue *d = state;
    return d->login.state != MYSQL_LOGIN_OVER;
}

static void mysql_distrust(void *state, const char *why)
{
    struct dialogue *d = state;
    mysql_login_distrust(&d->login, why);
}

/* The farewell of a server that ends an idle or killed session, or itself; it may come in pieces.
 */
static bool mysql_unasked(void *state, const char *data, size_t len)
{
    (void)state;
    return len <= MYSQL_HEADER || (unsigned char)data[MYSQL_HEADER] == MYSQL_ERROR;
}

const struct probe_dialogue mysql_probe = {
    .state_size = sizeof(struct dialogue),
    .tls_inside = true,
    .start = mysql_start,
    .feed = mysql_feed,
    .goodbye = mysql_goodbye,
    .release = mysql_release,
    .unfinished = mysql_unfinished,
    .distrust = mysql_distrust,
    .unasked = mysql_unasked,
};
