#include "ctl/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

size_t sockets_count(const struct config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->frontend_count; i++) {
        n += c->frontends[i].gone ? 0 : c->frontends[i].binds.count;
    }
    return n;
}

/* The next one of that address from `*from` on, or NULL. */
static struct bound *find(const struct sockets *s, const struct address *at, size_t *from)
{
    for (size_t i = *from; i < s->count; i++) {
        if (address_equal(&s->items[i].at, at) && s->items[i].at.dual == at->dual) {
            *from = i + 1;
            return &s->items[i];
        }
    }
    return NULL;
}

static struct conn_tcp tcp_of(const struct config *c, const struct frontend_config *f)
{
    const struct backend_config *b = &c->backends[f->backend];
    return (struct conn_tcp){b->tcp_keepalive, b->tcp_user_timeout};
}

static int number_of(int fd)
{
    return fd >= 0 ? fd : ~fd;
}

static int *copy_fds(const int *fds, unsigned count)
{
    int *copy = xcalloc(count, sizeof *copy);
    memcpy(copy, fds, count * sizeof *copy);
    return copy;
}

/* The sockets stay; what they hand on to the connections that they accept may change. */
static void keep(const struct sockets *now, const struct bound *old, const struct conn_tcp *tcp,
                 struct bound *out)
{
    out->bind = old->bind;
    out->path = old->path;
    out->fds = copy_fds(old->fds, now->workers);
    for (unsigned i = 0; i < now->workers; i++) {
        conn_tune_listener(number_of(out->fds[i]), out->at.sa.any.sa_family, tcp);
    }
}

static int bind_new(struct sockets *s, const struct conn_tcp *tcp, struct bound *out)
{
    out->fds = xcalloc(s->workers, sizeof *out->fds);
    int rc = listener_bind(&out->at, tcp, out->fds, s->workers);
    if (rc != 0) {
        free(out->fds);
        return rc;
    }
    out->bind = s->next_bind++;
    out->path = listener_path_of(&out->at);
    return 0;
}

static int follow_frontend(const struct sockets *now, const struct config *next,
                           const struct frontend_config *f, struct sockets *out,
                           char why[SOCKETS_WHY_MAX])
{
    struct conn_tcp tcp = tcp_of(next, f);
    for (size_t i = 0; i < f->binds.count; i++) {
        struct bound b = {.at = f->binds.items[i].address, .frontend = f->index};
        size_t from = 0;
        const struct bound *old = find(now, &b.at, &from);
        int rc = old == NULL ? bind_new(out, &tcp, &b) : 0;
        if (rc != 0) {
            snprintf(why, SOCKETS_WHY_MAX, "frontend %s: cannot bind %s: %s", f->name,
                     f->binds.items[i].text, uv_strerror(rc));
            return rc;
        }
        if (old == NULL) {
            out->items[out->count++] = b;
        }
        for (; old != NULL; old = find(now, &b.at, &from)) {
            keep(now, old, &tcp, &b);
            out->items[out->count++] = b;
        }
    }
    return 0;
}

int sockets_follow(const struct sockets *now, const struct config *next, struct sockets *out,
                   char why[SOCKETS_WHY_MAX])
{
    *out = (struct sockets){
        .items = xcalloc(sockets_count(next) + now->count + 1, sizeof *out->items),
        .workers = now->workers,
        .next_bind = now->next_bind,
    };
    int rc = 0;
    for (size_t i = 0; i < next->frontend_count && rc == 0; i++) {
        if (!next->frontends[i].gone) {
            rc = follow_frontend(now, next, &next->frontends[i], out, why);
        }
    }
    if (rc != 0) {
        sockets_abandon(out);
    }
    return rc;
}

static void mark_taken(struct sockets *s, bool taken)
{
    for (size_t i = 0; i < s->count; i++) {
        for (unsigned w = 0; w < s->workers; w++) {
            int fd = number_of(s->items[i].fds[w]);
            s->items[i].fds[w] = taken ? ~fd : fd;
        }
    }
}

/* What `next` does not have stays in `now`. */
static void keep_rest(struct sockets *now, const struct sockets *next)
{
    struct bound *rest = xcalloc(now->count + 1, sizeof *rest);
    size_t kept = 0;
    for (size_t i = 0; i < now->count; i++) {
        size_t from = 0;
        if (find(next, &now->items[i].at, &from) == NULL) {
            rest[kept++] = now->items[i];
        } else {
            free(now->items[i].fds);
        }
    }
    free(now->items);
    now->items = rest;
    now->count = kept;
}

int sockets_inherit(struct sockets *theirs, const struct config *config, struct sockets *out,
                    char why[SOCKETS_WHY_MAX])
{
    mark_taken(theirs, true); /* not ours to close, should it fail */
    int rc = sockets_follow(theirs, config, out, why);
    mark_taken(theirs, false);
    if (rc == 0) {
        mark_taken(out, false);
        keep_rest(theirs, out);
    }
    return rc;
}

static void release_items(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].fds);
    }
    free(s->items);
    s->items = NULL;
    s->count = 0;
}

/* What nobody has taken over yet; whether there was any. */
static bool close_fresh(const struct sockets *s, const struct bound *b)
{
    bool any = false;
    for (unsigned i = 0; i < s->workers; i++) {
        if (b->fds[i] >= 0) {
            any = true;
            close(b->fds[i]);
        }
    }
    return any;
}

void sockets_abandon(struct sockets *next)
{
    for (size_t i = 0; i < next->count; i++) {
        const struct bound *b = &next->items[i];
        if (close_fresh(next, b)) {
            listener_unlink(&b->at, &b->path);
        }
    }
    release_items(next);
}

void sockets_replace(struct sockets *now, struct sockets *next)
{
    keep_rest(now, next);
    sockets_release(now);
    *now = *next;
}

int sockets_take(struct bound *b, unsigned worker)
{
    int fd = b->fds[worker];
    if (fd < 0) {
        return -1;
    }
    b->fds[worker] = ~fd;
    return fd;
}

int sockets_number(const struct bound *b, unsigned worker)
{
    return number_of(b->fds[worker]);
}

void sockets_disown(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->items[i].path = (struct listener_path){0};
    }
}

void sockets_release(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        close_fresh(s, &s->items[i]);
        listener_unlink(&s->items[i].at, &s->items[i].path);
    }
    release_items(s);
}
