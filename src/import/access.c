/* Rules as one list of allow and deny.
 *
 * HAProxy goes through four lists, one after another (connection, session, content, HTTP), and each
 * lets a client in unless a rule refuses it. router.ini has one, which refuses who is not named as
 * soon as somebody is allowed. Lists that only refuse come first, in any order; one may allow. What
 * a list that ends with an accept allows is not worth saying, unless something is refused behind
 * it.
 */
#include "import/access.h"

#include <string.h>

#include "import/access_internal.h"

#define ENTRIES_MAX 1024 /* of a list in router.ini */
#define LET_IN      "clients that it refuses are let in"

/* One of the four lists, on its way to ours. */
struct list {
    struct access_entry *entries;
    size_t count;
    const struct conjunction *only; /* who is in none of these is refused */
    struct line *only_line;
    bool hello;   /* who speaks TLS is let in */
    bool closed;  /* nobody comes to the rules behind */
    bool refuses; /* and whom no rule has let in is refused */
    struct line *last;
};

void access_say(struct access_rule *rule, enum verdict verdict, const char *words)
{
    if (verdict > rule->verdict) {
        rule->verdict = verdict;
        rule->words = words;
    }
}

static void add_entry(struct access_reader *r, struct list *list, bool allow, struct word range,
                      struct line *l)
{
    list->entries = arena_grow(&r->s->arena, list->entries, list->count, sizeof *list->entries);
    list->entries[list->count++] = (struct access_entry){allow, range, l};
}

static void add_all(struct access_reader *r, struct list *list, bool allow, struct line *l)
{
    add_entry(r, list, allow, word_of(r->s, "0.0.0.0/0"), l);
    add_entry(r, list, allow, word_of(r->s, "::/0"), l);
}

/* The values of a test. Returns false if not all of them can be written. */
static bool add_test(struct access_reader *r, struct list *list, bool allow, const struct test *t,
                     struct line *l)
{
    size_t before = list->count;
    for (size_t i = 0; i < t->value_count; i++) {
        struct word range;
        if (list->count >= ENTRIES_MAX || !access_range(r->s, &t->values[i], &range)) {
            list->count = before;
            return false;
        }
        add_entry(r, list, allow, range, l);
    }
    return true;
}

/* The values of all tests that are negated. */
static bool add_excepted(struct access_reader *r, struct list *list, bool allow,
                         const struct conjunction *c, struct line *l)
{
    size_t before = list->count;
    for (size_t i = 0; i < c->count; i++) {
        if (c->tests[i].negated && c->tests[i].value_count > 0 &&
            !add_test(r, list, allow, &c->tests[i], l)) {
            list->count = before;
            return false;
        }
    }
    return true;
}

static bool allows(const struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].allow) {
            return true;
        }
    }
    return false;
}

static void lose(struct access_rule *rule, const char *words)
{
    access_say(rule, VERDICT_LOST, words);
}

#define NOT_ADDRESSES "names, or more addresses than a list may have: " LET_IN

/* A rule that lets clients in --------------------------------------------------------------------
 */

static void accept_one(struct access_reader *r, struct list *list, struct access_rule *rule,
                       const struct access_meaning *m, bool then_refused)
{
    switch (m->shape) {
    case SHAPE_ALWAYS:
        list->closed = true;
        access_say(rule, VERDICT_NOT_NEEDED, "who is not refused is let in");
        break;
    case SHAPE_NEVER:
        access_say(rule, VERDICT_NOT_NEEDED, "it never holds");
        break;
    case SHAPE_SRC:
        if (list->only != NULL) {
            lose(rule, "whom it lets in is refused by a rule before it");
        } else if (!add_test(r, list, true, m->in, rule->line)) {
            lose(rule, "names, or more addresses than a list may have: clients that it lets in "
                       "are refused");
        }
        break;
    case SHAPE_NOT_SRC:
        /* Who is left is refused: that is said more easily. */
        if (!then_refused || !add_excepted(r, list, false, m->tests, rule->line)) {
            lose(rule, "what it says of all but some addresses cannot be said");
            break;
        }
        list->closed = true;
        break;
    case SHAPE_HELLO:
        list->hello = true;
        access_say(rule, VERDICT_NOT_NEEDED, "clients are not held back to look at what they say");
        break;
    default:
        lose(rule, "clients that it lets in may be refused");
    }
}

/* A rule that refuses them -----------------------------------------------------------------------
 */

static void refuse_hello(const struct access_reader *r, struct access_rule *rule)
{
    if (r->sni) {
        access_say(rule, VERDICT_NOT_NEEDED, "who does not speak TLS is refused anyway");
    } else {
        lose(rule, "who does not speak TLS is let in");
    }
}

