/* Conditions: each acl that they name must be there, each test in braces must be one. */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

/* Those that are there without an acl line. */
static const char *const predefined[] = {
    "FALSE",        "HTTP",         "HTTP_1.0",       "HTTP_1.1",      "HTTP_2.0",  "HTTP_3.0",
    "HTTP_CONTENT", "HTTP_URL_ABS", "HTTP_URL_SLASH", "HTTP_URL_STAR", "LOCALHOST", "METH_CONNECT",
    "METH_DELETE",  "METH_GET",     "METH_HEAD",      "METH_OPTIONS",  "METH_POST", "METH_PUT",
    "METH_TRACE",   "RDP_COOKIE",   "REQ_CONTENT",    "TRUE",          "WAIT_END"};

/* The keywords that may end in a condition. */
static const char *const ruled[] = {"tcp-request connection",
                                    "tcp-request session",
                                    "tcp-request content",
                                    "tcp-response content",
                                    "http-request",
                                    "http-response",
                                    "http-after-response",
                                    "redirect",
                                    "use_backend",
                                    "use-server",
                                    "force-persist",
                                    "ignore-persist",
                                    "stick on",
                                    "stick match",
                                    "stick store-request",
                                    "stick store-response",
                                    "stats admin",
                                    "stats http-request",
                                    "monitor fail",
                                    "force-be-switch"};

static bool is_ruled(const struct line *l)
{
    for (size_t i = 0; l->keyword != NULL && i < ARRAY_LEN(ruled); i++) {
        if (strcmp(l->keyword->name, ruled[i]) == 0) {
            return (l->keyword->places & keyword_place(l->section)) != 0;
        }
    }
    return false;
}

/* The index of the word behind the last `if` or `unless`; 0 if there is none. */
static size_t condition_at(const struct line *l)
{
    for (size_t i = l->count; i > l->keyword_words; i--) {
        if (word_is(&l->words[i - 1], "if") || word_is(&l->words[i - 1], "unless")) {
            return i;
        }
    }
    return 0;
}

/* The acl lines of one section, by name and then by place: big files have thousands. */
struct acls {
    const struct line **items;
    size_t count;
};

static void list_acls(struct source *s, const struct section *section, struct acls *out)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct line *l = section->lines[i];
        if (l->keyword != NULL && strcmp(l->keyword->name, "acl") == 0 &&
            line_argument(l, 0) != NULL) {
            out->items = arena_grow(&s->arena, out->items, out->count, sizeof(struct line *));
            out->items[out->count++] = l;
        }
    }
    if (out->count > 0) {
        qsort(out->items, out->count, sizeof(struct line *), line_compare_names);
    }
}

/* The first line with this name; NULL if there is none. */
static const struct line *find_acl(const struct acls *acls, const char *name)
{
    size_t low = 0;
    size_t high = acls->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(line_argument(acls->items[middle], 0)->text, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < acls->count && line_says(acls->items[low], 0, name);
    return found ? acls->items[low] : NULL;
}

static bool is_predefined(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(predefined); i++) {
        if (strcmp(predefined[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void tell_no_acl(struct source *s, const struct line *l, const struct acls *acls,
                        const char *name)
{
    struct word word = word_of(s, name);
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    struct nearest near = {.word = word_shown(&word, shown)};
    for (size_t i = 0; i < acls->count; i++) {
        nearest_try(&near, line_argument(acls->items[i], 0)->text);
    }
    source_error(s, l->place, "there is no acl \"%s\"%s", shown, nearest_words(&near, suggestion));
}

/* What is there for the rules of a section: its own acls, and what it inherits. */
static bool check_acl(struct source *s, const struct line *l, const struct acls *acls,
                      const char *name)
{
    char shown[SHOWN_MAX];
    const struct line *first = find_acl(&acls[0], name);
    if (is_predefined(name) || (first != NULL && first->place.number < l->place.number) ||
        find_acl(&acls[1], name) != NULL) {
        return true;
    }
    if (first != NULL) {
        struct word word = word_of(s, name);
        source_error(s, l->place, "the acl \"%s\" is used before its line, %zu",
                     word_shown(&word, shown), first->place.number);
    } else {
        tell_no_acl(s, l, acls, name);
    }
    return false;
}

/* A test in braces that begins at word `i`; returns the index behind it, 0 if it is wrong. */
static size_t check_test(struct source *s, const struct line *l, size_t i)
{
    size_t end = i + 1;
    while (end < l->count && !word_is(&l->words[end], "}")) {
        end++;
    }
    if (end == l->count || end == i + 1) {
        source_error(s, l->place, end == l->count ? "a } is missing" : "there is nothing in { }");
        return 0;
    }
    return fetch_check(s, l, &l->words[i + 1]) ? end + 1 : 0;
}

static void check_condition(struct source *s, const struct line *l, const struct acls *acls)
{
    size_t i = condition_at(l);
    while (i > 0 && i < l->count) {
        const struct word *w = &l->words[i];
        const char *name = w->text + strspn(w->text, "!");
        if (strcmp(name, "{") == 0) {
            i = check_test(s, l, i);
            continue;
        }
        bool joins = *name == '\0' || word_is(w, "or") || word_is(w, "||");
        if (!joins && !check_acl(s, l, acls, name)) {
            return;
        }
        i++;
    }
}

void conditions_check(struct source *s, const struct section *section)
{
    struct acls acls[2] = {{0}, {0}};
    list_acls(s, section, &acls[0]);
    for (const struct section *from = section->from; from != NULL; from = from->from) {
        list_acls(s, from, &acls[1]);
    }
    for (size_t i = 0; i < section->count && s->error_count < SOURCE_ERRORS_MAX; i++) {
        if (is_ruled(section->lines[i])) {
            check_condition(s, section->lines[i], acls);
        }
    }
}
