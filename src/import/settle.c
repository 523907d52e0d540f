#include "import/settle.h"

#include <string.h>

#include "import/global.h"
#include "import/keyword.h"

static bool inherits(const struct section *section, const struct section *from)
{
    const struct section *at = section->from;
    while (at != NULL && at != from) {
        at = at->from;
    }
    return at != NULL;
}

/* Whether the line has anything to say to this kind of proxy at all. */
static bool concerns(const struct line *l, const struct proxy *p)
{
    return (l->keyword->places & (1u << p->section->kind)) != 0;
}

/* Whether each line with this keyword counts, not only the last one. */
static bool adds_up(const struct line *l)
{
    static const char *const words[] = {
        "acl",   "bind",        "http-after-response", "http-request", "http-response", "log",
        "stick", "tcp-request", "tcp-response",        "use-server",   "use_backend"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word_is(&l->words[0], words[i])) {
            return true;
        }
    }
    return word_is(&l->words[0], "stats") && l->count > 1 && !word_is(&l->words[1], "uri");
}

/* A backend to which no frontend leads. */
static bool is_unused(const struct proxy *p, const struct parts *parts)
{
    const struct part *part = parts_of(parts, p);
    return !p->front && (part == NULL || part->section == NULL);
}

/* A line of defaults: whether there is a proxy for which it would count. */
static bool counts_for_heirs(const struct line *l, const struct proxies *all,
                             const struct parts *parts, bool *inherited)
{
    *inherited = false;
    bool counts = false;
    for (size_t i = 0; i < all->count; i++) {
        const struct proxy *p = &all->items[i];
        if (inherits(p->section, l->section) && concerns(l, p) && !is_unused(p, parts)) {
            *inherited = true;
            counts = counts || adds_up(l) || proxy_find(p, l->keyword->name) == l;
        }
    }
    return counts;
}

static const struct proxy *proxy_of(const struct proxies *all, const struct section *section)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].section == section) {
            return &all->items[i];
        }
    }
    return NULL;
}

/* Why it counts for nothing; NULL: it would have counted. */
static const char *excuse(const struct line *l, const struct proxies *all,
                          const struct parts *parts)
{
    const struct section *section = l->section;
    bool inherited;
    if (l->negated || l->defaulted) {
        return "switched off";
    }
    if (section->kind == SECTION_DEFAULTS) {
        bool counts = counts_for_heirs(l, all, parts, &inherited);
        return counts ? NULL : inherited ? "who inherits it has its own" : "nobody inherits it";
    }
    const struct proxy *p = proxy_of(all, section);
    if (p != NULL && p->disabled) {
        return "the section is disabled";
    }
    const struct part *part = p != NULL ? parts_of(parts, p) : NULL;
    if (p != NULL && p->section->header->verdict == VERDICT_LOST) {
        return "nothing is left of this frontend";
    }
    if (part != NULL && part->section == NULL && !p->front) {
        return "no frontend leads to this backend";
    }
    if (part != NULL && part->check.kind == CHECK_SENTINEL) {
        return "its servers are Sentinels here";
    }
    struct line *last = p != NULL && !adds_up(l) ? proxy_find(p, l->keyword->name) : NULL;
    return last != NULL && last != l && last->verdict != VERDICT_NONE ? "a later line counts"
                                                                      : NULL;
}

static void settle_line(struct source *s, struct line *l, const struct proxies *all,
                        const struct parts *parts)
{
    if (l->verdict != VERDICT_NONE) {
        return;
    }
    const char *why = excuse(l, all, parts);
    if (why != NULL) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "%s", why);
    } else {
        line_mark(s, l, VERDICT_LOST, "router has nothing like it");
    }
}

/* The header of a section that became nothing of router's. */
static void settle_header(struct source *s, struct section *section, const struct proxies *all,
                          const struct parts *parts)
{
    const struct proxy *p = proxy_of(all, section);
    if (section->header->verdict == VERDICT_NONE) {
        bool disabled = p != NULL && p->disabled;
        bool unused = p != NULL && is_unused(p, parts);
        line_mark(s, section->header, disabled || unused ? VERDICT_NOT_NEEDED : VERDICT_KEPT, "%s",
                  disabled ? "disabled"
                  : unused ? "no frontend leads to this backend"
                           : "");
    }
}

void settle(struct source *s, const struct proxies *all, const struct parts *parts,
            struct plan *plan)
{
    for (size_t i = 0; i < s->section_count; i++) {
        struct section *section = s->sections[i];
        settle_header(s, section, all, parts);
        for (size_t k = 0; k < section->count; k++) {
            settle_line(s, section->lines[k], all, parts);
        }
        plan_add_source(plan, &plan->router, section);
    }
}
