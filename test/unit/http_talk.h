/* A dialogue of proto/http_probe.h with a server that the test plays. */
#ifndef TEST_HTTP_TALK_H
#define TEST_HTTP_TALK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/observation.h"
#include "proto/http_probe.h"

struct talk {
    const struct probe_dialogue *dialogue;
    void *state;
    struct observation seen;
    enum probe_step step;
    char sent[4096]; /* last */
};

static inline void talk_took(struct talk *t, const char *out, size_t len)
{
    snprintf(t->sent, sizeof(t->sent), "%.*s", (int)len, len > 0 ? out : "");
}

static inline void talk_start(struct talk *t, const struct probe_setup *setup, bool greeting)
{
    const char *out;
    size_t len;
    t->step = t->dialogue->start(t->state, setup, greeting, &out, &len);
    assert_int_equal(t->step, PROBE_STEP_READ);
    talk_took(t, out, len);
}

static inline struct talk talk_new(const struct probe_dialogue *dialogue,
                                   const struct probe_setup *setup)
{
    struct talk t = {.dialogue = dialogue, .state = calloc(1, dialogue->state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    talk_start(&t, setup, true);
    return t;
}

static inline void talk_free(struct talk *t)
{
    t->dialogue->release(t->state);
    free(t->state);
}

static inline void feed_pieces(struct talk *t, const char *text, size_t piece)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len && t->step == PROBE_STEP_READ; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        const char *out;
        size_t out_len;
        char *copy = malloc(n); /* a sanitizer sees who reads behind it */
        memcpy(copy, text + at, n);
        t->step = t->dialogue->feed(t->state, copy, n, &t->seen, &out, &out_len);
        free(copy);
        talk_took(t, out, out_len);
    }
}

static inline void feed(struct talk *t, const char *text)
{
    feed_pieces(t, text, strlen(text) + 1);
}

/* The next connection, where the dialogue asked for one. */
static inline void talk_anew(struct talk *t)
{
    const char *out;
    size_t len;
    assert_int_equal(t->step, PROBE_STEP_ANEW);
    t->step = t->dialogue->feed(t->state, NULL, 0, &t->seen, &out, &len);
    talk_took(t, out, len);
}

#endif
