/* One line of HAProxy's into words: quotes, escapes, comments and variables, as in chapters 2.2 and
 * 2.3 of its configuration manual. A backslash at the end of a line is just that: HAProxy has no
 * lines that go on. */
#ifndef ROUTER_IMPORT_WORDS_H
#define ROUTER_IMPORT_WORDS_H

#include "import/environment.h"
#include "import/source.h"

/* What variables may become in all lines together. */
#define WORDS_EXPANDED_MAX (64u * 1024 * 1024)

/* Where a line stands: what the pseudo variables and the references in it are. */
struct words_context {
    struct source *source;
    const struct environment *environment;
    struct place place;
    const char *section; /* what .SECTION is; NULL before the first one */
    size_t *spent;       /* of WORDS_EXPANDED_MAX */
};

struct words {
    struct word *items; /* in the arena of the source */
    size_t count;
    const char *ignored; /* what HAProxy does not read behind a carriage return; NULL: nothing */
    bool taken_apart;    /* "${NAME[*]}" became several words: no reference tells of it */
};

/* `line` ends in NUL, and has no other one. Returns 0, or -EINVAL: then the error is told. */
int words_read(const struct words_context *c, const char *line, struct words *out);

#endif
