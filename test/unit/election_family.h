/* Observations of MySQL, MariaDB, PostgreSQL, groups and Galera as text, for tables of elections
 * (election_table.h) and others: "SERVER STATE PROCESS [KEY=VALUE ...]".
 *
 *     rw, ro                    takes writes, is read-only; no channel
 *     rep, cut                  read-only, with a channel that runs, or is stopped
 *     rwrep, rwcut              the same, but it takes writes
 *     gp, gs, gm                the group's primary; a secondary; a primary without a majority
 *     wp, wd, wr                Galera: synced; a donor; read-only
 *
 *     of=0                      the channel's source is server 0, by id and address
 *     at=HOST:PORT              the source by address only, from=ID by its id
 *     gtid=0-1-100+0-2-50       MariaDB's set
 *     pos=, term=, group=       as in struct observation
 *     up=no                     not up yet (probe_rise)
 *     id=                       instead of "id-SERVER"; `none`: it tells none */
#ifndef TEST_UNIT_ELECTION_FAMILY_H
#define TEST_UNIT_ELECTION_FAMILY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"

struct family_state {
    const char *name;
    enum part part;
    bool writable; /* PART_SOURCE */
    bool channel;
    bool running;
    enum claim claim; /* the others */
};

static inline const struct family_state *family_state(const char *name)
{
    static const struct family_state states[] = {
        {"rw", PART_SOURCE, true, false, false, CLAIM_NONE},
        {"ro", PART_SOURCE, false, false, false, CLAIM_NONE},
        {"rep", PART_SOURCE, false, true, true, CLAIM_NONE},
        {"cut", PART_SOURCE, false, true, false, CLAIM_NONE},
        {"rwrep", PART_SOURCE, true, true, true, CLAIM_NONE},
        {"rwcut", PART_SOURCE, true, true, false, CLAIM_NONE},
        {"gp", PART_GROUP, true, false, false, CLAIM_PRIMARY},
        {"gs", PART_GROUP, false, false, true, CLAIM_REPLICA},
        {"gm", PART_GROUP, true, false, false, CLAIM_NONE},
        {"wp", PART_GALERA, true, false, false, CLAIM_PRIMARY},
        {"wd", PART_GALERA, true, false, false, CLAIM_NONE},
        {"wr", PART_GALERA, false, false, false, CLAIM_REPLICA},
    };
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strcmp(states[i].name, name) == 0) {
            return &states[i];
        }
    }
    return NULL;
}

static inline void family_gtids(struct observation *o, char *text)
{
    for (char *plus = strchr(text, '+'); plus; plus = strchr(plus, '+')) {
        *plus = ',';
    }
    assert_true(gtid_parse_mariadb(&o->gtids, text, strlen(text)));
}

static inline void family_key(struct observation *o, const char *key, char *value)
{
    struct channel *c = &o->channels[0];
    if (strcmp(key, "of") == 0) {
        snprintf(c->source_id, sizeof(c->source_id), "id-%.8s", value);
        snprintf(c->source, sizeof(c->source), "10.0.0.%lu:3306", strtoul(value, NULL, 10) + 1);
    } else if (strcmp(key, "at") == 0) {
        snprintf(c->source, sizeof(c->source), "%s", value);
    } else if (strcmp(key, "from") == 0) {
        snprintf(c->source_id, sizeof(c->source_id), "%s", value);
    } else if (strcmp(key, "gtid") == 0) {
        family_gtids(o, value);
    } else if (strcmp(key, "pos") == 0) {
        o->position = strtol(value, NULL, 10);
    } else if (strcmp(key, "term") == 0) {
        o->term = strtoul(value, NULL, 10);
    } else if (strcmp(key, "group") == 0) {
        snprintf(o->group, sizeof(o->group), "%s", value);
    } else if (strcmp(key, "up") == 0) {
        o->probation = strcmp(value, "no") == 0;
    } else {
        assert_string_equal(key, "id");
        snprintf(o->id, sizeof(o->id), "%s", strcmp(value, "none") == 0 ? "" : value);
    }
}

static inline void family_begin(struct observation *o, const struct family_state *state,
                                size_t server, const char *process)
{
    *o = (struct observation){
        .reach = REACH_ANSWERED,
        .part = state->part,
        .claim = state->claim,
        .usable = state->claim == CLAIM_PRIMARY,
        .writable = state->writable,
        .link_up = state->part == PART_GROUP && state->running,
        .channel_count = state->channel ? 1 : 0,
        .position = -1,
        .behind_ms = -1,
    };
    o->channels[0].running = state->running;
    snprintf(o->identity, sizeof(o->identity), "%s", process);
    snprintf(o->id, sizeof(o->id), "id-%zu", server);
    if (state->part != PART_SOURCE) {
        snprintf(o->group, sizeof(o->group), "ours");
    }
}

/* False: `text` is of no state that is known here. */
static inline bool see_family(const char *text, size_t *server, struct observation *o)
{
    char copy[256];
    char name[16] = "";
    char process[16] = "";
    int read = 0;
    snprintf(copy, sizeof(copy), "%s", text);
    int words = sscanf(copy, " %zu %15s %15s%n", server, name, process, &read);
    const struct family_state *state = family_state(name);
    if (words < 3 || state == NULL) {
        return false;
    }
    family_begin(o, state, *server, process);
    char *rest = NULL;
    for (char *key = strtok_r(copy + read, " ", &rest); key; key = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(key, '=');
        assert_non_null(value);
        *value = '\0';
        family_key(o, key, value + 1);
    }
    return true;
}

#endif
