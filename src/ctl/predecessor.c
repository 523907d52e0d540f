#include "ctl/predecessor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/heritage.h"
#include "ctl/holdings.h"
#include "ctl/reporter.h"
#include "net/descriptors.h"

#define LOOK_MS 20

struct predecessor {
    struct control *control;
    int channel; /* owned */
    uv_poll_t poll;
    uv_timer_t look;
    struct holdings *held; /* owned: by the other process */
    bool ready;            /* we have said so */
    bool serving;
    unsigned handles;
    void (*on_turn)(void *context);
    void *context;
};

bool predecessor_is_over(const struct control *c)
{
    return c->predecessor == NULL || c->predecessor->serving;
}

static void say(struct predecessor *p, const char *word)
{
    /* A few bytes into an empty channel: if they do not go through, it is dead, and tells so. */
    (void)descriptors_send(p->channel, word, strlen(word), NULL, 0);
}

static void serve(struct predecessor *p)
{
    struct control *c = p->control;
    p->serving = true;
    apply_resend(c);
    fence_publish(c);
    p->on_turn(p->context);
    c->reporter = reporter_new(c);
    events_add(&c->events, "", "upgrade", "clients are accepted here now");
}

/* Without it we are on our own, at whatever point that was. */
static void on_gone(struct predecessor *p)
{
    struct control *c = p->control;
    uv_poll_stop(&p->poll);
    events_add(&c->events, "", "upgrade", "the process before has ended%s",
               p->serving ? "" : " before it said that it does not accept any more");
    holdings_drop(p->held, c);
    if (!p->serving) {
        serve(p);
    }
    predecessor_end(c);
}

static void take_lines(struct predecessor *p, char *text)
{
    char *rest = text;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        holdings_take(p->held, p->control, line);
    }
}

static void take_message(struct predecessor *p, char *text)
{
    static const char holds[] = "holds\n";
    if (strncmp(text, holds, sizeof holds - 1) == 0) {
        take_lines(p, text + sizeof holds - 1);
    } else if (strcmp(text, "over") == 0 && !p->serving) {
        serve(p);
        say(p, "taken");
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct predecessor *p = container_of(poll, struct predecessor, poll);
    char text[DESCRIPTORS_TEXT_MAX + 1];
    int fds[DESCRIPTORS_MAX];
    size_t count = 0;
    ssize_t got = status == 0 ? descriptors_receive(p->channel, text, fds, &count) : status;
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    if (got > 0) {
        take_message(p, text);
    } else if (got != UV_EAGAIN) {
        on_gone(p);
    }
}

void predecessor_maybe_ready(struct control *c)
{
    struct predecessor *p = c->predecessor;
    if (p != NULL && !p->ready && control_ready(c)) {
        p->ready = true;
        uv_timer_stop(&p->look);
        say(p, "ready");
    }
}

static void on_look(uv_timer_t *timer)
{
    predecessor_maybe_ready(container_of(timer, struct predecessor, look)->control);
}

int predecessor_begin(struct control *c, struct heritage *h, void (*on_turn)(void *context),
                      void *context)
{
    struct predecessor *p = xcalloc(1, sizeof *p);
    *p = (struct predecessor){
        .control = c,
        .channel = h->channel,
        .held = holdings_new(c),
        .on_turn = on_turn,
        .context = context,
    };
    fcntl(p->channel, F_SETFL, O_NONBLOCK);
    int rc = uv_poll_init(&c->loop.uv, &p->poll, p->channel);
    if (rc != 0) {
        holdings_free(p->held);
        free(p);
        return rc;
    }
    h->channel = -1;
    uv_timer_init(&c->loop.uv, &p->look);
    p->handles = 2;
    c->predecessor = p;
    uv_poll_start(&p->poll, UV_READABLE, on_readable);
    uv_timer_start(&p->look, on_look, LOOK_MS, LOOK_MS);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct predecessor *p = handle->data;
    if (--p->handles == 0) {
        holdings_free(p->held);
        close(p->channel);
        free(p);
    }
}

void predecessor_end(struct control *c)
{
    struct predecessor *p = c->predecessor;
    if (p == NULL) {
        return;
    }
    c->predecessor = NULL;
    if (!p->serving) { /* it still serves, and all files are its own */
        c->handed_over = true;
        sockets_disown(&c->bound);
        control_sockets_disown(c->sockets);
    }
    p->poll.data = p->look.data = p;
    uv_close((uv_handle_t *)&p->poll, on_handle_closed);
    uv_close((uv_handle_t *)&p->look, on_handle_closed);
}
