#include "ctl/heritage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "ctl/control.h"
#include "model/election_memory.h"
#include "net/descriptors.h"

#define RECEIVE_MS 10000

/* Receiving --------------------------------------------------------------------------------- */

static void add_sockets(struct heritage *h, const char *text, bool clients, const int *fds,
                        size_t count)
{
    struct address at;
    if (address_parse(&at, text) != 0) {
        log_warn("upgrade: %.100s is no address: its sockets are not taken over", text);
        for (size_t i = 0; i < count; i++) {
            close(fds[i]);
        }
        return;
    }
    h->items = xrealloc(h->items, (h->count + count) * sizeof(*h->items));
    for (size_t i = 0; i < count; i++) {
        h->items[h->count++] = (struct inherited){at, clients, fds[i]};
    }
}

static const char *behind(const char *text, const char *word)
{
    size_t len = strlen(word);
    return strncmp(text, word, len) == 0 ? text + len : NULL;
}

/* One message; true if it was the last one. */
static bool take_message(struct heritage *h, const char *text, const int *fds, size_t count)
{
    const char *rest;
    if ((rest = behind(text, "socket ")) != NULL) {
        add_sockets(h, rest, true, fds, count);
    } else if ((rest = behind(text, "operators ")) != NULL) {
        add_sockets(h, rest, false, fds, count);
    } else if (behind(text, "pid_file") != NULL && count == 1 && h->pid_file < 0) {
        h->pid_file = fds[0];
    } else if ((rest = behind(text, "state\n")) != NULL) {
        text_add_bytes(&h->state, rest, strlen(rest));
    }
    return behind(text, "end") != NULL;
}

static int receive_all(struct heritage *h)
{
    char text[DESCRIPTORS_TEXT_MAX + 1];
    int fds[DESCRIPTORS_MAX];
    size_t count;
    bool last = false;
    while (!last) {
        struct pollfd wait = {.fd = h->channel, .events = POLLIN};
        if (poll(&wait, 1, RECEIVE_MS) <= 0) {
            return UV_ETIMEDOUT;
        }
        ssize_t got = descriptors_receive(h->channel, text, fds, &count);
        if (got <= 0) {
            return got == 0 ? UV_EOF : (int)got;
        }
        last = take_message(h, text, fds, count);
    }
    return 0;
}

/* The end of a channel as ctl/upgrade.c makes them; -1: whoever wrote the number was no router, and
 * what it leads to is not ours. */
static int channel_of(const char *number)
{
    char *end;
    unsigned long fd = strtoul(number, &end, 10);
    if (number[0] < '0' || number[0] > '9' || *end != '\0' || fd > INT_MAX) {
        return -1;
    }
    int type = 0;
    socklen_t len = sizeof type;
    bool found = getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
    return found && type == SOCK_SEQPACKET ? (int)fd : -1;
}

int heritage_receive(struct heritage **out, char why[HERITAGE_WHY_MAX])
{
    const char *number = getenv(HERITAGE_VARIABLE);
    *out = NULL;
    if (number == NULL) {
        return 0;
    }
    int channel = channel_of(number);
    unsetenv(HERITAGE_VARIABLE);
    if (channel < 0) {
        snprintf(why, HERITAGE_WHY_MAX,
                 "%s is set, but no router has done it: unset it, it is for SIGUSR2",
                 HERITAGE_VARIABLE);
        return UV_EINVAL;
    }
    struct heritage *h = xcalloc(1, sizeof *h);
    *h = (struct heritage){.channel = channel, .pid_file = -1};
    fcntl(h->channel, F_SETFD, FD_CLOEXEC);
    int rc = receive_all(h);
    if (rc != 0) {
        snprintf(why, HERITAGE_WHY_MAX, "upgrade: what the process before hands over: %s",
                 uv_strerror(rc));
        heritage_free(h);
        return rc;
    }
    *out = h;
    return 0;
}

static int take(struct heritage *h, const struct address *at, bool clients)
{
    for (size_t i = 0; i < h->count; i++) {
        struct inherited *one = &h->items[i];
        if (one->clients == clients && one->fd >= 0 && address_equal(&one->at, at) &&
            one->at.dual == at->dual) {
            int fd = one->fd;
            one->fd = -1;
            return fd;
        }
    }
    return -1;
}

int heritage_take(struct heritage *h, const struct address *at)
{
    return h != NULL ? take(h, at, false) : -1;
}

void heritage_settle(struct heritage *h)
{
    for (size_t i = 0; i < h->count; i++) {
        struct inherited *one = &h->items[i];
        if (one->fd >= 0) {
            struct listener_path path = listener_path_of(&one->at);
            close(one->fd);
            one->fd = -1;
            listener_unlink(&one->at, &path);
        }
    }
}

/* Sockets for each worker: as many as there are; then, where there are not enough, the same ones
 * again. */
