/* A backend of the control thread follows another configuration: its servers keep what is known of
 * them, new ones begin as unknown, and what is gone is asked until the last session on it ended. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/control.h"
#include "model/config_follow.h"

static bool is_asked(const struct backend_control *b, size_t server)
{
    const struct server_probes *p = b->probes.servers[server];
    return p->probe != NULL || p->witness != NULL;
}

/* Nothing is known of a server that is new, or that is to be forgotten. */
static void forget(struct backend_control *b, size_t server)
{
    const struct server_config *config = &b->config->servers.items[server];
    b->servers[server] = (struct server_control){
        .config = config,
        .up = b->config->probe == PROBE_OFF && address_is_set(&config->address),
        .admin = config->gone ? ADMIN_MAINT : ADMIN_READY,
    };
    backend_forget_follower(b, server);
    if (config->gone) { /* it is not asked any more, and nobody waits for what it would say */
        observation_fail(&b->servers[server].told, REACH_REFUSED, "it was removed");
        b->servers[server].told.failures = b->config->probe_fall;
    }
    b->memory.servers[server] = (struct server_memory){0};
    if (b->memory.incumbent == (int)server) {
        b->memory.incumbent = ELECTION_NOBODY;
    }
}

/* It was removed: as if the operator had taken it out, so that a primary has a planned end. */
static void take_out(struct backend_control *b, size_t server)
{
    struct server_control *s = &b->servers[server];
    s->admin = ADMIN_MAINT;
    s->admin_since_ms = loop_now_ms(&b->control->loop);
}

/* What the operator has said of a server stays with its name, whatever address it has now. */
static enum admin_state said_of(const struct backend_control *b, const struct backend_config *was,
                                const char *name)
{
    for (size_t i = 0; i < was->servers.count; i++) {
        if (!was->servers.items[i].gone && strcmp(was->servers.items[i].name, name) == 0) {
            return b->servers[i].admin;
        }
    }
    return ADMIN_READY;
}

/* Of each server that is not there yet; before anything is changed. */
static enum admin_state *said_of_new(const struct backend_control *b,
                                     const struct backend_config *now)
{
    const struct backend_config *was = b->config;
    enum admin_state *said = xcalloc(now->servers.count + 1, sizeof *said);
    for (size_t i = 0; i < now->servers.count; i++) {
        const struct server_config *s = &now->servers.items[i];
        bool there = i < was->servers.count && config_same_server(&was->servers.items[i], s);
        said[i] = there || s->gone ? ADMIN_READY : said_of(b, was, s->name);
    }
    return said;
}

static void make_room(struct backend_control *b, size_t before, size_t count)
{
    b->servers = xrealloc(b->servers, (count + 1) * sizeof *b->servers);
    b->memory.servers = xrealloc(b->memory.servers, (count + 1) * sizeof *b->memory.servers);
    for (size_t i = before; i < count; i++) {
        b->servers[i] = (struct server_control){0};
    }
}

void backend_adopt(struct backend_control *b, const struct backend_config *config, bool anew)
{
    const struct backend_config *was = b->config;
    size_t before = was->servers.count;
    enum admin_state *said = said_of_new(b, config);
    make_room(b, before, config->servers.count);
    b->config = config;
    for (size_t i = 0; i < config->servers.count; i++) {
        const struct server_config *now = &config->servers.items[i];
        bool there = i < before && config_same_server(&was->servers.items[i], now);
        bool back = there && was->servers.items[i].gone && !now->gone;
        if (!there || (back && !is_asked(b, i))) {
            forget(b, i);
        }
        if (said[i] != ADMIN_READY) {
            b->servers[i].admin = said[i];
        }
        b->servers[i].config = now;
        if (back) {
            b->servers[i].admin = ADMIN_READY;
        } else if (now->gone && b->servers[i].admin == ADMIN_READY) {
            take_out(b, i);
        }
    }
    free(said);
    backend_take_tls(b);
    probes_adopt(&b->probes, config, anew);
    authority_adopt(b, anew);
    probes_all_now(&b->probes);
}

void backend_forget_gone(struct backend_control *b)
{
    const struct shared *shared = b->control->shared;
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct server_config *s = &b->config->servers.items[i];
        bool gone = s->gone || b->config->gone;
        if (gone && is_asked(b, i) && atomic_load(&shared->servers[s->id]->connections) == 0 &&
            !b->servers[i].fence.exposed) {
            probes_stop_server(&b->probes, i);
            forget(b, i);
        }
    }
}
