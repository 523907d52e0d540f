/* An address that is missing in an answer may be missing because the name server had half of the
 * truth, or the orchestrator found a server not ready for a moment. So it stays until it is missing
 * once more, or the probes have found it down as well, or what it was called is called so elsewhere
 * now. Where nothing is known the servers stay as they are. */
#include "model/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define MISSING_MAX 2
#define NO_LINE     SIZE_MAX

/* What is known ----------------------------------------------------------------------------- */

static bool is_v6(const struct address *a)
{
    return a->sa.any.sa_family == AF_INET6;
}

static int compare(const struct address *a, const struct address *b)
{
    if (is_v6(a) != is_v6(b)) {
        return is_v6(a) ? 1 : -1;
    }
    return is_v6(a) ? memcmp(&a->sa.v6.sin6_addr, &b->sa.v6.sin6_addr, sizeof a->sa.v6.sin6_addr)
                    : memcmp(&a->sa.v4.sin_addr, &b->sa.v4.sin_addr, sizeof a->sa.v4.sin_addr);
}

/* One that is not in the answer. */
static bool keep_missing(struct name_address *a, bool partial, bool *changed)
{
    if (!partial || !is_v6(&a->address)) {
        a->missing++;
        *changed = true;
    }
    return a->missing < MISSING_MAX;
}

bool discovery_merge(struct name_addresses *known, const struct address *answer, size_t count,
                     bool partial)
{
    struct name_addresses merged = {
        .items = xcalloc(known->count + count, sizeof *merged.items),
    };
    bool changed = false;
    for (size_t i = 0, j = 0; i < known->count || j < count;) {
        struct name_address *old = i < known->count ? &known->items[i] : NULL;
        int order = old == NULL ? 1 : j == count ? -1 : compare(&old->address, &answer[j]);
        struct name_address *out = &merged.items[merged.count];
        if (order < 0) {
            merged.count += keep_missing(old, partial, &changed);
            *out = *old;
        } else if (order == 0) {
            changed = changed || old->missing > 0;
            *out = *old;
            out->missing = 0;
            merged.count++;
        } else {
            *out = (struct name_address){.address = answer[j]};
            merged.count++;
            changed = true;
        }
        i += order <= 0;
        j += order >= 0;
    }
    free(known->items);
    *known = merged;
    return changed;
}

void discovery_release(struct name_addresses *known)
{
    free(known->items);
    *known = (struct name_addresses){0};
}

void discovery_label(const char *owner, char out[DISCOVERY_LABEL_MAX])
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strcspn(owner, ".");
    bool good = len > 0 && len < DISCOVERY_LABEL_MAX && strspn(owner, bytes) == len;
    snprintf(out, DISCOVERY_LABEL_MAX, "%.*s", good ? (int)len : 0, owner);
}

bool server_is_at(const struct server_config *s, const char *place)
{
    struct address at;
    char name[ADDRESS_NAME_MAX];
    unsigned port;
    if (s->gone) {
        return false;
    }
    if (address_parse(&at, place) == 0) {
        return address_equal(&s->address, &at);
    }
    if (s->host == NULL || address_parse_name(place, name, &port) != 0 || port != s->port) {
        return false;
    }
    size_t len = strlen(s->name);
    bool begins = strncasecmp(name, s->name, len) == 0 && (name[len] == '.' || name[len] == '\0');
    return s->discovered > 0 ? begins : strcmp(name, s->host) == 0;
}

/* The servers of lines ---------------------------------------------------------------------- */

struct planner {
    const struct discovery_input *in;
    struct server_plan *out;
    size_t room;
};

