/* The router's answers as they come: the empty lines between them, and the marks of HAProxy's `set
 * severity-output number` ("[3]: No such server.") by which a refusal is known from an answer.
 * Holds at most a piece of one line, so that an endless answer costs nothing. */
#ifndef ROUTER_ROUTERCTL_ANSWER_H
#define ROUTER_ROUTERCTL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct answer {
    struct text line; /* owned: what came of the line under way */
    bool skipped;     /* the answer to `set severity-output` is over */
    bool within;      /* a line of this answer came already */
    bool blank;       /* the last line was an empty one: an answer may be over */
    bool cut_line;    /* a piece of the line under way was handed on */
    bool refusal;     /* this answer is one */
    bool refused;     /* one of all was */
    bool printed;
    /* Is given each piece of the answers, refusals as such. */
    void (*on_words)(void *to, const char *words, size_t len, bool refusal);
    void *to; /* borrowed */
};

void answer_feed(struct answer *a, const char *bytes, size_t len);
/* At the end: whether the last answer is whole. Releases everything. */
bool answer_end(struct answer *a);

#endif
