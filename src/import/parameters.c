/* The rows are few and the words of a line too: they are compared one by one. */
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

enum { SERVER = 1, DEFAULT = 2, BIND = 4, NO = 8, ONLY_NO = 16 };

#define TAKEN(name_, where_, shape_)                                                               \
    {.name = name_, .where = where_, .verdict = VERDICT_NONE, .shape = shape_},
#define PARAMETER(name_, where_, shape_, verdict_, words_)                                         \
    {.name = name_,                                                                                \
     .where = where_,                                                                              \
     .verdict = VERDICT_##verdict_,                                                                \
     .words = words_,                                                                              \
     .shape = shape_},
const struct parameter_row parameter_table[] = {
#include "import/parameters.def"
};
#undef TAKEN
#undef PARAMETER

const size_t parameter_count = ARRAY_LEN(parameter_table);

/* Which kind of line it is, and where its parameters begin; 0: it has none. */
static unsigned kind_of(const struct line *l, size_t *at)
{
    static const struct {
        const char *keyword;
        unsigned kind;
        size_t at;
    } kinds[] = {{"server", SERVER, 2},          {"default-server", DEFAULT, 0},
                 {"server-template", SERVER, 3}, {"bind", BIND, 1},
                 {"stats socket", BIND, 1},      {"default-bind", BIND, 0},
                 {"dgram-bind", BIND, 1}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(l->keyword->name, kinds[i].keyword) == 0) {
            *at = kinds[i].at;
            return kinds[i].kind;
        }
    }
    return 0;
}

/* The row of a word; *negated: it is there with `no-` before it. NULL: no row has this name and may
 * stand in such a line. */
static const struct parameter_row *find_row(const struct word *w, unsigned kind, bool *negated)
{
    size_t len = strcspn(w->text, "(");
    for (size_t i = 0; i < parameter_count; i++) {
        const struct parameter_row *row = &parameter_table[i];
        size_t name_len = strlen(row->name);
        if ((row->where & kind) == 0 || (w->text[0] != row->name[0] && w->text[0] != 'n')) {
            continue;
        }
        if (len == name_len && memcmp(w->text, row->name, len) == 0 &&
            (row->where & ONLY_NO) == 0) {
            *negated = false;
            return row;
        }
        if (len == name_len + 3 && memcmp(w->text, "no-", 3) == 0 &&
            memcmp(w->text + 3, row->name, name_len) == 0 && (row->where & (NO | ONLY_NO)) != 0) {
            *negated = true;
            return row;
        }
    }
    return NULL;
}

static void tell_unknown(struct source *s, const struct line *l, const struct word *w,
                         unsigned kind)
{
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    bool negated;
    word_shown(w, shown);
    if (kind == DEFAULT && find_row(w, SERVER, &negated) != NULL) {
        source_error(s, l->place, "\"%s\" may not stand in \"default-server\"", shown);
        return;
    }
    struct nearest near = {.word = shown};
    for (size_t i = 0; i < parameter_count; i++) {
        if ((parameter_table[i].where & kind) != 0) {
            nearest_try(&near, parameter_table[i].name);
        }
    }
    source_error(s, l->place, "\"%s\" does not know \"%s\"%s", l->keyword->name, shown,
                 nearest_words(&near, suggestion));
}

void parameters_check(struct source *s, struct line *l)
{
    size_t at;
    unsigned kind = kind_of(l, &at);
    at += l->keyword_words;
    while (kind != 0 && at < l->count) {
        struct word *w = &l->words[at];
        bool negated;
        const struct parameter_row *row = find_row(w, kind, &negated);
        if (row == NULL) {
            tell_unknown(s, l, w, kind);
            return;
        }
        size_t room = l->count - at - 1;
        size_t wants = negated ? 0 : shape_length(row->shape);
        if (!negated &&
            !shape_check(s, l, row->name, row->shape, w + 1, wants < room ? wants : room)) {
            return;
        }
        at += 1 + wants;
    }
}

void parameters_read(struct source *s, const struct line *l, size_t at, struct parameters *out)
{
    size_t behind;
    unsigned kind = kind_of(l, &behind);
    *out = (struct parameters){0};
    at += l->keyword_words;
    while (at < l->count) {
        bool negated;
        const struct parameter_row *row = find_row(&l->words[at], kind, &negated);
        if (row == NULL) {
            at++;
            continue;
        }
        size_t room = l->count - at - 1;
        size_t wants = negated ? 0 : shape_length(row->shape);
        out->items = arena_grow(&s->arena, out->items, out->count, sizeof *out->items);
        out->items[out->count++] = (struct parameter){
            .name = row->name,
            .negated = negated,
            .arguments = &l->words[at + 1],
            .count = wants < room ? wants : room,
            .verdict = row->verdict,
            .words = row->words,
        };
        at += 1 + wants;
    }
}

const struct parameter *parameters_find(const struct parameters *all, const char *name)
{
    for (size_t i = all->count; i > 0; i--) {
        if (strcmp(all->items[i - 1].name, name) == 0) {
            return &all->items[i - 1];
        }
    }
    return NULL;
}

void parameters_mark(struct source *s, struct line *l, const struct parameters *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct parameter *p = &all->items[i];
        if (p->verdict == VERDICT_NONE) {
            continue;
        }
        if (p->negated && p->verdict > VERDICT_NOT_NEEDED) {
            line_mark(s, l, VERDICT_NOT_NEEDED, "no-%s: it takes something back", p->name);
        } else {
            line_mark(s, l, p->verdict, "%s%s: %s", p->negated ? "no-" : "", p->name, p->words);
        }
    }
}
