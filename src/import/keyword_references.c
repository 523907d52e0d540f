/* What servers say of other sections: who looks up their names, whose checks they follow. What they
 * inherit from defaults is not looked at: HAProxy minds only what a server ends up with. */
#include <string.h>

#include "import/keyword_internal.h"

static bool has_keyword(const struct line *l, const char *name)
{
    return strcmp(l->keyword->name, name) == 0;
}

/* The word behind `name` on a server's line; NULL if there is none that is known by now. */
static const struct word *argument_of(struct source *s, const struct line *l, const char *name)
{
    bool there = false;
    for (size_t i = 0; i < l->count && !there; i++) {
        there = word_is(&l->words[i], name);
    }
    if (!there) {
        return NULL;
    }
    struct parameters all;
    parameters_read(s, l, has_keyword(l, "server") ? 2 : 3, &all);
    const struct parameter *p = parameters_find(&all, name);
    bool known = p != NULL && !p->negated && p->count == 1 && p->arguments[0].reference_count == 0;
    return known ? &p->arguments[0] : NULL;
}

static void check_resolvers(struct source *s, const struct line *l)
{
    char shown[SHOWN_MAX];
    const struct word *name = argument_of(s, l, "resolvers");
    if (name == NULL || word_is(name, "default")) { /* HAProxy makes that one itself */
        return;
    }
    for (size_t i = 0; i < s->section_count; i++) {
        if (s->sections[i]->kind == SECTION_RESOLVERS && word_is(name, s->sections[i]->name)) {
            return;
        }
    }
    source_error(s, l->place, "there are no resolvers \"%s\"", word_shown(name, shown));
}

static const struct section *find_proxy(const struct source *s, const struct word *name)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const struct section *section = s->sections[i];
        if ((section->kind == SECTION_BACKEND || section->kind == SECTION_LISTEN) &&
            word_is(name, section->name)) {
            return section;
        }
    }
    return NULL;
}

/* The names that a server-template makes are not compared: with one, there may be any server. */
static bool may_have_server(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct line *l = section->lines[i];
        if (l->keyword != NULL && (has_keyword(l, "server-template") ||
                                   (has_keyword(l, "server") && line_says(l, 0, name)))) {
            return true;
        }
    }
    return false;
}

/* "track PROXY/SERVER", "track SERVER". */
static void check_track(struct source *s, const struct line *l)
{
    char shown[SHOWN_MAX];
    const struct word *w = argument_of(s, l, "track");
    if (w == NULL) {
        return;
    }
    const char *slash = strchr(w->text, '/');
    const struct section *where = l->section;
    if (slash != NULL) {
        struct word proxy = word_slice(s, w, 0, (size_t)(slash - w->text));
        where = find_proxy(s, &proxy);
    }
    if (where == NULL || !may_have_server(where, slash != NULL ? slash + 1 : w->text)) {
        source_error(s, l->place, "there is no server \"%s\" to track", word_shown(w, shown));
    }
}

void keyword_check_references(struct source *s)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const struct section *section = s->sections[i];
        bool proxy = section->kind == SECTION_BACKEND || section->kind == SECTION_LISTEN;
        for (size_t k = 0; proxy && k < section->count; k++) {
            const struct line *l = section->lines[k];
            if (s->error_count < SOURCE_ERRORS_MAX && l->keyword != NULL &&
                (has_keyword(l, "server") || has_keyword(l, "server-template"))) {
                check_resolvers(s, l);
                check_track(s, l);
            }
        }
    }
}
