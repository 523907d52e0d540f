/* The lines of servers. */
#include <stdio.h>
#include <string.h>

#include "import/parts.h"

/* Words behind `server` that are taken over here, in backend.c or in backend_probe.c. */
static const char *const taken[] = {
    "addr",
    "backup",
    "ca-file",
    "check",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "crt",
    "disabled",
    "downinter",
    "fall",
    "fastinter",
    "inter",
    "maxconn",
    "maxqueue",
    "minconn",
    "on-marked-down",
    "on-marked-up",
    "port",
    "rise",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "slowstart",
    "sni",
    "ssl",
    "tcp-ut",
    "track",
    "verify",
    "verifyhost",
    "weight",
};

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (strcmp(taken[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Words that nobody takes over are lost. */
static void mark_words(struct plan *plan, struct line *l, const struct parameters *all)
{
    parameters_mark(plan->source, l, all);
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].verdict == VERDICT_NONE && !is_taken(all->items[i].name)) {
            line_mark(plan->source, l, VERDICT_LOST, "%s: router has no such word",
                      all->items[i].name);
        }
    }
}

static long long number_of(const struct servers *all, const struct server_part *server,
                           const char *name, struct line **l)
{
    const struct parameter *said = server_says(all, server, name, l);
    return said != NULL ? word_number(&said->arguments[0], 0, 100000000) : -1;
}

/* Connections: of all servers the same, or else said of each. */
static bool same_maxconn(const struct servers *all)
{
    long long first = number_of(all, &all->items[0], "maxconn", NULL);
    for (size_t i = 1; i < all->count; i++) {
        if (number_of(all, &all->items[i], "maxconn", NULL) != first) {
            return false;
        }
    }
    return true;
}

static struct word add_text(struct source *s, const struct word *w, const char *text)
{
    struct word more = word_of(s, text);
    return word_join(s, w, " ", &more);
}

/* The one port that clients come to, which HAProxy takes where a server has none; 0: none or
 * several. */
static unsigned clients_port(struct source *s, const struct proxy *p)
{
    unsigned port = 0;
    size_t at = 0;
    for (struct line *l; (l = proxy_next(p, "bind", &at)) != NULL;) {
        struct address_word bound;
        address_word_read(s, line_argument(l, 0), &bound);
        if (bound.first != bound.last || (port != 0 && bound.first != port)) {
            return 0;
        }
        port = bound.first;
    }
    return port;
}

/* The address as router has it; false if it cannot: then the line is lost. */
static bool read_place(struct plan *plan, const struct part *part, const struct server_part *server,
                       struct word *out)
{
    struct source *s = plan->source;
    const struct address_word *at = &server->at;
    bool lacks = place_lacks_port(at);
    unsigned port = lacks ? clients_port(s, part->proxy) : 0;
    const char *why = at->other != NULL                      ? "router connects to no such address"
                      : proxies_listen_at(part->proxies, at) ? "router would be its own client"
                      : at->path.len > 0                     ? NULL
                      : at->offset || at->first != at->last  ? "router's servers have one port"
                      : lacks && port == 0                   ? "the server needs a port here"
                      : at->any                              ? "the server needs an address here"
                      : strncmp(at->host.text, "_", 1) == 0 && server->template
                          ? "router looks up addresses, no SRV records"
                          : NULL;
    if (why != NULL) {
        line_mark(s, server->line, VERDICT_LOST, "%s: %s", server->name.text, why);
        return false;
    }
    *out = address_word_write(s, at, port);
    return true;
}

/* Which of the section's servers has this address already: parts of one group have the same. What
 * is said of it behind the address; NULL: none has. */
static const char *find_place(const struct plan_section *section, const struct word *place)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        const char *behind = strchr(setting->value.text, ' ');
        bool server = strcmp(setting->key, "server") == 0 && behind != NULL;
        if (server && strncmp(behind + 1, place->text, place->len) == 0 &&
            strchr(" ", behind[1 + place->len]) != NULL) {
            return behind + 1 + place->len;
        }
    }
    return NULL;
}

static bool name_is_taken(const struct plan_section *section, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < section->count; i++) {
        const char *value = section->settings[i].value.text;
        bool server = strcmp(section->settings[i].key, "server") == 0;
        if (server && strncmp(value, name, len) == 0 && value[len] == ' ') {
            return true;
        }
    }
    return false;
}

/* Whether the server is no backup for another part of the group: for its readers, say. */
static bool others_use(const struct part *part, const struct server_part *server)
{
    for (const struct part *other = part->next; other != part; other = other->next) {
        for (size_t i = 0; i < other->servers.count; i++) {
            const struct server_part *there = &other->servers.items[i];
            bool active = server_says(&other->servers, there, "backup", NULL) == NULL;
            if (active && strcmp(there->place, server->place) == 0) {
                return true;
            }
        }
    }
    return false;
}

static struct word with_words(struct plan *plan, const struct part *part,
                              const struct server_part *server, struct word value, bool own_maxconn)
{
    struct source *s = plan->source;
    const struct servers *all = &part->servers;
    long long weight = number_of(all, server, "weight", NULL);
    long long maxconn = number_of(all, server, "maxconn", NULL);
    if (weight > 1) {
        value = add_text(s, &value, arena_print(&s->arena, "weight=%lld", weight));
    }
    if (own_maxconn && maxconn > 0) {
        value = add_text(s, &value, arena_print(&s->arena, "server_max_connections=%lld", maxconn));
    }
    bool backup = part->stands_in || server_says(all, server, "backup", NULL) != NULL;
    bool elected = part->roles && part->one_writer; /* whether it is a backup or not */
    if (backup && elected && strcmp(part->route, "primary") != 0) {
        line_mark(s, server->line, VERDICT_DIFFERENCE, "backup: all that have the role are used");
    }
    bool shared = backup && !elected && others_use(part, server);
    if (shared) {
        line_mark(
            s, server->line, VERDICT_DIFFERENCE,
            "backup: it is used as the others are; clients of the same backend need it first");
    } else if (backup && !elected) {
        value = add_text(s, &value, "backup");
    }
    return value;
}

