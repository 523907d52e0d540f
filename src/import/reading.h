/* One run over files, as source_read() makes it: what lasts from line to line. */
#ifndef ROUTER_IMPORT_READING_H
#define ROUTER_IMPORT_READING_H

#include "import/choice.h"
#include "import/environment.h"
#include "import/source.h"

struct reading {
    struct source *source;
    struct environment environment;
    struct choice choice;     /* of this file */
    struct section *section;  /* of this file; NULL before its first one */
    struct section *defaults; /* the last ones of all files, NULL = none */
    size_t bytes;             /* of all files */
    size_t lines;             /* the same, without empty ones */
    size_t servers;           /* the same */
    size_t spent;             /* of WORDS_EXPANDED_MAX */
    bool stopped;             /* HAProxy would read no further, or this is too much */
};

void reading_start(struct reading *r, struct source *s, struct text *errors);
/* One file's bytes. */
void reading_file(struct reading *r, const char *file, const char *data, size_t len);
/* 0, or -EINVAL if there was an error. */
int reading_end(struct reading *r);

/* A line that begins a section, or is one of the one that is open (sections.c). */
void sections_line(struct reading *r, struct line *l);

#endif
