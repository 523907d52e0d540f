/* Usages are followed word by word: "set server <b>/<s> state [ready|drain]" says what may stand
 * behind "set server b/s state". The same for our verbs' and for the lines of the router's help. */
#include "routerctl/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "base/mem.h"
#include "routerctl/ctl.h"
#include "routerctl/verbs.h"
#include "routerctl/views.h"

#define PATIENCE_MS 1000
#define TYPED_MAX   16
#define OFFERED_MAX (1U << 18) /* bytes */

static const char *const options[] = {
    "--socket", "--json", "--timeout", "--follow", "--lines", "--yes", "--version", "--help",
};

struct completion {
    struct ctl ctl;
    const char *typed[TYPED_MAX]; /* without options; the last is the one under way */
    size_t count;
    struct text offered; /* owned: "\nword\nword\n" */
    struct json names;   /* owned, with its bytes: asked for when they are needed */
    struct text name_bytes;
    bool asked;
    bool dead; /* nobody answers: it is not tried again */
};

/* The shell puts what is offered on a line that is run: only what means nothing to it. */
static bool is_harmless(const char *word)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "._:/@%+-";
    return word[0] != '\0' && word[strspn(word, harmless)] == '\0';
}

static void offer(struct completion *c, const char *word)
{
    const char *begun = c->typed[c->count - 1];
    struct text line = {0};
    text_add(&line, "\n%s\n", word);
    if (strncmp(word, begun, strlen(begun)) == 0 && is_harmless(word) &&
        c->offered.len < OFFERED_MAX && strstr(c->offered.data, line.data) == NULL) {
        text_add(&c->offered, "%s\n", word);
    }
    text_free(&line);
}

/* Names ------------------------------------------------------------------------------------- */

static const struct json_node *list_of(struct completion *c, const char *what)
{
    if (!c->asked && !c->dead) {
        c->asked = true;
        if (ctl_ask_json(&c->ctl, "show json", JSON_OBJECT, &c->names, &c->name_bytes) !=
            EXIT_DONE) {
            json_free(&c->names);
        }
    }
    return view_list(&c->names, what);
}

static void offer_names(struct completion *c, const char *what)
{
    const struct json_node *n = list_of(c, what);
    for (; n != NULL; n = json_next(&c->names, n)) {
        offer(c, json_string(&c->names, n, "name", ""));
    }
}

static void offer_servers(struct completion *c)
{
    const struct json *j = &c->names;
    for (const struct json_node *b = list_of(c, "backends"); b != NULL; b = json_next(j, b)) {
        const struct json_node *s = json_first(j, json_member(j, b, "servers"));
        for (; s != NULL; s = json_next(j, s)) {
            struct text word = {0};
            text_add(&word, "%s/%s", json_string(j, b, "name", ""), json_string(j, s, "name", ""));
            offer(c, word.data);
            text_free(&word);
        }
    }
}

/* Usages ------------------------------------------------------------------------------------ */

/* A word of a usage, without the brackets that say that it may be left out. */
struct usage_word {
    char words[64];
    bool any;     /* stands for a value: <b>/<s>, BACKEND */
    bool shorter; /* ... of which a part may do: BACKEND[/SERVER] */
};

static bool take_usage_word(const char **rest, struct usage_word *w)
{
    const char *at = *rest + strspn(*rest, " ");
    size_t len = strcspn(at, " ");
    size_t kept = 0;
    *w = (struct usage_word){0};
    for (size_t i = 0; i < len && kept + 1 < sizeof(w->words); i++) {
        bool upper = at[i] >= 'A' && at[i] <= 'Z';
        w->any = w->any || upper || at[i] == '<';
        w->shorter = w->shorter || (i > 0 && at[i] == '[');
        if (strchr("[]{}<>*", at[i]) == NULL) {
            w->words[kept++] = at[i];
        }
    }
    *rest = at + len;
    return len > 0;
}

