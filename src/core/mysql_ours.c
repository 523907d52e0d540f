/* What the router asks on a connection between the commands of clients: to have the trackers on, to
 * know what they leave open, to be in a session's state. Its answers reach no client. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/mysql_lease.h"

#define SMALL 1024

/* The state of whoever has it, or its own. */
static struct mysql_state *state_of(struct mysql_link *l)
{
    struct session *s = l->base.session;
    return s != NULL && s->mysql->lease != NULL ? &s->mysql->lease->state : &l->like;
}

/* Packets that are whole commands, each answered. */
static bool say(struct mysql_link *l, const struct mysql_writer *w, int count, enum mysql_ours kind)
{
    size_t at = 0;
    if (w->full) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        const unsigned char *head = w->data + at;
        bool use = head[MYSQL_HEADER] == MYSQL_COM_INIT_DB;
        if (!mysql_link_fly(l, head[MYSQL_HEADER], use ? MYSQL_OURS_USE : kind)) {
            return false;
        }
        at += MYSQL_HEADER + (head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16);
    }
    return w->len == 0 || conn_write(&l->base.conn, (const char *)w->data, w->len) == 0;
}

bool mysql_ours_track(struct mysql_link *l, const char *collation)
{
    unsigned char packet[SMALL];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    mysql_state_track(&w, l->capabilities, collation);
    return say(l, &w, 1, MYSQL_OURS_TRACK);
}

bool mysql_ours_ping(struct mysql_link *l)
{
    unsigned char packet[] = {1, 0, 0, 0, MYSQL_COM_PING};
    struct mysql_writer w = {.data = packet, .size = sizeof packet, .len = sizeof packet};
    l->asking = true;
    return say(l, &w, 1, MYSQL_OURS_ASK);
}

bool mysql_ours_ask(struct mysql_link *l)
{
    if (!l->mariadb && state_of(l)->doubts == MYSQL_DOUBT_LATE) {
        return mysql_ours_ping(l);
    }
    unsigned char packet[SMALL];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    mysql_state_ask(&w, l->capabilities);
    l->asking = true;
    bool said = say(l, &w, 1, MYSQL_OURS_ASK);
    if (!said || (state_of(l)->doubts & MYSQL_DOUBT_RESULTS) == 0) {
        return said;
    }
    w.len = 0;
    mysql_state_look(&w, l->capabilities);
    return say(l, &w, 1, MYSQL_OURS_LOOK);
}

bool mysql_ours_reset(struct mysql_link *l)
{
    unsigned char packet[] = {1, 0, 0, 0, MYSQL_COM_RESET_CONNECTION};
    struct mysql_writer w = {.data = packet, .size = sizeof packet, .len = sizeof packet};
    return say(l, &w, 1, MYSQL_OURS_RESET) && mysql_ours_track(l, NULL);
}

bool mysql_ours_restore(struct mysql_link *l, const struct mysql_state *to)
{
    if (mysql_state_same(&l->like, to)) {
        return true;
    }
    unsigned char *packets = malloc(MYSQL_STATE_COMMANDS_MAX);
    struct mysql_writer w = {.data = packets, .size = MYSQL_STATE_COMMANDS_MAX};
    if (packets == NULL) {
        return false;
    }
    int count = mysql_state_restore(&w, &l->like, to, l->capabilities);
    bool good = count >= 0 && say(l, &w, count, MYSQL_OURS_SET);
    free(packets);
    return good;
}

/* It was a statement too. The list of warnings is as it was: none on MySQL, because who has some
 * keeps his connection; and MariaDB's outlives what has no table. */
static void note_statement(const struct mysql_link *l, unsigned moved)
{
    if (l->base.session != NULL) {
        l->base.session->mysql->lease->moved |= (uint8_t)moved;
    }
}

/* The first time: what its login gave it. */
static void remember_login(struct mysql_lease *lease)
{
    const char *told = mysql_state_collation(&lease->state);
    if (lease->collation == NULL && mysql_collation_is(told, lease->charset)) {
        lease->collation = strdup(told);
    }
}

bool mysql_ours_answered(struct mysql_link *l, enum mysql_ours kind)
{
    struct mysql_state *state = state_of(l);
    if (kind == MYSQL_OURS_LOOK) {
        mysql_state_looked(state, &l->reply);
        note_statement(l, MYSQL_MOVED_ROWS);
        return true;
    }
    if (l->reply.failed || l->reply.has_rows) {
        return false;
    }
    if (kind == MYSQL_OURS_RESET) {
        mysql_state_reset(state, 0);
        l->dirty = false;
    } else if (kind == MYSQL_OURS_SET || kind == MYSQL_OURS_USE) {
        mysql_state_restored(state, &l->reply, l->mariadb);
    } else {
        mysql_state_reply(state, &l->reply, l->mariadb);
    }
    if (kind == MYSQL_OURS_TRACK && l->base.session != NULL) {
        remember_login(l->base.session->mysql->lease);
    }
    if (kind == MYSQL_OURS_ASK) {
        note_statement(l, MYSQL_MOVED_LAST);
    }
    return true;
}
