/* Rules: their actions, and what their conditions look at. */
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

enum {
    CONNECTION = 1,
    SESSION = 2,
    CONTENT = 4,
    RESPONSE = 8,
    HTTP_REQUEST = 16,
    HTTP_RESPONSE = 32,
    HTTP_AFTER = 64,
    TCP_REQUEST = CONNECTION | SESSION | CONTENT,
    TCP = TCP_REQUEST | RESPONSE,
    HTTP = HTTP_REQUEST | HTTP_RESPONSE | HTTP_AFTER,
    ANY = TCP | HTTP
};

static const struct action {
    const char *name;
    unsigned where;
} actions[] = {
#define ACTION(name_, where_) {.name = name_, .where = where_},
#include "import/actions.def"
#undef ACTION
};

/* "set-var(x)" is set-var, "track-sc1" is track-sc. */
static bool is_action(const struct word *w, const char *name)
{
    size_t len = strlen(name);
    if (w->len < len || memcmp(w->text, name, len) != 0) {
        return false;
    }
    const char *behind = w->text + len;
    return *behind == '\0' || *behind == '(' ||
           (strcmp(name, "track-sc") == 0 && behind[strspn(behind, "0123456789")] == '\0');
}

static void check_action(struct source *s, const struct line *l, unsigned where)
{
    const struct word *w = line_argument(l, 0);
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    struct nearest near = {.word = word_shown(w, shown)};
    if (strncmp(w->text, "lua.", 4) == 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if ((actions[i].where & where) != 0 && is_action(w, actions[i].name)) {
            return;
        }
        if ((actions[i].where & where) != 0) {
            nearest_try(&near, actions[i].name);
        }
    }
    source_error(s, l->place, "\"%s\" does not know \"%s\"%s", l->keyword->name, shown,
                 nearest_words(&near, suggestion));
}

/* acl NAME FETCH... */
static void check_acl(struct source *s, const struct line *l)
{
    static const char reserved[] = "\"%s\" is no name of an acl";
    char shown[SHOWN_MAX];
    const struct word *name = line_argument(l, 0);
    if (name->text[strspn(name->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.:_-")] != '\0' ||
        word_is(name, "or")) {
        source_error(s, l->place, reserved, word_shown(name, shown));
        return;
    }
    fetch_check(s, l, line_argument(l, 1));
}

void rule_check(struct source *s, struct line *l)
{
    static const struct {
        const char *keyword;
        unsigned where;
    } rules[] = {{"tcp-request connection", CONNECTION}, {"tcp-request session", SESSION},
                 {"tcp-request content", CONTENT},       {"tcp-response content", RESPONSE},
                 {"http-request", HTTP_REQUEST},         {"http-response", HTTP_RESPONSE},
                 {"http-after-response", HTTP_AFTER}};
    if (l->section->kind == SECTION_DEFAULTS && l->section->name[0] == '\0') {
        source_error(s, l->place, "\"%s\" may stand in defaults only if they have a name",
                     l->keyword->name);
        return;
    }
    if (strcmp(l->keyword->name, "acl") == 0) {
        check_acl(s, l);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].keyword, l->keyword->name) == 0) {
            check_action(s, l, rules[i].where);
        }
    }
}
