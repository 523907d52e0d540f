#include <string.h>

#include "import/keyword_internal.h"

/* Modes ---------------------------------------------------------------------------------------- */

/* The mode that counts in this section: its own, or what it inherits. tcp if nobody says one. */
static bool is_http(const struct section *section)
{
    for (; section != NULL; section = section->from) {
        for (size_t i = section->count; i > 0; i--) {
            const struct line *l = section->lines[i - 1];
            if (l->keyword != NULL && strcmp(l->keyword->name, "mode") == 0) {
                return line_says(l, 0, "http");
            }
        }
    }
    return false;
}

/* For each section whether its lines have to do with HTTP: those of defaults if they have where
 * they are inherited. */
static bool *find_http(struct source *s)
{
    bool *http = arena_take(&s->arena, s->section_count + 1);
    for (size_t i = 0; i < s->section_count; i++) {
        const struct section *section = s->sections[i];
        bool proxy = (keyword_place(section) & IN_PROXIES & ~IN_DEFAULTS) != 0;
        if (!proxy || !is_http(section)) {
            continue;
        }
        http[i] = true;
        const struct section *from = section->from;
        for (size_t k = i; from != NULL && k > 0; k--) {
            if (s->sections[k - 1] == from) {
                http[k - 1] = true;
                from = from->from;
            }
        }
    }
    return http;
}

/* TLS ------------------------------------------------------------------------------------------ */

static bool line_uses_tls(const struct line *l)
{
    for (size_t i = 1; i < l->count; i++) {
        if (word_is(&l->words[i], "ssl") || word_is(&l->words[i], "check-ssl")) {
            return true;
        }
    }
    return false;
}

static bool uses_tls(const struct source *s)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const struct section *section = s->sections[i];
        for (size_t j = 0; j < section->count; j++) {
            if ((keyword_place(section) & IN_PROXIES) != 0 && line_uses_tls(section->lines[j])) {
                return true;
            }
        }
    }
    return false;
}

/* Lines ---------------------------------------------------------------------------------------- */

static void mark(struct source *s, struct line *l, bool http, bool tls)
{
    const struct keyword *k = l->keyword;
    unsigned place = keyword_place(l->section);
    bool lost = k->verdict == VERDICT_LOST || k->verdict == VERDICT_DIFFERENCE;
    if ((k->places & place) == 0) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "HAProxy ignores it in a section %s",
                  l->section->header->words[0].text);
    } else if ((k->places & KEYWORD_HTTP) != 0 && !http) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "HAProxy ignores it in mode tcp");
    } else if ((k->places & KEYWORD_TLS) != 0 && !tls) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "nothing here uses TLS");
    } else if (lost && (l->negated || l->defaulted)) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "it takes something back");
    } else if (k->verdict != VERDICT_NONE) {
        line_mark(s, l, k->verdict, "%s", k->words);
    }
}

/* The section's own line, where none of its lines is anybody else's. */
static void mark_header(struct source *s, struct section *section)
{
    switch (section->kind) {
    case SECTION_PEERS:
        line_mark(s, section->header, VERDICT_NOT_NEEDED,
                  "what router sticks by is computed, there is no table to exchange");
        break;
    case SECTION_RESOLVERS:
        line_mark(s, section->header, VERDICT_NOT_NEEDED,
                  "names are asked of the system's resolver");
        break;
    case SECTION_USERLIST:
    case SECTION_OTHER:
        line_mark(s, section->header, VERDICT_NOT_NEEDED, "the lines that use it are told");
        break;
    default:
        break;
    }
}

void keyword_mark_verdicts(struct source *s)
{
    bool tls = uses_tls(s);
    const bool *http = find_http(s);
    for (size_t i = 0; i < s->section_count; i++) {
        struct section *section = s->sections[i];
        mark_header(s, section);
        for (size_t j = 0; j < section->count; j++) {
            if (section->lines[j]->keyword != NULL) {
                mark(s, section->lines[j], http[i], tls);
            }
        }
    }
}