static void refuse_all(struct access_reader *r, struct list *list, struct access_rule *rule)
{
    list->closed = true;
    if (list->hello) {
        refuse_hello(r, rule);
    } else {
        list->refuses = true;
    }
}

/* Whom it excepts must be let in before, and so must not come to another rule that refuses. */
static void refuse_but(struct access_reader *r, struct list *list, struct access_rule *rule,
                       const struct access_meaning *m, bool more)
{
    size_t before = list->count;
    bool ok = !more && list->only == NULL && add_excepted(r, list, true, m->tests, rule->line) &&
              add_test(r, list, false, m->in, rule->line);
    if (!ok) {
        list->count = before;
        lose(rule, "some addresses of a range, but not others: " LET_IN);
    }
}

static void refuse_one(struct access_reader *r, struct list *list, struct access_rule *rule,
                       const struct access_meaning *m, bool more)
{
    switch (m->shape) {
    case SHAPE_ALWAYS:
        refuse_all(r, list, rule);
        break;
    case SHAPE_NEVER:
        access_say(rule, VERDICT_NOT_NEEDED, "it never holds");
        break;
    case SHAPE_SRC:
        if (!add_test(r, list, false, m->in, rule->line)) {
            lose(rule, NOT_ADDRESSES);
        }
        break;
    case SHAPE_NOT_SRC:
        if (list->only != NULL) {
            lose(rule, "a second list of who may come: " LET_IN);
            break;
        }
        list->only = m->tests;
        list->only_line = rule->line;
        break;
    case SHAPE_SRC_BUT:
        refuse_but(r, list, rule, m, more);
        break;
    case SHAPE_NOT_HELLO:
        refuse_hello(r, rule);
        break;
    case SHAPE_LIMIT:
        access_limit(r, rule, m);
        if (allows(list)) {
            access_say(rule, VERDICT_DIFFERENCE, "the limit is for every address");
        }
        break;
    default:
        lose(rule, LET_IN);
    }
}

/* Lists -----------------------------------------------------------------------------------------
 */

struct rules {
    struct access_rule *items;
    size_t count;
};

/* The next rule of the same list; NULL: there is none. */
static struct access_rule *next_of(const struct rules *rules, const struct access_rule *rule)
{
    for (size_t i = (size_t)(rule - rules->items) + 1; i < rules->count; i++) {
        if (rules->items[i].layer == rule->layer) {
            return &rules->items[i];
        }
    }
    return NULL;
}

static bool holds_always(const struct access_rule *rule)
{
    return rule->condition.understood && rule->condition.count == 0;
}

static void read_one(struct access_reader *r, struct list *list, const struct rules *rules,
                     struct access_rule *rule, const struct conjunction *c)
{
    struct access_meaning m;
    const struct access_rule *next = next_of(rules, rule);
    access_mean(c, &m);
    if (rule->accepts) {
        accept_one(r, list, rule, &m, next != NULL && !next->accepts && holds_always(next));
    } else {
        refuse_one(r, list, rule, &m, next != NULL);
    }
}

static void read_rule(struct access_reader *r, struct list *list, const struct rules *rules,
                      struct access_rule *rule)
{
    static const struct conjunction always;
    list->last = rule->line;
    if (list->closed) {
        access_say(rule, VERDICT_NOT_NEEDED, "no client comes to this rule");
        return;
    }
    if (!rule->condition.understood) {
        lose(rule, rule->accepts ? "its condition is not understood: clients may be refused"
                                 : "its condition is not understood: " LET_IN);
        return;
    }
    if (rule->condition.count == 0) {
        read_one(r, list, rules, rule, &always);
    }
    for (size_t i = 0; i < rule->condition.count; i++) {
        read_one(r, list, rules, rule, &rule->condition.items[i]);
    }
}

/* Allows that nothing refuses behind. */
static void drop_idle_allows(struct list *list)
{
    while (list->count > 0 && list->entries[list->count - 1].allow) {
        list->count--;
    }
}

/* What becomes of those about whom no rule says anything. */
static bool finish_list(struct access_reader *r, struct list *list)
{
    if (list->only != NULL && !list->refuses) {
        return add_excepted(r, list, true, list->only, list->only_line);
    }
    if (list->refuses) {
        if (!allows(list)) {
            list->count = 0;
            add_all(r, list, false, list->last);
        }
        return true;
    }
    drop_idle_allows(list);
    if (allows(list)) {
        add_all(r, list, true, list->last);
    }
    return true;
}

/* Rules whose entries are gone say nothing that is not so anyway. */
static void mark_rule(struct access_reader *r, struct access_rule *rule)
{
    enum verdict verdict = rule->verdict != VERDICT_NONE ? rule->verdict : VERDICT_KEPT;
    line_mark(r->s, rule->line, verdict, rule->words != NULL ? "%s" : NULL, rule->words);
    condition_claim(r->p, &rule->condition, verdict);
}

