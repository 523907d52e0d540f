/* The question is one string of the simple protocol and so one transaction: SET LOCAL ends with it,
 * which keeps a pooler's connections clean. A CASE keeps what fails in the wrong role from being
 * run. Timelines: a primary's is that of the WAL it writes, a standby's that of the WAL it gets;
 * pg_control_checkpoint() would tell the one of the last checkpoint. */
#include "proto/pgsql_role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/probe_end.h"

#define BEGIN "SET LOCAL statement_timeout=2000;SET LOCAL search_path=pg_catalog;"

/* In the order of the question. */
enum column {
    COLUMN_RECOVERY,
    COLUMN_POSITION,    /* LSN written, or replayed */
    COLUMN_WAL_FILE,    /* NULL on a standby */
    COLUMN_READ_ONLY,   /* from where default_transaction_read_only is on; NULL = it is off */
    COLUMN_STARTED_US,  /* the server */
    COLUMN_NOW_MS,      /* the server's clock */
    COLUMN_RECEIVED,    /* LSN; NULL on a primary */
    COLUMN_REPLAYED_MS, /* commit time of the last transaction replayed */
    COLUMN_PAUSED,      /* NULL on a primary */
    COLUMN_SEES,        /* we may see the columns below */
    COLUMN_RECEIVER,    /* everybody may see that there is one */
    COLUMN_STATUS,
    COLUMN_HOST,
    COLUMN_PORT,
    COLUMN_TIMELINE, /* decimal */
    COLUMN_HEARD_MS,
    COLUMNS,
};

const char pgsql_role_question[] = BEGIN
    "SELECT pg_is_in_recovery(),"
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
    "-'0/0'::pg_lsn,"
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END,"
    "CASE WHEN current_setting('default_transaction_read_only')='on' THEN"
    "(SELECT source FROM pg_settings WHERE name='default_transaction_read_only')END,"
    "(extract(epoch FROM pg_postmaster_start_time())*1000000)::bigint,"
    "(extract(epoch FROM clock_timestamp())*1000)::bigint,"
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()-'0/0'::pg_lsn END,"
    "CASE WHEN pg_is_in_recovery() THEN"
    "(extract(epoch FROM pg_last_xact_replay_timestamp())*1000)::bigint END,"
    "CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,"
    "pg_has_role('pg_read_all_stats','USAGE'),"
    "r.pid,r.status,r.sender_host,r.sender_port,r.received_tli,"
    "(extract(epoch FROM r.last_msg_receipt_time)*1000)::bigint "
    "FROM(SELECT 1)one LEFT JOIN pg_stat_wal_receiver r ON true";

const char pgsql_group_question[] = BEGIN "SELECT system_identifier FROM pg_control_system()";

struct value {
    const char *p; /* NULL = SQL's NULL */
    size_t len;
};

/* The fields of a DataRow; false unless there are exactly `count`. */
static bool read_row(const struct pgsql_reader *r, struct value *values, size_t count)
{
    if (!pgsql_whole(r) || r->length < 2 || pgsql_get16(r->body) != count) {
        return false;
    }
    size_t at = 2;
    for (size_t i = 0; i < count; i++) {
        if (r->length - at < 4) {
            return false;
        }
        uint32_t len = pgsql_get32(r->body + at);
        at += 4;
        values[i] = (struct value){0};
        if (len == UINT32_MAX) {
            continue;
        }
        if (len > r->length - at) {
            return false;
        }
        values[i] = (struct value){r->body + at, len};
        at += len;
    }
    return at == r->length;
}

