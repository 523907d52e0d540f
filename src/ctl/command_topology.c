/* Commands that show who is what, for people: all from the views that /stats.json has, too. */
#include <inttypes.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/command_names.h"
#include "ctl/control.h"
#include "ctl/stats_view.h"
#include "proto/proto.h"

static unsigned count(const atomic_uint *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* show topology ----------------------------------------------------------------------------- */

static void add_frontend(const struct control *c, size_t frontend, struct text *out)
{
    const struct frontend_config *f = &c->config->frontends[frontend];
    const struct shared_frontend *shared = c->shared->frontends[frontend];
    text_add(out, "frontend %s: ", f->name);
    for (size_t i = 0; i < f->binds.count; i++) {
        text_add(out, "%s%s", i > 0 ? ", " : "", f->binds.items[i].text);
    }
    text_add(out, " to %s (%s), %u sessions%s\n", c->config->backends[f->backend].name,
             view_route(c, frontend), count(&shared->sessions),
             atomic_load(&shared->disabled) ? ", disabled by the operator" : "");
}

/* How wide the columns of names and addresses must be. */
static void measure(const struct backend_config *b, int *name, int *address)
{
    *name = 6;
    *address = 7;
    for (size_t i = 0; i < b->servers.count; i++) {
        int name_len = (int)strlen(b->servers.items[i].name);
        int address_len = (int)strlen(b->servers.items[i].address_text);
        *name = name_len > *name ? name_len : *name;
        *address = address_len > *address ? address_len : *address;
    }
}

static void add_servers(const struct control *c, size_t backend, struct text *out)
{
    const struct backend_control *b = c->backends[backend];
    int name;
    int address;
    measure(b->config, &name, &address);
    text_add(out, "  %-*s  %-*s  %-7s  %-7s  %-6s  %-5s  %8s  %s\n", name, "SERVER", address,
             "ADDRESS", "STATE", "ROLE", "ACCESS", "ADMIN", "SESSIONS", "WHY");
    for (size_t i = 0; i < b->config->servers.count; i++) {
        struct server_view v = view_server(c, backend, i);
        if (v.config->gone) {
            continue;
        }
        text_add(out, "  %-*s  %-*s  %-7s  %-7s  %-6s  %-5s  %8u  %s\n", name, v.config->name,
                 address, v.config->address_text, v.state, v.role, v.access,
                 admin_state_names[b->servers[i].admin], v.sessions, v.reason);
    }
}

static void add_backend(const struct control *c, size_t backend, struct text *out)
{
    const struct backend_control *b = c->backends[backend];
    struct backend_view v = view_backend(c, backend);
    text_add(out, "\nbackend %s (%s)", v.config->name, v.config->protocol->name);
    if (v.has_roles) {
        text_add(out, ": %s%s", v.primary != NULL ? "the primary is " : "no primary",
                 v.primary != NULL ? v.primary : "");
    }
    text_add(out, "\n  why: %s\n", v.reason);
    if (b->paused_by_hand) {
        text_add(out, "  paused by the operator\n");
    }
    if (v.waiting > 0 || v.held_ms > 0) {
        text_add(out, "  %u of at most %u clients wait", v.waiting, v.config->queue_limit);
        if (v.held_ms > 0) {
            text_add(out, "; writes wait for %" PRIu64 " ms", v.held_ms);
        }
        text_add(out, "\n");
    }
    add_servers(c, backend, out);
}

static void run_topology(struct command_call *call)
{
    const struct control *c = call->control;
    size_t only;
    if (!command_only_backend(call, &only)) {
        return;
    }
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        if (!c->config->frontends[i].gone &&
            (only == SIZE_MAX || config_uses_backend(&c->config->frontends[i], only))) {
            add_frontend(c, i, call->out);
        }
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        if (!c->config->backends[i].gone && (only == SIZE_MAX || only == i)) {
            add_backend(c, i, call->out);
        }
    }
}

/* show backend, show waiting ---------------------------------------------------------------- */

static void run_backend(struct command_call *call)
{
    const struct config *config = call->control->config;
    text_add(call->out, "# name\n");
    for (size_t i = 0; i < config->backend_count; i++) {
        if (!config->backends[i].gone) {
            text_add(call->out, "%s\n", config->backends[i].name);
        }
    }
}

static void add_waiting(const struct control *c, size_t backend, struct text *out)
{
    const struct shared_backend *shared = c->shared->backends[backend];
    struct backend_view v = view_backend(c, backend);
    text_add(out,
             "%s: waiting=%u limit=%u primary=%u replica=%u any=%u held_ms=%" PRIu64
             " timeout_ms=%" PRIu64 " paused=%s\n",
             v.config->name, v.waiting, v.config->queue_limit,
             count(&shared->waiting[ROUTE_PRIMARY]), count(&shared->waiting[ROUTE_REPLICA]),
             count(&shared->waiting[ROUTE_ANY]), v.held_ms, v.config->queue_timeout,
             c->backends[backend]->paused_by_hand ? "yes" : "no");
}

static void each_backend(struct command_call *call,
                         void (*add)(const struct control *c, size_t backend, struct text *out))
{
    const struct config *config = call->control->config;
    size_t only;
    if (!command_only_backend(call, &only)) {
        return;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        if (!config->backends[i].gone && (only == SIZE_MAX || only == i)) {
            add(call->control, i, call->out);
        }
    }
}

static void run_waiting(struct command_call *call)
{
    each_backend(call, add_waiting);
}

/* clang-format off */
const struct command command_topology[] = {
    {"show backend", "", CONTROL_USER, false, "list backends in the current running config", "",
     run_backend},
    {"show topology", "[<backend>]", CONTROL_USER, false, "show who is what and why, for people",
     "", run_topology},
    {"show waiting", "[<backend>]", CONTROL_USER, false, "show who waits, and for what",
     "How many clients wait, all together and for a primary, a replica or any server; and for how "
     "long writes have been waiting.",
     run_waiting},
    {0},
};
/* clang-format on */
