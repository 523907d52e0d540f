/* Section headers: which there are, what may stand behind them, and which defaults a section
 * inherits. HAProxy's configuration manual 3.2, chapters 3 to 12; `from`: chapter 4. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "import/reading.h"

enum name_rule {
    NAME_NEEDED = 1 << 0, /* there must be one */
    NAME_LEGAL = 1 << 1,  /* of letters, digits, '-', '_' and '.' */
    NAME_ONCE = 1 << 2,   /* no other section of this kind has it */
    NAME_ALONE = 1 << 3,  /* nothing stands behind it */
    NAME_NONE = 1 << 4    /* there is no name */
};

#define NAME_PLAIN (NAME_NEEDED | NAME_LEGAL | NAME_ONCE)

static const struct section_type {
    const char *keyword;
    enum section_kind kind;
    unsigned rules;
} types[] = {{"global", SECTION_GLOBAL, NAME_NONE | NAME_ALONE},
             {"defaults", SECTION_DEFAULTS, 0},
             {"frontend", SECTION_FRONTEND, NAME_NEEDED | NAME_LEGAL},
             {"backend", SECTION_BACKEND, NAME_NEEDED | NAME_LEGAL},
             {"listen", SECTION_LISTEN, NAME_NEEDED | NAME_LEGAL},
             {"peers", SECTION_PEERS, NAME_PLAIN | NAME_ALONE},
             {"resolvers", SECTION_RESOLVERS, NAME_PLAIN},
             {"userlist", SECTION_USERLIST, NAME_NEEDED | NAME_LEGAL | NAME_ALONE},
             {"mailers", SECTION_OTHER, NAME_PLAIN},
             {"cache", SECTION_OTHER, NAME_NEEDED | NAME_ONCE | NAME_ALONE},
             {"program", SECTION_OTHER, NAME_NEEDED | NAME_ONCE | NAME_ALONE},
             {"ring", SECTION_OTHER, NAME_PLAIN},
             {"log-forward", SECTION_OTHER, NAME_PLAIN | NAME_ALONE},
             {"log-profile", SECTION_OTHER, NAME_PLAIN | NAME_ALONE},
             {"http-errors", SECTION_OTHER, NAME_PLAIN},
             {"fcgi-app", SECTION_OTHER, NAME_PLAIN | NAME_ALONE},
             {"crt-store", SECTION_OTHER, NAME_ALONE},
             {"acme", SECTION_OTHER, NAME_NEEDED | NAME_ONCE | NAME_ALONE},
             {"healthcheck", SECTION_OTHER, NAME_PLAIN | NAME_ALONE},
             {"traces", SECTION_OTHER, NAME_NONE},
             {"namespace_list", SECTION_OTHER, NAME_NONE}};

static const struct section_type *type_find(const struct word *w)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (word_is(w, types[i].keyword)) {
            return &types[i];
        }
    }
    return NULL;
}

/* A byte for an error's text. */
static char shown(char c)
{
    return isprint((unsigned char)c) ? c : '?';
}

/* The first byte that a name must not have; NULL if there is none. */
static const char *illegal(const char *name)
{
    while (isalnum((unsigned char)*name) || (*name != '\0' && strchr("._-:", *name) != NULL)) {
        name++;
    }
    return *name != '\0' ? name : NULL;
}

/* The newest one before this with the same keyword and name; NULL if there is none. */
static struct section *section_before(const struct source *s, const char *keyword, const char *name)
{
    for (size_t i = s->section_count; i-- > 0;) {
        struct section *other = s->sections[i];
        if (strcmp(other->name, name) == 0 && word_is(&other->header->words[0], keyword)) {
            return other;
        }
    }
    return NULL;
}

/* Two proxies must not have one name if both accept connections, or both have servers. */
static struct section *proxy_before(const struct source *s, enum section_kind kind,
                                    const char *name)
{
    for (size_t i = 0; i < s->section_count; i++) {
        struct section *other = s->sections[i];
        bool both = kind == SECTION_LISTEN
                        ? other->kind == SECTION_FRONTEND || other->kind == SECTION_BACKEND
                        : other->kind == SECTION_LISTEN;
        if ((both || other->kind == kind) && strcmp(other->name, name) == 0) {
            return other;
        }
    }
    return NULL;
}

static bool is_proxy(enum section_kind kind)
{
    return kind == SECTION_FRONTEND || kind == SECTION_BACKEND || kind == SECTION_LISTEN;
}

/* What must not have the same name; NULL if there is nothing. Proxies and defaults share their
 * names with log-forward sections, which are proxies inside. */
static struct section *clash(const struct source *s, const struct section_type *t, const char *name)
{
    bool forwards = strcmp(t->keyword, "log-forward") == 0;
    struct section *other = t->rules & NAME_ONCE ? section_before(s, t->keyword, name) : NULL;
    if (other == NULL && is_proxy(t->kind)) {
        other = proxy_before(s, t->kind, name);
    }
    if (other == NULL && (is_proxy(t->kind) || t->kind == SECTION_DEFAULTS)) {
        other = section_before(s, "log-forward", name);
    }
    static const char *const proxies[] = {"frontend", "backend", "listen"};
    for (size_t i = 0; forwards && other == NULL && i < ARRAY_LEN(proxies); i++) {
        other = section_before(s, proxies[i], name);
    }
    return other;
}

