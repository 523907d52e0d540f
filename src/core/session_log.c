/* How HAProxy's lines look, and its two letters, are in its configuration manual, 8.2.2 and 8.5:
 * the first says who ended a session, the second what it was doing then. */
#include "core/session_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "core/session.h"

#define ERRORS_PER_SECOND 1000
#define LINE_BYTES        1024

struct session_note {
    int64_t accepted_ms; /* wall clock */
    struct address from;
    uint32_t place_in_queue; /* from 1 on; of several the sum */
    uint16_t server;         /* its index in the backend, + 1; 0 = none */
    bool elsewhere;          /* it was sent to another one before */
};

struct end_words {
    const char *text;
    char first;
    char second; /* 0: by the state in which it ended */
};

/* A switch and no table: the compiler sees that none is missing. */
static struct end_words words_of(enum session_end end)
{
    switch (end) {
    case END_DONE:
        return (struct end_words){"done", '-', '-'};
    case END_CLIENT:
        return (struct end_words){"client failed", 'C', 0};
    case END_SERVER:
        return (struct end_words){"server failed", 'S', 'D'};
    case END_REFUSED:
        return (struct end_words){"refused", 'P', 0};
    case END_QUEUE_FULL:
        return (struct end_words){"queue full", 'P', 'Q'};
    case END_QUEUE_TIMEOUT:
        return (struct end_words){"queue timeout", 's', 'Q'};
    case END_CONNECT:
        return (struct end_words){"cannot connect", 'S', 'C'};
    case END_CONNECT_TIMEOUT:
        return (struct end_words){"connect timeout", 's', 'C'};
    case END_CONNECT_WANT:
        return (struct end_words){"out of resources", 'R', 'C'};
    case END_CLIENT_LATE:
        return (struct end_words){"client too slow", 'c', 0};
    case END_SERVER_LATE:
        return (struct end_words){"server paused", 's', 'D'};
    case END_LEFT:
        return (struct end_words){"client left", 'C', 0};
    case END_IDLE:
        return (struct end_words){"idle", 'c', 'D'};
    case END_FENCED:
        return (struct end_words){"fenced", 'D', 'D'};
    case END_SHUTDOWN:
        return (struct end_words){"shutdown", 'K', 0};
    case END_MEMORY:
        return (struct end_words){"out of memory", 'R', 0};
    case END_KILLED:
        return (struct end_words){"killed", 'K', 0};
    }
    return (struct end_words){"", '-', '-'};
}

/* R: the client has not said yet all that it must say first. */
static const char phases[] = {
    [SESSION_NEW] = 'C',     [SESSION_PROXY] = 'R',  [SESSION_HELLO] = 'R',   [SESSION_SHAKE] = 'R',
    [SESSION_OPENING] = 'R', [SESSION_WAIT] = 'Q',   [SESSION_CONNECT] = 'C', [SESSION_LOGIN] = 'D',
    [SESSION_RELAY] = 'D',   [SESSION_CANCEL] = 'D', [SESSION_POOLED] = 'D',
};

struct code {
    char text[3];
};

