#include "base/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define NAME_BYTES_MAX  253 /* RFC 1035, section 2.3.4, as text */
#define LABEL_BYTES_MAX 63

static const char unix_prefix[] = "unix:";
static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Digits only, no leading zero (elsewhere it would mean octal), at most `max`. */
static int parse_number(const char *s, unsigned max, unsigned *out)
{
    unsigned n = 0;
    if (s[0] == '\0' || (s[0] == '0' && s[1] != '\0')) {
        return -EINVAL;
    }
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9') {
            return -EINVAL;
        }
        n = n * 10 + (unsigned)(*s - '0');
        if (n > max) {
            return -EINVAL;
        }
    }
    *out = n;
    return 0;
}

static int parse_path(struct address *out, const char *path)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof(out->sa.path.sun_path)) {
        return -EINVAL;
    }
    out->sa.path.sun_family = AF_UNIX;
    memcpy(out->sa.path.sun_path, path, len + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

static int parse_v6(struct address *out, const char *host, uint16_t port)
{
    if (inet_pton(AF_INET6, host, &out->sa.v6.sin6_addr) != 1) {
        return -EINVAL;
    }
    out->sa.v6.sin6_family = AF_INET6;
    out->sa.v6.sin6_port = htons(port);
    out->len = sizeof(out->sa.v6);
    return 0;
}

static int parse_v4(struct address *out, const char *host, uint16_t port)
{
    if (inet_pton(AF_INET, host, &out->sa.v4.sin_addr) != 1) {
        return -EINVAL;
    }
    out->sa.v4.sin_family = AF_INET;
    out->sa.v4.sin_port = htons(port);
    out->len = sizeof(out->sa.v4);
    return 0;
}

int address_parse(struct address *out, const char *text)
{
    *out = (struct address){0};
    if (strncmp(text, unix_prefix, strlen(unix_prefix)) == 0) {
        return parse_path(out, text + strlen(unix_prefix));
    }
    const char *colon = strrchr(text, ':');
    unsigned port;
    char host[INET6_ADDRSTRLEN];
    if (colon == NULL || parse_number(colon + 1, UINT16_MAX, &port) != 0 || port == 0) {
        return -EINVAL;
    }
    size_t len = (size_t)(colon - text);
    if (len == 0) {
        out->dual = true;
        return parse_v6(out, "::", (uint16_t)port);
    }
    bool bracketed = text[0] == '[' && len >= 2 && text[len - 1] == ']';
    if (bracketed) {
        text++;
        len -= 2;
    }
    if (len >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    return bracketed ? parse_v6(out, host, (uint16_t)port) : parse_v4(out, host, (uint16_t)port);
}

static bool is_label(const char *s, size_t len)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return len > 0 && len <= LABEL_BYTES_MAX && strspn(s, bytes) >= len && s[0] != '-';
}

/* An address with a slip in it is no name: no top-level domain is a number (RFC 3696, section 2).
 */
static bool is_name(const char *s, size_t len)
{
    size_t last = 0;
    len -= len > 0 && s[len - 1] == '.';
    for (size_t at = 0; at <= len; at += last + 1) {
        last = strcspn(s + at, ".:");
        if (!is_label(s + at, last)) {
            return false;
        }
    }
    return len <= NAME_BYTES_MAX && strspn(s + len - last, "0123456789") < last;
}

int address_parse_name(const char *text, char name[ADDRESS_NAME_MAX], unsigned *port)
{
    size_t len = strcspn(text, ":");
    if (text[len] != ':' || !is_name(text, len) ||
        parse_number(text + len + 1, UINT16_MAX, port) != 0 || *port == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        name[i] = (char)tolower((unsigned char)text[i]);
    }
    name[len] = '\0';
    return 0;
}

bool address_is_set(const struct address *a)
{
    return a->len > 0;
}

/* IPv4 as it is or mapped into IPv6 (RFC 4291, section 2.5.5.2): its four bytes, else NULL. */
static const uint8_t *ipv4_bytes(const struct address *a)
{
    if (a->sa.any.sa_family == AF_INET) {
        return (const uint8_t *)&a->sa.v4.sin_addr;
    }
    if (a->sa.any.sa_family == AF_INET6) {
        const uint8_t *bytes = a->sa.v6.sin6_addr.s6_addr;
        bool mapped = memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
        return mapped ? bytes + sizeof(mapped_prefix) : NULL;
    }
    return NULL;
}

static void print_path(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    /* A client's socket has no path; a path need not end in NUL. */
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t len = a->len > start ? a->len - start : 0;
    if (len > sizeof(a->sa.path.sun_path)) {
        len = sizeof(a->sa.path.sun_path);
    }
    snprintf(out, ADDRESS_TEXT_MAX, "unix:%.*s", (int)len, a->sa.path.sun_path);
}

const char *address_print(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const uint8_t *v4 = ipv4_bytes(a);
    if (a->sa.any.sa_family == AF_UNIX) {
        print_path(a, out);
    } else if (a->dual) {
        snprintf(out, ADDRESS_TEXT_MAX, ":%u", ntohs(a->sa.v6.sin6_port));
    } else if (v4 != NULL) {
        /* sin_port and sin6_port lie at the same place. */
        inet_ntop(AF_INET, v4, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(a->sa.v4.sin_port));
    } else if (a->sa.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->sa.v6.sin6_addr, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(a->sa.v6.sin6_port));
    } else {
        snprintf(out, ADDRESS_TEXT_MAX, "%s", host);
    }
    return out;
}

