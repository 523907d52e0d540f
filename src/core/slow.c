#include "core/slow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/pooled.h"
#include "core/session.h"
#include "net/mailbox.h"
#include "proto/redis_request.h"

/* The list ---------------------------------------------------------------------------------- */

void slow_init(struct slow_list *l)
{
    *l = (struct slow_list){.stale_ms = UINT64_MAX};
}

/* Who has to go: the oldest one if it is stale, or else the fastest. */
static size_t find_leaving(const struct slow_list *l, uint64_t now_ms)
{
    size_t fastest = 0;
    size_t oldest = 0;
    for (size_t i = 1; i < l->count; i++) {
        fastest = l->rows[i].took_us < l->rows[fastest].took_us ? i : fastest;
        oldest = l->rows[i].at_ms < l->rows[oldest].at_ms ? i : oldest;
    }
    return l->rows[oldest].at_ms + SLOW_STALE_MS <= now_ms ? oldest : fastest;
}

/* While there is room everybody comes in, and nobody has to go. */
static void find_bounds(struct slow_list *l)
{
    l->floor_us = 0;
    l->stale_ms = UINT64_MAX;
    if (l->count < SLOW_KEPT) {
        return;
    }
    l->floor_us = UINT32_MAX;
    for (size_t i = 0; i < l->count; i++) {
        const struct slow_row *row = &l->rows[i];
        uint64_t stale_ms = row->at_ms + SLOW_STALE_MS;
        l->floor_us = row->took_us < l->floor_us ? row->took_us : l->floor_us;
        l->stale_ms = stale_ms < l->stale_ms ? stale_ms : l->stale_ms;
    }
}

struct slow_row *slow_place(struct slow_list *l, uint32_t took_us, uint64_t now_ms)
{
    assert(slow_wants(l, took_us, now_ms));
    size_t at = l->count < SLOW_KEPT ? l->count++ : find_leaving(l, now_ms);
    l->rows[at] = (struct slow_row){.took_us = took_us, .at_ms = now_ms};
    find_bounds(l);
    return &l->rows[at];
}

/* Commands ---------------------------------------------------------------------------------- */

static void copy_name(char out[SLOW_NAME_MAX], const char *name, size_t len)
{
    len = len < SLOW_NAME_MAX ? len : SLOW_NAME_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c > ' ' && c < 0x7f ? c : '?';
    }
    out[len] = '\0';
}

/* The catalog's name for it, or the word that its server took for a command. What was refused may
 * be anything. */
static void name_command(const struct pooled *p, const struct flight *f,
                         const struct redis_reply *reply, char out[SLOW_NAME_MAX])
{
    const char *first = p->bytes + p->head;
    const struct worker_server *ws = p->worker->servers[p->link->config->id];
    struct redis_request r = {0};
    size_t used;
    const char *why;
    copy_name(out, "?", 1);
    if (redis_request_feed(&r, first, f->bytes, &used, &why) != REDIS_WHOLE) {
        return;
    }
    struct redis_verdict v = redis_catalog_judge(ws->catalog, &r, first, f->bytes);
    if (v.known) {
        copy_name(out, v.name, strlen(v.name));
    } else if (reply->type != '-' && r.word_count > 0 && !r.is_odd) {
        copy_name(out, first + r.words[0].at, r.words[0].len);
    }
}

void slow_note(struct pooled *p, const struct flight *f, const struct redis_reply *r,
               uint32_t took_us)
{
    struct worker *w = p->worker;
    if (p->link == NULL) {
        return;
    }
    struct slow_row *row = slow_place(&w->slow, took_us, loop_now_ms(&w->loop));
    row->session = session_id(p->session);
    row->backend = p->session->backend->index;
    row->server = p->link->pool->server;
    row->request_bytes = f->bytes;
    row->reply_bytes = r->len;
    if ((f->flags & FLIGHT_GONE) == 0) {
        name_command(p, f, r, row->name);
    } else if (p->larges != NULL) {
        row->request_bytes = p->larges->bytes;
        memcpy(row->name, p->larges->name, sizeof row->name);
    }
}

/* Long ones --------------------------------------------------------------------------------- */

/* Without memory it is not told what it was. */
void slow_large_begins(struct pooled *p, const char *name)
{
    struct slow_large **last = &p->larges;
    struct slow_large *large = calloc(1, sizeof *large);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = large;
    if (large != NULL) {
        large->bytes = p->request.declared;
        copy_name(large->name, name, strlen(name));
    }
}

/* The last one, if it is not answered already. */
void slow_large_ends(struct pooled *p)
{
    struct slow_large *large = p->larges;
    while (large != NULL && large->next != NULL) {
        large = large->next;
    }
    if (large != NULL) {
        large->bytes = p->request.len;
    }
}

void slow_large_answered(struct pooled *p)
{
    struct slow_large *large = p->larges;
    if (large != NULL) {
        p->larges = large->next;
        free(large);
    }
}

void slow_large_free(struct pooled *p)
{
    while (p->larges != NULL) {
        slow_large_answered(p);
    }
}

/* Telling ----------------------------------------------------------------------------------- */

void show_slow(struct message *message, void *worker)
{
    struct worker *w = worker;
    struct message_slow *m = container_of(message, struct message_slow, message);
    m->now_ms = loop_now_ms(&w->loop);
    m->count = w->slow.count;
    memcpy(m->rows, w->slow.rows, m->count * sizeof m->rows[0]);
    if (m->clear) {
        slow_init(&w->slow);
    }
    m->message.run = m->on_told;
    mailbox_post(w->control, &m->message);
}
