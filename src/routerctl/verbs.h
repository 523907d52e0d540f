/* The words of routerctl: those for people, each a view of `show json` or short for a command of
 * the runtime language; everything else is that language itself. */
#ifndef ROUTER_ROUTERCTL_VERBS_H
#define ROUTER_ROUTERCTL_VERBS_H

#include <stddef.h>

#include "routerctl/ctl.h"

struct verb {
    const char *usage; /* "drain [BACKEND/SERVER]": the word, and what stands behind it */
    const char *help;
    /* argc counts what stands behind the word, which is argv[0]. */
    enum ctl_exit (*run)(const struct ctl *ctl, const struct verb *verb, int argc, char **argv);
    const char *command; /* of the runtime language; its '*' are replaced by the arguments */
    int seconds;         /* how long an answer may take; 0 = as usual */
};

extern const struct verb verbs[];
extern const size_t verb_count;

/* words[0..count), at least one. */
enum ctl_exit verbs_run(const struct ctl *ctl, int count, char **words);

#endif
