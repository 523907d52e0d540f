/* How a server greets: what a router that greets in its place needs to know (pool_mode of MySQL).
 * Learnt by the probe, published with the topology. */
#ifndef ROUTER_MODEL_GREETING_H
#define ROUTER_MODEL_GREETING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GREETING_VERSION_MAX 64
#define GREETING_PLUGIN_MAX  64

/* Of Protocol::HandshakeV10. Texts are printable ASCII. */
struct greeting {
    char version[GREETING_VERSION_MAX]; /* as it stands there ("5.5.5-10.11.6-MariaDB"); empty: it
                                         * is not known how this server greets */
    char plugin[GREETING_PLUGIN_MAX];   /* its default authentication plugin */
    uint32_t capabilities;
    uint32_t extended; /* MariaDB's, 0 of others */
    uint8_t charset;   /* its default collation */
};

static inline bool greeting_equal(const struct greeting *a, const struct greeting *b)
{
    return a->capabilities == b->capabilities && a->extended == b->extended &&
           a->charset == b->charset && strcmp(a->version, b->version) == 0 &&
           strcmp(a->plugin, b->plugin) == 0;
}

#endif
