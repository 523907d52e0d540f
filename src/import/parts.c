#include "import/parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a part is ---------------------------------------------------------------------------------
 */

static bool sticks_to_one(const struct proxy *p)
{
    struct line *balance = proxy_find(p, "balance");
    struct line *stick = proxy_find(p, "stick on");
    return (balance != NULL && line_says(balance, 0, "first")) ||
           (stick != NULL && line_says(stick, 0, "dst"));
}

static const char *route_of(const struct part *part)
{
    static const char *const words[] = {
        [CHECK_WANTS_ANY] = "any",
        [CHECK_WANTS_PRIMARY] = "primary",
        [CHECK_WANTS_REPLICA] = "replica",
    };
    bool asks = part->check.kind == CHECK_REDIS_ROLE || part->check.kind == CHECK_PATRONI;
    if (asks || part->check.wants != CHECK_WANTS_ANY) {
        return words[part->check.wants];
    }
    /* A check that asks for no role: who is used first is meant to be written to. */
    return part->one_writer ? "primary" : "any";
}

static bool is_galera(const struct check *check)
{
    return check->kind == CHECK_CLUSTERCHECK ||
           (check->topology != NULL && strcmp(check->topology, "galera") == 0);
}

static void judge(struct part *part)
{
    static const char *const protocols[] = {
        [CHECK_REDIS_ROLE] = "redis",   [CHECK_REDIS_PING] = "redis",
        [CHECK_PATRONI] = "pgsql",      [CHECK_PGSQL_LOGIN] = "pgsql",
        [CHECK_CLUSTERCHECK] = "mysql", [CHECK_MYSQL_LOGIN] = "mysql",
        [CHECK_MYSQL_ROLE] = "mysql",   [CHECK_UNKNOWN] = NULL,
    };
    const char *known = protocols[part->check.kind];
    part->one_writer = servers_are_one(&part->servers) || sticks_to_one(part->proxy);
    part->protocol = known != NULL ? known : part->proxy->http ? "http" : "tcp";
    /* Several servers that all answer PING may have nothing to do with each other. */
    part->roles = known != NULL && (part->check.kind != CHECK_REDIS_PING || part->one_writer);
    part->readers_only = part->check.wants == CHECK_WANTS_REPLICA &&
                         !is_galera(&part->check); /* whose nodes are all alike to it */
    part->route = part->roles ? route_of(part) : known != NULL ? "any" : NULL;
}

/* Groups ------------------------------------------------------------------------------------------
 */

static struct part *group_of(struct part *part)
{
    while (part->group != part) {
        part = part->group;
    }
    return part;
}

void parts_watch(struct parts *all, struct part *of, struct part *sentinels)
{
    struct part *group = group_of(of);
    for (size_t i = 0; i < group->watcher_count; i++) {
        if (group->watchers[i] == sentinels) {
            return;
        }
    }
    group->watchers = arena_grow(&all->plan->source->arena, group->watchers, group->watcher_count,
                                 sizeof(struct part *));
    group->watchers[group->watcher_count++] = sentinels;
}

void parts_join(struct parts *all, struct part *a, struct part *b)
{
    a = group_of(a);
    b = group_of(b);
    if (a == b) {
        return;
    }
    struct part *next = a->next; /* two rings become one */
    a->next = b->next;
    b->next = next;
    struct part *first = a < b ? a : b; /* the first of the file speaks for all */
    struct part *other = a < b ? b : a;
    other->group = first;
    for (size_t i = 0; i < other->watcher_count; i++) {
        parts_watch(all, first, other->watchers[i]);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The addresses of its servers in one text, whatever their order. */
static const char *address_key(struct source *s, const struct part *part)
{
    const struct servers *all = &part->servers;
    const char **texts = arena_take(&s->arena, (all->count + 1) * sizeof *texts);
    size_t len = 1;
    for (size_t i = 0; i < all->count; i++) {
        texts[i] = all->items[i].place;
        len += strlen(texts[i]) + 1;
    }
    qsort(texts, all->count, sizeof *texts, compare_texts);
    char *key = arena_take(&s->arena, len);
    char *end = key;
    for (size_t i = 0; i < all->count; i++) {
        end = stpcpy(end, texts[i]);
        end = stpcpy(end, " ");
    }
    return key;
}

/* What a backend of router's says to all of its servers. */
static bool speak_alike(const struct part *a, const struct part *b)
{
    static const char *const words[] = {"ssl", "send-proxy", "send-proxy-v2"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        bool one = server_says(&a->servers, &a->servers.items[0], words[i], NULL) != NULL;
        bool other = server_says(&b->servers, &b->servers.items[0], words[i], NULL) != NULL;
        if (one != other) {
            return false;
        }
    }
    return true;
}

static void join_same(struct source *s, struct parts *all)
{
    const char **keys = arena_take(&s->arena, (all->count + 1) * sizeof *keys);
    for (size_t i = 0; i < all->count; i++) {
        keys[i] = all->items[i].roles ? address_key(s, &all->items[i]) : NULL;
        for (size_t k = 0; keys[i] != NULL && k < i; k++) {
            bool same = keys[k] != NULL && strcmp(keys[i], keys[k]) == 0;
            if (same && strcmp(all->items[i].protocol, all->items[k].protocol) == 0 &&
                speak_alike(&all->items[i], &all->items[k])) {
                parts_join(all, &all->items[k], &all->items[i]);
            }
        }
    }
}

/* Servers that follow others' checks are what those are. */
static void follow_tracks(struct parts *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct part *part = &all->items[i];
        const struct parameter *track =
            server_says(&part->servers, &part->servers.items[0], "track", NULL);
        if (part->check.kind != CHECK_NONE || track == NULL) {
            continue;
        }
        const struct word *w = &track->arguments[0];
        size_t len = strcspn(w->text, "/");
        struct part *other = parts_find(all, arena_copy(&all->plan->source->arena, w->text, len));
        part->check.kind = CHECK_CONNECT;
        if (w->text[len] == '/' && other != NULL && other != part) {
            part->check = other->check;
        }
        judge(part);
    }
}

/* Servers whose check goes to the Sentinel on the same machine: both are there. */
static void find_sentinels_beside(struct parts *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct part *part = &all->items[i];
        const struct parameter *said =
            server_says(&part->servers, &part->servers.items[0], "port", NULL);
        long long port = part->check.port;
        if (port == 0 && said != NULL) {
            port = word_number(&said->arguments[0], 1, 65535);
        }
        if (part->check.kind == CHECK_SENTINEL && port > 0 &&
            (unsigned)port != part->servers.items[0].at.first) {
            part->sentinel_port = (unsigned)port;
            part->check.kind = CHECK_REDIS_ROLE;
            part->check.wants = CHECK_WANTS_PRIMARY;
            judge(part);
            parts_watch(all, part, part);
        }
    }
}