static void check_name(struct reading *r, const struct section_type *t, const struct line *l,
                       const char *name)
{
    struct source *s = r->source;
    if ((t->rules & NAME_NEEDED) && name[0] == '\0') {
        source_error(s, l->place, "'%s' expects a name", t->keyword);
        r->stopped = true;
        return;
    }
    const char *bad = illegal(name);
    if ((t->rules & NAME_LEGAL) && bad != NULL) {
        source_error(s, l->place, "character '%c' is not permitted in '%s' name '%s'", shown(*bad),
                     t->keyword, name);
    }
    const struct section *other = name[0] != '\0' ? clash(s, t, name) : NULL;
    if (other != NULL) {
        source_error(s, l->place, "%s '%s' has the same name as %s '%s' declared at %s:%zu",
                     t->keyword, name, other->header->words[0].text, name,
                     other->header->place.file, other->header->place.number);
    }
}

/* What stands behind the name: nothing, or "from NAME". */
static void check_arguments(struct reading *r, const struct section_type *t, const struct line *l)
{
    size_t most = t->rules & NAME_NONE ? 1 : 2;
    if ((t->rules & NAME_ALONE) && l->count > most) {
        source_error(r->source, l->place, "'%s' cannot handle unexpected argument '%s'", t->keyword,
                     l->words[most].text);
    } else if (is_proxy(t->kind) && l->count > 2 &&
               (l->count != 4 || !word_is(&l->words[2], "from"))) {
        source_error(r->source, l->place,
                     "'%s' cannot handle unexpected argument '%s': addresses belong to 'bind'",
                     t->keyword, l->words[l->count > 4 ? 4 : 2].text);
    }
}

/* The place of "from" in the header of a proxy or of defaults; 0 if it is not there. */
static size_t from_at(const struct section *section)
{
    const struct line *l = section->header;
    size_t at = section->kind == SECTION_DEFAULTS && section->name[0] == '\0' ? 1 : 2;
    return l->count > at && word_is(&l->words[at], "from") ? at : 0;
}

static size_t count_defaults(const struct source *s, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < s->section_count; i++) {
        const struct section *other = s->sections[i];
        count += other->kind == SECTION_DEFAULTS && strcmp(other->name, name) == 0;
    }
    return count;
}

static void inherit_named(struct reading *r, struct section *section, const char *name)
{
    struct source *s = r->source;
    struct place at = section->header->place;
    section->from = section_before(s, "defaults", name);
    if (section->from == NULL || name[0] == '\0') {
        source_error(s, at, "defaults section '%s' not found", name);
        r->stopped = true;
        return;
    }
    section->from->named = true;
    if (count_defaults(s, name) > 1) {
        source_error(s, at, "ambiguous defaults section name '%s': there are several", name);
    }
    const char *bad = illegal(name);
    if (bad != NULL) {
        source_error(s, at, "character '%c' is not permitted in defaults section name '%s'",
                     shown(*bad), name);
    }
}

/* Call before the section is among the others. */
static void inherit(struct reading *r, struct section *section)
{
    if (section->kind != SECTION_DEFAULTS && !is_proxy(section->kind)) {
        return;
    }
    size_t at = from_at(section);
    if (at > 0) {
        const struct line *l = section->header;
        inherit_named(r, section, l->count > at + 1 ? l->words[at + 1].text : "");
    } else if (section->kind != SECTION_DEFAULTS) {
        section->from = r->defaults;
    }
}

/* Defaults may be there again with the same name, unless somebody said `from` about them. */
static void check_defaults(struct reading *r, const struct section *section)
{
    struct section *other =
        section->name[0] != '\0' ? section_before(r->source, "defaults", section->name) : NULL;
    if (other != NULL && other->named) {
        source_error(r->source, section->header->place,
                     "defaults '%s' was declared at %s:%zu and is referred to: it cannot be "
                     "replaced",
                     section->name, other->header->place.file, other->header->place.number);
        r->stopped = true;
    }
}

static const char *header_name(const struct section_type *t, const struct line *l)
{
    bool none = (t->rules & NAME_NONE) || l->count < 2 ||
                (t->kind == SECTION_DEFAULTS && l->count == 3 && word_is(&l->words[1], "from"));
    return none ? "" : l->words[1].text;
}

static void section_begin(struct reading *r, const struct section_type *t, struct line *l)
{
    struct source *s = r->source;
    if (s->section_count == SOURCE_SECTIONS_MAX) {
        source_error(s, l->place, "more than %d sections", SOURCE_SECTIONS_MAX);
        r->stopped = true;
        return;
    }
    struct section *section = arena_take(&s->arena, sizeof *section);
    section->kind = t->kind;
    section->header = l;
    section->name = header_name(t, l);
    l->section = section;
    check_name(r, t, l, section->name);
    check_arguments(r, t, l);
    if (t->kind == SECTION_DEFAULTS) {
        check_defaults(r, section);
    }
    inherit(r, section);
    s->sections = arena_grow(&s->arena, s->sections, s->section_count, sizeof(struct section *));
    s->sections[s->section_count++] = section;
    r->section = section;
    if (t->kind == SECTION_DEFAULTS) {
        r->defaults = section;
    }
}

void sections_line(struct reading *r, struct line *l)
{
    struct source *s = r->source;
    const struct section_type *t = type_find(&l->words[0]);
    if (t != NULL) {
        section_begin(r, t, l);
        return;
    }
    struct section *section = r->section;
    if (section == NULL) {
        source_error(s, l->place, "unknown keyword '%s' out of section", l->words[0].text);
        return;
    }
    l->section = section;
    section->lines = arena_grow(&s->arena, section->lines, section->count, sizeof(struct line *));
    section->lines[section->count++] = l;
    if (word_is(&l->words[0], "server") && ++r->servers > SOURCE_SERVERS_MAX) {
        source_error(s, l->place, "more than %d servers", SOURCE_SERVERS_MAX);
        r->stopped = true;
    }
    if (section->kind == SECTION_GLOBAL && environment_line(&r->environment, l) && l->count > 2) {
        l->words[2].secret = true; /* what setenv says may be one */
    }
}
