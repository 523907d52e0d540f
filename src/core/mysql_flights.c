/* Commands under way on a connection of transaction mode, the client's and our own, and the replies
 * to them: what is the client's is passed on, what is ours is not. */
#include <stdlib.h>

#include "base/macros.h"
#include "core/mysql_ends.h"
#include "core/mysql_lease.h"

static void begin_reply(struct mysql_link *l)
{
    struct mysql_flight first = l->flying[l->first];
    mysql_reply_begin(&l->reply, l->capabilities, first.code);
    if (first.kind == MYSQL_OURS_LOOK) {
        mysql_reply_want_charset(&l->reply);
    }
}

bool mysql_link_fly(struct mysql_link *l, uint8_t code, uint8_t kind)
{
    if (l->count == MYSQL_FLYING_MAX) {
        return false;
    }
    l->flying[(l->first + l->count) % MYSQL_FLYING_MAX] = (struct mysql_flight){code, kind};
    l->count++;
    if (l->count == 1) {
        begin_reply(l);
    }
    if (kind == MYSQL_CLIENTS) {
        mysql_lease_harden(l);
    }
    return true;
}

static enum mysql_ours kind_at(const struct mysql_link *l, size_t i)
{
    return (enum mysql_ours)l->flying[(l->first + i) % MYSQL_FLYING_MAX].kind;
}

bool mysql_link_is_asked(const struct mysql_link *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (kind_at(l, i) != MYSQL_OURS_SET) {
            return true;
        }
    }
    return false;
}

bool mysql_link_is_ours(const struct mysql_link *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (kind_at(l, i) == MYSQL_CLIENTS) {
            return false;
        }
    }
    return true;
}

static void land(struct mysql_link *l)
{
    l->first = (uint8_t)((l->first + 1) % MYSQL_FLYING_MAX);
    l->count--;
    if (l->count > 0) {
        begin_reply(l);
    }
}

/* False: the session has ended, or has another connection. */
static bool pass(struct mysql_link *l, const char *data, size_t len)
{
    struct session *s = l->base.session;
    if (s == NULL) { /* nobody can have asked */
        mysql_link_close(l);
        return false;
    }
    if (len > 0) {
        relay_server_ops.on_data(&l->base.conn, data, len);
    }
    return s->state == SESSION_RELAY;
}

static void give_up(struct mysql_link *l)
{
    l->tainted = true;
    if (l->base.session != NULL) {
        mysql_ends_unrestored(l->base.session);
    } else {
        mysql_link_close(l);
    }
}

/* All that was asked is answered. */
static void rest(struct mysql_link *l)
{
    struct session *s = l->base.session;
    if (s == NULL) {
        l->dirty = false;
        l->urgent = false;
        mysql_pool_take(l);
        return;
    }
    mysql_relay_rest(s);
}

/* One reply is whole; nothing has come behind it if `last`. False: the connection is not what it
 * was any more. */
static bool answered(struct mysql_link *l, bool last)
{
    enum mysql_ours kind = kind_at(l, 0);
    struct session *s = l->base.session;
    if (kind == MYSQL_CLIENTS) {
        mysql_says_answered(s, l);
    } else if (!mysql_ours_answered(l, kind)) {
        give_up(l);
        return false;
    }
    land(l);
    l->asking = l->asking && mysql_link_is_asked(l);
    if (l->count > 0 || !last) {
        return true;
    }
    rest(l);
    return false;
}

/* What the client may see of a packet that has been looked at. */
static size_t veil(struct mysql_link *l, uint32_t oks, char *data, size_t len)
{
    const struct session *s = l->base.session;
    bool over = l->reply.oks != oks;                   /* it was an OK or an EOF */
    bool begins = l->veil->left > 0 && l->reply.keeps; /* it will be */
    if (s == NULL || !s->mysql->veiled || (!over && !begins)) {
        return len;
    }
    size_t now = mysql_veil_strip(data, len);
    l->veil->drops = begins && now != len;
    return now;
}

/* How much of what has been looked at is for the client. */
static size_t shown(struct mysql_link *l, uint32_t oks, char *packet, size_t len)
{
    if (packet != NULL) {
        return veil(l, oks, packet, len);
    }
    bool drops = l->veil != NULL && l->veil->drops;
    if (drops && l->veil->left == 0) {
        l->veil->drops = false;
    }
    return drops ? 0 : len;
}

/* One step; `packet` is `data` if that is one from its beginning, which may be changed. `behind`:
 * more has come. False: that is all. */
static bool look(struct mysql_link *l, const char **data, size_t *len, char *packet, bool behind)
{
    bool ours = l->count > 0 && kind_at(l, 0) != MYSQL_CLIENTS;
    size_t used = *len;
    uint32_t oks = l->reply.oks;
    bool fresh = mysql_ends_is_fresh(l);
    bool asked = l->count > 0 && !l->tainted;
    enum mysql_reply_event event =
        asked ? mysql_reply_look(&l->reply, *data, *len, &used) : MYSQL_REPLY_BAD;
    if (event == MYSQL_REPLY_BAD || (event == MYSQL_REPLY_FILE && ours)) {
        l->tainted = true;
        if (ours) {
            give_up(l);
            return false;
        }
        if (asked && mysql_ends_nonsense(l, fresh)) {
            return false;
        }
        return pass(l, *data, *len) && behind;
    }
    if (!ours && !pass(l, *data, shown(l, oks, packet, used))) {
        return false;
    }
    *data += used;
    *len -= used;
    if (event == MYSQL_REPLY_FILE) {
        l->tainted = l->count > 1; /* what was said behind it is taken for the file */
        mysql_command_file(&l->base.session->mysql->command);
    }
    return event != MYSQL_REPLY_END || answered(l, *len == 0 && !behind);
}

/* Packet by packet. */
static void look_veiled(struct mysql_link *l, char *data, size_t len)
{
    bool more = true;
    while (len > 0 && more) {
        char *piece = data;
        bool rows = l->count > 0 && mysql_reply_in_rows(&l->reply);
        size_t piece_len = mysql_veil_run(l->veil, data, len, rows);
        bool begins = piece_len == 0 && l->veil->left == 0;
        size_t used =
            piece_len > 0 ? piece_len : mysql_veil_take(l->veil, data, len, &piece, &piece_len);
        data += used;
        len -= used;
        if (piece == NULL) {
            l->tainted = l->tainted || l->count == 0; /* nobody has asked for anything */
            return;
        }
        const char *at = piece;
        while (piece_len > 0 && more) {
            more = look(l, &at, &piece_len, begins ? piece : NULL, len > 0);
        }
    }
}

void mysql_flights_data(struct mysql_link *l, const char *data, size_t len)
{
    const struct session *s = l->base.session;
    if (s == NULL || !s->mysql->veiled) {
        while (len > 0 && look(l, &data, &len, NULL, false)) {
        }
        return;
    }
    if (l->veil == NULL) {
        l->veil = calloc(1, sizeof *l->veil);
    }
    if (l->veil == NULL) {
        give_up(l);
    } else {
        look_veiled(l, (char *)data, len);
    }
}
