#include "ctl/pool_view.h"

#include <inttypes.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/control.h"
#include "router_proto.h"

static const struct {
    const char *word;
    enum { OF_SERVERS, OF_BACKEND } scope;
    int metric;
    enum { ANY, REDIS, MYSQL } protocol;
} counts[POOLED_COUNTS] = {
    [POOLED_CLIENTS] = {"clients", OF_BACKEND, BACKEND_POOL_CLIENTS, ANY},
    [POOLED_HELD] = {"held", OF_BACKEND, BACKEND_POOL_HELD, ANY},
    [POOLED_SHARED] = {"shared", OF_SERVERS, SERVER_LINKS_SHARED, ANY},
    [POOLED_LENT] = {"lent", OF_SERVERS, SERVER_LINKS_LENT, ANY},
    [POOLED_IDLE] = {"idle", OF_SERVERS, SERVER_LINKS_IDLE, ANY},
    [POOLED_OPENING] = {"opening", OF_SERVERS, SERVER_LINKS_OPENING, ANY},
    [POOLED_OPENED] = {"opened", OF_BACKEND, BACKEND_POOL_OPENED, ANY},
    [POOLED_LEASES] = {"leases", OF_BACKEND, BACKEND_POOL_LEASES, ANY},
    [POOLED_REUSED] = {"reused", OF_BACKEND, BACKEND_POOL_REUSED, ANY},
    [POOLED_READ] = {"read", OF_BACKEND, BACKEND_COMMANDS_READ, REDIS},
    [POOLED_WRITTEN] = {"written", OF_BACKEND, BACKEND_COMMANDS_WRITTEN, REDIS},
    [POOLED_OTHER] = {"other", OF_BACKEND, BACKEND_COMMANDS_OTHER, REDIS},
    [POOLED_WAITED] = {"waited", OF_BACKEND, BACKEND_COMMANDS_HELD, REDIS},
    [POOLED_RESENT] = {"resent", OF_BACKEND, BACKEND_COMMANDS_RESENT, REDIS},
    [POOLED_UNKNOWN] = {"unknown", OF_BACKEND, BACKEND_COMMANDS_UNKNOWN, REDIS},
    [POOLED_REFUSED] = {"refused", OF_BACKEND, BACKEND_COMMANDS_REFUSED, REDIS},
    [POOLED_FRESH] = {"fresh", OF_BACKEND, BACKEND_LOGINS_FRESH, MYSQL},
    [POOLED_CHANGED] = {"changed", OF_BACKEND, BACKEND_LOGINS_CHANGED, MYSQL},
    [POOLED_RESUMED] = {"resumed", OF_BACKEND, BACKEND_LOGINS_RESUMED, MYSQL},
    [POOLED_MOVED] = {"moved", OF_BACKEND, BACKEND_POOL_MOVED, MYSQL},
    [POOLED_DENIED] = {"denied", OF_BACKEND, BACKEND_LOGINS_DENIED, MYSQL},
    [POOLED_SLOWED] = {"slowed", OF_BACKEND, BACKEND_LOGINS_SLOWED, MYSQL},
    [POOLED_QUEUED] = {"queued", OF_BACKEND, BACKEND_POOL_WAITED, MYSQL},
    [POOLED_RETURNED] = {"returned", OF_BACKEND, BACKEND_POOL_RETURNED, MYSQL},
    [POOLED_ENDED] = {"ended", OF_BACKEND, BACKEND_POOL_ENDED, MYSQL},
    [POOLED_CLEANED] = {"cleaned", OF_BACKEND, BACKEND_POOL_CLEANED, MYSQL},
    [POOLED_LOGIN_AVERAGE] = {"login_average_us", OF_BACKEND, BACKEND_LOGIN_AVERAGE, MYSQL},
    [POOLED_LOGIN_MAX] = {"login_max_us", OF_BACKEND, BACKEND_LOGIN_MAX, MYSQL},
};

const char *pool_count_word(enum pool_count count)
{
    return counts[count].word;
}

bool pool_counts(const struct pool_view *v, enum pool_count count)
{
    return counts[count].protocol == ANY || (counts[count].protocol == MYSQL) == v->mysql;
}

