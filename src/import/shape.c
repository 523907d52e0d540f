#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "import/keyword_internal.h"

/* One argument of a shape: a letter, or words to choose from. */
struct item {
    char letter; /* '(': choices */
    const char *choices;
    size_t choices_len;
};

/* Takes the next one off; letter '\0' at the end. */
static struct item next_item(const char **shape)
{
    struct item item = {.letter = **shape};
    if (item.letter == '(') {
        item.choices = *shape + 1;
        item.choices_len = strcspn(item.choices, ")");
        *shape += item.choices_len + 1;
    }
    *shape += **shape != '\0';
    return item;
}

size_t shape_length(const char *shape)
{
    size_t n = 0;
    for (struct item i = next_item(&shape); i.letter != '\0'; i = next_item(&shape)) {
        n += i.letter != '?' && i.letter != '*';
    }
    return n;
}

static bool chooses(const struct item *item, const struct word *w)
{
    const char *at = item->choices;
    const char *end = at + item->choices_len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t len = (size_t)((comma != NULL ? comma : end) - at);
        if (w->len == len && memcmp(w->text, at, len) == 0) {
            return true;
        }
        at += len + 1;
    }
    return false;
}

static const char *words_of(const struct item *item, char out[SHOWN_MAX * 4])
{
    switch (item->letter) {
    case 'n':
        return "a number";
    case 'N':
        return "a number above 0";
    case 'W':
        return "a number from 0 to 256";
    case 't':
    case 's':
        return "a time (as 500ms, 30s, 5m)";
    case 'T':
        return "a time above 0 (as 500ms, 30s, 5m)";
    case 'o':
        return "on or off";
    case '(':
        snprintf(out, SHOWN_MAX * 4, "one of %.*s", (int)item->choices_len, item->choices);
        return out;
    default:
        return "a word";
    }
}

/* A number as HAProxy reads it: bytes that are no digits end it, unless they come first. */
static bool is_number(const struct word *w, long long least)
{
    return word_number(w, least, 4294967295LL) >= least;
}

static bool fits(const struct item *item, const struct word *w)
{
    switch (item->letter) {
    case 'n':
        return is_number(w, 0);
    case 'N':
        return is_number(w, 1);
    case 'W':
        return !is_number(w, 257); /* what is no number counts as 0 */
    case 't':
        return word_milliseconds(w, 1000) >= 0;
    case 'T':
        return word_milliseconds(w, 1000) > 0;
    case 's':
        return word_milliseconds(w, 1000000) >= 0;
    case 'o':
        return word_is(w, "on") || word_is(w, "off");
    case '(':
        return chooses(item, w);
    default:
        return true;
    }
}

/* What it will be is not known before it runs: the variable was not set when the file was read. */
static bool is_open(const struct word *w)
{
    for (size_t i = 0; i < w->reference_count; i++) {
        if (w->references[i].len == 0) {
            return true;
        }
    }
    return false;
}

/* `if` or `unless`, or nothing at all; HAProxy takes an empty condition too. */
static bool check_condition(struct source *s, const struct line *l, const char *name,
                            const struct word *arguments, size_t count)
{
    char shown[SHOWN_MAX];
    if (count == 0) {
        return true;
    }
    if (!word_is(&arguments[0], "if") && !word_is(&arguments[0], "unless")) {
        source_error(s, l->place, "\"%s\" wants \"if\" or \"unless\", not \"%s\"", name,
                     word_shown(&arguments[0], shown));
        return false;
    }
    return true;
}

static bool check_item(struct source *s, const struct line *l, const char *name,
                       const struct item *item, struct word *w)
{
    char shown[SHOWN_MAX];
    char words[SHOWN_MAX * 4];
    w->secret = w->secret || item->letter == 'x';
    if (is_open(w) || fits(item, w)) {
        return true;
    }
    source_error(s, l->place, "\"%s\" wants %s, not \"%s\"", name, words_of(item, words),
                 word_shown(w, shown));
    return false;
}

bool shape_check(struct source *s, const struct line *l, const char *name, const char *shape,
                 struct word *arguments, size_t count)
{
    char words[SHOWN_MAX * 4];
    char shown[SHOWN_MAX];
    bool optional = false;
    size_t at = 0;
    for (struct item i = next_item(&shape); i.letter != '\0'; i = next_item(&shape)) {
        if (i.letter == '*') {
            return true;
        }
        if (i.letter == 'c') {
            return check_condition(s, l, name, arguments + at, count - at);
        }
        if (i.letter == '?') {
            optional = true;
            continue;
        }
        bool missing = at >= count || (arguments[at].len == 0 && !is_open(&arguments[at]));
        if (missing && optional) {
            return true;
        }
        if (missing) {
            source_error(s, l->place, "%s is missing behind \"%s\"", words_of(&i, words), name);
            return false;
        }
        if (!check_item(s, l, name, &i, &arguments[at++])) {
            return false;
        }
    }
    if (at < count && arguments[at].len > 0) {
        source_error(s, l->place, "\"%s\" is too much behind \"%s\"",
                     word_shown(&arguments[at], shown), name);
        return false;
    }
    return true;
}
