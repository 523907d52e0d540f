#include "core/listeners.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"
#include "core/session.h"
#include "core/worker.h"

struct worker_listener {
    struct listener listener;
    struct list node; /* in worker.listeners */
    struct worker *worker;
    unsigned bind;
    size_t frontend;
};

static struct worker_listener *of_listener(struct listener *l)
{
    return container_of(l, struct worker_listener, listener);
}

static void on_accept(struct listener *l, int fd, const struct address *from)
{
    struct worker_listener *own = of_listener(l);
    session_accept(own->worker, &own->worker->config->frontends[own->frontend], fd, from);
}

static void on_exhausted(struct listener *l, int status)
{
    struct worker *w = of_listener(l)->worker;
    log_limited(&w->accept_gate, 1, LOG_LEVEL_WARN, "cannot accept: %s; trying again in %d ms",
                uv_strerror(status), ACCEPT_REST_MS);
    deadline_arm(&w->accept_rest, &w->accept_again);
}

void listeners_on_again(struct deadline *d)
{
    struct worker *w = container_of(d, struct worker, accept_again);
    LIST_EACH(it, &w->listeners)
    {
        listener_resume(&container_of(it, struct worker_listener, node)->listener);
    }
}

static void on_closed(struct listener *l)
{
    free(of_listener(l));
}

int listeners_add(struct worker *w, unsigned bind, size_t frontend, int fd)
{
    struct worker_listener *own = xcalloc(1, sizeof *own);
    *own = (struct worker_listener){
        .listener = {.on_accept = on_accept, .on_exhausted = on_exhausted, .on_closed = on_closed},
        .worker = w,
        .bind = bind,
        .frontend = frontend,
    };
    int rc = listener_start(&own->listener, &w->loop, fd);
    if (rc != 0) {
        free(own);
        return rc;
    }
    list_append(&w->listeners, &own->node);
    return 0;
}

/* It may still accept what the kernel has queued. */
static void close_one(struct worker_listener *own)
{
    listener_close(&own->listener);
    list_remove(&own->node);
}

static const struct change_listener *find_wanted(const struct change_listener *wanted, size_t count,
                                                 unsigned bind)
{
    for (size_t i = 0; i < count; i++) {
        if (wanted[i].bind == bind) {
            return &wanted[i];
        }
    }
    return NULL;
}

void listeners_change(struct worker *w, struct change_listener *wanted, size_t count)
{
    LIST_EACH(it, &w->listeners)
    {
        struct worker_listener *own = container_of(it, struct worker_listener, node);
        const struct change_listener *now = find_wanted(wanted, count, own->bind);
        if (now != NULL) {
            own->frontend = now->frontend;
        } else {
            close_one(own);
        }
    }
    for (size_t i = 0; i < count; i++) {
        int fd = wanted[i].fd;
        wanted[i].fd = -1;
        int rc = fd >= 0 ? listeners_add(w, wanted[i].bind, wanted[i].frontend, fd) : 0;
        if (rc != 0) { /* other workers listen there */
            log_error("cannot listen for frontend %s: %s",
                      w->config->frontends[wanted[i].frontend].name, uv_strerror(rc));
        }
    }
}

void listeners_close(struct worker *w)
{
    LIST_EACH(it, &w->listeners)
    {
        close_one(container_of(it, struct worker_listener, node));
    }
    deadline_disarm(&w->accept_rest, &w->accept_again);
}
