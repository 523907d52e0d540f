#include "ctl/probe_once.h"

#include <stdio.h>

#include "base/macros.h"
#include "base/text.h"
#include "ctl/control.h"
#include "ctl/names.h"
#include "ctl/sentinel.h"
#include "router_proto.h"

#define LOOK_MS 10

/* Looks after start_timeout: by then the election falls back on what it has. */
#define LAST_LOOKS 30

struct once {
    struct control control;
    uv_timer_t look;
    unsigned late;
    struct text names; /* what is known of them */
};

/* Who decides beside the servers has been asked, for people to read what it says. */
static bool authorities_asked(const struct backend_control *b)
{
    bool all = b->sentinels == NULL || sentinels_asked(b->sentinels);
    for (size_t i = 0; b->config->patroni > 0 && i < b->config->servers.count; i++) {
        all =
            all && (b->config->servers.items[i].gone || b->servers[i].word.reach != REACH_UNASKED);
    }
    return all;
}

/* Nothing more is to be learnt: the roles are settled, or everybody has said what there is to say.
 */
static bool backend_decided(const struct backend_control *b)
{
    if (!backend_ready(b) || !authorities_asked(b)) {
        return false;
    }
    bool waits = false;
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct observation *seen = &b->servers[i].told;
        if (b->config->servers.items[i].gone) {
            continue;
        }
        waits = waits || seen->reach == REACH_SILENT || seen->reach == REACH_UNASKED ||
                (seen->reach != REACH_ANSWERED && seen->failures < b->config->probe_fall);
    }
    return !backend_has_roles(b->config) || b->verdict.settled || !waits;
}

static bool decided(const struct once *o)
{
    const struct control *c = &o->control;
    bool all = names_settled(c->names);
    for (size_t i = 0; i < c->config->backend_count; i++) {
        all = all && backend_decided(c->backends[i]);
    }
    return all;
}

static void on_look(uv_timer_t *timer)
{
    struct once *o = container_of(timer, struct once, look);
    o->late += o->control.start_over;
    if (decided(o) || o->late > LAST_LOOKS) {
        uv_close((uv_handle_t *)&o->look, NULL);
        names_tell(o->control.names, &o->names);
        control_end(&o->control);
    }
}

static const char *role_word(const struct server_control *s)
{
    static const char *const words[] = {
        [ROLE_UNKNOWN] = "unknown", [ROLE_PRIMARY] = "primary", [ROLE_REPLICA] = "replica"};
    return words[s->role];
}

static void print_sentinels(const struct backend_control *b)
{
    for (size_t i = 0; b->sentinels != NULL && i < sentinels_count(b->sentinels); i++) {
        struct sentinel_view v;
        sentinels_view(b->sentinels, i, &v);
        printf("  sentinel %-30s %s%s%s%s\n", v.address, v.heard ? "names " : "is not heard",
               v.heard ? v.names : "", v.why[0] != '\0' ? ": " : "", v.why);
    }
}

static void print_patroni(const struct backend_control *b, const struct server_control *s)
{
    static const char *const words[] = {
        [WORD_NONE] = "says nothing of it", [WORD_YES] = "leader", [WORD_NO] = "not the leader"};
    if (b->config->patroni > 0) {
        bool heard = s->word.reach == REACH_ANSWERED;
        printf("  %-16s patroni: %s\n", s->config->name,
               heard ? words[s->word.authority] : s->word.why);
    }
}

static void print_backend(const struct backend_control *b)
{
    printf("backend %s (%s)\n", b->config->name, b->config->protocol->name);
    if (backend_has_roles(b->config)) {
        printf("  %s\n", b->verdict.reason);
    }
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct server_control *s = &b->servers[i];
        if (s->config->gone) {
            continue;
        }
        printf("  %-16s %-22s %-5s %-8s %s\n", s->config->name, s->config->address_text,
               s->up ? "up" : "down", role_word(s), s->told.why);
        print_patroni(b, s);
    }
    print_sentinels(b);
}

static bool finds(struct control *c, const struct frontend_config *f, size_t backend,
                  enum route route)
{
    struct route_request request = {.backend = backend, .route = route, .fallback = f->fallback};
    size_t server;
    return route_pick(c->published, c->shared, &c->backends[backend]->balance, &request, &server) ==
           ROUTE_FOUND;
}

static bool has_server(struct once *o, const struct frontend_config *f)
{
    struct control *c = &o->control;
    bool all = true;
    for (size_t i = 0; i < config_way_count(f); i++) {
        struct frontend_way way = config_way(f, i);
        bool split = way.route == ROUTE_SPLIT;
        all = all && finds(c, f, way.backend, split ? ROUTE_PRIMARY : way.route) &&
              (!split || finds(c, f, way.backend, ROUTE_REPLICA));
    }
    return all;
}

/* Each server of where the clients of the frontend may go. */
static void tell_frontend(const struct once *o, const struct frontend_config *f,
                          const struct probe_listener *listener)
{
    const struct topology *t = o->control.published;
    for (size_t i = 0; i < config_way_count(f); i++) {
        struct frontend_way way = config_way(f, i);
        const struct backend_control *b = o->control.backends[way.backend];
        for (size_t k = 0; k < b->config->servers.count; k++) {
            const struct server_control *s = &b->servers[k];
            struct router_probed probed = {
                .frontend = f->name,
                .backend = b->config->name,
                .server = s->config->name,
                .role = role_word(s),
                .up = s->up,
                .serves = s->up && route_allows(t, way.backend, k, way.route),
            };
            if (!s->config->gone) {
                listener->tell(listener->context, &probed);
            }
        }
    }
}

int probe_once(struct config *config, struct certificates *certificates,
               const struct probe_listener *listener)
{
    static struct once o; /* a loop is too large for the stack */
    struct control_setup setup = {.config = config, .certificates = certificates};
    if (control_init(&o.control, &setup) != 0) {
        fprintf(stderr, "router: out of memory\n");
        return 1;
    }
    uv_timer_init(&o.control.loop.uv, &o.look);
    uv_timer_start(&o.look, on_look, LOOK_MS, LOOK_MS);
    log_set_level(LOG_LEVEL_ERROR); /* the table says it all */
    control_start(&o.control);
    loop_run(&o.control.loop);
    int status = 0;
    const struct config *last = o.control.config; /* names have addresses in it */
    for (size_t i = 0; i < last->backend_count; i++) {
        print_backend(o.control.backends[i]);
    }
    for (size_t i = 0; i < last->frontend_count; i++) {
        bool served = has_server(&o, &last->frontends[i]);
        printf("frontend %s: %s\n", last->frontends[i].name, served ? "ok" : "no server");
        status = served ? status : 1;
        if (listener->tell != NULL) {
            tell_frontend(&o, &last->frontends[i], listener);
        }
    }
    if (o.names.len > 0) {
        printf("names\n%s", o.names.data);
    }
    text_free(&o.names);
    loop_release(&o.control.loop); /* not earlier: by its clock a Sentinel is still heard */
    control_release(&o.control);
    return status;
}
