/* Socket addresses: numeric parsing and printing, names that stand for them, CIDR ranges, the key
 * by which a client counts and is hashed. Plain data, no look-ups. */
#ifndef ROUTER_BASE_ADDRESS_H
#define ROUTER_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT_MAX 128 /* "[v6]:port" or "unix:/path" with its NUL */
#define ADDRESS_NAME_MAX 255 /* a name of DNS as text, with the dot at its end and its NUL */
#define ADDRESS_HOST_MAX 264 /* such a name, ":" and a port */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } sa;
    socklen_t len;
    bool dual; /* ":port": one IPv6 socket that takes IPv4 as well */
};

struct cidr {
    uint8_t bytes[16]; /* IPv4 is kept in its mapped form ::ffff:a.b.c.d */
    unsigned bits;     /* 0..128 of the mapped form */
};

/* Parses "a.b.c.d:port", "[v6]:port", ":port" (dual) or "unix:/path"; ports are 1 to 65535. 0 or
 * -EINVAL. */
int address_parse(struct address *out, const char *text);
/* Parses "NAME:port", where NAME is a name of DNS or of the hosts file and no address: letters,
 * digits, "-" and "_" in labels of at most 63 bytes, the last one not all of digits, perhaps a dot
 * behind it. It comes in lower case. 0 or -EINVAL. */
int address_parse_name(const char *text, char name[ADDRESS_NAME_MAX], unsigned *port);
/* Whether it is one at all: a name that was not looked up yet has none. */
bool address_is_set(const struct address *a);
/* Always ends in NUL; returns out. Mapped IPv4 is printed as IPv4. */
const char *address_print(const struct address *a, char out[ADDRESS_TEXT_MAX]);
/* The same without port and brackets; "localhost" for a unix path. */
const char *address_print_host(const struct address *a, char out[ADDRESS_TEXT_MAX]);
/* Whom a certificate must name there: the name that was looked up, where there is one, or the
 * numeric address; "" for a unix path. Returns out. */
const char *address_peer_name(const struct address *a, const char *host,
                              char out[ADDRESS_NAME_MAX]);
unsigned address_port(const struct address *a); /* 0: it has none */
/* The same host at another port; a unix path stays as it is. */
struct address address_with_port(const struct address *a, unsigned port);
bool address_is_loopback(const struct address *a);                    /* unix paths are */
bool address_equal(const struct address *a, const struct address *b); /* so are two not set */

/* "10.0.0.0/8", "::1", ...: 0 or -EINVAL. -EDOM where bits are set beyond the range's own, as in
 * 10.0.0.1/8: then *out is the range without them. */
int cidr_parse(struct cidr *out, const char *text);
const char *cidr_print(const struct cidr *range, char out[ADDRESS_TEXT_MAX]); /* returns out */
/* IPv4 is in IPv4 ranges only, mapped or not: ::/0 does not contain it. Unix paths are in none. */
bool cidr_contains(const struct cidr *range, const struct address *a);

/* The identity by which a client is limited and hashed: IPv4 by /32, IPv6 by /64, mapped IPv4 as
 * IPv4, all unix clients the same. */
struct client_key {
    uint64_t high;
    uint64_t low;
};
struct client_key address_client_key(const struct address *a);
uint64_t client_key_hash(const struct client_key *key);
/* "10.0.0.5", "2001:db8::/64", "localhost" (all unix clients). Returns out. */
const char *client_key_print(const struct client_key *key, char out[ADDRESS_TEXT_MAX]);

#endif
