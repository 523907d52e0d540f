/* Conditions as an or of ands. A named acl of several lines is an or, and so a condition with one
 * becomes several items; one that is negated, or stands behind `unless`, is turned by De Morgan.
 * That may multiply, and is bounded. */
#include "import/rule.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "import/rule_test.h"

#define CELLS_MAX  256                  /* tests in all items */
#define MEMORY_MAX (128u * 1024 * 1024) /* of the whole import: more rules are not understood */

struct cells {
    struct conjunction *items;
    size_t count;
    size_t cells;
};

struct reader {
    const struct proxy *p;
    struct source *s;
    struct condition *out;
    struct arena scratch;
    struct cells done; /* in front of the last `or` */
    struct cells open; /* behind it */
    bool bad;
};

/* Items -----------------------------------------------------------------------------------------
 */

static void add_item(struct reader *r, struct cells *to, const struct conjunction *item,
                     const struct test *more)
{
    size_t count = item->count + (more != NULL);
    to->cells += count > 0 ? count : 1;
    if (to->cells > CELLS_MAX) {
        r->bad = true;
        return;
    }
    struct conjunction grown = {.count = count};
    grown.tests = arena_take(&r->scratch, (count + 1) * sizeof *grown.tests);
    if (item->count > 0) {
        memcpy(grown.tests, item->tests, item->count * sizeof *grown.tests);
    }
    if (more != NULL) {
        grown.tests[item->count] = *more;
    }
    to->items = arena_grow(&r->scratch, to->items, to->count, sizeof grown);
    to->items[to->count++] = grown;
}

/* Each item with each of the tests. */
static void multiply(struct reader *r, struct cells *all, const struct test *tests, size_t count)
{
    struct cells grown = {0};
    for (size_t i = 0; i < all->count && !r->bad; i++) {
        for (size_t k = 0; k < count && !r->bad; k++) {
            add_item(r, &grown, &all->items[i], &tests[k]);
        }
    }
    *all = grown;
}

static void start_item(struct reader *r)
{
    struct conjunction none = {0};
    r->open = (struct cells){0};
    add_item(r, &r->open, &none, NULL);
}

