#include "ctl/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/admin.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/heritage.h"
#include "ctl/holdings.h"
#include "ctl/reporter.h"
#include "net/descriptors.h"

#define CHANNEL_IN_CHILD "3"
#define LOOK_MS          50
#define READY_MS         60000 /* beyond its start_timeout */
#define TAKE_MS          10000

enum upgrade_state {
    UPGRADE_SENDING, /* waits for the channel to take all that is handed over */
    UPGRADE_ELECTS,  /* waits for "ready" */
    UPGRADE_CLOSING, /* waits until no worker accepts any more */
    UPGRADE_TAKING,  /* waits for "taken" */
    UPGRADE_OVER,    /* waits for its last session to end */
    UPGRADE_FAILED,  /* waits for the child to be gone */
};

/* What is to be sent: a text, and descriptors that are borrowed. */
struct parcel {
    struct list node;
    size_t len;
    size_t fd_count;
    int fds[DESCRIPTORS_MAX];
    char text[];
};

struct upgrade {
    struct control *control;
    enum upgrade_state state;
    uv_process_t child;
    uv_poll_t poll;
    uv_timer_t look;
    int channel;         /* owned */
    struct list parcels; /* struct parcel.node */
    int *kept;           /* owned: our own copies of all client sockets, to accept again */
    size_t kept_count;
    uint64_t until_ms;
    uint64_t generation;   /* in which no worker accepts any more */
    struct holdings *held; /* owned: as the new one was told last */
    unsigned handles;      /* open ones */
    bool closing;
};

static void on_writable_or_readable(uv_poll_t *poll, int status, int events);

/* Memory ------------------------------------------------------------------------------------ */

static void free_upgrade(struct upgrade *u)
{
    LIST_EACH(it, &u->parcels)
    {
        free(container_of(it, struct parcel, node));
    }
    for (size_t i = 0; i < u->kept_count; i++) {
        if (u->kept[i] >= 0) {
            close(u->kept[i]);
        }
    }
    free(u->kept);
    holdings_free(u->held);
    close(u->channel);
    free(u);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct upgrade *u = handle->data;
    if (--u->handles == 0) {
        free_upgrade(u);
    }
}

/* It was an attempt. */
static void give_up(struct upgrade *u)
{
    if (u->closing) {
        return;
    }
    u->closing = true;
    u->control->upgrade = NULL;
    uv_close((uv_handle_t *)&u->child, on_handle_closed);
    uv_close((uv_handle_t *)&u->poll, on_handle_closed);
    uv_close((uv_handle_t *)&u->look, on_handle_closed);
}

/* Failing ----------------------------------------------------------------------------------- */

/* Our sockets are open still, by the copies that were kept. */
static void accept_again(struct upgrade *u)
{
    struct control *c = u->control;
    size_t kept = 0;
    for (size_t i = 0; i < c->bound.count; i++) {
        for (unsigned w = 0; w < c->bound.workers; w++) {
            c->bound.items[i].fds[w] = u->kept[kept];
            u->kept[kept++] = -1;
        }
    }
    drain_undo(c);
    apply_resend(c);
    fence_publish(c);
}

static void fail(struct upgrade *u, const char *why)
{
    struct control *c = u->control;
    events_add(&c->events, "", "upgrade",
               "the new process does not take over (%s): this one goes on", why);
    if (u->state == UPGRADE_CLOSING || u->state == UPGRADE_TAKING) {
        holdings_unlimit(c);
        accept_again(u);
    }
    bool asked_to_end = c->drain.asked;
    u->state = UPGRADE_FAILED;
    uv_poll_stop(&u->poll);
    uv_process_kill(&u->child, SIGKILL); /* its exit, which is to be waited for, ends this */
    if (asked_to_end) {
        control_drain(c);
    }
}

static void on_exit_of_child(uv_process_t *child, int64_t status, int term_signal)
{
    struct upgrade *u = container_of(child, struct upgrade, child);
    char why[96];
    if (u->closing || u->state == UPGRADE_OVER) { /* who takes over a service may restart it */
        return;
    }
    if (u->state != UPGRADE_FAILED) {
        snprintf(why, sizeof why, "it ended with %s %d", term_signal != 0 ? "signal" : "status",
                 term_signal != 0 ? term_signal : (int)status);
        fail(u, why);
    }
    give_up(u);
}

/* Sending ----------------------------------------------------------------------------------- */

static void add_parcel(struct upgrade *u, const char *text, size_t len, const int *fds,
                       size_t fd_count)
{
    struct parcel *p = xcalloc(1, sizeof *p + len);
    p->len = len;
    p->fd_count = fd_count;
    memcpy(p->text, text, len);
    if (fd_count > 0) {
        memcpy(p->fds, fds, fd_count * sizeof(int));
    }
    list_append(&u->parcels, &p->node);
}

