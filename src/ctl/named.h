/* From what names lead to, to the servers that run: puts addresses into a configuration, and makes
 * another one the running one where they have changed. Control thread only. */
#ifndef ROUTER_CTL_NAMED_H
#define ROUTER_CTL_NAMED_H

#include "ctl/apply.h"

struct config;
struct control;

/* Puts what is known of the names into a configuration that was just read from the file, so that
 * what runs goes on. */
void named_fill(const struct control *c, struct config *next);
/* Where what runs is not what should run it is changed (control_apply()), and whoever cannot be
 * resolved is told to be down. 0, or a UV_* code with one line in `why`. */
int named_apply(struct control *c, char why[APPLY_WHY_MAX]);

#endif