static bool take_set(struct heritage *h, const struct address *at, unsigned workers, int *fds)
{
    unsigned got = 0;
    while (got < workers && (fds[got] = take(h, at, true)) >= 0) {
        got++;
    }
    unsigned have = got;
    while (have < workers && got > 0 &&
           (fds[have] = fcntl(fds[have % got], F_DUPFD_CLOEXEC, 0)) >= 0) {
        have++;
    }
    for (unsigned i = 0; i < have && have < workers; i++) { /* out of descriptors */
        close(fds[i]);
    }
    return got > 0 && have == workers;
}

void heritage_sockets(struct heritage *h, unsigned workers, struct sockets *out)
{
    *out = (struct sockets){
        .items = xcalloc(h->count + 1, sizeof *out->items),
        .workers = workers,
    };
    for (size_t i = 0; i < h->count; i++) {
        const struct address *at = &h->items[i].at;
        int *fds = xcalloc(workers, sizeof *fds);
        if (take_set(h, at, workers, fds)) {
            out->items[out->count++] = (struct bound){
                .bind = out->next_bind++,
                .at = *at,
                .fds = fds,
                .path = listener_path_of(at),
            };
        } else {
            free(fds);
        }
    }
}

void heritage_free(struct heritage *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->count; i++) {
        if (h->items[i].fd >= 0) {
            close(h->items[i].fd);
        }
    }
    if (h->pid_file >= 0) {
        close(h->pid_file);
    }
    if (h->channel >= 0) {
        close(h->channel);
    }
    free(h->items);
    text_free(&h->state);
    free(h);
}

/* What is known ----------------------------------------------------------------------------- */

static void tell_server(const struct backend_control *b, size_t i, struct text *out)
{
    const struct server_config *s = b->servers[i].config;
    text_add(out, "server %s %s\n", s->name, s->address_text);
    if (b->memory.incumbent == (int)i) {
        text_add(out, "incumbent\n");
    }
    text_add(out, "admin %s\n", admin_state_names[b->servers[i].admin]);
    server_memory_save(&b->memory.servers[i], out);
}

void heritage_tell(const struct control *c, struct text *out)
{
    text_add(out, "stamp %" PRIu64 "\n", c->stamp);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_control *b = c->backends[i];
        if (b->config->gone) {
            continue;
        }
        text_add(out, "backend %s\n", b->config->name);
        if (b->paused_by_hand) {
            text_add(out, "paused\n");
        }
        election_memory_save(&b->memory, out);
        for (size_t k = 0; k < b->config->servers.count; k++) {
            if (!b->config->servers.items[k].gone) {
                tell_server(b, k, out);
            }
        }
    }
}

/* Where the reader is. */
struct place {
    struct control *control;
    struct backend_control *backend; /* NULL: of one that is not here any more */
    int server;                      /* -1: before the first, or of one that is not here any more */
    bool in_server;
};

static struct backend_control *find_backend(struct control *c, const char *name)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (strcmp(c->config->backends[i].name, name) == 0) {
            return c->backends[i];
        }
    }
    return NULL;
}

/* `text` is "NAME ADDRESS". */
static int find_server(const struct backend_control *b, const char *text)
{
    char own[512];
    for (size_t i = 0; b != NULL && i < b->config->servers.count; i++) {
        const struct server_config *s = &b->config->servers.items[i];
        snprintf(own, sizeof own, "%s %s", s->name, s->address_text);
        if (strcmp(own, text) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void remember_server(struct place *p, const char *line)
{
    struct backend_control *b = p->backend;
    struct server_control *s = &b->servers[p->server];
    const char *rest;
    if (strcmp(line, "incumbent") == 0) {
        b->memory.incumbent = p->server;
    } else if ((rest = behind(line, "admin ")) != NULL) {
        for (int state = 0; state < ADMIN_STATE_COUNT; state++) {
            if (strcmp(rest, admin_state_names[state]) == 0) {
                s->admin = (enum admin_state)state;
                s->admin_since_ms = loop_now_ms(&p->control->loop);
            }
        }
    } else {
        server_memory_take(&b->memory.servers[p->server], line);
    }
}

static void remember_line(struct place *p, const char *line)
{
    const char *rest;
    if ((rest = behind(line, "stamp ")) != NULL) {
        p->control->stamp = strtoull(rest, NULL, 10);
    } else if ((rest = behind(line, "backend ")) != NULL) {
        p->backend = find_backend(p->control, rest);
        p->in_server = false;
    } else if ((rest = behind(line, "server ")) != NULL) {
        p->server = find_server(p->backend, rest);
        p->in_server = true;
    } else if (p->in_server && p->server >= 0) {
        remember_server(p, line);
    } else if (!p->in_server && p->backend != NULL && strcmp(line, "paused") == 0) {
        p->backend->paused_by_hand = true;
    } else if (!p->in_server && p->backend != NULL) {
        election_memory_take(&p->backend->memory, line);
    }
}

void heritage_remember(const struct heritage *h, struct control *c)
{
    struct place p = {.control = c, .server = -1};
    char *text = h->state.data != NULL ? h->state.data : (char[1]){""};
    for (char *line = text, *end; *line != '\0'; line = end) {
        size_t len = strcspn(line, "\n");
        end = line[len] != '\0' ? line + len + 1 : line + len;
        line[len] = '\0';
        remember_line(&p, line);
    }
}
