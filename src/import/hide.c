/* Which words of a line are secrets, wherever it stands and whether anybody understands it. */
#include <string.h>
#include <strings.h>

#include "import/keyword_internal.h"

/* What stands behind a word: `user me password $6$...`. */
static void hide_behind(struct line *l, size_t from, const char *word)
{
    for (size_t i = from; i + 1 < l->count; i++) {
        if (word_is(&l->words[i], word)) {
            l->words[i + 1].secret = true;
        }
    }
}

/* A check that logs in: in clear, or in hexadecimal digits. */
static bool logs_in(const struct word *w)
{
    return strcasestr(w->text, "auth") != NULL || strcasestr(w->text, "hello") != NULL ||
           strcasestr(w->text, "41555448") != NULL || strcasestr(w->text, "61757468") != NULL;
}

void keyword_hide_secrets(struct line *l)
{
    const char *name = l->keyword->name;
    bool sends = strncmp(name, "tcp-check", 9) == 0 || strncmp(name, "http-check", 10) == 0;
    if (strcmp(name, "stats auth") == 0) {
        for (size_t i = l->keyword_words; i < l->count; i++) {
            l->words[i].secret = true;
        }
    }
    if (strcmp(name, "user") == 0) {
        hide_behind(l, l->keyword_words, "password");
        hide_behind(l, l->keyword_words, "insecure-password");
    }
    for (size_t i = 1; sends && i < l->count; i++) {
        bool header = i > 1 && word_is(&l->words[i - 2], "hdr") && logs_in(&l->words[i - 1]);
        l->words[i].secret = l->words[i].secret || header || logs_in(&l->words[i]);
    }
}