const char *address_print_host(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    const uint8_t *v4 = ipv4_bytes(a);
    if (v4 != NULL) {
        inet_ntop(AF_INET, v4, out, ADDRESS_TEXT_MAX);
    } else if (a->sa.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->sa.v6.sin6_addr, out, ADDRESS_TEXT_MAX);
    } else {
        snprintf(out, ADDRESS_TEXT_MAX, "localhost");
    }
    return out;
}

const char *address_peer_name(const struct address *a, const char *host, char out[ADDRESS_NAME_MAX])
{
    char numeric[ADDRESS_TEXT_MAX] = "";
    if (host == NULL && a->sa.any.sa_family != AF_UNIX) {
        address_print_host(a, numeric);
    }
    snprintf(out, ADDRESS_NAME_MAX, "%s", host != NULL ? host : numeric);
    return out;
}

unsigned address_port(const struct address *a)
{
    /* sin_port and sin6_port lie at the same place. */
    bool has = a->sa.any.sa_family == AF_INET || a->sa.any.sa_family == AF_INET6;
    return has ? ntohs(a->sa.v4.sin_port) : 0;
}

struct address address_with_port(const struct address *a, unsigned port)
{
    struct address other = *a;
    if (a->sa.any.sa_family == AF_INET) {
        other.sa.v4.sin_port = htons((uint16_t)port);
    } else if (a->sa.any.sa_family == AF_INET6) {
        other.sa.v6.sin6_port = htons((uint16_t)port);
    }
    return other;
}

bool address_is_loopback(const struct address *a)
{
    const uint8_t *v4 = ipv4_bytes(a);
    if (v4 != NULL) {
        return v4[0] == 127;
    }
    if (a->sa.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&a->sa.v6.sin6_addr);
    }
    return a->sa.any.sa_family == AF_UNIX;
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family || a->dual != b->dual) {
        return false;
    }
    switch (a->sa.any.sa_family) {
    case AF_INET:
        return a->sa.v4.sin_port == b->sa.v4.sin_port &&
               a->sa.v4.sin_addr.s_addr == b->sa.v4.sin_addr.s_addr;
    case AF_INET6:
        return a->sa.v6.sin6_port == b->sa.v6.sin6_port &&
               IN6_ARE_ADDR_EQUAL(&a->sa.v6.sin6_addr, &b->sa.v6.sin6_addr);
    case AF_UNIX:
        return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
    case AF_UNSPEC:
        return !address_is_set(a) && !address_is_set(b);
    default:
        return false;
    }
}

