#include "import/choice.h"

#include <errno.h>
#include <string.h>

#include "import/predicate.h"

bool choice_counts(const struct choice *c)
{
    return c->depth == 0 || c->levels[c->depth - 1].state == CHOICE_TAKEN;
}

/* Whether what is around the innermost level does. */
static bool around_counts(const struct choice *c)
{
    return c->depth <= 1 || c->levels[c->depth - 2].state == CHOICE_TAKEN;
}

/* What stands behind the directive, as HAProxy puts it together again. */
static const char *expression(struct source *s, const struct line *l)
{
    size_t len = 0;
    for (size_t i = 1; i < l->count; i++) {
        len += l->words[i].len + 1;
    }
    char *whole = arena_take(&s->arena, len + 1);
    char *at = whole;
    for (size_t i = 1; i < l->count; i++) {
        if (i > 1) {
            *at++ = ' ';
        }
        memcpy(at, l->words[i].text, l->words[i].len);
        at += l->words[i].len;
    }
    return whole;
}

static bool has_variables(const struct line *l)
{
    for (size_t i = 1; i < l->count; i++) {
        if (l->words[i].reference_count > 0) {
            return true;
        }
    }
    return false;
}

static int judge(struct choice_level *level, struct source *s, const struct environment *e,
                 struct line *l)
{
    const char *whole = expression(s, l);
    const char *what;
    const char *where;
    int rc = predicate_judge(whole, e, &what, &where);
    if (rc < 0) {
        /* What came of variables may be secret. */
        source_error(s, l->place, "%s at '%.40s' in '%s'", what, has_variables(l) ? "..." : where,
                     l->words[0].text);
        return -ECANCELED;
    }
    level->state = rc > 0 ? CHOICE_TAKEN : CHOICE_OPEN;
    const char *words = rc > 0 ? "true" : "false";
    /* Whether it could be different when HAProxy is started next. */
    if (has_variables(l) || strstr(whole, "defined(") != NULL) {
        line_mark(s, l, VERDICT_DIFFERENCE, "%s, decided now and for good", words);
    } else {
        line_mark(s, l, VERDICT_KEPT, "%s for HAProxy %s", words, ASSUMED_VERSION);
    }
    return 0;
}

static int on_if(struct choice *c, struct source *s, const struct environment *e, struct line *l)
{
    if (c->depth == CHOICE_DEPTH_MAX) {
        source_error(s, l->place, "too many nested '.if', max is %d", CHOICE_DEPTH_MAX + 1);
        return -ECANCELED;
    }
    bool counts = choice_counts(c);
    struct choice_level *level = &c->levels[c->depth++];
    *level = (struct choice_level){.state = CHOICE_DONE, .opened = l->place};
    if (!counts) {
        line_mark(s, l, VERDICT_NOT_NEEDED, NULL);
        return 0;
    }
    return judge(level, s, e, l);
}

/* The level that .elif, .else or .endif is about; NULL if there is none: the error is told. */
static struct choice_level *current(struct choice *c, struct source *s, const struct line *l)
{
    if (c->depth == 0) {
        source_error(s, l->place, "lone '%s' with no matching '.if'", l->words[0].text);
        return NULL;
    }
    return &c->levels[c->depth - 1];
}

static bool behind_else(struct source *s, const struct choice_level *level, const struct line *l)
{
    if (level->last) {
        source_error(s, l->place, "'%s' after '.else' is not permitted", l->words[0].text);
    }
    return level->last;
}

static int on_elif(struct choice *c, struct source *s, const struct environment *e, struct line *l)
{
    struct choice_level *level = current(c, s, l);
    if (level == NULL || behind_else(s, level, l)) {
        return -ECANCELED;
    }
    if (level->state != CHOICE_OPEN) {
        level->state = CHOICE_DONE;
        line_mark(s, l, VERDICT_NOT_NEEDED, NULL);
        return 0;
    }
    return judge(level, s, e, l);
}

static int unexpected(struct source *s, const struct line *l, size_t most)
{
    if (l->count <= most + 1 || l->words[most + 1].len == 0) {
        return 0;
    }
    source_error(s, l->place, "unexpected argument '%s' for '%s'", l->words[most + 1].text,
                 l->words[0].text);
    return -ECANCELED;
}

static int on_else(struct choice *c, struct source *s, const struct environment *e, struct line *l)
{
    (void)e;
    int rc = unexpected(s, l, 0);
    struct choice_level *level = rc == 0 ? current(c, s, l) : NULL;
    if (level == NULL || behind_else(s, level, l)) {
        return -ECANCELED;
    }
    level->last = true;
    level->state = level->state == CHOICE_OPEN ? CHOICE_TAKEN : CHOICE_DONE;
    line_mark(s, l, around_counts(c) ? VERDICT_KEPT : VERDICT_NOT_NEEDED, NULL);
    return 0;
}

static int on_endif(struct choice *c, struct source *s, const struct environment *e, struct line *l)
{
    (void)e;
    int rc = unexpected(s, l, 0);
    if (rc != 0 || current(c, s, l) == NULL) {
        return -ECANCELED;
    }
    line_mark(s, l, around_counts(c) ? VERDICT_KEPT : VERDICT_NOT_NEEDED, NULL);
    c->depth--;
    return 0;
}

static int on_message(struct source *s, struct line *l, bool alert)
{
    if (unexpected(s, l, 1) != 0) {
        return -EINVAL;
    }
    if (alert) {
        source_error(s, l->place, "'%s'", l->count > 1 ? l->words[1].text : "");
        return -ECANCELED;
    }
    line_mark(s, l, VERDICT_NOT_NEEDED, "only says something");
    return 0;
}

int choice_line(struct choice *c, struct source *s, const struct environment *e, struct line *l)
{
    static const struct {
        const char *name;
        int (*act)(struct choice *c, struct source *s, const struct environment *e, struct line *l);
    } directives[] = {{".if", on_if}, {".elif", on_elif}, {".else", on_else}, {".endif", on_endif}};
    static const char *const messages[] = {".notice", ".warning", ".diag", ".alert"};
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (word_is(&l->words[0], directives[i].name)) {
            return directives[i].act(c, s, e, l);
        }
    }
    if (!choice_counts(c)) {
        line_mark(s, l, VERDICT_NOT_NEEDED, NULL);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (word_is(&l->words[0], messages[i])) {
            return on_message(s, l, i == ARRAY_LEN(messages) - 1);
        }
    }
    source_error(s, l->place, "unknown directive '%s'", l->words[0].text);
    return -ECANCELED;
}

void choice_end(const struct choice *c, struct source *s, struct place last)
{
    if (c->depth > 0) {
        source_error(s, last, "non-terminated '.if' block (of line %zu)",
                     c->levels[c->depth - 1].opened.number);
    }
}
