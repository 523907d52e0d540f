/* The words of a line are compared with those rows of the table that begin with its first word; the
 * longest that may stand in its section is its keyword. */
#include "import/keyword.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

#define BUCKETS  256
#define ROWS_MAX 1024

/* Rows by the first word of their names. */
struct finder {
    uint16_t first[BUCKETS]; /* 1 + index in keyword_table, 0: none */
    uint16_t next[ROWS_MAX];
};

unsigned keyword_place(const struct section *section)
{
    static const struct {
        const char *name;
        unsigned place;
    } others[] = {{"cache", IN_CACHE},
                  {"program", IN_PROGRAM},
                  {"mailers", IN_MAILERS},
                  {"ring", IN_RING},
                  {"log-forward", IN_LOG_FORWARD},
                  {"http-errors", IN_HTTP_ERRORS},
                  {"fcgi-app", IN_FCGI_APP},
                  {"crt-store", IN_CRT_STORE},
                  {"traces", IN_TRACES},
                  {"log-profile", IN_LOG_PROFILE},
                  {"acme", IN_ACME},
                  {"namespace_list", IN_NAMESPACES}};
    if (section->kind != SECTION_OTHER) {
        return 1u << section->kind;
    }
    for (size_t i = 0; i < ARRAY_LEN(others) && section->header->count > 0; i++) {
        if (word_is(&section->header->words[0], others[i].name)) {
            return others[i].place;
        }
    }
    return IN_OTHER;
}