void parts_make(const struct proxies *proxies, struct plan *plan, struct parts *out)
{
    struct source *s = plan->source;
    *out = (struct parts){.proxies = proxies, .plan = plan};
    out->items = arena_take(&s->arena, (proxies->count + 1) * sizeof *out->items);
    for (size_t i = 0; i < proxies->count; i++) {
        struct part *part = &out->items[out->count];
        if (!proxies->items[i].back || proxies->items[i].disabled) {
            continue;
        }
        *part = (struct part){
            .proxy = &proxies->items[i], .group = part, .next = part, .proxies = proxies};
        servers_read(part->proxy, &part->servers);
        if (part->servers.count > 0) {
            check_understand(part->proxy, &part->check);
            judge(part);
            out->count++;
        }
    }
    follow_tracks(out);
    find_sentinels_beside(out);
    join_same(s, out);
}

struct part *parts_of(const struct parts *all, const struct proxy *p)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].proxy == p) {
            return &all->items[i];
        }
    }
    return NULL;
}

struct part *parts_find(const struct parts *all, const char *name)
{
    const struct proxy *p = proxies_find(all->proxies, name, true);
    return p != NULL ? parts_of(all, p) : NULL;
}

/* Names -------------------------------------------------------------------------------------------
 */

static bool is_joint(char c)
{
    return c == '-' || c == '_' || c == '.' || c == '\0';
}

/* How much of both is the same, up to where a word ends in both. */
static size_t common_words(const char *a, const char *b, size_t len)
{
    size_t same = 0;
    while (same < len && a[same] == b[same] && a[same] != '\0') {
        same++;
    }
    while (same > 0 && !(is_joint(a[same]) && is_joint(b[same]))) {
        same--;
    }
    return same;
}

static const char *family_name(const struct part *part)
{
    return strcmp(part->protocol, "pgsql") == 0 ? "postgres" : part->protocol;
}

/* Of one it is its own name; of several what their names have in common, but for those that only
 * stand in for others. */
static const char *group_name(struct parts *all, struct part *group)
{
    const char *name = NULL;
    size_t len = 0;
    size_t parts = 0;
    struct part *part = group;
    do {
        const char *own = part->proxy->section->name;
        if (part->used && !part->stands_in) {
            len = name == NULL ? strlen(own) : common_words(name, own, len);
            name = name == NULL ? own : name;
            parts++;
        }
        part = part->next;
    } while (part != group);
    return len >= 2 || parts == 1 ? arena_copy(&all->plan->source->arena, name, len)
                                  : family_name(group);
}

/* Backends ----------------------------------------------------------------------------------------
 */

static bool group_used(const struct parts *all, struct part *group)
{
    for (size_t i = 0; i < all->count; i++) {
        if (group_of(&all->items[i]) == group && all->items[i].used) {
            return true;
        }
    }
    return false;
}

/* A backend needs a server: one that is lost, or only a comment, is none. */
static bool has_server(const struct plan_section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        bool server = strcmp(setting->key, "server") == 0 || strcmp(setting->key, "discover") == 0;
        if (server && !setting->off) {
            return true;
        }
    }
    return false;
}

static void write_group(struct parts *all, struct part *group)
{
    struct plan_section *section =
        plan_add_section(all->plan, PLAN_BACKEND, group_name(all, group));
    plan_set_text(all->plan, section, "protocol", group->protocol, group->check.line);
    struct part *part = group;
    do {
        part->section = section;
        plan_add_source(all->plan, section, part->proxy->section);
        backend_write(all->plan, section, part);
        part = part->next;
    } while (part != group);
    backend_write_sentinels(all->plan, section, group);
    if (!has_server(section)) {
        plan_drop_section(all->plan, section);
        do {
            part->section = NULL;
            line_mark(all->plan->source, part->proxy->section->header, VERDICT_LOST,
                      "no server is left in it");
            part = part->next;
        } while (part != group);
    }
}

void parts_write(struct parts *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct part *group = &all->items[i];
        if (group->group == group && group_used(all, group)) {
            write_group(all, group);
        }
    }
}
