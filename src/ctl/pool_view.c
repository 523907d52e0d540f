#include "ctl/pool_view.h"

#include <inttypes.h>

#include "base/macros.h"
#include "ctl/control.h"

static const struct {
    const char *word;
    enum { OF_SERVERS, OF_BACKEND } scope;
    int metric;
} counts[POOLED_COUNTS] = {
    [POOLED_CLIENTS] = {"clients", OF_BACKEND, BACKEND_POOL_CLIENTS},
    [POOLED_HELD] = {"held", OF_BACKEND, BACKEND_POOL_HELD},
    [POOLED_SHARED] = {"shared", OF_SERVERS, SERVER_LINKS_SHARED},
    [POOLED_LENT] = {"lent", OF_SERVERS, SERVER_LINKS_LENT},
    [POOLED_IDLE] = {"idle", OF_SERVERS, SERVER_LINKS_IDLE},
    [POOLED_OPENING] = {"opening", OF_SERVERS, SERVER_LINKS_OPENING},
    [POOLED_OPENED] = {"opened", OF_BACKEND, BACKEND_POOL_OPENED},
    [POOLED_LEASES] = {"leases", OF_BACKEND, BACKEND_POOL_LEASES},
    [POOLED_REUSED] = {"reused", OF_BACKEND, BACKEND_POOL_REUSED},
    [POOLED_READ] = {"read", OF_BACKEND, BACKEND_COMMANDS_READ},
    [POOLED_WRITTEN] = {"written", OF_BACKEND, BACKEND_COMMANDS_WRITTEN},
    [POOLED_OTHER] = {"other", OF_BACKEND, BACKEND_COMMANDS_OTHER},
    [POOLED_WAITED] = {"waited", OF_BACKEND, BACKEND_COMMANDS_HELD},
    [POOLED_RESENT] = {"resent", OF_BACKEND, BACKEND_COMMANDS_RESENT},
    [POOLED_UNKNOWN] = {"unknown", OF_BACKEND, BACKEND_COMMANDS_UNKNOWN},
    [POOLED_REFUSED] = {"refused", OF_BACKEND, BACKEND_COMMANDS_REFUSED},
};

const char *pool_count_word(enum pool_count count)
{
    return counts[count].word;
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
    struct pool_view v = {.mode = mode_of(c->config, backend)};
    for (int i = 0; i < POOLED_COUNTS; i++) {
        v.counts[i] = counts[i].scope == OF_SERVERS
                          ? of_servers(c, backend, (enum server_metric)counts[i].metric)
                          : tally_backend_metric(c, backend, (enum backend_metric)counts[i].metric);
    }
    for (int i = 0; i < POOL_PINS; i++) {
        v.pins[i] =
            tally_backend_metric(c, backend, (enum backend_metric)(BACKEND_PINS_TRANSACTION + i));
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
        text_add(out, ",\"%s\":%" PRIu64, counts[i].word, v->counts[i]);
    }
    if (pool_reuse(v) >= 0) {
        text_add(out, ",\"reuse_percent\":%d", pool_reuse(v));
    } else {
        text_add(out, ",\"reuse_percent\":null");
    }
    text_add(out, ",\"pins\":{");
    for (unsigned i = 0; i < POOL_PINS; i++) {
        text_add(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", pool_pin_word(i), v->pins[i]);
    }
    text_add(out, "}}");
}
