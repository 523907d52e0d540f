/* What "${NAME}" stands for while files are read: this process's environment, and what the files
 * change of it by setenv, presetenv, unsetenv and resetenv. The process's own is only read.
 * Everything is in the arena of the source. */
#ifndef ROUTER_IMPORT_ENVIRONMENT_H
#define ROUTER_IMPORT_ENVIRONMENT_H

#include "import/source.h"

#define ENVIRONMENT_BUCKETS 2048

enum variable_kind {
    VARIABLE_NONE,    /* there is none with this name */
    VARIABLE_PROCESS, /* of the process: who reads it later may find something else */
    VARIABLE_PRESET,  /* of presetenv: the process's, or what the file says */
    VARIABLE_FIXED    /* the file says it, or HAProxy itself */
};

struct variable {
    const char *name;
    enum variable_kind kind;
    struct word value;
    struct word otherwise; /* of VARIABLE_PRESET: what the file says */
    struct variable *next;
};

struct environment {
    struct arena *arena; /* borrowed */
    struct variable *buckets[ENVIRONMENT_BUCKETS];
    bool sealed; /* what is not in the buckets is not there */
};

void environment_start(struct environment *e, struct source *s);
/* Valid until the next change; what is not there has the kind VARIABLE_NONE. */
struct variable environment_find(const struct environment *e, const char *name);
/* A line of global; true if it was about the environment. What it lacks is for others to say. */
bool environment_line(struct environment *e, const struct line *l);

#endif