/* Ranges ------------------------------------------------------------------------------------ */

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    unsigned rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* Whether one was set. */
static bool clear_host_bits(struct cidr *range)
{
    bool found = false;
    for (unsigned i = 0; i < sizeof(range->bytes); i++) {
        unsigned kept = range->bits > i * 8 ? range->bits - i * 8 : 0;
        uint8_t mask = kept < 8 ? (uint8_t)(0xff00U >> kept) : 0xff;
        found = found || (range->bytes[i] & ~mask) != 0;
        range->bytes[i] &= mask;
    }
    return found;
}

int cidr_parse(struct cidr *out, const char *text)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    *out = (struct cidr){0};
    if (len >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    unsigned width = 32;
    if (inet_pton(AF_INET, host, out->bytes + sizeof(mapped_prefix)) == 1) {
        memcpy(out->bytes, mapped_prefix, sizeof(mapped_prefix));
    } else if (inet_pton(AF_INET6, host, out->bytes) == 1) {
        width = 128;
    } else {
        return -EINVAL;
    }
    unsigned bits = width;
    if (text[len] == '/' && parse_number(text + len + 1, width, &bits) != 0) {
        return -EINVAL;
    }
    out->bits = 128 - width + bits;
    return clear_host_bits(out) ? -EDOM : 0;
}

static bool cidr_is_v4(const struct cidr *range)
{
    return range->bits >= 96 && memcmp(range->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

const char *cidr_print(const struct cidr *range, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool v4 = cidr_is_v4(range);
    if (v4) {
        inet_ntop(AF_INET, range->bytes + sizeof(mapped_prefix), host, sizeof(host));
    } else {
        inet_ntop(AF_INET6, range->bytes, host, sizeof(host));
    }
    snprintf(out, ADDRESS_TEXT_MAX, "%s/%u", host, v4 ? range->bits - 96 : range->bits);
    return out;
}

bool cidr_contains(const struct cidr *range, const struct address *a)
{
    const uint8_t *v4 = ipv4_bytes(a);
    if (v4 != NULL) {
        return cidr_is_v4(range) &&
               prefix_equal(range->bytes + sizeof(mapped_prefix), v4, range->bits - 96);
    }
    return a->sa.any.sa_family == AF_INET6 &&
           prefix_equal(range->bytes, a->sa.v6.sin6_addr.s6_addr, range->bits);
}

/* Keys -------------------------------------------------------------------------------------- */

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n = n << 8 | bytes[i];
    }
    return n;
}

struct client_key address_client_key(const struct address *a)
{
    const uint8_t *v4 = ipv4_bytes(a);
    if (v4 != NULL) {
        return (struct client_key){.high = 0, .low = UINT64_C(0xffff) << 32 | big_endian(v4, 4)};
    }
    if (a->sa.any.sa_family == AF_INET6) {
        return (struct client_key){.high = big_endian(a->sa.v6.sin6_addr.s6_addr, 8), .low = 0};
    }
    return (struct client_key){.high = 0, .low = 1}; /* what no address has */
}

uint64_t client_key_hash(const struct client_key *key)
{
    return hash_mix(hash_mix(key->high) ^ key->low);
}

const char *client_key_print(const struct client_key *key, char out[ADDRESS_TEXT_MAX])
{
    if (key->low >> 32 == 0xffff) {
        unsigned v4 = (unsigned)key->low;
        snprintf(out, ADDRESS_TEXT_MAX, "%u.%u.%u.%u", v4 >> 24, v4 >> 16 & 255, v4 >> 8 & 255,
                 v4 & 255);
    } else if (key->low == 1) {
        snprintf(out, ADDRESS_TEXT_MAX, "localhost");
    } else {
        struct in6_addr v6 = {0};
        char host[INET6_ADDRSTRLEN];
        for (int i = 0; i < 8; i++) {
            v6.s6_addr[i] = (uint8_t)(key->high >> (56 - 8 * i));
        }
        snprintf(out, ADDRESS_TEXT_MAX, "%s/64", inet_ntop(AF_INET6, &v6, host, sizeof host));
    }
    return out;
}