/* One of "a|b|c". */
static bool is_one_of(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; *at != '\0';) {
        size_t here = strcspn(at, "|");
        if (here == len && strncmp(at, word, len) == 0) {
            return true;
        }
        at += here + (at[here] == '|');
    }
    return false;
}

static void offer_value(struct completion *c, const char *words)
{
    if (strchr(words, '/') != NULL || strcasestr(words, "srv") != NULL) {
        offer_servers(c);
    } else if (strcasestr(words, "frontend") != NULL) {
        offer_names(c, "frontends");
    } else if (strcasestr(words, "backend") != NULL) {
        offer_names(c, "backends");
    }
}

/* The usage only says "...": what is known of the word before it. */
static void offer_rest(struct completion *c)
{
    if (c->count > 1 && strcmp(c->typed[c->count - 2], "state") == 0) {
        offer(c, "ready");
        offer(c, "drain");
        offer(c, "maint");
    }
}

static void offer_usage_word(struct completion *c, const struct usage_word *w)
{
    if (strcmp(w->words, "...") == 0) {
        offer_rest(c);
        return;
    } else if (w->any) {
        offer_value(c, w->words);
        if (w->shorter) {
            offer_names(c, "backends");
        }
        return;
    }
    for (const char *at = w->words; *at != '\0';) {
        size_t len = strcspn(at, "|");
        char *word = xstrndup(at, len);
        offer(c, word);
        free(word);
        at += len + (at[len] == '|');
    }
}

/* What stands in the usage behind the words that are typed already, if those are its own. */
static void follow(struct completion *c, const char *usage)
{
    struct usage_word w;
    for (size_t i = 0; take_usage_word(&usage, &w); i++) {
        if (i + 1 == c->count) {
            offer_usage_word(c, &w);
            return;
        } else if (!w.any && !is_one_of(w.words, c->typed[i])) {
            return;
        }
    }
}

/* "  show stat [desc|json]       : report counters": what stands before the colon. */
static void follow_help(struct completion *c)
{
    struct text answer = {0};
    enum ctl_exit result = ctl_ask(&c->ctl, "help", PATIENCE_MS, &answer);
    c->dead = result == EXIT_NO_ANSWER;
    if (result == EXIT_DONE) {
        char *rest = answer.data;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
            char *colon = strstr(line, " : ");
            colon = colon != NULL ? colon : strstr(line, ": ");
            if (line[0] == ' ' && colon != NULL) {
                *colon = '\0';
                follow(c, line);
            }
        }
    }
    text_free(&answer);
}

/* -------------------------------------------------------------------------------------------- */

/* Takes the options out; false: what is under way is one's value, which is not ours to know. */
static bool read_typed(struct completion *c, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        bool last = i + 1 == count;
        bool is_socket = strcmp(word, "-s") == 0 || strcmp(word, "--socket") == 0;
        bool has_value = is_socket || strcmp(word, "-t") == 0 || strcmp(word, "--timeout") == 0 ||
                         strcmp(word, "-n") == 0 || strcmp(word, "--lines") == 0;
        if (has_value && !last) {
            c->ctl.socket = is_socket ? words[i + 1] : c->ctl.socket;
            i++;
            if (i + 1 == count) {
                return false;
            }
        } else if (last || word[0] != '-') {
            c->typed[c->count] = word;
            c->count += c->count + 1 < TYPED_MAX;
        }
    }
    return c->count > 0;
}

void complete(int count, char **words)
{
    struct completion c = {.ctl = {.timeout_ms = PATIENCE_MS}};
    text_add(&c.offered, "\n");
    if (read_typed(&c, count, words)) {
        bool option = c.typed[c.count - 1][0] == '-';
        for (size_t i = 0; i < ARRAY_LEN(options) && option; i++) {
            offer(&c, options[i]);
        }
        if (!option) {
            follow_help(&c);
        }
        for (size_t i = 0; i < verb_count && !option; i++) {
            follow(&c, verbs[i].usage);
        }
        fputs(c.offered.data + 1, stdout);
    }
    text_free(&c.offered);
    json_free(&c.names);
    text_free(&c.name_bytes);
}