static struct planned_server *add(struct planner *p, const char *name)
{
    if (p->out->count == p->room) {
        p->room = p->room * 2 + 8;
        p->out->items = xrealloc(p->out->items, p->room * sizeof *p->out->items);
    }
    struct planned_server *s = &p->out->items[p->out->count++];
    *s = (struct planned_server){.line = NO_LINE};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static bool is_planned(const struct planner *p, const struct address *at)
{
    bool found = false;
    for (size_t i = 0; i < p->out->count && !found; i++) {
        found = address_equal(&p->out->items[i].address, at);
    }
    return found;
}

/* Nobody else's: two names for one server would give it twice its cap, and a primary two votes. */
static bool is_free(const struct planner *p, const struct address *at)
{
    return !is_planned(p, at) && !p->in->is_own(p->in->context, at);
}

static const struct server_config *was_named(const struct discovery_input *in,
                                             const struct server_config *line)
{
    for (size_t i = 0; i < in->was_count; i++) {
        const struct server_config *w = &in->was[i];
        if (!w->gone && w->discovered == 0 && w->host != NULL && strcmp(w->name, line->name) == 0 &&
            strcmp(w->host, line->host) == 0 && w->port == line->port) {
            return w;
        }
    }
    return NULL;
}

static bool is_down(const struct discovery_input *in, const struct server_config *was)
{
    return in->down[was - in->was];
}

/* The next in a circle behind the current one that is there and free; NULL if there is none. */
static const struct name_address *next_of(const struct planner *p,
                                          const struct name_addresses *known, unsigned port,
                                          const struct address *current)
{
    const struct name_address *first = NULL;
    for (size_t i = 0; i < known->count; i++) {
        const struct name_address *a = &known->items[i];
        struct address at = address_with_port(&a->address, port);
        if (a->missing > 0 || !is_free(p, &at)) {
            continue;
        }
        if (!address_is_set(current) || compare(&at, current) > 0) {
            return a;
        }
        first = first == NULL && compare(&at, current) != 0 ? a : first;
    }
    return first;
}

static const struct name_address *find_known(const struct name_addresses *known,
                                             const struct address *at)
{
    for (size_t i = 0; i < known->count; i++) {
        if (compare(&known->items[i].address, at) == 0) {
            return &known->items[i];
        }
    }
    return NULL;
}

/* Where the address that it has is as good as any, nobody takes that from it. */
static void keep(struct planner *p, const struct server_config *line, struct planned_server *out)
{
    const struct discovery_input *in = p->in;
    const struct name_addresses *known = in->find(in->context, line->host);
    const struct server_config *was = was_named(in, line);
    if (was == NULL || !address_is_set(&was->address) || !is_free(p, &was->address)) {
        return;
    }
    bool unknown = known == NULL || known->count == 0;
    if (unknown || (find_known(known, &was->address) != NULL && !is_down(in, was)) ||
        next_of(p, known, line->port, &was->address) == NULL) {
        out->address = was->address;
    }
}

static void choose(struct planner *p, const struct server_config *line, struct planned_server *out)
{
    const struct discovery_input *in = p->in;
    const struct name_addresses *known = in->find(in->context, line->host);
    const struct server_config *was = was_named(in, line);
    const struct address none = {0};
    if (known == NULL || known->count == 0) {
        return;
    }
    const struct name_address *next =
        next_of(p, known, line->port, was != NULL ? &was->address : &none);
    out->taken = next == NULL;
    if (next != NULL) {
        out->address = address_with_port(&next->address, line->port);
    }
}

/* Numeric addresses first, then those that stay: nothing takes them from their servers. */
static void plan_lines(struct planner *p)
{
    const struct server_list *lines = &p->in->lines->servers;
    for (size_t i = 0; i < lines->count; i++) {
        const struct server_config *line = &lines->items[i];
        if (!line->gone && line->discovered == 0) {
            struct planned_server *s = add(p, line->name);
            s->line = i;
            s->address = line->host == NULL ? line->address : s->address;
        }
    }
    for (size_t i = 0; i < p->out->count; i++) {
        const struct server_config *line = &lines->items[p->out->items[i].line];
        if (line->host != NULL) {
            keep(p, line, &p->out->items[i]);
        }
    }
    for (size_t i = 0; i < p->out->count; i++) {
        const struct server_config *line = &lines->items[p->out->items[i].line];
        if (line->host != NULL && !address_is_set(&p->out->items[i].address)) {
            choose(p, line, &p->out->items[i]);
        }
    }
}

/* What is discovered ------------------------------------------------------------------------ */

static const struct server_config *was_at(const struct discovery_input *in,
                                          const struct address *at)
{
    for (size_t i = 0; i < in->was_count; i++) {
        const struct server_config *w = &in->was[i];
        if (!w->gone && w->discovered > 0 && address_equal(&w->address, at)) {
            return w;
        }
    }
    return NULL;
}

/* What is called so now is somewhere else. */
static bool is_replaced(const struct discovery_input *in, const struct name_addresses *known,
                        const struct name_address *a, unsigned port)
{
    bool found = false;
    for (size_t i = 0; i < known->count && a->label[0] != '\0' && !found; i++) {
        const struct name_address *other = &known->items[i];
        struct address at = address_with_port(&other->address, port);
        found = other->missing == 0 && other->settled && is_v6(&at) == is_v6(&a->address) &&
                strcmp(other->label, a->label) == 0 && was_at(in, &at) == NULL;
    }
    return found;
}

/* The addresses of the other family are likely to be the same machines. Those that are in use stay.
 */
static bool uses_v6(const struct discovery_input *in, const struct name_addresses *known,
                    unsigned port)
{
    bool v4 = false;
    bool was_v4 = false;
    bool was_v6 = false;
    for (size_t i = 0; i < known->count; i++) {
        const struct name_address *a = &known->items[i];
        struct address at = address_with_port(&a->address, port);
        bool was = was_at(in, &at) != NULL;
        v4 = v4 || !is_v6(&a->address);
        was_v4 = was_v4 || (was && !is_v6(&a->address));
        was_v6 = was_v6 || (was && is_v6(&a->address));
    }
    return was_v6 ? !was_v4 : !v4;
}

static bool is_name_free(const struct planner *p, const char *name)
{
    bool taken = false;
    for (size_t i = 0; i < p->out->count && !taken; i++) {
        taken = strcmp(p->out->items[i].name, name) == 0;
    }
    return name[0] != '\0' && !taken;
}

/* Its label; else its address; else, where one host has several, with the port behind it. */
static void find_name(const struct planner *p, const struct name_address *a, unsigned port,
                      char out[DISCOVERY_LABEL_MAX])
{
    char host[ADDRESS_TEXT_MAX];
    address_print_host(&a->address, host);
    for (char *colon; (colon = strchr(host, ':')) != NULL;) {
        *colon = '-';
    }
    snprintf(out, DISCOVERY_LABEL_MAX, "%s", a->label);
    if (!is_name_free(p, out)) {
        snprintf(out, DISCOVERY_LABEL_MAX, "%.45s", host);
    }
    if (!is_name_free(p, out)) {
        snprintf(out, DISCOVERY_LABEL_MAX, "%.45s-%u", host, port);
    }
    for (unsigned i = 2; !is_name_free(p, out); i++) {
        snprintf(out, DISCOVERY_LABEL_MAX, "%.45s-%u-%u", host, port, i);
    }
}

static void plan_found(struct planner *p, size_t discover, const struct address *at,
                       const char *name)
{
    struct planned_server *s = add(p, name);
    s->discovered = discover + 1;
    s->address = *at;
}

/* Those that there were come first, so that they keep their names. */
static void plan_known(struct planner *p, size_t discover, const struct name_addresses *known,
                       bool fresh)
{
    const struct discovery_input *in = p->in;
    unsigned port = in->lines->discovers.items[discover].port;
    bool v6 = uses_v6(in, known, port);
    for (size_t i = 0; i < known->count; i++) {
        const struct name_address *a = &known->items[i];
        struct address at = address_with_port(&a->address, port);
        const struct server_config *was = was_at(in, &at);
        char name[DISCOVERY_LABEL_MAX];
        if (is_v6(&at) != v6 || fresh != (was == NULL) || !is_free(p, &at)) {
            continue;
        }
        bool lost =
            a->missing > 0 && was != NULL && (is_down(in, was) || is_replaced(in, known, a, port));
        if (was != NULL && !lost) {
            find_name(p, a, port, name);
            plan_found(p, discover, &at, is_name_free(p, was->name) ? was->name : name);
        } else if (was == NULL && a->missing == 0 && a->settled) {
            find_name(p, a, port, name);
            plan_found(p, discover, &at, name);
        }
    }
}

/* Nothing is known of the name: after a reload, or it was never resolved. */
static void plan_unknown(struct planner *p, size_t discover)
{
    const struct discover_config *d = &p->in->lines->discovers.items[discover];
    for (size_t i = 0; i < p->in->was_count; i++) {
        const struct server_config *w = &p->in->was[i];
        bool ours =
            !w->gone && w->discovered > 0 && w->port == d->port && strcmp(w->host, d->host) == 0;
        if (ours && is_free(p, &w->address) && is_name_free(p, w->name)) {
            plan_found(p, discover, &w->address, w->name);
        }
    }
}

void discovery_plan(const struct discovery_input *in, struct server_plan *out)
{
    struct planner p = {.in = in, .out = out};
    const struct discover_list *list = &in->lines->discovers;
    *out = (struct server_plan){0};
    plan_lines(&p);
    for (int fresh = 0; fresh <= 1; fresh++) {
        for (size_t i = 0; i < list->count; i++) {
            const struct name_addresses *known = in->find(in->context, list->items[i].host);
            if (known != NULL && known->count > 0) {
                plan_known(&p, i, known, fresh);
            } else if (!fresh) {
                plan_unknown(&p, i);
            }
        }
    }
}

void server_plan_release(struct server_plan *p)
{
    free(p->items);
    *p = (struct server_plan){0};
}
