#include "import/plan.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

#define NAME_MAX_LEN 63 /* of a section of router.ini */

/* What router does where a file says nothing. */
static const struct {
    enum plan_kind kind;
    const char *key;
    const char *value;
    long long min;
    long long max; /* 0: any */
} options[] = {
#define ROUTER   PLAN_ROUTER
#define FRONTEND PLAN_FRONTEND
#define BACKEND  PLAN_BACKEND
#define OPTION(section, key, type, member, default_, min, max, ...)                                \
    {section, key, default_, min, max},
#define OPTION_SHARED OPTION
#include "model/options.def"
#undef ROUTER
#undef FRONTEND
#undef BACKEND
#undef OPTION
#undef OPTION_SHARED
};

void plan_make(struct source *s, struct plan *out)
{
    *out = (struct plan){.source = s, .router = {.kind = PLAN_ROUTER, .name = "router"}};
}

static bool is_taken(struct plan_section *const *all, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Letters, digits, "_", "." and "-" are legal, and there must be one. */
const char *plan_legal_name(struct plan *p, const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);
    char *copy =
        arena_copy(&p->source->arena, name, len < NAME_MAX_LEN - 4 ? len : NAME_MAX_LEN - 4);
    for (char *c = copy; *c != '\0'; c++) {
        *c = strchr(legal, *c) != NULL ? *c : '-';
    }
    return copy[0] != '\0' ? copy : "unnamed";
}

struct plan_section *plan_add_section(struct plan *p, enum plan_kind kind, const char *name)
{
    struct arena *a = &p->source->arena;
    bool front = kind == PLAN_FRONTEND;
    struct plan_section ***all = front ? &p->frontends : &p->backends;
    size_t *count = front ? &p->frontend_count : &p->backend_count;
    const char *wanted = plan_legal_name(p, name);
    struct plan_section *section = arena_take(a, sizeof *section);
    *section = (struct plan_section){.kind = kind, .name = wanted};
    for (unsigned n = 2; is_taken(*all, *count, section->name); n++) {
        section->name = arena_print(a, "%s-%u", wanted, n);
    }
    *all = arena_grow(a, *all, *count, sizeof(struct plan_section *));
    (*all)[(*count)++] = section;
    return section;
}

void plan_drop_section(struct plan *p, struct plan_section *section)
{
    bool front = section->kind == PLAN_FRONTEND;
    struct plan_section **all = front ? p->frontends : p->backends;
    size_t *count = front ? &p->frontend_count : &p->backend_count;
    assert(all[*count - 1] == section);
    (*count)--;
    for (size_t i = 0; i < section->source_count; i++) {
        section->sources[i]->told = false;
    }
}

void plan_add_source(struct plan *p, struct plan_section *section, struct section *source)
{
    if (source->told) {
        return; /* a listen is told of with its backend */
    }
    source->told = true;
    section->sources = arena_grow(&p->source->arena, section->sources, section->source_count,
                                  sizeof(struct section *));
    section->sources[section->source_count++] = source;
}

static size_t option_find(const struct plan_section *section, const char *key)
{
    size_t i = 0;
    while (options[i].kind != section->kind || strcmp(options[i].key, key) != 0) {
        i++;
        assert(i < ARRAY_LEN(options));
    }
    return i;
}

bool plan_is_default(const struct plan_section *section, const struct setting *setting)
{
    /* What the environment says may be something else at the next start. */
    return setting->value.reference_count == 0 &&
           strcmp(options[option_find(section, setting->key)].value, setting->value.text) == 0;
}

const struct setting *plan_find(const struct plan_section *section, const char *key)
{
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->settings[i].key, key) == 0) {
            return &section->settings[i];
        }
    }
    return NULL;
}

struct setting *plan_add(struct plan *p, struct plan_section *section, const char *key,
                         struct word value, struct line *l)
{
    section->settings =
        arena_grow(&p->source->arena, section->settings, section->count, sizeof *section->settings);
    struct setting *setting = &section->settings[section->count++];
    *setting = (struct setting){.key = key, .value = value, .line = l};
    if (l != NULL) {
        line_mark(p->source, l, VERDICT_KEPT, NULL);
    }
    return setting;
}

void plan_add_once(struct plan *p, struct plan_section *section, const char *key, struct word value,
                   struct line *l)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *there = &section->settings[i];
        if (strcmp(there->key, key) == 0 && word_is(&value, there->value.text)) {
            line_mark(p->source, l, VERDICT_KEPT, NULL);
            return;
        }
    }
    plan_add(p, section, key, value, l);
}

void plan_set(struct plan *p, struct plan_section *section, const char *key, struct word value,
              struct line *l)
{
    const struct setting *there = plan_find(section, key);
    if (there == NULL) {
        plan_add(p, section, key, value, l);
    } else if (l == NULL) {
        return;
    } else if (word_is(&value, there->value.text)) {
        line_mark(p->source, l, VERDICT_KEPT, NULL);
    } else {
        static const char *const kinds[] = {"", "frontend ", "backend "};
        line_mark(p->source, l, VERDICT_DIFFERENCE, "%s = %s counts for all of [%s%s]", key,
                  there->value.secret ? "***" : there->value.text, kinds[section->kind],
                  section->name);
    }
}

void plan_set_text(struct plan *p, struct plan_section *section, const char *key, const char *value,
                   struct line *l)
{
    plan_set(p, section, key, word_of(p->source, value), l);
}

/* "1500ms", "4s", "30m": as one would write it. */
static const char *duration(struct plan *p, long long ms)
{
    static const struct {
        const char *name;
        long long ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (ms % units[i].ms != 0) {
        i++;
    }
    return ms == 0 ? "0s"
                   : arena_print(&p->source->arena, "%lld%s", ms / units[i].ms, units[i].name);
}

/* Within the bounds of the option; what lies beyond them is told. */
static long long bounded(struct plan *p, const struct plan_section *section, const char *key,
                         long long n, struct line *l)
{
    size_t i = option_find(section, key);
    long long kept = n < options[i].min ? options[i].min : n;
    kept = options[i].max > 0 && kept > options[i].max ? options[i].max : kept;
    if (kept != n && l != NULL) {
        line_mark(p->source, l, VERDICT_DIFFERENCE, "%s: router takes %s at %s", l->words[0].text,
                  key, kept > n ? "least what is written here" : "most what is written here");
    }
    return kept;
}

void plan_set_duration(struct plan *p, struct plan_section *section, const char *key, long long ms,
                       struct line *l)
{
    plan_set_text(p, section, key, duration(p, bounded(p, section, key, ms, l)), l);
}

void plan_set_number(struct plan *p, struct plan_section *section, const char *key, long long n,
                     struct line *l)
{
    n = bounded(p, section, key, n, l);
    plan_set_text(p, section, key, arena_print(&p->source->arena, "%lld", n), l);
}

void plan_lower(struct plan *p, struct plan_section *section, const char *key, long long n,
                bool is_duration, struct line *l)
{
    struct setting *there = (struct setting *)plan_find(section, key);
    n = bounded(p, section, key, n, l);
    const char *text = is_duration ? duration(p, n) : arena_print(&p->source->arena, "%lld", n);
    if (there == NULL) {
        plan_add(p, section, key, word_of(p->source, text), l)->number = n;
        return;
    }
    if (n < there->number) {
        line_mark(p->source, there->line, VERDICT_DIFFERENCE,
                  "%s = %s counts for all of [backend %s]", key, text, section->name);
        there->value = word_of(p->source, text);
        there->number = n;
        there->line = l;
    }
    plan_set(p, section, key, word_of(p->source, text), l);
}
