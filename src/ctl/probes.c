#include "ctl/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/proxy_header.h"
#include "proto/http_probe.h"

#define PROBE_KEEPALIVE_MS 2000

static const struct probe_dialogue *dialogue_of(const struct backend_config *b)
{
    if (b->probe != PROBE_AUTO) {
        return NULL;
    }
    return b->http_check.method != NULL ? &http_probe : b->protocol->dialogue;
}

/* Whom a request is for (RFC 9110, section 7.2). Under TLS that is who the certificate must name:
 * servers answer 421 to another one (section 7.4). */
static void write_host(const struct backend_config *b, const struct server_config *server,
                       char out[HOST_FIELD_MAX])
{
    bool check = b->http_check.method != NULL;
    unsigned port = check ? b->probe_port : b->patroni;
    struct address at = port > 0 ? address_with_port(&server->address, port) : server->address;
    char text[ADDRESS_TEXT_MAX];
    if (at.sa.any.sa_family == AF_UNIX) {
        address_print_host(&at, text);
    } else {
        address_print(&at, text);
    }
    const char *colon = strrchr(text, ':'); /* before the port */
    bool secure = (check || b->patroni_tls) && b->tls_server_name != NULL;
    const char *name = secure ? b->tls_server_name : server->host;
    if (name != NULL) {
        snprintf(out, HOST_FIELD_MAX, "%s%s", name, colon != NULL ? colon : "");
    } else {
        snprintf(out, HOST_FIELD_MAX, "%s", text);
    }
}

/* What a server is asked with; the password follows its file. */
static void set_up(struct probes *p, size_t server)
{
    const struct backend_config *b = p->config;
    const struct address *at = &b->servers.items[server].address;
    struct server_probes *s = p->servers[server];
    write_host(b, &b->servers.items[server], s->host);
    s->setup = (struct probe_setup){
        .user = b->probe_user,
        .password = p->secret.value,
        .database = b->probe_database,
        .command = config_renamed,
        .renames = &b->probe_commands,
        .tls = b->probe_tls == PROBE_TLS_YES,
        .local = at->sa.any.sa_family == AF_UNIX,
        .mysql_topology = b->mysql_topology,
        .http = &b->http_check,
        .http_expect = &b->http_expect,
        .host = s->host,
        .lag_bytes = b->max_lag.bytes,
    };
}

/* A block for each server, which stays where it is: a probe that ends its login when it is closed
 * still reads there. */
static void make_room(struct probes *p)
{
    p->servers =
        xrealloc(p->servers, (p->config->servers.count + 1) * sizeof(struct server_probes *));
    while (p->count < p->config->servers.count) {
        p->servers[p->count++] = xcalloc(1, sizeof(**p->servers));
    }
}

void probes_init(struct probes *p, const struct backend_config *config,
                 struct tls_context *const *tls, struct tls_context *const *word_tls)
{
    *p = (struct probes){
        .config = config,
        .tls = tls,
        .word_tls = word_tls,
        .fast = true,
    };
    live_secret_init(&p->secret, config->probe_password_file, config->probe_password);
    make_room(p);
    for (size_t i = 0; i < p->count; i++) {
        set_up(p, i);
    }
}

void probes_release(struct probes *p)
{
    live_secret_release(&p->secret);
    for (size_t i = 0; i < p->count; i++) {
        free(p->servers[i]);
    }
    free(p->servers);
}

static struct probe *start_one(const struct probes *p, const struct probe_target *target,
                               size_t server, const struct probe_events *events)
{
    struct probe *one = probe_new(p->loop, target, server, events, p->context, p->stamp);
    if (one != NULL) {
        probe_start(one);
    } else {
        log_error("out of memory: a server is not probed");
    }
    return one;
}

/* A login that must not be cut may wait for a server that knows nothing of it: it was started anew,
 * or its backlog was full when the connect seemed to be through. Then only keepalive finds out. */
static uint64_t keepalive_of(const struct backend_config *b)
{
    return b->tcp_keepalive < PROBE_KEEPALIVE_MS ? b->tcp_keepalive : PROBE_KEEPALIVE_MS;
}

static unsigned proxy_of(enum send_proxy wanted)
{
    return wanted == SEND_PROXY_NO ? 0 : wanted == SEND_PROXY_V1 ? PROXY_V1 : PROXY_V2;
}