/* Whole lines, as many as fit into each message. */
static void add_lines(struct upgrade *u, const char *head, const char *lines)
{
    char text[DESCRIPTORS_TEXT_MAX];
    size_t head_len = strlen(head);
    memcpy(text, head, head_len);
    while (*lines != '\0') {
        size_t room = sizeof text - head_len;
        size_t len = strnlen(lines, room);
        while (len == room && lines[len - 1] != '\n') {
            room--;
            len--;
        }
        memcpy(text + head_len, lines, len);
        add_parcel(u, text, head_len + len, NULL, 0);
        lines += len;
    }
}

static void pump(struct upgrade *u)
{
    LIST_EACH(it, &u->parcels)
    {
        struct parcel *p = container_of(it, struct parcel, node);
        int rc = descriptors_send(u->channel, p->text, p->len, p->fds, p->fd_count);
        if (rc != 0) { /* later; or its end is told by its exit, or by the end of the channel */
            break;
        }
        list_remove(&p->node);
        free(p);
    }
    if (u->state == UPGRADE_SENDING && list_empty(&u->parcels)) {
        u->state = UPGRADE_ELECTS;
    }
    int events = UV_READABLE | (list_empty(&u->parcels) ? 0 : UV_WRITABLE);
    uv_poll_start(&u->poll, events, on_writable_or_readable);
}

static void add_socket(struct upgrade *u, const char *whose, const struct address *at,
                       const int *fds, size_t count)
{
    char text[ADDRESS_TEXT_MAX + 16];
    char place[ADDRESS_TEXT_MAX];
    address_print(at, place);
    snprintf(text, sizeof text, "%s %s", whose, place);
    for (size_t sent = 0; sent < count; sent += DESCRIPTORS_MAX) {
        size_t part = count - sent < DESCRIPTORS_MAX ? count - sent : DESCRIPTORS_MAX;
        add_parcel(u, text, strlen(text), fds + sent, part);
    }
}

static void on_control_socket(void *context, const struct address *at, int fd)
{
    add_socket(context, "operators", at, &fd, 1);
}

static void add_everything(struct upgrade *u)
{
    struct control *c = u->control;
    struct text state = {0};
    size_t workers = c->bound.workers;
    for (size_t i = 0; i < c->bound.count; i++) {
        add_socket(u, "socket", &c->bound.items[i].at, u->kept + i * workers, workers);
    }
    if (c->admin != NULL) {
        int fd = admin_fd(c->admin);
        add_socket(u, "operators", &c->admin_at, &fd, 1);
    }
    control_sockets_each(c->sockets, on_control_socket, u);
    if (c->pid_file >= 0) {
        add_parcel(u, "pid_file", strlen("pid_file"), &c->pid_file, 1);
    }
    heritage_tell(c, &state);
    add_lines(u, "state\n", state.data != NULL ? state.data : "");
    text_free(&state);
    add_parcel(u, "end", strlen("end"), NULL, 0);
}

/* Handing over ------------------------------------------------------------------------------ */

static void tell_holdings(struct upgrade *u)
{
    struct text lines = {0};
    holdings_print(u->held, u->control, &lines);
    if (lines.len > 0) {
        add_lines(u, "holds\n", lines.data);
    }
    text_free(&lines);
}

static void on_closed_doors(struct upgrade *u)
{
    struct control *c = u->control;
    u->state = UPGRADE_TAKING;
    u->until_ms = loop_now_ms(&c->loop) + TAKE_MS;
    u->held = holdings_new(c);
    holdings_look(u->held, c);
    tell_holdings(u);
    add_parcel(u, "over", strlen("over"), NULL, 0);
    pump(u);
}

static void on_ready(struct upgrade *u)
{
    struct control *c = u->control;
    if (u->state != UPGRADE_ELECTS || c->draining) {
        return;
    }
    u->state = UPGRADE_CLOSING;
    u->until_ms = loop_now_ms(&c->loop) + TAKE_MS;
    drain_for_successor(c);
    u->generation = c->published->generation;
    upgrade_acknowledged(c);
}

static void on_taken(struct upgrade *u)
{
    struct control *c = u->control;
    if (u->state != UPGRADE_TAKING) {
        return;
    }
    u->state = UPGRADE_OVER;
    c->handed_over = true;
    reporter_hand_over(c->reporter, u->child.pid);
    for (size_t i = 0; i < u->kept_count; i++) {
        close(u->kept[i]);
        u->kept[i] = -1;
    }
    sockets_disown(&c->bound);
    control_sockets_disown(c->sockets);
    events_add(&c->events, "", "upgrade",
               "process %d accepts clients now; %u sessions of this one go on", u->child.pid,
               atomic_load(&c->shared->router->sessions));
    drain_until_done(c);
}

static void take_message(struct upgrade *u, const char *text)
{
    if (strcmp(text, "ready") == 0) {
        on_ready(u);
    } else if (strcmp(text, "taken") == 0) {
        on_taken(u);
    }
}

