#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX      107 /* version 1 with its CRLF (section 2.1) */
#define WORDS_MAX   6   /* "PROXY", the family, two addresses, two ports */
#define V2_FIXED    16  /* bytes before the address block (section 2.2) */
#define V4_BLOCK    12
#define V6_BLOCK    36
#define UNIX_BLOCK  216
#define COMMAND_AT  12 /* version and command */
#define FAMILY_AT   13 /* family and transport */
#define LENGTH_AT   14
#define V2_LOCAL    0x20
#define V2_PROXY    0x21
#define V2_UNSPEC   0x00
#define V2_STREAM_4 0x11
#define V2_STREAM_6 0x21
#define V2_UNIX     0x31

static const char v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const char v2_start[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

_Static_assert(V2_FIXED + UNIX_BLOCK <= PROXY_HEADER_MAX, "every address block fits");
_Static_assert(V1_MAX < PROXY_HEADER_OUT_MAX && V2_FIXED + V6_BLOCK <= PROXY_HEADER_OUT_MAX,
               "what we write fits");

static enum proxy_step bad(const char **why, const char *words)
{
    *why = words;
    return PROXY_BAD;
}

static struct address make_v4(const void *bytes, uint16_t port)
{
    struct address a = {.len = sizeof a.sa.v4};
    a.sa.v4.sin_family = AF_INET;
    a.sa.v4.sin_port = htons(port);
    memcpy(&a.sa.v4.sin_addr, bytes, sizeof a.sa.v4.sin_addr);
    return a;
}

static struct address make_v6(const void *bytes, uint16_t port)
{
    struct address a = {.len = sizeof a.sa.v6};
    a.sa.v6.sin6_family = AF_INET6;
    a.sa.v6.sin6_port = htons(port);
    memcpy(&a.sa.v6.sin6_addr, bytes, sizeof a.sa.v6.sin6_addr);
    return a;
}

/* Version 1 --------------------------------------------------------------------------------- */

/* Digits only, without a sign or a leading zero; 0 is a port here. */
static bool read_port(const char *word, uint16_t *port)
{
    unsigned n = 0;
    if (word[0] == '\0' || (word[0] == '0' && word[1] != '\0')) {
        return false;
    }
    for (; *word != '\0'; word++) {
        if (*word < '0' || *word > '9') {
            return false;
        }
        n = n * 10 + (unsigned)(*word - '0');
        if (n > UINT16_MAX) {
            return false;
        }
    }
    *port = (uint16_t)n;
    return true;
}

/* inet_pton(3) takes IPv4 as the specification wants it. In IPv6 it also takes a dotted end, which
 * the specification does not know, but who prints mapped addresses by inet_ntop(3) sends it. */
static bool read_address(int family, const char *host, uint16_t port, struct address *out)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    if (inet_pton(family, host, bytes) != 1) {
        return false;
    }
    *out = family == AF_INET ? make_v4(bytes, port) : make_v6(bytes, port);
    return true;
}

/* Cuts at each single space; one more than WORDS_MAX where there is more. */
static size_t cut(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    for (char *word = line; word != NULL && count <= WORDS_MAX; count++) {
        char *space = strchr(word, ' ');
        if (space != NULL) {
            *space++ = '\0';
        }
        if (count < WORDS_MAX) {
            words[count] = word;
        }
        word = space;
    }
    return count;
}

static enum proxy_step read_line(char *line, struct proxy_header *out, const char **why)
{
    char *words[WORDS_MAX];
    uint16_t from_port;
    uint16_t to_port;
    if (cut(line, words) != WORDS_MAX) {
        return bad(why, "a PROXY line that is not of six words");
    }
    bool v4 = strcmp(words[1], "TCP4") == 0;
    if (!v4 && strcmp(words[1], "TCP6") != 0) {
        return bad(why, "a PROXY line of an unknown family");
    }
    if (!read_port(words[4], &from_port) || !read_port(words[5], &to_port)) {
        return bad(why, "a PROXY line with a malformed port");
    }
    int family = v4 ? AF_INET : AF_INET6;
    if (!read_address(family, words[2], from_port, &out->from) ||
        !read_address(family, words[3], to_port, &out->to)) {
        return bad(why, "a PROXY line with a malformed address");
    }
    return PROXY_DONE;
}

/* What such a line says further is to be ignored, whatever it is. */
static bool is_unknown(const char *line, size_t len)
{
    static const char unknown[] = "PROXY UNKNOWN";
    const size_t least = sizeof unknown - 1;
    return len >= least && memcmp(line, unknown, least) == 0 &&
           (len == least || line[least] == ' ');
}

