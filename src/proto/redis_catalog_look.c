/* What the arguments of a command have to say. Those behind the words that a request knows are
 * found one after the other. */
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "proto/redis_catalog_internal.h"

enum step {
    STEP_WORD,
    STEP_OVER,  /* the command has no more */
    STEP_LATER, /* it has, but not among the bytes that are there */
};

struct walk {
    const struct redis_request *r;
    const char *data;
    size_t len;
    size_t argc;      /* 0: not known */
    size_t next;      /* index of the next word */
    const char *text; /* of the one before */
    size_t text_len;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One that stands behind `at`, in an inline command. */
static enum step take_inline(struct walk *w, size_t at)
{
    while (at < w->len && is_space(w->data[at])) {
        at++;
    }
    size_t end = at;
    while (end < w->len && !is_space(w->data[end])) {
        end++;
    }
    w->text = w->data + at;
    w->text_len = end - at;
    return end < w->len ? STEP_WORD : STEP_LATER;
}

static enum step take_bulk(struct walk *w, size_t at)
{
    at += 2; /* the end of the line before */
    if (at >= w->len || w->data[at] != '$') {
        return STEP_LATER;
    }
    size_t size = 0;
    for (at++; at < w->len && w->data[at] >= '0' && w->data[at] <= '9' && size < w->len; at++) {
        size = size * 10 + (size_t)(w->data[at] - '0');
    }
    at += 2;
    w->text = w->data + at;
    w->text_len = size;
    return at <= w->len && size <= w->len - at ? STEP_WORD : STEP_LATER;
}

static enum step take(struct walk *w)
{
    const struct redis_request *r = w->r;
    size_t i = w->next++;
    if (w->argc > 0 && i >= w->argc) {
        return STEP_OVER;
    }
    if (i < r->word_count) {
        w->text = w->data + r->words[i].at;
        w->text_len = r->words[i].len;
        return (size_t)r->words[i].at + r->words[i].len <= w->len ? STEP_WORD : STEP_LATER;
    }
    if (i < REDIS_WORDS_MAX) {
        return STEP_LATER;
    }
    size_t at = (size_t)(w->text - w->data) + w->text_len;
    return r->is_inline ? take_inline(w, at) : take_bulk(w, at);
}

static bool is(const struct walk *w, const char *word)
{
    return w->text_len == strlen(word) && strncasecmp(w->text, word, w->text_len) == 0;
}

/* Whether the command has this word, or may have it where we cannot look. */
static bool may_have(struct walk *w, const char *word)
{
    enum step step = take(w);
    while (step == STEP_WORD && !is(w, word)) {
        step = take(w);
    }
    return step != STEP_OVER;
}

static bool has_third(struct walk *w, const char *word)
{
    w->next = 2;
    return take(w) == STEP_WORD && is(w, word);
}

/* XREAD and XREADGROUP: options, each with so many values, come before STREAMS. What is no option
 * of today may be one of tomorrow with values of its own, so that we do not know what is one. */
static bool may_wait(struct walk *w)
{
    static const struct {
        const char *word;
        size_t values;
    } harmless[] = {{"COUNT", 1}, {"GROUP", 2},    {"NOACK", 0},
                    {"CLAIM", 1}, {"MAXCOUNT", 1}, {"MAXSIZE", 1}};
    enum step step = STEP_WORD;
    w->next = 1;
    while (step == STEP_WORD) {
        step = take(w);
        if (step != STEP_WORD || is(w, "STREAMS")) {
            break;
        }
        size_t i = 0;
        while (i < ARRAY_LEN(harmless) && !is(w, harmless[i].word)) {
            i++;
        }
        if (i == ARRAY_LEN(harmless)) {
            return true;
        }
        for (size_t k = 0; step == STEP_WORD && k < harmless[i].values; k++) {
            step = take(w);
        }
    }
    return step == STEP_LATER;
}

struct redis_verdict redis_catalog_look(const struct redis_row *row, const struct redis_request *r,
                                        const char *data, size_t len)
{
    struct walk w = {.r = r, .data = data, .len = len, .argc = redis_catalog_argc(r, data, len)};
    struct redis_verdict v = {.kind = (enum redis_kind)row->kind,
                              .access = (enum redis_access)row->access,
                              .known = true,
                              .name = row->name};
    switch ((enum redis_look)row->look) {
    case LOOK_NOTHING:
    case LOOK_FIRM:
        break;
    case LOOK_SECRET:
        v.secret = true;
        break;
    case LOOK_HELLO:
        w.next = 2;
        v.secret = may_have(&w, "AUTH");
        break;
    case LOOK_STREAMS:
        v.kind = may_wait(&w) ? REDIS_BLOCKS : REDIS_PLAIN;
        break;
    case LOOK_BLOCK:
        w.next = 3;
        v.kind = may_have(&w, "BLOCK") ? REDIS_BLOCKS : REDIS_PLAIN;
        break;
    case LOOK_ON_OFF:
        v.kind = has_third(&w, "OFF") ? REDIS_TRACKING_OFF : REDIS_TRACKING_ON;
        break;
    case LOOK_REPLY:
        v.kind = has_third(&w, "ON") ? REDIS_PLAIN : REDIS_RAW;
        break;
    case LOOK_DEBUG:
        v.kind = has_third(&w, "NO") ? REDIS_PLAIN : REDIS_RAW;
        break;
    case LOOK_CURSOR:
        w.next = 1;
        v.access = may_have(&w, "WITHCURSOR") ? REDIS_NEITHER : v.access;
        break;
    }
    return v;
}
