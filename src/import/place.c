#include "import/place.h"

#include <stdlib.h>
#include <string.h>

static bool starts(const struct word *w, const char *prefix)
{
    return strncmp(w->text, prefix, strlen(prefix)) == 0;
}

static struct word rest_of(struct source *s, const struct word *w, size_t at)
{
    return word_slice(s, w, at, w->len - at);
}

/* "unix@", "abns@", ...: takes the prefix off, if there is one. */
static void read_family(struct source *s, struct word *w, struct address_word *out)
{
    static const char *const ours[] = {"ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@", "unix@"};
    static const char *const others[] = {
        "abns@",  "abnsz@", "fd@",     "sockpair@", "udp@",   "udp4@", "udp6@",    "quic4@",
        "quic6@", "mptcp@", "mptcp4@", "mptcp6@",   "rhttp@", "ring@", "backend@", "stdout"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (starts(w, others[i])) {
            out->other = others[i];
        }
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (starts(w, ours[i])) {
            out->six = strchr(ours[i], '6') != NULL;
            if (strcmp(ours[i], "unix@") == 0) {
                out->path = rest_of(s, w, 5);
            }
            *w = rest_of(s, w, strlen(ours[i]));
            return;
        }
    }
    if (w->text[0] == '/') {
        out->path = *w;
    }
}

/* The last colon that is not inside of an IPv6 address: the port stands behind it. NULL: none. */
static const char *port_colon(const struct word *w)
{
    const char *bracket = strrchr(w->text, ']');
    const char *colon = strrchr(w->text, ':');
    return colon != NULL && bracket != NULL && colon < bracket ? NULL : colon;
}

static void read_port(struct source *s, const struct word *w, size_t at, struct address_word *out)
{
    out->port = rest_of(s, w, at);
    const char *digits = out->port.text;
    out->offset = digits[0] == '+' || digits[0] == '-';
    char *end;
    unsigned long first = strtoul(digits + out->offset, &end, 10);
    unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
    bool valid = *end == '\0' && first <= 65535 && last <= 65535 && first <= last;
    out->first = valid ? (unsigned)first : 0;
    out->last = valid ? (unsigned)last : 0;
}

static bool is_any(const struct word *host)
{
    static const char *const words[] = {"", "*", "0.0.0.0", "::", "[::]"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word_is(host, words[i])) {
            return host->reference_count == 0;
        }
    }
    return false;
}

bool place_is_number(const struct address_word *a)
{
    return a->six || a->host.text[strspn(a->host.text, "0123456789.")] == '\0';
}

bool place_lacks_port(const struct address_word *a)
{
    return a->path.len == 0 && a->first == 0 && a->port.reference_count == 0;
}

void address_word_read(struct source *s, const struct word *whole, struct address_word *out)
{
    struct word w = *whole;
    *out = (struct address_word){
        .host = word_of(s, ""), .path = word_of(s, ""), .port = word_of(s, "")};
    read_family(s, &w, out);
    if (out->other != NULL || out->path.len > 0) {
        return;
    }
    const char *colon = port_colon(&w);
    size_t host = colon != NULL ? (size_t)(colon - w.text) : w.len;
    out->host = word_slice(s, &w, 0, host);
    if (colon != NULL) {
        read_port(s, &w, host + 1, out);
    }
    bool bare = out->host.text[0] != '[' && strchr(out->host.text, ':') != NULL;
    out->six = out->six || bare || out->host.text[0] == '[';
    out->any = is_any(&out->host);
}

struct word address_word_write(struct source *s, const struct address_word *a, unsigned port)
{
    if (a->path.len > 0) {
        struct word prefix = word_of(s, "unix:");
        return word_join(s, &prefix, "", &a->path);
    }
    struct word number = port == 0 ? a->port : word_of(s, arena_print(&s->arena, "%u", port));
    bool bare = a->six && a->host.len > 0 && a->host.text[0] != '[';
    struct word host = a->host;
    if (bare) {
        struct word open = word_of(s, "[");
        struct word close = word_of(s, "]");
        host = word_join(s, &open, "", &host);
        host = word_join(s, &host, "", &close);
    }
    return word_join(s, &host, ":", &number);
}