static enum proxy_step parse_v1(const char *data, size_t len, size_t *used,
                                struct proxy_header *out, const char **why)
{
    char line[V1_MAX];
    const char *end = memchr(data, '\n', len < V1_MAX ? len : V1_MAX);
    if (end == NULL) {
        return len < V1_MAX ? PROXY_MORE : bad(why, "a PROXY line of more than 107 bytes");
    }
    size_t line_len = (size_t)(end - data) - 1; /* without CRLF */
    if (data[line_len] != '\r') {
        return bad(why, "a PROXY line that does not end in CRLF");
    }
    *used = line_len + 2;
    if (is_unknown(data, line_len)) {
        out->local = true;
        return PROXY_DONE;
    }
    if (memchr(data, '\0', line_len) != NULL) {
        return bad(why, "a PROXY line with a NUL in it");
    }
    memcpy(line, data, line_len);
    line[line_len] = '\0';
    return read_line(line, out, why);
}

/* Version 2 --------------------------------------------------------------------------------- */

static unsigned get16(const char *p)
{
    return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

/* The bytes an address block of this family and transport has, -1 for what may not be. */
static int block_size(unsigned family)
{
    switch (family) {
    case V2_UNSPEC:
        return 0;
    case V2_STREAM_4:
        return V4_BLOCK;
    case V2_STREAM_6:
        return V6_BLOCK;
    case V2_UNIX:
        return UNIX_BLOCK;
    default:
        return -1;
    }
}

/* Judges as much of the fixed part as is there, so that what cannot be waits for nothing. */
static enum proxy_step check_fixed(const char *data, size_t len, const char **why)
{
    if (len <= COMMAND_AT) {
        return PROXY_MORE;
    }
    unsigned command = (uint8_t)data[COMMAND_AT];
    if (command != V2_LOCAL && command != V2_PROXY) {
        return bad(why, command >> 4 == 2 ? "a PROXY header of an unknown command"
                                          : "a PROXY header of an unknown version");
    }
    if (len <= FAMILY_AT) {
        return PROXY_MORE;
    }
    int block = command == V2_LOCAL ? 0 : block_size((uint8_t)data[FAMILY_AT]);
    if (block < 0) {
        return bad(why, "a PROXY header of a family or transport that is not for TCP");
    }
    if (len < V2_FIXED) {
        return PROXY_MORE;
    }
    unsigned size = get16(data + LENGTH_AT);
    if (size > PROXY_HEADER_MAX - V2_FIXED) {
        return bad(why, "a PROXY header of more than 4096 bytes");
    }
    if (size < (unsigned)block) {
        return bad(why, "a PROXY header too short for its addresses");
    }
    return len < V2_FIXED + size ? PROXY_MORE : PROXY_DONE;
}

static enum proxy_step parse_v2(const char *data, size_t len, size_t *used,
                                struct proxy_header *out, const char **why)
{
    enum proxy_step step = check_fixed(data, len, why);
    if (step != PROXY_DONE) {
        return step;
    }
    const char *p = data + V2_FIXED;
    unsigned family = (uint8_t)data[FAMILY_AT];
    if ((uint8_t)data[COMMAND_AT] == V2_PROXY && family == V2_STREAM_4) {
        out->from = make_v4(p, (uint16_t)get16(p + 8));
        out->to = make_v4(p + 4, (uint16_t)get16(p + 10));
    } else if ((uint8_t)data[COMMAND_AT] == V2_PROXY && family == V2_STREAM_6) {
        out->from = make_v6(p, (uint16_t)get16(p + 32));
        out->to = make_v6(p + 16, (uint16_t)get16(p + 34));
    } else {
        out->local = true;
    }
    *used = V2_FIXED + get16(data + LENGTH_AT);
    return PROXY_DONE;
}

static bool begins(const char *data, size_t len, const char *start, size_t start_len)
{
    return memcmp(data, start, len < start_len ? len : start_len) == 0;
}

enum proxy_step proxy_header_parse(const char *data, size_t len, size_t *used,
                                   struct proxy_header *out, const char **why)
{
    *used = 0;
    *out = (struct proxy_header){.local = false};
    if (len == 0) {
        return PROXY_MORE;
    }
    if (begins(data, len, v1_start, sizeof v1_start)) {
        return len < sizeof v1_start ? PROXY_MORE : parse_v1(data, len, used, out, why);
    }
    if (begins(data, len, v2_start, sizeof v2_start)) {
        return len < sizeof v2_start ? PROXY_MORE : parse_v2(data, len, used, out, why);
    }
    return bad(why, "no PROXY header");
}

/* Writing ----------------------------------------------------------------------------------- */

/* The four bytes of IPv4, mapped (RFC 4291, section 2.5.5.2) or not; NULL for other addresses. */
static const uint8_t *v4_bytes(const struct address *a)
{
    if (a->sa.any.sa_family == AF_INET) {
        return (const uint8_t *)&a->sa.v4.sin_addr;
    }
    const uint8_t *bytes = a->sa.v6.sin6_addr.s6_addr;
    bool mapped = memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
    return mapped ? bytes + sizeof mapped_prefix : NULL;
}

static void v6_bytes(const struct address *a, uint8_t out[16])
{
    if (a->sa.any.sa_family == AF_INET) {
        memcpy(out, mapped_prefix, sizeof mapped_prefix);
        memcpy(out + sizeof mapped_prefix, &a->sa.v4.sin_addr, 4);
    } else {
        memcpy(out, &a->sa.v6.sin6_addr, 16);
    }
}

static uint16_t port_of(const struct address *a)
{
    return ntohs(a->sa.any.sa_family == AF_INET ? a->sa.v4.sin_port : a->sa.v6.sin6_port);
}

/* As inet_ntop(3), but never with a dotted end: the specification has hexadecimal digits only. */
static void print_v6(const struct address *a, char out[INET6_ADDRSTRLEN])
{
    uint8_t b[16];
    v6_bytes(a, b);
    inet_ntop(AF_INET6, b, out, INET6_ADDRSTRLEN);
    if (strchr(out, '.') != NULL) { /* ten bytes of zeros, and two of zeros or ones */
        snprintf(out, INET6_ADDRSTRLEN, "::%s%x:%x", b[10] != 0 ? "ffff:" : "", b[12] << 8 | b[13],
                 b[14] << 8 | b[15]);
    }
}

static size_t build_v1(char out[PROXY_HEADER_OUT_MAX], bool v4, const struct address *from,
                       const struct address *to)
{
    char source[INET6_ADDRSTRLEN];
    char target[INET6_ADDRSTRLEN];
    if (v4) {
        inet_ntop(AF_INET, v4_bytes(from), source, sizeof source);
        inet_ntop(AF_INET, v4_bytes(to), target, sizeof target);
    } else {
        print_v6(from, source);
        print_v6(to, target);
    }
    return (size_t)snprintf(out, PROXY_HEADER_OUT_MAX, "PROXY %s %s %s %u %u\r\n",
                            v4 ? "TCP4" : "TCP6", source, target, port_of(from), port_of(to));
}

static void put16(char *p, unsigned n)
{
    p[0] = (char)(n >> 8);
    p[1] = (char)n;
}

static size_t build_v2(char out[PROXY_HEADER_OUT_MAX], bool v4, const struct address *from,
                       const struct address *to)
{
    size_t block = v4 ? V4_BLOCK : V6_BLOCK;
    char *p = out + V2_FIXED;
    out[COMMAND_AT] = V2_PROXY;
    out[FAMILY_AT] = v4 ? V2_STREAM_4 : V2_STREAM_6;
    put16(out + LENGTH_AT, (unsigned)block);
    if (v4) {
        memcpy(p, v4_bytes(from), 4);
        memcpy(p + 4, v4_bytes(to), 4);
    } else {
        v6_bytes(from, (uint8_t *)p);
        v6_bytes(to, (uint8_t *)p + 16);
    }
    put16(p + block - 4, port_of(from));
    put16(p + block - 2, port_of(to));
    return V2_FIXED + block;
}

static bool is_ip(const struct address *a)
{
    return a->sa.any.sa_family == AF_INET || a->sa.any.sa_family == AF_INET6;
}

size_t proxy_header_build(char out[PROXY_HEADER_OUT_MAX], enum proxy_version version,
                          const struct address *from, const struct address *to)
{
    static const char unknown[] = "PROXY UNKNOWN\r\n";
    assert(version == PROXY_V1 || version == PROXY_V2);
    bool ours = from == NULL || to == NULL || !is_ip(from) || !is_ip(to);
    if (version == PROXY_V1 && ours) {
        memcpy(out, unknown, sizeof unknown);
        return sizeof unknown - 1;
    }
    bool v4 = !ours && v4_bytes(from) != NULL && v4_bytes(to) != NULL;
    if (version == PROXY_V1) {
        return build_v1(out, v4, from, to);
    }
    memcpy(out, v2_start, sizeof v2_start);
    if (ours) {
        out[COMMAND_AT] = V2_LOCAL;
        out[FAMILY_AT] = V2_UNSPEC;
        put16(out + LENGTH_AT, 0);
        return V2_FIXED;
    }
    return build_v2(out, v4, from, to);
}
