/* One frame of top: two samples of `show json` in, lines for the screen out. Pure functions. */
#ifndef ROUTER_ROUTERCTL_TOP_FRAME_H
#define ROUTER_ROUTERCTL_TOP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "routerctl/json.h"

enum top_sort { TOP_BY_PLACE, TOP_BY_SESSIONS, TOP_BY_RATE, TOP_BY_BYTES, TOP_SORTS };

struct top_sample {
    struct text bytes; /* owned: the words of j */
    struct json j;     /* owned; empty: there is no sample */
    long at_ms;
};

struct top_frame {
    const struct top_sample *now;  /* borrowed */
    const struct top_sample *then; /* borrowed: the one before, for what happens in a second */
    const char *only;              /* a backend; NULL = all */
    const char *trouble;           /* words about what is wrong; NULL = nothing */
    enum top_sort sort;
    size_t rows;
    size_t columns;
    bool colours;
    size_t first; /* the first line of the body that is seen; is moved back where it is too far */
};

/* `rows` lines, each cleared to its end, the last without an end of line. */
void top_draw(struct top_frame *f, struct text *out);

#endif
