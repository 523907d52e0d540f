#include "ctl/list_sessions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/pool_view.h"
#include "ctl/round.h"
#include "proto/proto.h"

/* One list, from the command to its answer. */
struct listing {
    struct round round;
    struct message_sessions message;
    bool whole;
    size_t left_out;
    struct text out;
};

/* Rows -------------------------------------------------------------------------------------- */

static const char *proto_of(const struct session_row *row)
{
    if (!row->client_known) {
        return "none";
    }
    switch (row->client.sa.any.sa_family) {
    case AF_INET:
        return "tcpv4";
    case AF_INET6:
        return "tcpv6";
    default:
        return "unix_stream";
    }
}

static const char *source_of(const struct session_row *row, char text[ADDRESS_TEXT_MAX])
{
    return row->client_known ? address_print(&row->client, text) : "-";
}

/* The session may be gone by now, and with it its server; positions stay. */
static const char *server_of(const struct control *c, const struct session_row *row)
{
    const struct server_list *servers = &c->config->backends[row->backend].servers;
    return row->server < servers->count ? servers->items[row->server].name : "<none>";
}

static const char *tls_of(const struct session_row *row)
{
    static const char *const words[] = {"no", "client", "server", "both"};
    return words[row->client_tls + 2 * row->server_tls];
}

/* In HAProxy's order; what stands between its age and its exp is its own business. */
static void add_row(const struct listing *l, const struct session_row *row, struct text *out)
{
    const struct control *c = l->round.control;
    char source[ADDRESS_TEXT_MAX];
    text_add(out, "0x%" PRIx64 ": proto=%s src=%s fe=%s be=%s srv=%s ts=00 epoch=0 age=", row->id,
             proto_of(row), source_of(row, source), c->config->frontends[row->frontend].name,
             c->config->backends[row->backend].name, server_of(c, row));
    text_add_duration(out, row->age_ms);
    text_add(out, " state=%s in=%" PRIu64 " out=%" PRIu64 " tls=%s held=%s", row->state,
             row->bytes_in, row->bytes_out, tls_of(row), row->held ? "yes" : "no");
    if (row->pooled) {
        text_add(out, " pins=");
        pool_add_pins(row->pins, "-", out);
    }
    text_add(out, " exp=");
    if (row->expires) {
        text_add_duration(out, row->expires_ms);
    }
    text_add(out, " rc=%u\n", row->retries);
}

static void add_stamp(uint64_t age_ms, struct text *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 - age_ms;
    time_t at = (time_t)(ms / 1000);
    struct tm local;
    char stamp[32];
    localtime_r(&at, &local);
    strftime(stamp, sizeof(stamp), "%d/%b/%Y:%H:%M:%S", &local);
    text_add(out, "[%s.%03u]", stamp, (unsigned)(ms % 1000));
}

static void add_whole_row(const struct listing *l, const struct session_row *row, struct text *out)
{
    static const char *const routes[] = {
        [ROUTE_AUTO] = "auto", [ROUTE_PRIMARY] = "primary", [ROUTE_REPLICA] = "replica",
        [ROUTE_ANY] = "any",   [ROUTE_SPLIT] = "split",
    };
    const struct config *config = l->round.control->config;
    const struct backend_config *b = &config->backends[row->backend];
    char source[ADDRESS_TEXT_MAX];
    text_add(out, "0x%" PRIx64 ": ", row->id);
    add_stamp(row->age_ms, out);
    text_add(out, " proto=%s source=%s\n", proto_of(row), source_of(row, source));
    text_add(out, "  frontend=%s (route=%s)\n  backend=%s (protocol=%s)\n  server=%s",
             config->frontends[row->frontend].name, routes[row->route], b->name, b->protocol->name,
             server_of(l->round.control, row));
    if (row->server < b->servers.count) {
        text_add(out, " (addr=%s)", b->servers.items[row->server].address_text);
    }
    text_add(out, "\n  state=%s held=%s tls=%s", row->state, row->held ? "yes" : "no", tls_of(row));
    if (row->pooled) {
        text_add(out, " pins=");
        pool_add_pins(row->pins, "-", out);
    }
    text_add(out, " age=");
    text_add_duration(out, row->age_ms);
    text_add(out, " exp=");
    if (row->expires) {
        text_add_duration(out, row->expires_ms);
    }
    text_add(out, "\n  queue=%u.%03ums connect=%u.%03ums conn_retries=%u\n", row->queue_us / 1000,
             row->queue_us % 1000, row->connect_us / 1000, row->connect_us % 1000, row->retries);
    text_add(out, "  req total=%" PRIu64 "\n  res total=%" PRIu64 "\n", row->bytes_in,
             row->bytes_out);
}

/* Asking ------------------------------------------------------------------------------------ */

static void finish(struct round *r)
{
    struct listing *l = container_of(r, struct listing, round);
    if (l->left_out > 0) {
        text_add(&l->out, "# %zu more sessions are not listed\n", l->left_out);
    }
    if (l->message.id != 0 && l->out.len == 0) {
        command_answer_fail(r->ticket, "No such session (use 'show sess').");
    } else {
        command_answer(r->ticket, &l->out);
    }
    free(l);
}

static void on_listed(struct message *m, void *control)
{
    (void)control;
    struct message_sessions *back = container_of(m, struct message_sessions, message);
    struct listing *l = container_of(back, struct listing, message);
    for (size_t i = 0; i < back->count; i++) {
        if (l->whole) {
            add_whole_row(l, &back->rows[i], &l->out);
        } else {
            add_row(l, &back->rows[i], &l->out);
        }
    }
    l->left_out += back->left_out;
    if (back->done) {
        l->round.worker++;
        back->first = true;
    }
    if (back->id != 0 && back->count > 0) { /* there is one of them at most */
        round_end(&l->round);
    } else {
        round_go_on(&l->round);
    }
}

void list_sessions(struct command_call *call, const struct sessions_wanted *wanted)
{
    struct control *c = call->control;
    if (c->stopping || c->worker_count == 0) {
        command_fail(call, "The router is ending");
        return;
    }
    struct listing *l = xcalloc(1, sizeof(*l));
    l->round = (struct round){
        .control = c,
        .ticket = command_later(call),
        .message = &l->message.message,
        .run = c->tell->sessions,
        .finish = finish,
    };
    l->whole = wanted->whole;
    l->message.on_listed = on_listed;
    l->message.id = wanted->id;
    l->message.backend = wanted->backend;
    l->message.server = wanted->server;
    l->message.room = SESSIONS_LISTED_MAX;
    l->message.first = true;
    round_begin(&l->round);
}
