/* Statistics, metrics and health pages: all of them are at router's admin address. */
#include <string.h>

#include "import/fronts.h"
#include "import/global.h"

#define ELSEWHERE "the page is not here: it has an address of its own, admin"

static bool has_any(const struct proxy *p, const char *const *keywords, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        if (proxy_next(p, keywords[i], &at) != NULL) {
            return true;
        }
    }
    return false;
}

static struct line *exporter(const struct proxy *p)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "http-request", &at)) != NULL;) {
        if (line_says(l, 0, "use-service") && line_says(l, 1, "prometheus-exporter")) {
            return l;
        }
    }
    return NULL;
}

static bool has_pages(const struct proxy *p)
{
    static const char *const keywords[] = {"stats enable", "stats uri",  "stats admin",
                                           "monitor-uri",  "stats auth", "http-request return"};
    return has_any(p, keywords, sizeof keywords / sizeof keywords[0]) || exporter(p) != NULL;
}

/* Who has the pages that the frontend shows: itself, or a backend without a server. NULL: clients
 * are led to servers, or to nothing. */
static const struct proxy *pages_of(const struct proxy *p, const struct parts *parts)
{
    struct line *l = proxy_find(p, "default_backend");
    const struct word *name = l != NULL ? line_argument(l, 0) : NULL;
    const struct proxy *at = name != NULL ? proxies_find(parts->proxies, name->text, true) : p;
    bool rules = has_any(p, (const char *const[]){"use_backend"}, 1);
    bool shows = p->front && !p->disabled && parts_of(parts, p) == NULL && !rules && at != NULL &&
                 parts_of(parts, at) == NULL && has_pages(at);
    return shows ? at : NULL;
}

bool stats_only(const struct proxy *p, const struct parts *parts)
{
    return pages_of(p, parts) != NULL;
}

static void mark_all(struct plan *plan, const struct proxy *p, const char *keyword,
                     enum verdict verdict, const char *words)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, keyword, &at)) != NULL;) {
        bool same = strcmp(keyword, "stats uri") == 0 && line_says(l, 0, "/");
        line_mark(plan->source, l, same ? VERDICT_KEPT : verdict, "%s", same ? "" : words);
    }
}

static void write_auth(struct plan *plan, const struct proxy *p)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "stats auth", &at)) != NULL;) {
        const struct word *w = line_argument(l, 0);
        const char *colon = w != NULL ? strchr(w->text, ':') : NULL;
        if (colon == NULL) {
            continue;
        }
        size_t user = (size_t)(colon - w->text);
        struct word password = word_slice(plan->source, w, user + 1, w->len - user - 1);
        struct word name = word_slice(plan->source, w, 0, user);
        name.secret = false;
        password.secret = true;
        if (plan_find(&plan->router, "admin_user") != NULL) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "router has one user for its page");
            continue;
        }
        plan_set(plan, &plan->router, "admin_user", name, l);
        plan_set(plan, &plan->router, "admin_password", password, l);
    }
}

/* The first address of a proxy that is there for this only is the admin address. */
static void write_address(struct plan *plan, const struct proxy *p)
{
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "bind", &at)) != NULL;) {
        struct address_word where;
        address_word_read(plan->source, line_argument(l, 0), &where);
        if (where.other != NULL || where.path.len > 0 || where.first == 0) {
            line_mark(plan->source, l, VERDICT_LOST, "the admin address has a numeric port");
        } else if (plan_find(&plan->router, "admin") != NULL) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "router has one admin address");
        } else {
            plan_set(plan, &plan->router, "admin", bind_place(plan->source, &where, 0, false), l);
        }
        struct parameters words;
        parameters_read(plan->source, l, 1, &words);
        parameters_mark(plan->source, l, &words);
        if (parameters_find(&words, "ssl") != NULL) {
            line_mark(plan->source, l, VERDICT_LOST, "ssl: the admin address speaks no TLS");
        }
    }
}

static void mark_pages(struct plan *plan, const struct proxy *p)
{
    static const struct {
        const char *keyword;
        enum verdict verdict;
        const char *words;
    } pages[] = {
        {"stats enable", VERDICT_KEPT, ""},
        {"stats uri", VERDICT_DIFFERENCE, "the page is at / of the admin address, /;csv too"},
        {"stats refresh", VERDICT_NOT_NEEDED, "the page refreshes itself"},
        {"stats admin", VERDICT_DIFFERENCE, "the page shows; routerctl and the control socket do"},
        {"stats realm", VERDICT_NOT_NEEDED, ""},
        {"stats hide-version", VERDICT_NOT_NEEDED, ""},
        {"stats show-legends", VERDICT_NOT_NEEDED, ""},
        {"stats show-node", VERDICT_NOT_NEEDED, ""},
        {"stats show-desc", VERDICT_NOT_NEEDED, ""},
        {"stats show-modules", VERDICT_NOT_NEEDED, ""},
        {"monitor-uri", VERDICT_DIFFERENCE,
         "/healthz and /readyz of the admin address: they say 503 while it starts and drains"},
        {"monitor fail", VERDICT_DIFFERENCE,
         "/readyz?backends says whether each frontend has a server"},
        {"option dontlog-normal", VERDICT_NOT_NEEDED, ""},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        mark_all(plan, p, pages[i].keyword, pages[i].verdict, pages[i].words);
    }
    struct line *l = exporter(p);
    if (l != NULL) {
        line_mark(plan->source, l, VERDICT_KEPT, NULL);
    }
}

/* A page that anybody may read must be wanted. */
static void write_open(struct plan *plan)
{
    const struct setting *admin = plan_find(&plan->router, "admin");
    bool loopback = admin == NULL || strncmp(admin->value.text, "127.", 4) == 0 ||
                    strncmp(admin->value.text, "[::1]", 5) == 0;
    if (!loopback && plan_find(&plan->router, "admin_user") == NULL) {
        plan_set_text(plan, &plan->router, "admin_open", "yes", NULL);
    }
}

void stats_write(struct plan *plan, const struct proxies *all, const struct parts *parts)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct proxy *p = &all->items[i];
        const struct proxy *pages = pages_of(p, parts);
        if (pages != NULL) {
            write_address(plan, p);
            write_auth(plan, pages);
            mark_all(plan, p, "default_backend", VERDICT_KEPT, "");
            plan_add_source(plan, &plan->router, p->section);
            plan_add_source(plan, &plan->router, pages->section);
        }
        mark_pages(plan, p);
        if (pages == NULL && parts_of(parts, p) != NULL) {
            mark_all(plan, p, "stats enable", VERDICT_DIFFERENCE, ELSEWHERE);
            mark_all(plan, p, "stats uri", VERDICT_DIFFERENCE, ELSEWHERE);
        }
    }
    write_open(plan);
}
