#include "import/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "import/global.h"
#include "import/keyword.h"
#include "import/report.h"
#include "import/settle.h"

struct import {
    struct source source; /* owns what the others point to */
    struct plan plan;
    struct parts parts;
    struct fronts fronts;
    struct text ini;
};

/* What HAProxy looks at: connections, or the requests in them. */
static void mark_modes(struct source *s, const struct proxies *all, const struct parts *parts)
{
    for (size_t i = 0; i < all->count; i++) {
        struct line *l = proxy_find(&all->items[i], "mode");
        const struct part *part = parts_of(parts, &all->items[i]);
        if (l == NULL) {
            continue;
        }
        if (line_says(l, 0, "http") && part != NULL && part->section != NULL) {
            line_mark(s, l, VERDICT_DIFFERENCE,
                      "router looks at connections: all requests of one go to the same server");
        } else if (line_says(l, 0, "http") || line_says(l, 0, "tcp")) {
            line_mark(s, l, VERDICT_KEPT, NULL);
        }
    }
}

static void translate(struct import *i, const struct proxies *all)
{
    plan_make(&i->source, &i->plan);
    parts_make(all, &i->plan, &i->parts);
    fronts_make(all, &i->parts, &i->fronts);
    parts_write(&i->parts);
    fronts_write(&i->fronts, &i->parts);
    global_write(&i->plan, all);
    stats_write(&i->plan, all, &i->parts);
    mark_modes(&i->source, all, &i->parts);
    settle(&i->source, all, &i->parts, &i->plan);
    plan_write(&i->plan, &i->ini);
}

/* What was read becomes what is meant. */
static int finish(struct import *i, int rc, struct import **out)
{
    struct proxies *all = arena_take(&i->source.arena, sizeof *all);
    /* Every mistake is told, as far as it was read. */
    keywords_check(&i->source);
    if (rc == 0 && i->source.error_count == 0) {
        rc = proxies_make(&i->source, all);
    }
    if (rc != 0 || i->source.error_count > 0) {
        import_free(i);
        return -EINVAL;
    }
    translate(i, all);
    *out = i;
    return 0;
}

int import_read(const char *const *paths, size_t count, struct import **out, struct text *errors)
{
    struct import *i = xcalloc(1, sizeof *i);
    return finish(i, source_read(&i->source, paths, count, errors), out);
}

int import_read_bytes(const char *path, const char *bytes, size_t len, struct import **out,
                      struct text *errors)
{
    struct import *i = xcalloc(1, sizeof *i);
    return finish(i, source_read_bytes(&i->source, path, bytes, len, errors), out);
}

void import_free(struct import *i)
{
    if (i == NULL) {
        return;
    }
    source_free(&i->source);
    if (i->ini.data != NULL) {
        wipe(i->ini.data, i->ini.capacity);
    }
    text_free(&i->ini);
    free(i);
}

const char *import_text(const struct import *i)
{
    return i->ini.data;
}

bool import_wants_account(const struct import *i)
{
    return i->plan.wants_account;
}

bool import_lost(const struct import *i)
{
    return report_count(&i->source, VERDICT_LOST) > 0;
}

void import_report(const struct import *i, bool json, struct text *out)
{
    if (json) {
        report_json(&i->source, out);
    } else {
        report_text(&i->source, out);
    }
}

void import_report_lost(const struct import *i, struct text *out)
{
    report_lost(&i->source, out);
}

/* Routes ------------------------------------------------------------------------------------------
 */

struct telling {
    void (*each)(void *context, const struct import_route *route);
    void *context;
};

/* What router.ini calls the server with this address; NULL: it has none. */
static const char *our_name(struct source *s, const struct plan_section *backend,
                            const struct server_part *server)
{
    for (size_t i = 0; i < backend->count; i++) {
        const struct setting *setting = &backend->settings[i];
        size_t name = strcspn(setting->value.text, " ");
        const char *behind = setting->value.text + name;
        size_t len = behind[0] != '\0' ? strcspn(behind + 1, " ") : 0;
        bool same = strlen(server->place) == len && strncmp(server->place, behind + 1, len) == 0;
        if (strcmp(setting->key, "server") == 0 && same && !setting->off) {
            return arena_copy(&s->arena, setting->value.text, name);
        }
    }
    return NULL;
}

static void tell_part(const struct import *i, const struct front *f, const struct part *part,
                      const struct telling *t)
{
    struct source *s = i->plan.source;
    for (size_t k = 0; k < part->servers.count; k++) {
        const struct server_part *server = &part->servers.items[k];
        struct import_route route = {
            .frontend = f->section->name,
            .backend = part->proxy->section->name,
            .server = server->name.text,
            .ours = our_name(s, part->section, server),
        };
        t->each(t->context, &route);
    }
}

/* By default, or by one of the names in TLS hellos. */
static bool leads_to(const struct import *i, const struct front *f, const struct part *part)
{
    const struct part *main = f->part;
    bool same_route =
        part->route != NULL && main->route != NULL && strcmp(part->route, main->route) == 0;
    bool leads = part == main || (part->section == main->section && same_route);
    for (size_t k = 0; k < f->sni.count; k++) {
        leads = leads || parts_find(&i->parts, f->sni.entries[k].backend) == part;
    }
    return leads && part->used && part->section != NULL;
}

void import_each_route(const struct import *i,
                       void (*each)(void *context, const struct import_route *route), void *context)
{
    const struct telling t = {each, context};
    for (size_t n = 0; n < i->fronts.count; n++) {
        const struct front *f = &i->fronts.items[n];
        for (size_t k = 0; f->section != NULL && k < i->parts.count; k++) {
            if (leads_to(i, f, &i->parts.items[k])) {
                tell_part(i, f, &i->parts.items[k], &t);
            }
        }
    }
}

const char *import_socket(const struct import *i, size_t n)
{
    const struct plan_section *r = &i->plan.router;
    for (size_t k = 0; k < r->count; k++) {
        const char *value = r->settings[k].value.text;
        if (strcmp(r->settings[k].key, "control") == 0 && n-- == 0) {
            return arena_copy(&i->plan.source->arena, value, strcspn(value, " "));
        }
    }
    return NULL;
}
