#include "import_check.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/text.h"
#include "import/import.h"
#include "router.h"

#define ANSWER_MS  2000
#define ANSWER_MAX (4u * 1024 * 1024)

/* A server to which a frontend of HAProxy may lead, and what both say of it. */
struct pair {
    char *frontend;
    char *backend; /* these two of HAProxy */
    char *server;
    char *ours; /* "" = not in router.ini */
    bool heard; /* HAProxy was */
    bool up;    /* there */
    bool backup;
    bool serves; /* here */
    char role[16];
};

struct check {
    struct pair *pairs; /* owned */
    size_t count;
};

/* HAProxy's word ---------------------------------------------------------------------------------
 */

static int connect_to(const char *path)
{
    struct address at;
    struct text name = {0};
    text_add(&name, "unix:%s", path);
    int rc = address_parse(&at, name.data);
    text_free(&name);
    int fd = rc == 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0 && connect(fd, &at.sa.any, at.len) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* All that comes until the end, or a bound in time or bytes. */
static bool read_answer(int fd, struct text *out)
{
    char bytes[16384];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, ANSWER_MS) <= 0 || out->len > ANSWER_MAX) {
            return false;
        }
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n == 0) {
            return out->len > 0;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        text_add_bytes(out, bytes, n > 0 ? (size_t)n : 0);
    }
}

static bool ask(const char *path, struct text *out)
{
    static const char question[] = "show stat\n";
    int fd = connect_to(path);
    bool asked = fd >= 0 && send(fd, question, sizeof question - 1, MSG_NOSIGNAL) > 0;
    bool heard = asked && read_answer(fd, out);
    if (fd >= 0) {
        close(fd);
    }
    return heard;
}

/* Column `n` of a line of CSV. */
static const char *column(char *line, size_t n, size_t *len)
{
    const char *at = line;
    while (n-- > 0) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    *len = strcspn(at, ",");
    return at;
}

static bool column_is(char *line, size_t n, const char *text)
{
    size_t len;
    const char *at = column(line, n, &len);
    return strlen(text) == len && strncmp(at, text, len) == 0;
}

/* The columns of HAProxy's CSV (its management guide, 9.1): pxname, svname, status, bck. */
static void take_line(struct check *c, char *line)
{
    size_t len;
    const char *status = column(line, 17, &len);
    for (size_t i = 0; i < c->count; i++) {
        struct pair *p = &c->pairs[i];
        if (!column_is(line, 0, p->backend) || !column_is(line, 1, p->server)) {
            continue;
        }
        p->heard = true;
        p->up = strncmp(status, "UP", 2) == 0 || strncmp(status, "no check", 8) == 0;
        p->backup = column_is(line, 20, "1");
    }
}

static bool hear(struct check *c, const struct import *import)
{
    struct text answer = {0};
    const char *path;
    for (size_t n = 0; (path = import_socket(import, n)) != NULL; n++) {
        if (ask(path, &answer)) {
            break;
        }
        text_free(&answer);
        answer = (struct text){0};
    }
    char *rest = answer.data;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        take_line(c, line);
    }
    text_free(&answer);
    return path != NULL;
}

/* Router's word
 * ------------------------------------------------------------------------------------ */

static void on_route(void *context, const struct import_route *route)
{
    struct check *c = context;
    c->pairs = xrealloc(c->pairs, (c->count + 1) * sizeof *c->pairs);
    c->pairs[c->count++] = (struct pair){
        .frontend = xstrdup(route->frontend),
        .backend = xstrdup(route->backend),
        .server = xstrdup(route->server),
        .ours = xstrdup(route->ours != NULL ? route->ours : ""),
        .role = "not in it",
    };
}

static void on_probed(void *context, const struct router_probed *probed)
{
    struct check *c = context;
    for (size_t i = 0; i < c->count; i++) {
        struct pair *p = &c->pairs[i];
        if (strcmp(p->frontend, probed->frontend) == 0 && strcmp(p->ours, probed->server) == 0) {
            p->serves = probed->serves;
            snprintf(p->role, sizeof p->role, "%s", probed->up ? probed->role : "down");
        }
    }
}

/* -------------------------------------------------------------------------------------------------
 */

/* HAProxy's backup servers get clients while no other of the backend is up. */
static bool haproxy_serves(const struct check *c, const struct pair *pair)
{
    bool others = false;
    for (size_t i = 0; i < c->count && pair->backup; i++) {
        const struct pair *p = &c->pairs[i];
        bool same =
            strcmp(p->frontend, pair->frontend) == 0 && strcmp(p->backend, pair->backend) == 0;
        others = others || (same && p->up && !p->backup);
    }
    return pair->up && !others;
}

static bool print_pair(const struct check *c, const struct pair *p)
{
    bool theirs = haproxy_serves(c, p);
    bool differs = p->heard && theirs != p->serves;
    const char *word = !p->heard ? "-" : theirs ? "yes" : "no";
    printf("%-20s %-24s %-16s %-8s %-8s %-10s%s\n", p->frontend, p->backend, p->server, word,
           p->serves ? "yes" : "no", p->role, differs ? " DIFFERS" : "");
    return differs;
}

static void release(struct check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->pairs[i].frontend);
        free(c->pairs[i].backend);
        free(c->pairs[i].server);
        free(c->pairs[i].ours);
    }
    free(c->pairs);
}

int import_check(const struct import *import, struct config *config)
{
    struct check c = {0};
    import_each_route(import, on_route, &c);
    bool heard = hear(&c, import);
    int status = router_probe_told(config, on_probed, &c);
    printf("\n%-20s %-24s %-16s %-8s %-8s %s\n", "frontend", "HAProxy's backend", "server",
           "HAProxy", "router", "role");
    bool differs = false;
    for (size_t i = 0; i < c.count; i++) {
        differs = print_pair(&c, &c.pairs[i]) || differs;
    }
    printf("%s\n", !heard    ? "HAProxy was not heard: no stats socket of the file answers"
                   : differs ? "clients would reach other servers"
                             : "the same servers serve");
    release(&c);
    return differs ? 1 : status;
}
