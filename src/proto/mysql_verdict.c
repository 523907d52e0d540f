/* What the facts mean. A group or a cluster says itself who may write; of servers that only
 * replicate, the census finds it out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "proto/mysql_facts.h"

static bool is(const char *text, const char *word)
{
    return strcasecmp(text, word) == 0;
}

PRINTF_LIKE(2, 3)
static void explain(struct observation *o, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(o->why, sizeof o->why, fmt, args);
    va_end(args);
}

/* Of digits only and in range, else `otherwise`. */
static uint64_t number(const char *digits, uint64_t max, uint64_t otherwise)
{
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 19 || digits[len] != '\0') {
        return otherwise;
    }
    uint64_t n = strtoull(digits, NULL, 10);
    return n <= max ? n : otherwise;
}

static const char *own_id(const struct mysql_settings *s)
{
    if (s->server_uuid[0] != '\0') {
        return s->server_uuid;
    }
    return is(s->server_id, "0") ? "" : s->server_id;
}

/* Why the server takes no writes by its settings; NULL: it does. */
static const char *why_not_writable(const struct mysql_settings *s)
{
    return s->offline_mode       ? "is in offline_mode"
           : s->innodb_read_only ? "is read-only (innodb_read_only)"
           : s->super_read_only  ? "is read-only (super_read_only)"
           : s->read_only        ? "is read-only (read_only)"
                                 : NULL;
}

/* Plain replication -------------------------------------------------------------------------- */

static void observe_source(const struct mysql_facts *f, struct observation *o)
{
    const char *closed = why_not_writable(&f->settings);
    o->part = PART_SOURCE;
    snprintf(o->id, sizeof o->id, "%s", own_id(&f->settings));
    o->writable = closed == NULL;
    o->channel_count = f->channel_count < CHANNELS_MAX ? f->channel_count : CHANNELS_MAX;
    memcpy(o->channels, f->channels, o->channel_count * sizeof o->channels[0]);
    o->gtids = f->gtids;
    o->behind_ms = f->behind_ms;
    if (f->channel_count > CHANNELS_MAX) {
        o->writable = false; /* a source that we cannot keep may be a member of the backend */
        explain(o, "replicates from %u sources, more than the %d that are looked at",
                f->channel_count, CHANNELS_MAX);
    } else if (f->broken[0] != '\0') {
        explain(o, "%s", f->broken);
    } else if (closed != NULL && f->channel_count == 0) {
        explain(o, "%s", closed);
    }
}

/* Group Replication -------------------------------------------------------------------------- */

/* "17952651342137830:5": when the group was bootstrapped, in units of 100 ns, and the number of
 * the view since. As one number that grows with each view and each bootstrap: seconds, view. */
static uint64_t view_number(const char *view)
{
    char born[64];
    const char *colon = strchr(view, ':');
    if (colon == NULL) {
        return 0;
    }
    snprintf(born, sizeof born, "%.*s", (int)(colon - view), view);
    uint64_t seconds = number(born, INT64_MAX, 0) / 10000000;
    uint64_t count = number(colon + 1, UINT32_MAX, 0);
    return seconds <= UINT32_MAX ? seconds << 32 | count : count;
}

static void observe_primary(const struct mysql_facts *f, struct observation *o)
{
    const char *closed = why_not_writable(&f->settings);
    if (closed != NULL) {
        explain(o, "is PRIMARY of its group, but %s", closed);
        return;
    }
    o->claim = CLAIM_PRIMARY;
    o->usable = true;
    o->authority = WORD_YES;
}

static void observe_member(const struct mysql_facts *f, struct observation *o)
{
    const struct mysql_group *g = &f->group;
    bool primary = is(g->role, "PRIMARY");
    bool majority = (g->members - g->reachable) * 2 < g->members;
    if (is(g->state, "RECOVERING")) {
        o->claim = CLAIM_REPLICA;
        o->syncing = true;
        explain(o, "is RECOVERING in its group");
    } else if (!is(g->state, "ONLINE")) {
        explain(o, "is %s in its group", g->state[0] != '\0' ? g->state : "of no state");
    } else if (!majority) {
        explain(o, "is %s of a group without a majority (%u of %u members reachable)",
                primary ? "PRIMARY" : "SECONDARY", g->reachable, g->members);
    } else if (primary) {
        observe_primary(f, o);
    } else {
        o->claim = CLAIM_REPLICA;
        o->link_up = true;
    }
    if (o->claim == CLAIM_REPLICA) {
        snprintf(o->follows, sizeof o->follows, "%s", g->primary);
    }
}

