/* Replies on their way to the client. In one turn of the loop there may be several; they leave in
 * one write. One piece stays where it is, in the receive buffer; of more, copies are gathered. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/pooled.h"
#include "core/session.h"

static bool gather(struct pooled *p, const char *data, size_t len)
{
    size_t room = p->gathered_room > 0 ? p->gathered_room : 512;
    while (room < p->gathered_len + len) {
        room *= 2;
    }
    if (room > p->gathered_room) {
        char *gathered = realloc(p->gathered, room);
        if (gathered == NULL) {
            return false;
        }
        p->gathered = gathered;
        p->gathered_room = room;
    }
    memcpy(p->gathered + p->gathered_len, data, len);
    p->gathered_len += len;
    return true;
}

/* Makes room for another piece behind the one that is there. */
static bool gather_span(struct pooled *p)
{
    size_t len = p->span_len;
    p->span_len = 0;
    return len == 0 || gather(p, p->span, len);
}

void pooled_touch(struct pooled *p)
{
    if (list_empty(&p->touched)) {
        list_append(&p->worker->touched, &p->touched);
    }
}

void pooled_pass(struct pooled *p, const char *data, size_t len, bool borrowed)
{
    bool done = true;
    if (p->session == NULL) {
        return;
    }
    pooled_touch(p);
    if (p->span_len > 0 && borrowed && p->span + p->span_len == data) {
        p->span_len += len;
    } else if (borrowed) {
        done = gather_span(p);
        p->span = data;
        p->span_len = len;
    } else {
        done = gather_span(p) && gather(p, data, len);
    }
    if (!done) {
        session_kill(p->session, END_MEMORY);
    }
}

void pooled_say(struct pooled *p, const char *text)
{
    pooled_pass(p, text, strlen(text), false);
}

/* The reply of who does not read stops its link. Others that wait behind it on a shared one do so
 * for LINK_STALL_MS at most. */
static void slow_down(struct pooled *p)
{
    struct pool_link *l = p->link;
    struct session *s = p->session;
    size_t queued = conn_queued(&s->client);
    if (queued == 0) {
        return;
    }
    conn_pause(&s->client, PAUSE_PEER_FULL);
    bool more = l != NULL && (p->flying > 0 || link_is_lent_to(l, p)); /* is to come */
    if (more && l->clogged_by == NULL && queued >= POOLED_QUEUED_MAX) {
        link_clog(l, p);
    }
}

static void write_out(struct pooled *p)
{
    struct session *s = p->session;
    size_t len = p->gathered_len + p->span_len;
    int rc = 0;
    if (len == 0) {
        return;
    }
    if (p->gathered_len == 0) {
        rc = conn_write(&s->client, p->span, p->span_len);
    } else if (gather_span(p)) {
        rc = conn_write(&s->client, p->gathered, p->gathered_len);
    } else {
        rc = UV_ENOMEM;
    }
    free(p->gathered);
    p->gathered = NULL;
    p->gathered_len = p->gathered_room = 0;
    p->span_len = 0;
    s->bytes_out += len;
    metric_add(&s->worker->metrics.frontends[s->frontend->index]->at[FRONTEND_BYTES_OUT], len);
    if (s->timer != NULL && !p->queued) {
        deadline_arm(s->timer, &s->deadline);
    }
    if (rc != 0) {
        session_kill(s, END_CLIENT);
    } else {
        slow_down(p);
    }
}

void pooled_write_all(struct worker *w)
{
    /* First all leave, and only then somebody goes on: what is borrowed must not be outlived. */
    LIST_EACH(it, &w->touched)
    {
        struct pooled *p = container_of(it, struct pooled, touched);
        if (p->session != NULL) {
            write_out(p);
        }
    }
    while (!list_empty(&w->touched)) {
        struct pooled *p = container_of(w->touched.next, struct pooled, touched);
        list_remove(&p->touched);
        if (p->session != NULL) {
            write_out(p); /* what was said since */
        }
        if (p->session != NULL) {
            pooled_settle(p);
        }
        if (p->session != NULL) {
            pooled_advance(p);
        }
    }
}
