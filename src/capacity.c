#include "capacity.h"

#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#include "base/limits.h"
#include "core/cancel.h"
#include "ctl/admin.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "ctl/resolve.h"
#include "model/config.h"
#include "net/loop.h"
#include "router_proto.h"

/* What a session may cost at worst: both directions' leftovers and what was read ahead; and for
 * each side that speaks TLS what OpenSSL holds of a record and in a handshake. */
#define SESSION_BYTES_MAX (3 * LOOP_RECEIVE_BYTES)
#define TLS_BYTES_MAX     65536
#define REFUSING_MAX      256
#define DISCOVERED_FEW    16 /* servers of a name, where there are few descriptors */

/* Whether a protocol in use has requests to cancel. */
static bool knows_cancelling(const struct config *config)
{
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct login_dialogue *login = config->backends[i].protocol->login;
        if (login != NULL && login->key != NULL) {
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
/* A probe for each server. How many are discovered may change with every answer, and must not be a
 * reason to do without them; look-ups of names have sockets, too. */
static uint64_t for_servers(const struct config *config, uint64_t descriptors)
{
    uint64_t each = descriptors > 1024 ? RESOLVE_ADDRESSES_MAX : DISCOVERED_FEW;
    uint64_t sum = 0;
    bool names = false;
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct backend_config *b = &config->backends[i];
        sum += b->gone ? 0 : b->discovers.count * each;
        names = names || b->discovers.count > 0;
        for (size_t j = 0; j < b->servers.count; j++) {
            const struct server_config *s = &b->servers.items[j];
            sum += !s->gone && s->discovered == 0;
            names = names || s->host != NULL;
        }
    }
    return sum + (names ? RESOLVE_THREADS_MAX : 0);
}

static uint64_t reserved(const struct control_size *size, const struct config *config,
                         unsigned workers, size_t sockets, uint64_t descriptors)
{
    uint64_t reserve = 16 + (uint64_t)(workers + 1) * 4 + (uint64_t)sockets * workers +
                       for_servers(config, descriptors) + (uint64_t)size->refusing_max * workers;
    reserve += size->cancels ? 2 * (uint64_t)CANCELS_MAX * workers : 0;
    if (config->router.controls.count > 0) {
        reserve += config->router.controls.count + (descriptors > 1024 ? CONTROL_CONNECTIONS : 4);
    }
    return reserve + (descriptors > 1024 ? ADMIN_CONNECTIONS : 4);
}

int capacity_find(const struct config *config, unsigned workers, size_t sockets,
                  struct control_size *out, char *why, size_t why_size)
{
    out->cancels = knows_cancelling(config);
    uint64_t descriptors = limits_descriptors();
    uint64_t refusing = descriptors / 16 / workers;
    out->refusing_max = refusing < 1              ? 1
                        : refusing > REFUSING_MAX ? REFUSING_MAX
                                                  : (unsigned)refusing;
    uint64_t reserve = reserved(out, config, workers, sockets, descriptors);
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
    out->max_sessions = wanted > 0 ? wanted : automatic > 0 ? (unsigned)automatic : 1;
    return 0;
}
