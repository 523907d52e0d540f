#include "capacity.h"

#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#include "base/limits.h"
#include "core/cancel.h"
#include "ctl/admin.h"
#include "ctl/control_socket.h"
#include "model/config.h"
#include "net/loop.h"
#include "router_proto.h"

/* What a session may cost at worst: both directions' leftovers and what was read ahead; and for
 * each side that speaks TLS what OpenSSL holds of a record and in a handshake. */
#define SESSION_BYTES_MAX (3 * LOOP_RECEIVE_BYTES)
#define TLS_BYTES_MAX     65536
#define REFUSING_MAX      256

bool capacity_knows_cancelling(const struct config *config)
{
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct login_dialogue *login = config->backends[i].protocol->login;
        if (login != NULL && login->key != NULL) {
            return true;
        }
    }
    return false;
}

bool capacity_limits_by_address(const struct config *c)
{
    for (size_t i = 0; i < c->frontend_count; i++) {
        if (c->frontends[i].max_sessions_per_ip > 0 || c->frontends[i].session_rate_per_ip > 0) {
            return true;
        }
    }
    return false;
}

static uint64_t session_bytes(const struct config *config)
{
    bool clients = false;
    bool servers = false;
    for (size_t i = 0; i < config->frontend_count; i++) {
        clients = clients || config->frontends[i].tls != TLS_MODE_NO;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        servers = servers || config->backends[i].tls;
    }
    return SESSION_BYTES_MAX + (uint64_t)TLS_BYTES_MAX * ((unsigned)clients + (unsigned)servers);
}

/* Each loop holds a few descriptors, each server a probe, the admin address and the control sockets
 * their connections; a request to cancel holds its client's and one to a server. */
static uint64_t reserved(const struct capacity *c, const struct config *config,
                         uint64_t descriptors)
{
    uint64_t reserve = 16 + (uint64_t)(c->workers + 1) * 4 + c->sockets + config->server_count +
                       (uint64_t)c->refusing_max * c->workers;
    reserve += capacity_knows_cancelling(config) ? 2 * (uint64_t)CANCELS_MAX * c->workers : 0;
    if (config->router.controls.count > 0) {
        reserve += config->router.controls.count + (descriptors > 1024 ? CONTROL_CONNECTIONS : 4);
    }
    return reserve + (descriptors > 1024 ? ADMIN_CONNECTIONS : 4);
}

int capacity_find(struct capacity *c, const struct config *config, char *why, size_t why_size)
{
    uint64_t descriptors = limits_descriptors();
    uint64_t refusing = descriptors / 16 / c->workers;
    c->refusing_max = refusing < 1              ? 1
                      : refusing > REFUSING_MAX ? REFUSING_MAX
                                                : (unsigned)refusing;
    uint64_t reserve = reserved(c, config, descriptors);
    if (descriptors < reserve + 2) {
        snprintf(why, why_size,
                 "the descriptor limit of %llu is too low: %llu are needed before the first "
                 "session",
                 (unsigned long long)descriptors, (unsigned long long)reserve + 2);
        return UV_EMFILE;
    }
    uint64_t by_descriptors = (descriptors - reserve) / 2;
    uint64_t by_memory = limits_memory() / 2 / session_bytes(config);
    unsigned wanted = config->router.max_sessions;
    if (wanted > by_descriptors) {
        snprintf(why, why_size,
                 "max_sessions = %u needs a descriptor limit of %llu, this process has %llu",
                 wanted, (unsigned long long)wanted * 2 + reserve, (unsigned long long)descriptors);
        return UV_EMFILE;
    }
    uint64_t automatic = by_descriptors < by_memory ? by_descriptors : by_memory;
    c->max_sessions = wanted > 0 ? wanted : automatic > 0 ? (unsigned)automatic : 1;
    return 0;
}
