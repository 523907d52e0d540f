/* What conditions of access rules mean, as far as router.ini can say it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "import/access_internal.h"

/* Addresses -------------------------------------------------------------------------------------
 */

/* The bits of "8" or "255.0.0.0"; -1 if it is neither. */
static int mask_bits(const char *text)
{
    struct word number = {.text = text, .len = strlen(text)};
    long long bits = word_number(&number, 0, 32);
    if (bits >= 0) {
        return (int)bits;
    }
    struct in_addr mask;
    if (inet_pton(AF_INET, text, &mask) != 1) {
        return -1;
    }
    uint32_t host = ~ntohl(mask.s_addr);
    return (host & (host + 1)) == 0 ? 32 - __builtin_popcount(host) : -1;
}

/* "10.1/8", "10.0.0.1/255.0.0.0": what only HAProxy takes. */
static bool old_range(const char *text, char *out, size_t size)
{
    char address[64] = {0};
    size_t len = strcspn(text, "/");
    struct in_addr found;
    if (len == 0 || len >= sizeof address) {
        return false;
    }
    memcpy(address, text, len);
    int bits = text[len] == '/' ? mask_bits(text + len + 1) : 32;
    if (strspn(address, "0123456789.") != len || inet_aton(address, &found) == 0 || bits < 0) {
        return false;
    }
    inet_ntop(AF_INET, &found, address, sizeof address);
    snprintf(out, size, "%s/%d", address, bits);
    return true;
}

bool access_range(struct source *s, const struct word *w, struct word *out)
{
    struct cidr range;
    char text[ADDRESS_TEXT_MAX];
    int rc = cidr_parse(&range, w->text);
    if (rc == 0) {
        *out = *w;
        return true;
    }
    if (rc != -EDOM) {
        char old[ADDRESS_TEXT_MAX];
        if (!old_range(w->text, old, sizeof old)) {
            return false;
        }
        rc = cidr_parse(&range, old);
    }
    /* The range is there without the bits behind the mask too. */
    if (rc != 0 && rc != -EDOM) {
        return false;
    }
    *out = word_of(s, cidr_print(&range, text));
    return true;
}

/* Tests -----------------------------------------------------------------------------------------
 */

static bool is_src(const struct test *t)
{
    return (strcmp(t->fetch, "src") == 0 || strcmp(t->fetch, "fc_src") == 0) &&
           t->converters[0] == '\0' && t->comparison[0] == '\0' && t->value_count > 0 &&
           (t->method[0] == '\0' || strcmp(t->method, "ip") == 0);
}

static bool is_hello(const struct test *t)
{
    bool type =
        strcmp(t->fetch, "req.ssl_hello_type") == 0 || strcmp(t->fetch, "req_ssl_hello_type") == 0;
    return type && t->value_count == 1 && word_is(&t->values[0], "1");
}

/* Whether the name of the client hello is there at all. */
static bool is_name(const struct test *t)
{
    bool name = strcmp(t->fetch, "req.ssl_sni") == 0 || strcmp(t->fetch, "req_ssl_sni") == 0;
    return name && strcmp(t->method, "found") == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* "sc0_conn_rate", "src_conn_cur", ... */
static bool is_limit(const struct test *t)
{
    bool counter = strncmp(t->fetch, "src_", 4) == 0 ||
                   (strncmp(t->fetch, "sc", 2) == 0 && strcspn(t->fetch, "_") <= 3);
    return counter && t->converters[0] == '\0' &&
           (ends_with(t->fetch, "_conn_rate") || ends_with(t->fetch, "_conn_cur") ||
            ends_with(t->fetch, "_sess_rate"));
}

struct seen {
    size_t in;
    size_t out;
    size_t hello;
    size_t not_hello;
    size_t limits;
    size_t others;
    bool never;
};

static void see(struct seen *seen, const struct test *t, struct access_meaning *m)
{
    if (strcmp(t->fetch, "always_false") == 0 || strcmp(t->fetch, "always_true") == 0) {
        seen->never = seen->never || (t->fetch[7] == 'f') != t->negated;
    } else if (strcmp(t->fetch, "wait_end") == 0) {
        /* What is decided at the end is decided. */
        seen->never = seen->never || t->negated;
    } else if (is_src(t)) {
        seen->in += !t->negated;
        seen->out += t->negated;
        m->in = t->negated ? m->in : t;
    } else if (is_hello(t) || is_name(t)) {
        seen->hello += !t->negated;
        seen->not_hello += t->negated;
    } else if (is_limit(t) && !t->negated) {
        seen->limits++;
        m->limit = t;
    } else {
        seen->others++;
    }
}

void access_mean(const struct conjunction *c, struct access_meaning *m)
{
    struct seen seen = {0};
    *m = (struct access_meaning){.tests = c, .shape = SHAPE_OTHER};
    for (size_t i = 0; i < c->count; i++) {
        see(&seen, &c->tests[i], m);
    }
    size_t sources = seen.in + seen.out;
    size_t hellos = seen.hello + seen.not_hello;
    if (seen.never) {
        m->shape = SHAPE_NEVER;
    } else if (seen.others > 0 || seen.in > 1 || seen.limits > 1 || (hellos > 0 && sources > 0)) {
        m->shape = SHAPE_OTHER;
    } else if (seen.limits == 1) {
        m->shape = hellos == 0 ? SHAPE_LIMIT : SHAPE_OTHER;
    } else if (hellos > 0) {
        m->shape = seen.not_hello == 0 ? SHAPE_HELLO
                   : seen.hello == 0   ? SHAPE_NOT_HELLO
                                       : SHAPE_OTHER;
    } else if (sources == 0) {
        m->shape = SHAPE_ALWAYS;
    } else {
        m->shape = seen.out == 0 ? SHAPE_SRC : seen.in == 0 ? SHAPE_NOT_SRC : SHAPE_SRC_BUT;
    }
}
