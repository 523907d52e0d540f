/* Which lines of a file count: .if, .elif, .else and .endif, nested; and .notice, .warning, .diag
 * and .alert. */
#ifndef ROUTER_IMPORT_CHOICE_H
#define ROUTER_IMPORT_CHOICE_H

#include "import/environment.h"

#define CHOICE_DEPTH_MAX 99 /* as HAProxy */

/* What a level waits for. */
enum choice_state {
    CHOICE_TAKEN, /* its end: these lines count */
    CHOICE_OPEN,  /* a condition that holds */
    CHOICE_DONE   /* its end: one was taken before, or what is around it does not count */
};

struct choice_level {
    enum choice_state state;
    bool last;           /* .else was there */
    struct place opened; /* its .if */
};

/* Starts zeroed with each file. */
struct choice {
    struct choice_level levels[CHOICE_DEPTH_MAX];
    size_t depth;
};

bool choice_counts(const struct choice *c);
/* A line whose first word begins with a dot: it is marked. Returns 0, -EINVAL if HAProxy complains
 * and reads on, or -ECANCELED if it reads no further. */
int choice_line(struct choice *c, struct source *s, const struct environment *e, struct line *l);
/* At the end of a file, whose last line it is. */
void choice_end(const struct choice *c, struct source *s, struct place last);

#endif