bool pool_pins(const struct pool_view *v, unsigned pin)
{
    unsigned session = BACKEND_PINS_SESSION - BACKEND_PINS_TRANSACTION;
    bool both = pin == 0 || pin == session || pin == BACKEND_PINS_STATE - BACKEND_PINS_TRANSACTION;
    return both || (pin > session) == v->mysql;
}

const char *pool_pin_word(unsigned pin)
{
    return backend_metric_words[BACKEND_PINS_TRANSACTION + (int)pin].value;
}

void pool_add_pins(unsigned pins, const char *none, struct text *out)
{
    const char *comma = "";
    for (unsigned i = 0; i < POOL_PINS; i++) {
        if ((pins >> i & 1) != 0) {
            text_add(out, "%s%s", comma, pool_pin_word(i));
            comma = ",";
        }
    }
    text_add(out, "%s", pins == 0 ? none : "");
}

static const char *mode_of(const struct config *config, size_t backend)
{
    bool used[POOL_COUNT] = {false};
    for (size_t i = 0; i < config->frontend_count; i++) {
        const struct frontend_config *f = &config->frontends[i];
        used[f->pool_mode] = used[f->pool_mode] || (!f->gone && config_uses_backend(f, backend));
    }
    return used[POOL_SESSION] && used[POOL_TRANSACTION] ? "both"
           : used[POOL_SESSION]                         ? "session"
           : used[POOL_TRANSACTION]                     ? "transaction"
                                                        : "none";
}

static uint64_t of_servers(const struct control *c, size_t backend, enum server_metric m)
{
    const struct server_list *servers = &c->config->backends[backend].servers;
    uint64_t sum = 0;
    for (size_t i = 0; i < servers->count; i++) {
        sum += tally_server_metric(c, servers->items[i].id, m);
    }
    return sum;
}

struct pool_view view_pool(const struct control *c, size_t backend)
{
    const struct proto *protocol = c->config->backends[backend].protocol;
    struct pool_view v = {
        .mysql = strcmp(protocol->name, "mysql") == 0,
        .mode = mode_of(c->config, backend),
    };
    for (int i = 0; i < POOLED_COUNTS; i++) {
        v.counts[i] = counts[i].scope == OF_SERVERS
                          ? of_servers(c, backend, (enum server_metric)counts[i].metric)
                          : tally_backend_metric(c, backend, (enum backend_metric)counts[i].metric);
    }
    for (int i = 0; i < POOL_PINS; i++) {
        v.pins[i] =
            tally_backend_metric(c, backend, (enum backend_metric)(BACKEND_PINS_TRANSACTION + i));
    }
    if (v.mysql) {
        login_guard_total(c->guard, &v.failed, loop_now_ms(&c->loop));
    }
    v.pooled = config_pools_backend(c->config, backend);
    for (int i = POOLED_CLIENTS; i <= POOLED_OPENING; i++) {
        v.pooled = v.pooled || v.counts[i] > 0;
    }
    return v;
}

int pool_reuse(const struct pool_view *v)
{
    uint64_t leases = v->counts[POOLED_LEASES];
    return leases > 0 ? (int)(v->counts[POOLED_REUSED] * 100 / leases) : -1;
}

void pool_json(const struct pool_view *v, struct text *out)
{
    if (!v->pooled) {
        text_add(out, "null");
        return;
    }
    text_add(out, "{\"mode\":\"%s\"", v->mode);
    for (int i = 0; i < POOLED_COUNTS; i++) {
        if (!pool_counts(v, (enum pool_count)i)) {
            continue;
        }
        text_add(out, ",\"%s\":%" PRIu64, counts[i].word, v->counts[i]);
    }
    if (pool_reuse(v) >= 0) {
        text_add(out, ",\"reuse_percent\":%d", pool_reuse(v));
    } else {
        text_add(out, ",\"reuse_percent\":null");
    }
    if (v->mysql) {
        text_add(out, ",\"failing_addresses\":%u", v->failed.addresses);
        for (int i = 0; i < LOGIN_FAILURES; i++) {
            text_add(out, ",\"failed_%s\":%" PRIu64, login_failure_words[i], v->failed.failures[i]);
        }
    }
    text_add(out, ",\"pins\":{");
    for (unsigned i = 0; i < POOL_PINS; i++) {
        if (pool_pins(v, i)) {
            text_add(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", pool_pin_word(i), v->pins[i]);
        }
    }
    text_add(out, "}}");
}