static void append(struct access_reader *r, const struct list *list)
{
    struct access *out = r->out;
    for (size_t i = 0; i < list->count; i++) {
        out->entries = arena_grow(&r->s->arena, out->entries, out->count, sizeof *out->entries);
        out->entries[out->count++] = list->entries[i];
    }
}

static void lose_list(const struct rules *rules, size_t layer, const char *words)
{
    for (size_t i = 0; i < rules->count; i++) {
        if ((size_t)rules->items[i].layer == layer) {
            lose(&rules->items[i], words);
        }
    }
}

static void join_lists(struct access_reader *r, struct list *lists, const struct rules *rules)
{
    const struct list *open = NULL; /* the one that allows */
    for (size_t i = 0; i < LAYERS; i++) {
        bool ok = finish_list(r, &lists[i]);
        bool chooses = allows(&lists[i]);
        if (!ok) {
            lose_list(rules, i, NOT_ADDRESSES);
        } else if (chooses && open != NULL) {
            lose_list(rules, i, "a second list of who may come: " LET_IN);
        } else if (chooses) {
            open = &lists[i];
        } else {
            append(r, &lists[i]);
        }
    }
    if (open != NULL) {
        append(r, open);
    }
}

/* Lines -----------------------------------------------------------------------------------------
 */

static bool find_action(const struct line *l, struct access_rule *rule)
{
    static const struct {
        const char *name;
        bool accepts;
        enum verdict verdict;
        const char *words;
    } actions[] = {
        {"accept", true, VERDICT_NONE, NULL},
        {"allow", true, VERDICT_NONE, NULL},
        {"reject", false, VERDICT_NONE, NULL},
        {"deny", false, VERDICT_NONE, NULL},
        {"silent-drop", false, VERDICT_DIFFERENCE, "the connection is closed, not left hanging"},
        {"tarpit", false, VERDICT_DIFFERENCE, "the connection is closed at once"},
    };
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (line_says(l, 0, actions[i].name)) {
            rule->accepts = actions[i].accepts;
            access_say(rule, actions[i].verdict, actions[i].words);
            return true;
        }
    }
    return false;
}

static bool find_layer(const struct line *l, struct access_rule *rule)
{
    static const char *const names[] = {"connection", "session", "content"};
    if (word_is(&l->words[0], "http-request")) {
        rule->layer = LAYER_HTTP;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (word_is(&l->words[0], "tcp-request") && l->count > 1 &&
            word_is(&l->words[1], names[i])) {
            rule->layer = (enum access_layer)i;
            return true;
        }
    }
    return false;
}

/* Where "if" or "unless" stands, or the end. */
static size_t find_condition(const struct line *l)
{
    size_t i = 1;
    while (line_argument(l, i) != NULL && !line_says(l, i, "if") && !line_says(l, i, "unless")) {
        i++;
    }
    return i;
}

static void read_line(struct access_reader *r, struct rules *rules, struct line *l)
{
    struct access_rule rule = {.line = l};
    if (!find_layer(l, &rule) || access_track(r, l)) {
        return;
    }
    if (!find_action(l, &rule)) {
        bool capture = line_says(l, 0, "capture");
        if (rule.layer != LAYER_HTTP) {
            line_mark(r->s, l, capture ? VERDICT_DIFFERENCE : VERDICT_LOST,
                      capture ? "nothing is captured for the log" : "router does not do this");
        }
        return;
    }
    condition_read(r->p, l, find_condition(l), &rule.condition);
    rules->items = arena_grow(&r->s->arena, rules->items, rules->count, sizeof rule);
    rules->items[rules->count++] = rule;
}

void access_read(const struct proxy *p, bool sni, struct access *out)
{
    struct access_reader r = {.p = p, .s = p->source, .out = out, .sni = sni};
    struct rules rules = {0};
    struct list lists[LAYERS] = {0};
    *out = (struct access){0};
    for (size_t i = 0; i < p->count; i++) {
        read_line(&r, &rules, p->lines[i]);
    }
    for (size_t i = 0; i < rules.count; i++) {
        if (p->front) {
            read_rule(&r, &lists[rules.items[i].layer], &rules, &rules.items[i]);
        } else if (!rules.items[i].accepts) {
            lose(&rules.items[i], "it is the frontend that refuses clients: " LET_IN);
        }
    }
    join_lists(&r, lists, &rules);
    for (size_t i = 0; i < rules.count; i++) {
        mark_rule(&r, &rules.items[i]);
    }
    access_settle_tracks(&r);
}