/* -1 for NULL. False for what is no number from 0 to INT64_MAX. */
static bool read_number(struct value v, int64_t *number)
{
    *number = -1;
    if (v.p == NULL) {
        return true;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < v.len; i++) {
        unsigned digit = (unsigned char)v.p[i] - (unsigned)'0';
        if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *number = (int64_t)n;
    return v.len > 0;
}

static bool is(struct value v, const char *text)
{
    return v.p != NULL && v.len == strlen(text) && memcmp(v.p, text, v.len) == 0;
}

static bool is_bool(struct value v)
{
    return is(v, "t") || is(v, "f");
}

/* A WAL file's name begins with eight hex digits of the timeline. 0 if it does not. */
static uint64_t timeline_of(struct value file)
{
    char digits[9] = "";
    if (file.p == NULL || file.len != 24) {
        return 0;
    }
    memcpy(digits, file.p, 8);
    return strspn(digits, "0123456789ABCDEF") == 8 ? strtoul(digits, NULL, 16) : 0;
}

/* As base/address.h reads addresses. Empty if it is not known or cannot be one. */
static void print_source(struct value host, struct value port, char out[PEER_TEXT_MAX])
{
    out[0] = '\0';
    int64_t number;
    if (host.p == NULL || host.len == 0 || host.len >= PEER_TEXT_MAX ||
        !read_number(port, &number) || number < 1 || number > 65535) {
        return;
    }
    for (size_t i = 0; i < host.len; i++) {
        if (host.p[i] <= ' ' || host.p[i] > '~') {
            return;
        }
    }
    const char *form = host.p[0] == '/'                        ? "unix:%.*s/.s.PGSQL.%d"
                       : memchr(host.p, ':', host.len) != NULL ? "[%.*s]:%d"
                                                               : "%.*s:%d";
    if (snprintf(out, PEER_TEXT_MAX, form, (int)host.len, host.p, (int)number) >= PEER_TEXT_MAX) {
        out[0] = '\0';
    }
}

/* An account's own default says nothing about the server. */
static bool server_is_read_only(struct value source)
{
    return source.p != NULL && !is(source, "user") && !is(source, "database user") &&
           !is(source, "client") && !is(source, "session");
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a >= 0 && (b < 0 || a < b) ? a : b;
}

/* The age of the last transaction replayed says nothing while nothing waits to be replayed, and
 * too much when the first write after a quiet hour does. So it counts only while the standby has
 * more than it replayed, and not for longer than since it had replayed everything. */
static int64_t behind_ms(struct pgsql_lag *lag, int64_t now, int64_t replayed, int64_t received,
                         int64_t replayed_ms)
{
    if (received < 0 || replayed < 0) {
        return -1;
    }
    if (replayed >= received) {
        *lag = (struct pgsql_lag){received, now, now};
        return 0;
    }
    if (lag->mark_ms == 0 || replayed >= lag->mark) {
        *lag = (struct pgsql_lag){received, now, lag->mark_ms};
    }
    int64_t since_commit = replayed_ms < 0 ? -1 : replayed_ms > now ? 0 : now - replayed_ms;
    int64_t since_caught = lag->caught_ms == 0    ? -1
                           : lag->caught_ms > now ? 0
                                                  : now - lag->caught_ms;
    return smaller(since_commit, since_caught);
}

static const char nonsense[] = "does not answer as PostgreSQL does";

struct numbers {
    int64_t now;
    int64_t received;
    int64_t replayed_ms;
    int64_t heard_ms;
    int64_t timeline;
};

static const char *read_standby(const struct value *v, const struct numbers *n,
                                struct pgsql_lag *lag, struct observation *o)
{
    struct channel *c = &o->channels[0];
    bool sees = is(v[COLUMN_SEES], "t");
    bool receiver = v[COLUMN_RECEIVER].p != NULL;
    bool paused = is(v[COLUMN_PAUSED], "t");
    if (!is_bool(v[COLUMN_PAUSED])) {
        return nonsense;
    }
    o->channel_count = 1;
    print_source(v[COLUMN_HOST], v[COLUMN_PORT], c->source);
    c->running = receiver && !paused && (!sees || is(v[COLUMN_STATUS], "streaming"));
    o->term = n->timeline > 0 ? (uint64_t)n->timeline : 0;
    o->link_idle_ms =
        n->heard_ms >= 0 && n->heard_ms < n->now ? (uint64_t)(n->now - n->heard_ms) : 0;
    o->behind_ms = receiver ? behind_ms(lag, n->now, o->position, n->received, n->replayed_ms) : -1;
    if (paused) {
        snprintf(o->why, sizeof(o->why), "its replay is paused (pg_wal_replay_resume())");
    }
    return NULL;
}

static const char *read_primary(const struct value *v, struct observation *o)
{
    o->term = timeline_of(v[COLUMN_WAL_FILE]);
    o->writable = !server_is_read_only(v[COLUMN_READ_ONLY]);
    if (o->term == 0 || o->position < 0) {
        return nonsense;
    }
    if (!o->writable) {
        snprintf(o->why, sizeof(o->why),
                 "is not in recovery, but default_transaction_read_only is on");
    }
    return NULL;
}

const char *pgsql_role_read(const struct pgsql_reader *r, const char *user, struct pgsql_lag *lag,
                            struct observation *o)
{
    struct value v[COLUMNS];
    struct numbers n;
    int64_t started;
    *o = (struct observation){.reach = REACH_ANSWERED, .part = PART_SOURCE, .behind_ms = -1};
    if (!read_row(r, v, COLUMNS) || !is_bool(v[COLUMN_RECOVERY]) || !is_bool(v[COLUMN_SEES]) ||
        !read_number(v[COLUMN_POSITION], &o->position) ||
        !read_number(v[COLUMN_STARTED_US], &started) || started < 0 ||
        !read_number(v[COLUMN_NOW_MS], &n.now) || n.now < 0 ||
        !read_number(v[COLUMN_RECEIVED], &n.received) ||
        !read_number(v[COLUMN_REPLAYED_MS], &n.replayed_ms) ||
        !read_number(v[COLUMN_TIMELINE], &n.timeline) ||
        !read_number(v[COLUMN_HEARD_MS], &n.heard_ms)) {
        return nonsense;
    }
    snprintf(o->identity, sizeof(o->identity), "%lld", (long long)started);
    const char *wrong =
        is(v[COLUMN_RECOVERY], "t") ? read_standby(v, &n, lag, o) : read_primary(v, o);
    if (wrong == NULL && o->why[0] == '\0' && is(v[COLUMN_SEES], "f")) {
        char quote[PROBE_QUOTE_MAX];
        snprintf(o->why, sizeof(o->why),
                 "does not show its replication to the probe: GRANT pg_monitor TO %.63s",
                 probe_quote(quote, user, NULL));
    }
    return wrong;
}

bool pgsql_group_read(const struct pgsql_reader *r, char group[REPLID_MAX])
{
    struct value v;
    int64_t number;
    if (!read_row(r, &v, 1) || !read_number(v, &number) || number <= 0) {
        return false;
    }
    snprintf(group, REPLID_MAX, "%lld", (long long)number);
    return true;
}