/* Nobody is asked where a name has no address yet. */
static void start_server(struct probes *p, size_t server)
{
    const struct backend_config *b = p->config;
    const struct server_config *config = &b->servers.items[server];
    const struct address *at = &config->address;
    struct server_probes *s = p->servers[server];
    struct probe_target target = {
        .address = b->probe_port > 0 ? address_with_port(at, b->probe_port) : *at,
        .dialogue = dialogue_of(b),
        .setup = &s->setup,
        .tls = p->tls,
        .proxy = b->probe_port > 0 ? 0 : proxy_of(b->send_proxy),
        .keep = b->probe_keep,
        .timeout_ms = b->probe_timeout,
        .fast_interval_ms = b->probe_fast_interval,
        .tcp = {keepalive_of(b), b->tcp_user_timeout},
    };
    s->asked = *at;
    if (!address_is_set(at)) {
        return;
    }
    address_peer_name(at, config->host, target.peer);
    s->probe = start_one(p, &target, server, &p->events->role);
    if (b->patroni > 0 && target.dialogue == b->protocol->dialogue && target.dialogue != NULL) {
        target.address = address_with_port(at, b->patroni);
        target.dialogue = &patroni_probe;
        target.tls = p->word_tls;
        target.proxy = 0;
        s->witness = start_one(p, &target, server, &p->events->witness);
    }
}

void probes_start(struct probes *p, struct loop *l, const struct probes_events *events,
                  void *context, uint64_t *stamp)
{
    p->loop = l;
    p->events = events;
    p->context = context;
    p->stamp = stamp;
    for (size_t i = 0; i < p->count; i++) {
        start_server(p, i);
    }
}

static void stop_one(struct probe **p)
{
    if (*p != NULL) {
        probe_close(*p);
        *p = NULL;
    }
}

static bool is_running(const struct server_probes *s)
{
    return s->probe != NULL || s->witness != NULL;
}

void probes_stop_server(struct probes *p, size_t server)
{
    p->servers[server]->asked = (struct address){0};
    stop_one(&p->servers[server]->probe);
    stop_one(&p->servers[server]->witness);
}

void probes_stop(struct probes *p)
{
    for (size_t i = 0; i < p->count; i++) {
        probes_stop_server(p, i);
    }
}

void probes_adopt(struct probes *p, const struct backend_config *config, bool anew)
{
    p->config = config;
    live_secret_adopt(&p->secret, config->probe_password_file, config->probe_password);
    size_t before = p->count;
    make_room(p);
    for (size_t i = 0; i < p->count; i++) {
        const struct server_config *s = &config->servers.items[i];
        bool moved = i >= before || !address_equal(&p->servers[i]->asked, &s->address);
        bool wanted = is_running(p->servers[i]) || !(s->gone || config->gone);
        set_up(p, i);
        if ((anew || moved) && wanted && p->loop != NULL) {
            probes_stop_server(p, i);
            start_server(p, i);
        }
    }
}

void probes_now(struct probes *p, size_t server)
{
    struct server_probes *s = p->servers[server];
    if (s->probe != NULL) {
        probe_now(s->probe);
    }
    if (s->witness != NULL) {
        probe_now(s->witness);
    }
}

void probes_all_now(struct probes *p)
{
    for (size_t i = 0; i < p->count; i++) {
        probes_now(p, i);
    }
}

void probes_anew(struct probes *p, size_t server)
{
    if (p->servers[server]->probe != NULL) {
        probe_anew(p->servers[server]->probe);
    }
}

void probes_set_pace(struct probes *p, bool fast)
{
    uint64_t ms = fast ? p->config->probe_fast_interval : p->config->probe_interval;
    if (p->fast == fast) {
        return;
    }
    p->fast = fast;
    for (size_t i = 0; i < p->count; i++) {
        if (p->servers[i]->probe != NULL) {
            probe_set_interval(p->servers[i]->probe, ms);
        }
        if (p->servers[i]->witness != NULL) {
            probe_set_interval(p->servers[i]->witness, ms);
        }
    }
}

void probes_refresh_secret(struct probes *p)
{
    char whose[96];
    snprintf(whose, sizeof whose, "backend=%s", p->config->name);
    if (live_secret_refresh(&p->secret, whose)) {
        for (size_t i = 0; i < p->count; i++) {
            p->servers[i]->setup.password = p->secret.value;
        }
        probes_all_now(p);
    }
}