/* HAProxy's names may have ":", and be those of other backends' servers; names that come from the
 * environment are left as they are. */
static struct word legal_name(struct plan *plan, const struct plan_section *section,
                              const struct server_part *server)
{
    if (server->name.reference_count > 0) {
        return server->name;
    }
    const char *legal = plan_legal_name(plan, server->name.text);
    const char *name = legal;
    for (unsigned n = 2; name_is_taken(section, name); n++) {
        name = arena_print(&plan->source->arena, "%s-%u", legal, n);
    }
    if (strcmp(name, server->name.text) != 0) {
        line_mark(plan->source, server->line, VERDICT_DIFFERENCE, "its name is %s here", name);
    }
    return word_of(plan->source, name);
}

/* A name may have several addresses; a template of numbers is the same server many times. */
static bool is_name(const struct address_word *at)
{
    return at->path.len == 0 && (!place_is_number(at) || at->host.reference_count > 0);
}

static void write_server(struct plan *plan, struct plan_section *section, const struct part *part,
                         struct server_part *server, bool own_maxconn)
{
    struct source *s = plan->source;
    struct word place;
    if (!read_place(plan, part, server, &place)) {
        server->lost = true;
        return;
    }
    const char *said = find_place(section, &place);
    if (said != NULL) {
        struct word none = word_of(s, "");
        struct word words = with_words(plan, part, server, none, own_maxconn);
        bool same = word_is(&words, said);
        line_mark(s, server->line, same ? VERDICT_KEPT : VERDICT_DIFFERENCE, "%s%s",
                  same ? "" : "the same server stands above without these words, or with:",
                  same ? "" : said);
        return;
    }
    struct word name = legal_name(plan, section, server);
    bool discovers = server->template && is_name(&server->at);
    struct word value = discovers ? place : word_join(s, &name, " ", &place);
    value = with_words(plan, part, server, value, own_maxconn);
    struct setting *setting =
        plan_add(plan, section, discovers ? "discover" : "server", value, server->line);
    bool disabled = server_says(&part->servers, server, "disabled", NULL) != NULL;
    bool weightless = number_of(&part->servers, server, "weight", NULL) == 0;
    if (disabled || weightless) {
        setting->off = true;
        line_mark(s, server->line, VERDICT_DIFFERENCE, "%s: the server is a comment here",
                  disabled ? "disabled" : "weight 0");
    }
}

/* What is said of the servers and is not quite what router does. */
static void mark_habits(struct plan *plan, const struct part *part,
                        const struct server_part *server)
{
    static const struct {
        const char *name;
        const char *words;
    } habits[] = {
        {"slowstart", "slowstart: a server that is back gets its whole share at once"},
        {"minconn", "minconn: server_max_connections does not change with the load"},
        {"downinter", "downinter: servers that are down are asked as often as others"},
        {"addr", "addr: the address that is served is the one that is probed"},
    };
    struct line *l;
    for (size_t i = 0; i < sizeof habits / sizeof habits[0]; i++) {
        if (server_says(&part->servers, server, habits[i].name, &l) != NULL) {
            line_mark(plan->source, l, VERDICT_DIFFERENCE, "%s", habits[i].words);
        }
    }
    bool primary = part->route != NULL && strcmp(part->route, "primary") == 0;
    if (!primary && server_says(&part->servers, server, "on-marked-up", &l) != NULL) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE,
                  "on-marked-up: sessions on a backup server go on until they end");
    }
    bool checked = server_says(&part->servers, server, "check", NULL) != NULL ||
                   server_says(&part->servers, server, "track", NULL) != NULL;
    if (!checked && part->check.kind != CHECK_NONE) {
        line_mark(plan->source, server->line, VERDICT_DIFFERENCE,
                  "no check: it is probed as the others are, and not used when that fails");
    }
    if (!part->roles && server_says(&part->servers, server, "track", &l) != NULL) {
        line_mark(plan->source, l, VERDICT_DIFFERENCE, "track: the server is probed by itself");
    }
}

static void write_limits(struct plan *plan, struct plan_section *section, const struct part *part)
{
    struct line *l;
    const struct servers *all = &part->servers;
    long long n = number_of(all, &all->items[0], "maxconn", &l);
    if (n > 0 && same_maxconn(all)) {
        plan_set_number(plan, section, "server_max_connections", n, l);
    }
    for (size_t i = 0; i < all->count; i++) {
        n = number_of(all, &all->items[i], "maxqueue", &l);
        if (n > 0) {
            plan_set_number(plan, section, "queue_limit", n, l);
            line_mark(plan->source, l, VERDICT_DIFFERENCE,
                      "maxqueue: the queue is the backend's, not the server's");
        }
    }
}

void backend_write_servers(struct plan *plan, struct plan_section *section, struct part *part)
{
    const struct servers *all = &part->servers;
    bool own_maxconn = !same_maxconn(all);
    for (size_t i = 0; i < all->defaults_count; i++) {
        line_mark(plan->source, all->defaults[i].line, VERDICT_KEPT, NULL);
        mark_words(plan, all->defaults[i].line, &all->defaults[i].own);
    }
    for (size_t i = 0; i < all->count; i++) {
        mark_words(plan, all->items[i].line, &all->items[i].own);
        write_server(plan, section, part, &all->items[i], own_maxconn);
        mark_habits(plan, part, &all->items[i]);
    }
    write_limits(plan, section, part);
}