static void observe_group(const struct mysql_facts *f, struct observation *o)
{
    const struct mysql_group *g = &f->group;
    /* Where all members take writes, one is kept as the writer, as in a Galera cluster. */
    bool many = f->settings.group_name[0] != '\0' && !f->settings.single_primary;
    o->part = many ? PART_GALERA : PART_GROUP;
    o->index = UINT32_MAX;
    snprintf(o->id, sizeof o->id, "%s", f->settings.server_uuid);
    snprintf(o->group, sizeof o->group, "%s", f->settings.group_name);
    o->members = g->reachable;
    o->term = view_number(g->view);
    if (f->settings.group_name[0] == '\0') {
        explain(o, "is not configured for Group Replication (group_replication_group_name)");
    } else if (!g->found) {
        explain(o, "is OFFLINE: it is no member of its group");
    } else {
        observe_member(f, o);
    }
}

/* Galera ------------------------------------------------------------------------------------- */

/* The first that is not as it must be. */
static void look_for_faults(const struct mysql_facts *f, struct observation *o)
{
    const struct mysql_galera *g = &f->galera;
    const struct mysql_settings *s = &f->settings;
    if (!is(g->cluster_status, "Primary")) {
        explain(o, "is not in its cluster's primary component (wsrep_cluster_status: %s)",
                g->cluster_status);
    } else if (!is(g->local_state, "4")) {
        explain(o, "is not synced with its cluster (%s)", g->local_state_comment);
    } else if (!is(g->ready, "ON")) {
        explain(o, "is not ready (wsrep_ready: %s)", g->ready);
    } else if (s->wsrep_desync) {
        explain(o, "is desynced from its cluster (wsrep_desync)");
    } else if (s->wsrep_reject_queries[0] != '\0' && !is(s->wsrep_reject_queries, "NONE")) {
        explain(o, "rejects queries (wsrep_reject_queries: %s)", s->wsrep_reject_queries);
    } else if (s->pxc_maint_mode[0] != '\0' && !is(s->pxc_maint_mode, "DISABLED")) {
        explain(o, "is in maintenance (pxc_maint_mode: %s)", s->pxc_maint_mode);
    }
}

static void observe_galera(const struct mysql_facts *f, struct observation *o)
{
    const struct mysql_galera *g = &f->galera;
    o->part = PART_GALERA;
    o->members = (unsigned)number(g->cluster_size, UINT32_MAX, 0);
    o->term = number(g->cluster_conf_id, UINT64_MAX, 0); /* the largest there is means none */
    o->index = (unsigned)number(g->local_index, UINT32_MAX, UINT32_MAX);
    snprintf(o->id, sizeof o->id, "%s", g->gcomm_uuid);
    snprintf(o->group, sizeof o->group, "%s", g->cluster_state_uuid);
    if (!mysql_is_galera(&f->settings)) {
        explain(o, "is no node of a Galera cluster (wsrep_on, wsrep_provider)");
        return;
    }
    look_for_faults(f, o);
    if (o->why[0] != '\0') {
        return;
    }
    const char *closed = why_not_writable(&f->settings);
    if (closed == NULL) {
        o->claim = CLAIM_PRIMARY;
        o->usable = true;
    } else {
        o->claim = CLAIM_REPLICA; /* it has everything, and may be read */
        o->link_up = true;
        explain(o, "%s", closed);
    }
}

/* -------------------------------------------------------------------------------------------- */

/* The name of a process: what it is and when it started. */
static void identify(const struct mysql_facts *f, struct observation *o)
{
    if (f->started[0] != '\0') {
        const char *id = own_id(&f->settings);
        snprintf(o->identity, sizeof o->identity, "%.36s@%.10s", id, f->started);
    }
}

static void begin(const struct mysql_facts *f, struct observation *o)
{
    *o = (struct observation){
        .reach = REACH_ANSWERED,
        .lineage.previous_end = -1,
        .position = -1,
        .behind_ms = -1,
    };
    identify(f, o);
}

const char *mysql_facts_observe(const struct mysql_facts *f, struct observation *o)
{
    const struct mysql_settings *s = &f->settings;
    bool is_auto = f->topology == MYSQL_TOPOLOGY_AUTO;
    if (s->server_id[0] == '\0') {
        return "does not tell its variables as MySQL does";
    }
    begin(f, o);
    if (f->topology == MYSQL_TOPOLOGY_GALERA || (is_auto && mysql_is_galera(s))) {
        observe_galera(f, o);
    } else if (f->topology == MYSQL_TOPOLOGY_GROUP_REPLICATION ||
               (is_auto && s->group_name[0] != '\0')) {
        observe_group(f, o);
    } else {
        observe_source(f, o);
    }
    return NULL;
}

void mysql_facts_unready(const struct mysql_facts *f, const char *words, struct observation *o)
{
    begin(f, o);
    o->part = PART_GALERA;
    o->index = UINT32_MAX;
    explain(o, "is not ready: %s", words);
}
