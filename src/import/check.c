/* Which of HAProxy's checks counts, and the ones that say by their name what they ask. */
#include "import/check.h"

#include <string.h>

#include "import/check_internal.h"

#define NO_IDIOM "this script is none that router knows: only the connect is checked"

static bool is_option(const struct line *l)
{
    static const char *const checks[] = {
        "tcp-check", "httpchk",    "redis-check", "mysql-check",   "pgsql-check",
        "smtpchk",   "ldap-check", "spop-check",  "ssl-hello-chk", "external-check"};
    if (l->count < 2 || !word_is(&l->words[0], "option")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (word_is(&l->words[1], checks[i])) {
            return true;
        }
    }
    return false;
}

/* Rules take effect where the option does already; an option where others count begins with the
 * rules of its own section; `option tcp-check` once more changes nothing. Tried with HAProxy 2.6.
 */
static void follow(const struct section *section, struct understanding *u)
{
    if (section->from != NULL) {
        follow(section->from, u);
    }
    for (size_t i = 0; i < section->count; i++) {
        struct line *l = section->lines[i];
        const struct word *now = u->option != NULL ? &u->option->words[1] : NULL;
        if (is_option(l)) {
            bool again =
                now != NULL && word_is(now, "tcp-check") && word_is(&l->words[1], "tcp-check");
            u->rules = again ? u->rules : section;
            u->option = l;
        } else if (now != NULL &&
                   ((word_is(now, "tcp-check") && word_is(&l->words[0], "tcp-check")) ||
                    (word_is(now, "httpchk") && word_is(&l->words[0], "http-check")))) {
            u->rules = section;
        }
    }
}

/* The last one counts, and its own before those that it inherits. */
static void find_option(struct understanding *u)
{
    follow(u->p->section, u);
    for (size_t i = 0; i < u->p->count; i++) {
        struct line *l = u->p->lines[i];
        if (is_option(l) && l != u->option && !word_is(&l->words[1], u->option->words[1].text)) {
            line_mark(u->s, l, VERDICT_NOT_NEEDED, "section %s has another check",
                      u->p->section->name);
        } else if (is_option(l) && l != u->option) {
            line_mark(u->s, l, VERDICT_NOT_NEEDED, "section %s says it again", u->p->section->name);
        }
    }
}

/* Lines that do nothing without an option. */
static void mark_idle(struct understanding *u, const char *keyword, const char *words)
{
    for (size_t i = 0; i < u->p->count; i++) {
        struct line *l = u->p->lines[i];
        if (l->count > 1 && word_is(&l->words[0], keyword)) {
            line_mark(u->s, l, VERDICT_NOT_NEEDED, "%s", words);
        }
    }
}

/* The argument behind `user`. */
static void read_user(struct understanding *u, const struct line *l)
{
    for (size_t i = 2; i + 1 < l->count; i++) {
        if (word_is(&l->words[i], "user")) {
            u->out->user = l->words[i + 1];
            return;
        }
    }
}

static bool expects_anything(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        if (script->items[i].kind == STEP_EXPECT) {
            return true;
        }
    }
    return false;
}

/* Without anything that is expected the connect is all that counts. */
static void understand_connects(struct understanding *u, struct line *option)
{
    u->out->kind = CHECK_CONNECT;
    script_take_connect(u, NULL);
    for (size_t i = 0; i < u->script.count; i++) {
        struct step *step = &u->script.items[i];
        if (step->kind == STEP_SEND) {
            step->verdict = VERDICT_NOT_NEEDED;
            step->words = "no answer is expected";
        }
    }
    script_mark(u, VERDICT_KEPT, NULL);
    line_mark(u->s, option, VERDICT_KEPT, NULL);
}

static void understand_script(struct understanding *u, struct line *option)
{
    script_read(u, "tcp-check");
    if (!expects_anything(&u->script)) {
        understand_connects(u, option);
        return;
    }
    if (!u->script.cut && (check_redis(u) || check_mysql_words(u) || check_pgsql_query(u))) {
        line_mark(u->s, option, VERDICT_KEPT, NULL);
        return;
    }
    u->out->kind = CHECK_UNKNOWN;
    script_mark(u, VERDICT_LOST, NO_IDIOM);
    line_mark(u->s, option, VERDICT_LOST, NO_IDIOM);
}

static void understand_named(struct understanding *u, struct line *option)
{
    static const struct {
        const char *name;
        enum check_kind kind;
        enum verdict verdict;
        const char *words;
    } named[] = {
        {"redis-check", CHECK_REDIS_PING, VERDICT_KEPT, NULL},
        {"mysql-check", CHECK_MYSQL_LOGIN, VERDICT_KEPT, NULL},
        {"pgsql-check", CHECK_PGSQL_LOGIN, VERDICT_KEPT, NULL},
        {"ssl-hello-chk", CHECK_CONNECT, VERDICT_DIFFERENCE,
         "a connect is checked, without a TLS hello"},
        {"smtpchk", CHECK_UNKNOWN, VERDICT_LOST, "no SMTP: only the connect is checked"},
        {"ldap-check", CHECK_UNKNOWN, VERDICT_LOST, "no LDAP: only the connect is checked"},
        {"spop-check", CHECK_UNKNOWN, VERDICT_LOST, "no SPOP: only the connect is checked"},
    };
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        if (word_is(&option->words[1], named[i].name)) {
            u->out->kind = named[i].kind;
            line_mark(u->s, option, named[i].verdict, named[i].words != NULL ? "%s" : NULL,
                      named[i].words);
        }
    }
    read_user(u, option);
}

static void understand(struct understanding *u, struct line *option)
{
    const struct word *name = &option->words[1];
    u->out->line = option;
    if (!word_is(name, "tcp-check")) {
        mark_idle(u, "tcp-check", "without option tcp-check it does nothing");
    }
    if (!word_is(name, "httpchk")) {
        mark_idle(u, "http-check", "without option httpchk it does nothing");
    }
    if (!word_is(name, "external-check")) {
        mark_idle(u, "external-check", "without option external-check it does nothing");
    }
    if (word_is(name, "tcp-check")) {
        understand_script(u, option);
    } else if (word_is(name, "httpchk")) {
        check_http(u, option);
    } else if (word_is(name, "external-check")) {
        check_external(u, option);
    } else {
        understand_named(u, option);
    }
}

void check_understand(const struct proxy *p, struct check *out)
{
    struct understanding u = {.p = p, .s = p->source, .out = out};
    *out = (struct check){.user = word_of(u.s, ""),
                          .password = word_of(u.s, ""),
                          .master = word_of(u.s, ""),
                          .expected = word_of(u.s, ""),
                          .request = word_of(u.s, "")};
    surroundings_look(p, &u.around);
    find_option(&u);
    struct line *option = u.option;
    if (!u.around.checked) {
        mark_idle(&u, "tcp-check", "no server is checked");
        mark_idle(&u, "http-check", "no server is checked");
        mark_idle(&u, "external-check", "no server is checked");
        if (option != NULL) {
            line_mark(u.s, option, VERDICT_NOT_NEEDED, "no server is checked");
        }
        return;
    }
    if (option != NULL) {
        understand(&u, option);
        return;
    }
    out->kind = CHECK_CONNECT;
    mark_idle(&u, "tcp-check", "without option tcp-check it does nothing");
    mark_idle(&u, "http-check", "without option httpchk it does nothing");
    mark_idle(&u, "external-check", "without option external-check it does nothing");
}
