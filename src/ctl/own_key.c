#include "ctl/own_key.h"

#include <uv.h>

#include "base/log.h"
#include "proto/mysql_key.h"
#include "router_proto.h"

static bool has_socket(const struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        if (b->servers.items[i].address.sa.any.sa_family == AF_UNIX) {
            return true;
        }
    }
    return false;
}

/* A client in the clear, and a server that is told passwords as they are: the client encrypts its
 * own for us. */
static bool shows_key(const struct config *c, const struct frontend_config *f)
{
    const struct backend_config *b = &c->backends[f->backend];
    return f->pool_mode != POOL_NONE && b->protocol->tls_greeted && f->tls != TLS_MODE_REQUIRED &&
           (b->tls || has_socket(b));
}

void own_key_prepare(const struct config *config)
{
    bool shown = false;
    for (size_t i = 0; i < config->frontend_count; i++) {
        shown = shown || shows_key(config, &config->frontends[i]);
    }
    if (shown) {
        uint64_t began_us = uv_hrtime() / 1000;
        bool made = mysql_key_shared() != NULL;
        log_debug("the RSA key for pooled clients of MySQL is %s after %u us",
                  made ? "there" : "not to be had", (unsigned)(uv_hrtime() / 1000 - began_us));
    }
}