static struct code code_of(const struct session *s)
{
    struct end_words e = words_of(s->end);
    return (struct code){{e.first, e.second != 0 ? e.second : phases[s->ended_in], '\0'}};
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The beginning ------------------------------------------------------------------------------ */

void session_log_begin(struct session *s, const struct address *from)
{
    if (LIKELY(s->worker->config->router.log_sessions == LOG_SESSIONS_NO)) {
        return;
    }
    s->note = malloc(sizeof *s->note);
    if (s->note != NULL) {
        *s->note = (struct session_note){.accepted_ms = wall_ms(), .from = *from};
    }
}

void session_log_client(struct session *s, const struct address *from)
{
    if (s->note != NULL) {
        s->note->from = *from;
    }
}

void session_log_queued(struct session *s, size_t others)
{
    if (s->note != NULL) {
        /* One that tries another server only passes through the queue, unless others are there. */
        s->note->place_in_queue += (uint32_t)others + (s->attempts == 0 ? 1 : 0);
    }
}

void session_log_sent(struct session *s, size_t server)
{
    struct session_note *n = s->note;
    if (n != NULL) {
        n->elsewhere = n->elsewhere || (n->server != 0 && n->server != server + 1);
        n->server = (uint16_t)(server + 1);
    }
}

/* The end ------------------------------------------------------------------------------------ */

/* What can still be found out of one that began before sessions were to be logged. */
static void guess(struct session_note *n, const struct session *s)
{
    *n = (struct session_note){
        .accepted_ms = wall_ms() - (int64_t)(session_age_us(s) / 1000),
        .server = s->server != NULL ? (uint16_t)(s->server->index + 1) : 0,
    };
    if (!conn_peer(&s->client, &n->from)) {
        n->from.len = 0;
    }
}

static const char *server_of(const struct session *s, const struct session_note *n,
                             const char *none)
{
    return n->server != 0 ? s->backend->servers.items[n->server - 1].name : none;
}

static void tell_fields(const struct session *s, const struct session_note *n, unsigned left_out)
{
    struct log_field fields[16];
    size_t count = 0;
    char from[ADDRESS_TEXT_MAX] = "-";
    struct code code = code_of(s);
    if (n->from.len > 0) {
        address_print(&n->from, from);
    }
    fields[count++] = (struct log_field){"end", words_of(s->end).text, 0};
    fields[count++] = (struct log_field){"code", code.text, 0};
    fields[count++] = (struct log_field){"client", from, 0};
    fields[count++] = (struct log_field){"frontend", s->frontend->name, 0};
    fields[count++] = (struct log_field){"backend", s->backend->name, 0};
    fields[count++] = (struct log_field){"server", server_of(s, n, "-"), 0};
    fields[count++] = (struct log_field){"queue_ms", NULL, s->times.queue_us / 1000};
    if (s->connected) {
        fields[count++] = (struct log_field){"connect_ms", NULL, s->times.connect_us / 1000};
    }
    fields[count++] = (struct log_field){"ms", NULL, (int64_t)(session_age_us(s) / 1000)};
    fields[count++] = (struct log_field){"in", NULL, (int64_t)s->bytes_in};
    fields[count++] = (struct log_field){"out", NULL, (int64_t)s->bytes_out};
    if (s->attempts > 1) {
        fields[count++] = (struct log_field){"retries", NULL, s->attempts - 1};
    }
    if (n->place_in_queue > 0) {
        fields[count++] = (struct log_field){"place_in_queue", NULL, n->place_in_queue};
    }
    if (left_out > 0) {
        fields[count++] = (struct log_field){"left_out", NULL, left_out};
    }
    log_event(LOG_LEVEL_INFO, "session", fields, count);
}

/* As HAProxy counts: of the router and the frontend with this one, of the others without. */
struct counts {
    unsigned router;
    unsigned frontend;
    unsigned backend;
    unsigned server;
};

static unsigned without(const atomic_uint *count, bool own)
{
    unsigned all = atomic_load_explicit(count, memory_order_relaxed);
    return all - (own && all > 0 ? 1 : 0);
}

static void take_counts(struct counts *c, const struct session *s, const struct session_note *n)
{
    const struct shared *shared = s->worker->shared;
    const struct shared_backend *b = shared->backends[s->backend->index];
    size_t server = n->server - 1U;
    c->router = without(&shared->router->sessions, s->admission.router) + 1;
    c->frontend =
        without(&shared->frontends[s->frontend->index]->sessions, s->admission.frontend) + 1;
    c->backend = without(&b->sessions, s->admission.backend);
    if (n->server != 0) {
        bool own = s->server != NULL && s->server->index == server;
        c->server =
            without(&shared->servers[s->backend->servers.items[server].id]->connections, own);
    }
}

static void print_client(const struct session *s, const struct session_note *n,
                         char out[ADDRESS_TEXT_MAX + 8])
{
    char host[ADDRESS_TEXT_MAX];
    size_t size = ADDRESS_TEXT_MAX + 8;
    sa_family_t family = n->from.len > 0 ? n->from.sa.any.sa_family : AF_UNSPEC;
    unsigned port = family == AF_INET    ? ntohs(n->from.sa.v4.sin_port)
                    : family == AF_INET6 ? ntohs(n->from.sa.v6.sin6_port)
                                         : 0;
    if (family == AF_UNIX) {
        snprintf(out, size, "unix:%zu", s->frontend->index + 1);
    } else if (family == AF_UNSPEC) {
        snprintf(out, size, "-:-");
    } else {
        snprintf(out, size, "%s:%u", address_print_host(&n->from, host), port);
    }
}

/* 21/Nov/2026:09:00:00.000, local time. */
static void print_date(int64_t at_ms, char out[40])
{
    time_t at_s = (time_t)(at_ms / 1000);
    struct tm local;
    localtime_r(&at_s, &local);
    size_t len = strftime(out, 40, "%d/%b/%Y:%H:%M:%S", &local);
    snprintf(out + len, 40 - len, ".%03d", (int)(at_ms % 1000));
}

static bool was_routed(const struct session *s)
{
    return s->attempts > 0 || s->times.queued_after_ms > 0;
}

static void tell_haproxy(const struct session *s, const struct session_note *n, unsigned left_out)
{
    char line[LINE_BYTES];
    char from[ADDRESS_TEXT_MAX + 8];
    char date[40];
    struct counts c = {0};
    struct code code = code_of(s);
    print_client(s, n, from);
    print_date(n->accepted_ms, date);
    take_counts(&c, s, n);
    int queue_ms = was_routed(s) ? (int)(s->times.queue_us / 1000) : -1;
    int connect_ms = s->connected ? (int)(s->times.connect_us / 1000) : -1;
    snprintf(line, sizeof line,
             "%s [%s] %s%s %s/%s %d/%d/%" PRIu64 " %" PRIu64 " %s %u/%u/%u/%u/%s%d 0/%u", from,
             date, s->frontend->name, conn_is_secured(&s->client) ? "~" : "", s->backend->name,
             server_of(s, n, "<NOSRV>"), queue_ms, connect_ms, session_age_us(s) / 1000,
             s->bytes_out, code.text, c.router, c.frontend, c.backend, c.server,
             n->elsewhere ? "+" : "", s->attempts > 1 ? s->attempts - 1 : 0, n->place_in_queue);
    if (left_out > 0) { /* nothing may be added to a line that programs read */
        log_info("%u lines of sessions left out", left_out);
    }
    log_as_is(LOG_LEVEL_INFO, line);
}

void session_log_end(struct session *s)
{
    enum log_sessions wanted = s->worker->config->router.log_sessions;
    unsigned left_out = 0;
    if (LIKELY(wanted == LOG_SESSIONS_NO) || !log_enabled(LOG_LEVEL_INFO) ||
        (wanted == LOG_SESSIONS_ERRORS &&
         (s->end == END_DONE ||
          !log_gate_admits(&s->worker->session_gate, ERRORS_PER_SECOND, &left_out)))) {
        return;
    }
    struct session_note made_up;
    const struct session_note *n = s->note;
    if (n == NULL) {
        guess(&made_up, s);
        n = &made_up;
    }
    if (log_format() == LOG_FORMAT_HAPROXY) {
        tell_haproxy(s, n, left_out);
    } else {
        tell_fields(s, n, left_out);
    }
}
