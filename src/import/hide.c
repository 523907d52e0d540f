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

/* What proves who a client is: a header, a parameter. */
static bool names_proof(const struct word *w)
{
    static const char *const names[] = {"authorization", "api-key", "apikey",
                                        "password",      "secret",  "token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasestr(w->text, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* A check that logs in: in clear, or in hexadecimal digits. */
static bool logs_in(const struct word *w)
{
    return strcasestr(w->text, "auth") != NULL || strcasestr(w->text, "hello") != NULL ||
           strcasestr(w->text, "41555448") != NULL || strcasestr(w->text, "61757468") != NULL ||
           names_proof(w);
}

/* `http-request set-header Authorization "Bearer ..."`, `{ req.hdr(authorization) -m str ... }`. */
static void hide_proofs(struct line *l)
{
    bool behind = false;
    size_t from = l->keyword_words + word_is(&l->words[0], "acl"); /* its name may be anything */
    for (size_t i = from; i < l->count; i++) {
        struct word *w = &l->words[i];
        if (word_is(w, "if") || word_is(w, "unless") || word_is(w, "}")) {
            behind = false;
        } else if (behind && w->text[0] != '-') {
            w->secret = true;
        } else {
            behind = behind || names_proof(w);
        }
    }
}

void keyword_hide_secrets(struct line *l)
{
    const char *name = l->keyword->name;
    bool sends = strncmp(name, "tcp-check", 9) == 0 || strncmp(name, "http-check", 10) == 0 ||
                 strcmp(name, "option httpchk") == 0 || strncmp(name, "external-check", 14) == 0;
    if (strcmp(name, "stats auth") == 0) {
        for (size_t i = l->keyword_words; i < l->count; i++) {
            l->words[i].secret = true;
        }
    }
    if (!sends && (strncmp(name, "http-", 5) == 0 || strncmp(name, "tcp-", 4) == 0 ||
                   strcmp(name, "acl") == 0 || strcmp(name, "use_backend") == 0)) {
        hide_proofs(l);
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