/* Tests that are an or, or, negated, an and of the contrary of each. */
static void add_tests(struct reader *r, struct test *tests, size_t count, bool negated)
{
    if (!negated) {
        multiply(r, &r->open, tests, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        tests[i].negated = true;
        multiply(r, &r->open, &tests[i], 1);
    }
}

static void finish_item(struct reader *r)
{
    for (size_t i = 0; i < r->open.count && !r->bad; i++) {
        add_item(r, &r->done, &r->open.items[i], NULL);
    }
    start_item(r);
}

/* The contrary: one test of each item must fail. */
static void turn(struct reader *r)
{
    struct conjunction none = {0};
    struct cells turned = {0};
    add_item(r, &turned, &none, NULL);
    for (size_t i = 0; i < r->done.count && !r->bad; i++) {
        struct conjunction *item = &r->done.items[i];
        for (size_t k = 0; k < item->count; k++) {
            item->tests[k].negated = !item->tests[k].negated;
        }
        multiply(r, &turned, item->tests, item->count);
    }
    r->done = turned;
}

/* Words -----------------------------------------------------------------------------------------
 */

/* One more test of an or: among those before it, if it asks the same for other values. */
static void join_test(struct reader *r, struct test **tests, size_t *count, const struct test *more)
{
    struct test *last = *count > 0 ? &(*tests)[*count - 1] : NULL;
    if (last == NULL || !test_is_alike(last, more)) {
        *tests = arena_grow(&r->scratch, *tests, *count, sizeof **tests);
        (*tests)[(*count)++] = *more;
        return;
    }
    for (size_t i = 0; i < more->value_count; i++) {
        last->values =
            arena_grow(&r->s->arena, last->values, last->value_count, sizeof *last->values);
        last->values[last->value_count++] = more->values[i];
    }
}

static void note_acl(struct reader *r, struct line *l)
{
    struct condition *out = r->out;
    out->acls = arena_grow(&r->s->arena, out->acls, out->acl_count, sizeof(struct line *));
    out->acls[out->acl_count++] = l;
}

/* The first acl of this name among those of the proxy; their end if there is none. */
static size_t find_acl(const struct proxy *p, const char *name)
{
    size_t from = 0;
    size_t to = p->acl_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(p->acls[middle].name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static void add_predefined(struct reader *r, const char *name, bool negated)
{
    const char *text = test_predefined(name);
    struct word words[4];
    size_t count = 0;
    while (text != NULL && *text != '\0' && count < ARRAY_LEN(words)) {
        size_t len = strcspn(text, " ");
        words[count++] = (struct word){.text = arena_copy(&r->s->arena, text, len), .len = len};
        text += len + (text[len] == ' ');
    }
    struct test test;
    if (count == 0 || !test_read(r->s, words, count, &test)) {
        r->bad = true;
        return;
    }
    add_tests(r, &test, 1, negated);
}

static void add_named(struct reader *r, const char *name, bool negated)
{
    struct test *tests = NULL;
    size_t count = 0;
    size_t first = find_acl(r->p, name);
    for (size_t i = first; i < r->p->acl_count && strcmp(r->p->acls[i].name, name) == 0; i++) {
        struct line *l = r->p->acls[i].line;
        struct test test;
        note_acl(r, l);
        if (!test_read(r->s, l->words + 2, l->count - 2, &test)) {
            r->bad = true;
            return;
        }
        join_test(r, &tests, &count, &test);
    }
    if (count > 0) {
        add_tests(r, tests, count, negated);
    } else {
        add_predefined(r, name, negated);
    }
}

/* Behind the brace. Returns how many words it has, its end too. */
static size_t add_anonymous(struct reader *r, const struct word *words, size_t count, bool negated)
{
    size_t end = 0;
    while (end < count && !word_is(&words[end], "}")) {
        end++;
    }
    struct test test;
    if (end == count || !test_read(r->s, words, end, &test)) {
        r->bad = true;
        return count;
    }
    add_tests(r, &test, 1, negated);
    return end + 1;
}

static void read_words(struct reader *r, const struct word *words, size_t count)
{
    bool negated = false;
    start_item(r);
    for (size_t i = 0; i < count && !r->bad;) {
        const char *name = words[i++].text;
        for (; *name == '!'; name++) {
            negated = !negated;
        }
        if (*name == '\0') {
            continue;
        }
        if (strcasecmp(name, "or") == 0 || strcmp(name, "||") == 0) {
            finish_item(r);
        } else if (strcmp(name, "{") == 0) {
            i += add_anonymous(r, words + i, count - i, negated);
        } else {
            add_named(r, name, negated);
        }
        negated = false;
    }
    finish_item(r);
}

static bool is_true(const struct test *t)
{
    return !t->negated && strcmp(t->fetch, "always_true") == 0;
}

/* What holds always need not be asked. Returns whether nothing is left of it. */
static bool keep_item(struct reader *r, const struct conjunction *from)
{
    struct condition *out = r->out;
    struct conjunction item = {0};
    item.tests = arena_take(&r->s->arena, (from->count + 1) * sizeof *item.tests);
    for (size_t i = 0; i < from->count; i++) {
        if (!is_true(&from->tests[i])) {
            item.tests[item.count++] = from->tests[i];
        }
    }
    out->items = arena_grow(&r->s->arena, out->items, out->count, sizeof item);
    out->items[out->count++] = item;
    return item.count == 0;
}

static void keep(struct reader *r)
{
    bool always = false;
    for (size_t i = 0; i < r->done.count; i++) {
        always = keep_item(r, &r->done.items[i]) || always;
    }
    if (always) {
        r->out->count = 0;
    }
}

void condition_read(const struct proxy *p, struct line *l, size_t at, struct condition *out)
{
    struct reader r = {.p = p, .s = p->source, .out = out};
    *out = (struct condition){.understood = true};
    const struct word *first = line_argument(l, at);
    if (first == NULL) {
        return;
    }
    bool unless = word_is(first, "unless");
    size_t words = l->count - l->keyword_words - at - 1;
    r.bad = (!unless && !word_is(first, "if")) || words == 0 || r.s->arena.bytes > MEMORY_MAX;
    if (!r.bad) {
        read_words(&r, first + 1, words);
    }
    if (!r.bad && unless) {
        turn(&r);
    }
    if (!r.bad) {
        keep(&r);
    } else {
        out->items = arena_take(&r.s->arena, sizeof *out->items);
        out->count = 1;
        out->understood = false;
    }
    arena_free(&r.scratch);
}

void condition_claim(const struct proxy *p, const struct condition *c, enum verdict verdict)
{
    for (size_t i = 0; i < c->acl_count; i++) {
        /* A rule that is lost is told itself. */
        line_mark(p->source, c->acls[i], verdict == VERDICT_LOST ? VERDICT_NOT_NEEDED : verdict,
                  NULL);
    }
}

/* Acls that nobody uses --------------------------------------------------------------------------
 */

struct mention {
    const struct proxy *p;
    bool *used; /* of each acl of the proxy */
};

static void mention(struct mention *m, const struct word *w)
{
    const char *name = w->text + strspn(w->text, "!");
    for (size_t i = find_acl(m->p, name);
         i < m->p->acl_count && strcmp(m->p->acls[i].name, name) == 0 && !m->used[i]; i++) {
        m->used[i] = true;
    }
}

void conditions_settle(const struct proxy *p)
{
    if (p->acl_count == 0) {
        return;
    }
    struct mention m = {.p = p, .used = xcalloc(p->acl_count, sizeof *m.used)};
    for (size_t i = 0; i < p->count; i++) {
        const struct line *l = p->lines[i];
        for (size_t k = 1; k < l->count && !word_is(&l->words[0], "acl"); k++) {
            mention(&m, &l->words[k]);
        }
    }
    for (size_t i = 0; i < p->acl_count; i++) {
        line_mark(p->source, p->acls[i].line, VERDICT_NOT_NEEDED,
                  m.used[i] ? NULL : "no rule uses it");
    }
    free(m.used);
}