static void on_writable_or_readable(uv_poll_t *poll, int status, int events)
{
    struct upgrade *u = container_of(poll, struct upgrade, poll);
    char text[DESCRIPTORS_TEXT_MAX + 1];
    int fds[DESCRIPTORS_MAX];
    size_t count;
    if (status == 0 && (events & UV_READABLE) != 0) {
        ssize_t got = descriptors_receive(u->channel, text, fds, &count);
        for (size_t i = 0; i < count; i++) {
            close(fds[i]);
        }
        if (got > 0) {
            take_message(u, text);
        } else if (got != UV_EAGAIN) {
            uv_poll_stop(poll); /* it has ended, and its exit says how */
            return;
        }
    }
    if (!u->closing && u->state != UPGRADE_FAILED) {
        pump(u);
    }
}

void upgrade_acknowledged(struct control *c)
{
    struct upgrade *u = c->upgrade;
    if (u != NULL && u->state == UPGRADE_CLOSING && fence_acked_by_all(c) >= u->generation) {
        on_closed_doors(u);
    }
}

static void on_look(uv_timer_t *timer)
{
    struct upgrade *u = container_of(timer, struct upgrade, look);
    if (u->state == UPGRADE_OVER) {
        if (holdings_look(u->held, u->control)) {
            tell_holdings(u);
            pump(u);
        }
    } else if (u->state != UPGRADE_FAILED && loop_now_ms(&u->control->loop) >= u->until_ms) {
        fail(u, "it takes too long");
    }
}

/* Beginning --------------------------------------------------------------------------------- */

/* Copies of all client sockets, in the order of control.bound. */
static int keep_sockets(struct upgrade *u)
{
    struct sockets *s = &u->control->bound;
    u->kept = xcalloc(s->count * s->workers + 1, sizeof *u->kept);
    for (size_t i = 0; i < s->count; i++) {
        for (unsigned w = 0; w < s->workers; w++) {
            int fd = fcntl(sockets_number(&s->items[i], w), F_DUPFD_CLOEXEC, 0);
            if (fd < 0) {
                return -errno;
            }
            u->kept[u->kept_count++] = fd;
        }
    }
    return 0;
}

static char **child_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **out = xcalloc(count + 2, sizeof *out);
    memcpy(out, environ, count * sizeof *out);
    out[count] = HERITAGE_VARIABLE "=" CHANNEL_IN_CHILD;
    return out;
}

static int spawn(struct upgrade *u, int channel)
{
    struct control *c = u->control;
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = 0},
        {.flags = UV_INHERIT_FD, .data.fd = 1},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = channel},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of_child,
        .file = c->command.path,
        .args = (char **)c->command.arguments,
        .env = child_environment(),
        .stdio_count = (int)ARRAY_LEN(stdio),
        .stdio = stdio,
    };
    int rc = uv_spawn(&c->loop.uv, &u->child, &options);
    free(options.env);
    return rc;
}

static int start(struct upgrade *u, int pair[2])
{
    struct control *c = u->control;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        pair[0] = pair[1] = -1;
        return -errno;
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    u->channel = pair[0];
    int rc = keep_sockets(u);
    return rc != 0 ? rc : uv_poll_init(&c->loop.uv, &u->poll, u->channel);
}

int upgrade_begin(struct control *c, struct text *why)
{
    if (c->upgrade != NULL || c->draining || c->stopping || c->command.path == NULL) {
        text_add(why, "%s\n",
                 c->upgrade != NULL        ? "another process is about to take over already"
                 : c->command.path == NULL ? "nobody has said what to start"
                                           : "the router is about to end");
        return UV_EBUSY;
    }
    struct upgrade *u = xcalloc(1, sizeof *u);
    int pair[2];
    *u = (struct upgrade){.control = c, .channel = -1};
    list_init(&u->parcels);
    int rc = start(u, pair);
    if (rc != 0) {
        text_add(why, "cannot begin an upgrade: %s\n", uv_strerror(rc));
        close(pair[1]);
        free_upgrade(u);
        return rc;
    }
    u->poll.data = u->look.data = u->child.data = u;
    uv_timer_init(&c->loop.uv, &u->look);
    u->handles = 3;
    c->upgrade = u;
    rc = spawn(u, pair[1]);
    close(pair[1]);
    if (rc != 0) { /* the handle of a child that was not born is to be closed, too */
        text_add(why, "cannot start %s: %s\n", c->command.path, uv_strerror(rc));
        give_up(u);
        return rc;
    }
    events_add(&c->events, "", "upgrade", "process %d is to take over", u->child.pid);
    u->until_ms = loop_now_ms(&c->loop) + c->config->router.start_timeout + READY_MS;
    uv_timer_start(&u->look, on_look, LOOK_MS, LOOK_MS);
    add_everything(u);
    pump(u);
    return 0;
}

void upgrade_end(struct control *c)
{
    struct upgrade *u = c->upgrade;
    if (u == NULL) {
        return;
    }
    if (u->state != UPGRADE_OVER) {
        uv_process_kill(&u->child, SIGKILL);
    }
    give_up(u);
}