const char *word_shown(const struct word *w, char out[SHOWN_MAX])
{
    static const char more[] = "...";
    size_t len = 0;
    size_t at = 0;
    for (; !w->secret && at < w->len && len < SHOWN_MAX - sizeof more; at++) {
        unsigned char c = (unsigned char)w->text[at];
        out[len++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    snprintf(out + len, SHOWN_MAX - len, "%s", w->secret ? "***" : at < w->len ? more : "");
    return out;
}

static size_t bucket_of(const char *text, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    }
    return h % BUCKETS;
}

static void make_finder(struct finder *f)
{
    _Static_assert(ROWS_MAX < UINT16_MAX, "rows are kept in 16 bits");
    *f = (struct finder){0};
    for (size_t i = keyword_count; i > 0; i--) {
        const char *name = keyword_table[i - 1].name;
        uint16_t *first = &f->first[bucket_of(name, strcspn(name, " "))];
        f->next[i - 1] = *first;
        *first = (uint16_t)i;
    }
}

/* Whether the word is the first `len` bytes of `name`, or is that with a bracket behind it, where
 * those are the last ones: "set-var(check.x)". */
static bool is_part(const struct word *w, const char *name, size_t len)
{
    bool bracket = name[len] == '\0' && w->len > len && w->text[len] == '(';
    return (w->len == len || bracket) && memcmp(w->text, name, len) == 0;
}

/* How many words the keyword has, if the line begins with it; else 0. */
static size_t begins_with(const struct line *l, const char *name)
{
    for (size_t n = 0; n < l->count; n++) {
        size_t len = strcspn(name, " ");
        if (!is_part(&l->words[n], name, len)) {
            return 0;
        }
        if (name[len] == '\0') {
            return n + 1;
        }
        name += len + 1;
    }
    return 0;
}

/* The longest keyword of the line that may stand in one of `places`; NULL if there is none. */
static const struct keyword *find(const struct finder *f, const struct line *l, unsigned places,
                                  size_t *words)
{
    const struct keyword *found = NULL;
    *words = 0;
    size_t i = f->first[bucket_of(l->words[0].text, l->words[0].len)];
    for (; i > 0; i = f->next[i - 1]) {
        const struct keyword *k = &keyword_table[i - 1];
        size_t n = (k->places & places) != 0 ? begins_with(l, k->name) : 0;
        if (n > *words) {
            found = k;
            *words = n;
        }
    }
    return found;
}

/* What it was probably meant to be: of keywords with several words as many are compared. */
static void suggest(const struct line *l, unsigned place, char out[SUGGESTION_MAX])
{
    char two[SHOWN_MAX * 2 + 2];
    char first[SHOWN_MAX];
    char second[SHOWN_MAX];
    word_shown(&l->words[0], first);
    snprintf(two, sizeof two, "%s %s", first, l->count > 1 ? word_shown(&l->words[1], second) : "");
    struct nearest one_word = {.word = first};
    struct nearest two_words = {.word = two};
    for (size_t i = 0; i < keyword_count; i++) {
        if ((keyword_table[i].places & place) != 0) {
            const char *name = keyword_table[i].name;
            nearest_try(strchr(name, ' ') == NULL ? &one_word : &two_words, name);
        }
    }
    bool two_are_nearer = one_word.best == NULL ||
                          (two_words.best != NULL && two_words.distance <= one_word.distance);
    nearest_words(two_are_nearer ? &two_words : &one_word, out);
}

static const char *section_word(const struct section *section)
{
    return section->header->count > 0 ? section->header->words[0].text : "";
}

/* Whether keywords of this place begin so that have a second word: "option", "timeout". */
static bool is_family(const struct word *first, unsigned place)
{
    for (size_t i = 0; i < keyword_count; i++) {
        const char *name = keyword_table[i].name;
        size_t len = strcspn(name, " ");
        if ((keyword_table[i].places & place) != 0 && name[len] == ' ' && len == first->len &&
            memcmp(name, first->text, len) == 0) {
            return true;
        }
    }
    return false;
}

static void tell_unknown(struct source *s, const struct line *l, const struct keyword *elsewhere,
                         unsigned place)
{
    char shown[SHOWN_MAX];
    char second[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    bool family = is_family(&l->words[0], place);
    if (elsewhere != NULL && (!family || strchr(elsewhere->name, ' ') != NULL)) {
        source_error(s, l->place, "\"%s\" may not stand in a section %s", elsewhere->name,
                     section_word(l->section));
        return;
    }
    suggest(l, place, suggestion);
    word_shown(&l->words[0], shown);
    if (family && l->count == 1) {
        source_error(s, l->place, "\"%s\" wants one more word", shown);
        return;
    }
    source_error(s, l->place, "unknown keyword \"%s%s%s\" in a section %s%s", shown,
                 family ? " " : "", family ? word_shown(&l->words[1], second) : "",
                 section_word(l->section), suggestion);
}

/* Of a section that nobody knows. */
static const struct keyword stranger = {.name = "",
                                        .places = IN_OTHER,
                                        .verdict = VERDICT_LOST,
                                        .words = "router does not know this section",
                                        .shape = "*"};

static void check_arguments(struct source *s, struct line *l)
{
    const struct keyword *k = l->keyword;
    if ((l->negated || l->defaulted) && (k->places & KEYWORD_NO) == 0) {
        source_error(s, l->place, "\"%s\" may not stand before \"%s\"",
                     l->negated ? "no" : "default", k->name);
        return;
    }
    size_t count = l->count - l->keyword_words;
    if (l->negated || l->defaulted) {
        return;
    }
    if (shape_check(s, l, k->name, k->shape, l->words + l->keyword_words, count)) {
        keyword_check_values(s, l);
        parameters_check(s, l);
    }
}

static void check_line(const struct finder *f, struct source *s, struct line *l)
{
    if (l->count == 0) {
        return;
    }
    unsigned place = keyword_place(l->section);
    size_t words;
    const struct keyword *k = place == IN_OTHER ? &stranger : find(f, l, place, &words);
    if (k == &stranger) {
        words = 0;
    }
    if (k == NULL && (place & (IN_PROXIES & ~IN_DEFAULTS)) != 0) {
        k = find(f, l, IN_PROXIES, &words);
        k = k != NULL && (k->places & KEYWORD_SOFT) != 0 ? k : NULL;
    }
    if (k == NULL) {
        size_t ignored;
        tell_unknown(s, l, find(f, l, ~0u, &ignored), place);
        return;
    }
    l->keyword = k;
    l->keyword_words = words;
    keyword_hide_secrets(l);
    if ((k->places & place) != 0) { /* else HAProxy looks no further */
        check_arguments(s, l);
    }
}

void keywords_check(struct source *s)
{
    struct finder f;
    make_finder(&f);
    for (size_t i = 0; i < s->section_count; i++) {
        size_t count = s->sections[i]->count;
        /* HAProxy, too, gives up then. */
        for (size_t j = 0; j < count && s->error_count < SOURCE_ERRORS_MAX; j++) {
            check_line(&f, s, s->sections[i]->lines[j]);
        }
        conditions_check(s, s->sections[i]);
    }
    /* HAProxy looks at what lines say of each other when each by itself is right. */
    if (s->error_count == 0) {
        keyword_check_names(s);
        keyword_check_references(s);
    }
    keyword_mark_verdicts(s);
}
