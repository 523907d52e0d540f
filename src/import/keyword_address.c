/* Addresses of `bind` and `server`: what HAProxy does not take whatever the names in them mean. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "import/keyword_internal.h"

#define PORT_MAX 65535

/* What a line wants of the port behind its address. */
struct wants {
    bool port;   /* there must be one, and not 0 */
    bool range;  /* there may be several */
    bool offset; /* it may be "+1" */
};

/* "ipv4@", "tcp6@", ...: what is behind it is a host and a port. NULL: it is something else, of
 * which nothing is said here. */
static const char *behind_prefix(const char *text)
{
    static const char *const hosts[] = {
        "ipv4@",        "ipv6@",        "ip@",    "tcp@",    "tcp4@",       "tcp6@",
        "stream+ipv4@", "stream+ipv6@", "mptcp@", "mptcp4@", "mptcp6@",     "quic4@",
        "quic6@",       "udp@",         "udp4@",  "udp6@",   "dgram+ipv4@", "dgram+ipv6@"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (strncmp(text, hosts[i], strlen(hosts[i])) == 0) {
            return text + strlen(hosts[i]);
        }
    }
    return strchr(text, '@') != NULL || text[0] == '/' ? NULL : text;
}

/* The colon before the port; NULL if there is no port. */
static const char *port_colon(const char *host)
{
    const char *bracket = strrchr(host, ']');
    return strrchr(bracket != NULL ? bracket : host, ':');
}

static const char *check_port(const char *port, const struct wants *wants)
{
    char *end;
    if (wants->offset && (port[0] == '+' || port[0] == '-')) {
        port++;
    }
    if (!isdigit((unsigned char)port[0])) {
        return "a port is a number";
    }
    long first = strtol(port, &end, 10);
    long last = first;
    if (*end == '-' && wants->range && isdigit((unsigned char)end[1])) {
        last = strtol(end + 1, &end, 10);
    }
    if (*end != '\0') {
        return wants->range ? "a port is a number, or two with - between them"
                            : "a port is a number";
    }
    if (last < first) {
        return "the first port is above the last one";
    }
    if (last > PORT_MAX || (wants->port && first == 0)) {
        return "ports are 1 to 65535";
    }
    return NULL;
}

/* Only digits and dots: then it must be an address. */
static bool is_bad_number(const char *host, size_t len)
{
    char text[64];
    struct in_addr ignored;
    if (len == 0 || len >= sizeof text || strspn(host, "0123456789.") < len ||
        memchr(host, '.', len) == NULL) {
        return false;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_aton(text, &ignored) == 0;
}

static const char *check_one(const char *text, const struct wants *wants)
{
    const char *host = behind_prefix(text);
    if (host == NULL) {
        return NULL;
    }
    const char *colon = port_colon(host);
    size_t len = colon != NULL ? (size_t)(colon - host) : strlen(host);
    if (is_bad_number(host, len)) {
        return "this is no address";
    }
    if (colon == NULL || colon[1] == '\0') {
        return wants->port ? "its port is missing" : NULL;
    }
    return check_port(colon + 1, wants);
}

static bool is_open(const struct word *w)
{
    return w->reference_count > 0;
}

void address_check(struct source *s, struct line *l)
{
    static const struct {
        const char *keyword;
        size_t at;
        struct wants wants;
    } lines[] = {{"bind", 0, {.port = true, .range = true}},
                 {"stats socket", 0, {.port = true}},
                 {"server", 1, {.offset = true}},
                 {"server-template", 2, {.offset = true}},
                 {"dispatch", 0, {.port = true}}};
    size_t i = 0;
    while (strcmp(lines[i].keyword, l->keyword->name) != 0) {
        i++;
    }
    const struct word *w = line_argument(l, lines[i].at);
    bool several = lines[i].wants.range;
    for (size_t at = 0; !is_open(w) && at < w->len;) {
        size_t len = several ? strcspn(w->text + at, ",") : w->len;
        struct word one = word_slice(s, w, at, len);
        const char *why = check_one(one.text, &lines[i].wants);
        if (why != NULL) {
            char shown[SHOWN_MAX];
            source_error(s, l->place, "\"%s\": %s", word_shown(&one, shown), why);
            return;
        }
        at += len + 1;
    }
}
