/* The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): the header before a
 * connection's first byte that says whose it is. Pure functions on bytes; they keep and own
 * nothing. */
#ifndef ROUTER_NET_PROXY_HEADER_H
#define ROUTER_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

/* The longest header that is read. Addresses need 232 bytes; the rest is room for TLVs, which may
 * carry a client certificate. It is what nginx takes; 64 KiB would be memory for whoever asks. */
#define PROXY_HEADER_MAX     4096
#define PROXY_HEADER_OUT_MAX 108 /* the longest line of version 1 with a NUL */

enum proxy_version { PROXY_V1 = 1, PROXY_V2 = 2 };

enum proxy_step {
    PROXY_MORE, /* so far it is one, or nothing has come */
    PROXY_DONE,
    PROXY_BAD, /* not a header, or none that may be believed */
};

struct proxy_header {
    bool local;          /* LOCAL, UNKNOWN, UNSPEC or unix: the connection's own addresses hold */
    struct address from; /* the client; not set when local */
    struct address to;   /* where it connected to; not set when local */
};

/* `data` is all that has come. DONE: *out is set, and *used says how many bytes the header had;
 * what follows belongs to the connection. BAD comes as soon as the bytes tell, and sets *why to
 * static words. TLVs are skipped. */
enum proxy_step proxy_header_parse(const char *data, size_t len, size_t *used,
                                   struct proxy_header *out, const char **why);

/* Writes a header and returns its length. TCP4 where both addresses are IPv4, mapped or not; else
 * IPv4 is written as mapped IPv6. `from` NULL is a connection of our own: LOCAL in version 2,
 * UNKNOWN in version 1, which some servers refuse; section 2.1 advises to give the connection's own
 * two addresses instead. So it is where one of them is a unix socket's: LOCAL is what every server
 * must take. Of PROXY with UNSPEC or unix, which would say more, MariaDB 10.11 and HAProxy 2.6
 * refuse the one, HAProxy and nginx 1.22 (stream) the other. */
size_t proxy_header_build(char out[PROXY_HEADER_OUT_MAX], enum proxy_version version,
                          const struct address *from, const struct address *to);

#endif
