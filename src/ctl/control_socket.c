#include "ctl/control_socket.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/control.h"
#include "ctl/control_peer.h"
#include "ctl/heritage.h"

#define REST_MS 100 /* after running out of descriptors */

static void on_accept(struct listener *l, int fd, const struct address *from)
{
    (void)from;
    control_peer_accept(container_of(l, struct socket_place, listener), fd);
}

static void on_exhausted(struct listener *l, int status)
{
    struct control_sockets *s = container_of(l, struct socket_place, listener)->sockets;
    static struct log_gate gate;
    log_limited(&gate, 1, LOG_LEVEL_WARN, "a control socket cannot accept: %s",
                uv_strerror(status));
    deadline_arm(&s->rests, &s->rest);
}

static void on_rested(struct deadline *d)
{
    struct control_sockets *s = container_of(d, struct control_sockets, rest);
    for (size_t i = 0; i < s->count; i++) {
        listener_resume(&s->places[i].listener);
    }
}

/* The listener is part of its place, which lives until the loop has ended. */
static void on_listener_closed(struct listener *l)
{
    (void)l;
}

/* Beginning and end ------------------------------------------------------------------------- */

static int bind_place(struct socket_place *place, const struct control_config *config,
                      struct heritage *heritage, char *why, size_t why_size)
{
    place->address = config->address;
    place->level = config->level;
    place->fd = heritage_take(heritage, &place->address);
    int rc = place->fd >= 0 ? 0 : listener_bind_path(&place->address, config->mode, &place->fd);
    if (rc != 0) {
        place->fd = -1;
        snprintf(why, why_size, "cannot bind the control socket %s: %s", config->path,
                 rc == UV_EADDRINUSE ? "another process listens there" : uv_strerror(rc));
        return rc;
    }
    place->path = listener_path_of(&place->address);
    return 0;
}

int control_sockets_bind(struct control_sockets **out, const struct config *config,
                         struct heritage *heritage, char *why, size_t why_size)
{
    const struct control_list *list = &config->router.controls;
    struct control_sockets *s = xcalloc(1, sizeof(*s));
    int rc = 0;
    s->places = xcalloc(list->count > 0 ? list->count : 1, sizeof(*s->places));
    list_init(&s->peers);
    list_init(&s->pending);
    while (s->count < list->count && rc == 0) {
        s->places[s->count].sockets = s;
        rc = bind_place(&s->places[s->count], &list->items[s->count], heritage, why, why_size);
        s->count++;
    }
    if (rc != 0) {
        control_sockets_release(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

int control_sockets_start(struct control_sockets *s, struct control *c)
{
    int rc = 0;
    s->control = c;
    control_peers_init(s);
    deadline_list_init(&s->rests, &c->loop, REST_MS, on_rested);
    deadline_init(&s->rest);
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        struct socket_place *place = &s->places[i];
        place->listener.on_accept = on_accept;
        place->listener.on_exhausted = on_exhausted;
        place->listener.on_closed = on_listener_closed;
        rc = listener_start(&place->listener, &c->loop, place->fd);
        place->fd = -1;
    }
    return rc;
}

void control_sockets_leave(struct control_sockets *s)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        listener_leave(&s->places[i].listener);
    }
}

unsigned control_sockets_clients(const struct control_sockets *s)
{
    return s != NULL ? s->open : 0;
}

void control_sockets_close(struct control_sockets *s)
{
    if (s == NULL || s->control == NULL || s->closing) {
        return;
    }
    s->closing = true;
    deadline_disarm(&s->rests, &s->rest);
    control_peers_close(s);
    for (size_t i = 0; i < s->count; i++) {
        listener_close(&s->places[i].listener);
    }
}

void control_sockets_release(struct control_sockets *s)
{
    if (s == NULL) {
        return;
    }
    assert(list_empty(&s->peers));
    for (size_t i = 0; i < s->count; i++) {
        if (s->places[i].fd >= 0) {
            close(s->places[i].fd);
        }
        listener_unlink(&s->places[i].address, &s->places[i].path);
    }
    free(s->places);
    free(s);
}

void control_sockets_each(const struct control_sockets *s,
                          void (*found)(void *context, const struct address *at, int fd),
                          void *context)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        found(context, &s->places[i].address, s->places[i].listener.fd);
    }
}

void control_sockets_disown(struct control_sockets *s)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        s->places[i].path = (struct listener_path){0};
    }
}

size_t control_sockets_count(const struct control_sockets *s)
{
    return s->count;
}

void control_sockets_list(const struct control_sockets *s, struct text *out)
{
    text_add(out, "# socket lvl processes\n");
    for (size_t i = 0; i < s->count; i++) {
        text_add(out, "unix@%s %s all\n", s->places[i].address.sa.path.sun_path,
                 command_level_names[s->places[i].level]);
    }
}
