/* Names that lines give, and names that they refer to. */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

#define LEGAL "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-"

static bool has_keyword(const struct line *l, const char *name)
{
    return l->keyword != NULL && strcmp(l->keyword->name, name) == 0;
}

static bool is_proxy(const struct section *section)
{
    return section->kind == SECTION_FRONTEND || section->kind == SECTION_BACKEND ||
           section->kind == SECTION_LISTEN;
}

/* Servers -------------------------------------------------------------------------------------- */

/* The servers of the section by name. */
static struct line **list_servers(struct source *s, const struct section *section, size_t *count)
{
    struct line **servers = NULL;
    *count = 0;
    for (size_t i = 0; i < section->count; i++) {
        struct line *l = section->lines[i];
        if (has_keyword(l, "server") && line_argument(l, 0) != NULL) {
            servers = arena_grow(&s->arena, servers, *count, sizeof(struct line *));
            servers[(*count)++] = l;
        }
    }
    if (*count > 0) {
        qsort(servers, *count, sizeof(struct line *), line_compare_names);
    }
    return servers;
}

static bool has_server(struct line *const *servers, size_t count, const struct word *name)
{
    for (size_t i = 0; i < count; i++) {
        if (word_is(name, line_argument(servers[i], 0)->text)) {
            return true;
        }
    }
    return false;
}

static bool has_templates(const struct section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        if (has_keyword(section->lines[i], "server-template")) {
            return true;
        }
    }
    return false;
}

/* What `%[...]` stands for is not known before a client comes. */
static bool is_dynamic(const struct word *w)
{
    return strstr(w->text, "%[") != NULL || w->reference_count > 0;
}

static void check_server_name(struct source *s, const struct line *l)
{
    const struct word *name = line_argument(l, 0);
    char shown[SHOWN_MAX];
    if (name->text[strspn(name->text, LEGAL)] != '\0') {
        source_error(s, l->place,
                     "\"%s\" is no name of a server: it has letters, digits, and any "
                     "of .:_-",
                     word_shown(name, shown));
    }
}

static void check_servers(struct source *s, const struct section *section)
{
    char shown[SHOWN_MAX];
    size_t count;
    struct line **servers = list_servers(s, section, &count);
    for (size_t i = 0; i < count; i++) {
        const struct word *name = line_argument(servers[i], 0);
        check_server_name(s, servers[i]);
        if (i > 0 && word_is(name, line_argument(servers[i - 1], 0)->text)) {
            const struct line *before = servers[i - 1];
            source_error(s, servers[i]->place, "\"%s\" has a server \"%s\" already, at %s:%zu",
                         section->name, word_shown(name, shown), before->place.file,
                         before->place.number);
        }
    }
    bool open = has_templates(section); /* they have names that are made */
    for (size_t i = 0; !open && i < section->count; i++) {
        const struct line *l = section->lines[i];
        const struct word *name = has_keyword(l, "use-server") ? line_argument(l, 0) : NULL;
        if (name != NULL && !is_dynamic(name) && !has_server(servers, count, name)) {
            source_error(s, l->place, "\"%s\" has no server \"%s\"", section->name,
                         word_shown(name, shown));
        }
    }
}

/* Backends ------------------------------------------------------------------------------------- */

/* The names of all backends, sorted. */
struct backends {
    const char **names;
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_backends(struct source *s, struct backends *out)
{
    out->names = arena_take(&s->arena, (s->section_count + 1) * sizeof *out->names);
    for (size_t i = 0; i < s->section_count; i++) {
        if (s->sections[i]->kind == SECTION_BACKEND || s->sections[i]->kind == SECTION_LISTEN) {
            out->names[out->count++] = s->sections[i]->name;
        }
    }
    qsort(out->names, out->count, sizeof *out->names, compare_names);
}

static void check_backend(struct source *s, const struct line *l, const struct backends *backends)
{
    const struct word *name = line_argument(l, 0);
    if (name == NULL || is_dynamic(name) ||
        bsearch(&name->text, backends->names, backends->count, sizeof *backends->names,
                compare_names) != NULL) {
        return;
    }
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    struct nearest near = {.word = word_shown(name, shown)};
    for (size_t i = 0; i < backends->count; i++) {
        nearest_try(&near, backends->names[i]);
    }
    source_error(s, l->place, "there is no backend \"%s\"%s", shown,
                 nearest_words(&near, suggestion));
}

/* The line that counts; NULL if there is none in the section. */
static struct line *find_line(const struct section *section, const char *keyword)
{
    for (size_t i = section->count; i > 0; i--) {
        if (has_keyword(section->lines[i - 1], keyword)) {
            return section->lines[i - 1];
        }
    }
    return NULL;
}

/* The default_backend that a frontend inherits, once for each such line. */
static void check_inherited_backend(struct source *s, const struct section *section,
                                    const struct backends *backends, bool *told)
{
    const struct line *l = find_line(section, "default_backend");
    for (const struct section *from = section->from; l == NULL && from != NULL; from = from->from) {
        l = find_line(from, "default_backend");
    }
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < s->section_count; i++) {
        if (s->sections[i] == l->section && !told[i]) {
            told[i] = true;
            check_backend(s, l, backends);
        }
    }
}

static void check_backends(struct source *s, const struct section *section,
                           const struct backends *backends, bool *told)
{
    if (section->kind != SECTION_FRONTEND && section->kind != SECTION_LISTEN) {
        return;
    }
    for (size_t i = 0; i < section->count && s->error_count < SOURCE_ERRORS_MAX; i++) {
        if (has_keyword(section->lines[i], "use_backend")) {
            check_backend(s, section->lines[i], backends);
        }
    }
    check_inherited_backend(s, section, backends, told);
}

void keyword_check_names(struct source *s)
{
    struct backends backends = {0};
    bool *told = arena_take(&s->arena, s->section_count + 1);
    list_backends(s, &backends);
    for (size_t i = 0; i < s->section_count && s->error_count < SOURCE_ERRORS_MAX; i++) {
        const struct section *section = s->sections[i];
        if (is_proxy(section)) {
            check_servers(s, section);
            check_backends(s, section, &backends, told);
        }
    }
}
