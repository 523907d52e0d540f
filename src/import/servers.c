#include "import/servers.h"

#include <string.h>

static void read_server(struct source *s, struct line *l, bool template, struct server_part *out)
{
    static const struct word nothing = {.text = ""};
    const struct word *at = line_argument(l, template ? 2 : 1);
    *out = (struct server_part){.line = l, .name = *line_argument(l, 0), .template = template};
    address_word_read(s, at != NULL ? at : &nothing, &out->at);
    out->place = address_word_write(s, &out->at, 0).text;
    parameters_read(s, l, template ? 3 : 2, &out->own);
}

static bool is_keyword(const struct line *l, const char *name)
{
    return l->keyword != NULL && strcmp(l->keyword->name, name) == 0;
}

void servers_read(const struct proxy *p, struct servers *out)
{
    struct arena *a = &p->source->arena;
    *out = (struct servers){0};
    for (size_t i = 0; i < p->count; i++) {
        struct line *l = p->lines[i];
        bool template = is_keyword(l, "server-template");
        if (template || is_keyword(l, "server")) {
            out->items = arena_grow(a, out->items, out->count, sizeof *out->items);
            read_server(p->source, l, template, &out->items[out->count++]);
        } else if (is_keyword(l, "default-server")) {
            out->defaults =
                arena_grow(a, out->defaults, out->defaults_count, sizeof *out->defaults);
            struct defaults_part *d = &out->defaults[out->defaults_count++];
            d->line = l;
            parameters_read(p->source, l, 0, &d->own);
        }
    }
}

const struct parameter *server_says(const struct servers *all, const struct server_part *server,
                                    const char *name, struct line **l)
{
    const struct parameter *said = parameters_find(&server->own, name);
    struct line *at = server->line;
    for (size_t i = all->defaults_count; said == NULL && i > 0; i--) {
        said = parameters_find(&all->defaults[i - 1].own, name);
        at = all->defaults[i - 1].line;
    }
    if (said == NULL || said->negated) {
        return NULL;
    }
    if (l != NULL) {
        *l = at;
    }
    return said;
}

bool servers_are_one(const struct servers *all)
{
    size_t active = 0;
    for (size_t i = 0; i < all->count; i++) {
        active += server_says(all, &all->items[i], "backup", NULL) == NULL;
    }
    return active == 1 && !all->items[0].template;
}
