#include "import/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "import/keyword.h"

static bool has_keyword(const struct line *l, const char *keyword)
{
    return l->keyword != NULL && strcmp(l->keyword->name, keyword) == 0;
}

static void add_line(struct proxy *p, struct line *l)
{
    p->lines = arena_grow(&p->source->arena, p->lines, p->count, sizeof(struct line *));
    p->lines[p->count++] = l;
}

/* Those of the section and, before them, of what it inherits. */
static void add_lines(struct proxy *p, const struct section *section)
{
    if (section->from != NULL) {
        add_lines(p, section->from);
    }
    for (size_t i = 0; i < section->count; i++) {
        add_line(p, section->lines[i]);
    }
}

static int compare_acls(const void *a, const void *b)
{
    const struct acl *one = a;
    const struct acl *other = b;
    int names = strcmp(one->name, other->name);
    return names != 0 ? names : one->order < other->order ? -1 : 1;
}

static void sort_acls(struct proxy *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct line *l = p->lines[i];
        if (l->count < 2 || !word_is(&l->words[0], "acl")) {
            continue;
        }
        p->acls = arena_grow(&p->source->arena, p->acls, p->acl_count, sizeof *p->acls);
        p->acls[p->acl_count++] = (struct acl){.name = l->words[1].text, .line = l, .order = i};
    }
    if (p->acl_count > 1) {
        qsort(p->acls, p->acl_count, sizeof *p->acls, compare_acls);
    }
}

static bool is_proxy(const struct section *section)
{
    return section->kind == SECTION_FRONTEND || section->kind == SECTION_BACKEND ||
           section->kind == SECTION_LISTEN;
}

/* How many lines it would have. */
static size_t weigh(const struct section *section)
{
    return section->count + (section->from != NULL ? weigh(section->from) : 0);
}

static void make(struct source *s, struct section *section, struct proxy *p)
{
    *p = (struct proxy){
        .source = s,
        .section = section,
        .front = section->kind != SECTION_BACKEND,
        .back = section->kind != SECTION_FRONTEND,
    };
    add_lines(p, section);
    sort_acls(p);
    for (size_t i = 0; i < p->count; i++) {
        bool off = has_keyword(p->lines[i], "disabled");
        p->disabled = off || (p->disabled && !has_keyword(p->lines[i], "enabled"));
    }
    struct line *mode = proxy_find(p, "mode");
    p->http = mode != NULL && line_says(mode, 0, "http");
}

/* "a:80,b:80" are several. */
static void add_bound(struct source *s, struct proxies *out, const struct word *w)
{
    for (size_t at = 0; at < w->len;) {
        size_t len = strcspn(w->text + at, ",");
        struct word one = word_slice(s, w, at, len);
        out->bound = arena_grow(&s->arena, out->bound, out->bound_count, sizeof *out->bound);
        address_word_read(s, &one, &out->bound[out->bound_count++]);
        at += len + 1;
    }
}

static void gather_bound(struct source *s, struct proxies *out)
{
    for (size_t i = 0; i < out->count; i++) {
        size_t at = 0;
        for (struct line *l; (l = proxy_next(&out->items[i], "bind", &at)) != NULL;) {
            add_bound(s, out, line_argument(l, 0));
        }
    }
}

/* A backend of router's has an end as well. */
static int check_servers(struct source *s, const struct section *section)
{
    size_t count = 0;
    for (size_t i = 0; i < section->count; i++) {
        struct line *l = section->lines[i];
        count += has_keyword(l, "server");
        if (count > PROXY_SERVERS_MAX) {
            source_error(s, l->place, "more than %d servers in a backend", PROXY_SERVERS_MAX);
            return -EINVAL;
        }
    }
    return 0;
}

int proxies_make(struct source *s, struct proxies *out)
{
    size_t weight = 0;
    *out = (struct proxies){0};
    out->items = arena_take(&s->arena, (s->section_count + 1) * sizeof *out->items);
    for (size_t i = 0; i < s->section_count; i++) {
        if (!is_proxy(s->sections[i])) {
            continue;
        }
        weight += weigh(s->sections[i]);
        if (weight > PROXY_LINES_MAX) {
            source_error(s, s->sections[i]->header->place,
                         "too much is inherited from defaults: more than %d lines in all",
                         PROXY_LINES_MAX);
            return -EINVAL;
        }
        if (check_servers(s, s->sections[i]) != 0) {
            return -EINVAL;
        }
        make(s, s->sections[i], &out->items[out->count++]);
    }
    gather_bound(s, out);
    return 0;
}

static bool is_local(const struct address_word *a)
{
    return strncmp(a->host.text, "127.", 4) == 0 || word_is(&a->host, "localhost") ||
           word_is(&a->host, "[::1]");
}

bool proxies_listen_at(const struct proxies *all, const struct address_word *server)
{
    for (size_t i = 0; i < all->bound_count; i++) {
        const struct address_word *b = &all->bound[i];
        bool path = server->path.len > 0 && word_is(&b->path, server->path.text);
        bool port = server->first > 0 && b->first <= server->first && server->first <= b->last;
        bool host = word_is(&b->host, server->host.text) || (b->any && is_local(server));
        if (path || (port && host)) {
            return true;
        }
    }
    return false;
}

struct proxy *proxies_find(const struct proxies *all, const char *name, bool back)
{
    for (size_t i = 0; i < all->count; i++) {
        struct proxy *p = &all->items[i];
        if ((back ? p->back : p->front) && strcmp(p->section->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

struct line *proxy_find(const struct proxy *p, const char *keyword)
{
    for (size_t i = p->count; i > 0; i--) {
        struct line *l = p->lines[i - 1];
        if (has_keyword(l, keyword)) {
            return l->negated || l->defaulted ? NULL : l;
        }
    }
    return NULL;
}

struct line *proxy_next(const struct proxy *p, const char *keyword, size_t *at)
{
    while (*at < p->count) {
        struct line *l = p->lines[(*at)++];
        if (has_keyword(l, keyword)) {
            return l;
        }
    }
    return NULL;
}
