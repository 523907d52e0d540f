/* The live view: a full screen of what `show json` says, asked anew each second. */
#ifndef ROUTER_ROUTERCTL_TOP_H
#define ROUTER_ROUTERCTL_TOP_H

#include "routerctl/ctl.h"

/* Until q, or a signal, after which the program ends by it. `only` is a backend's name or NULL. */
enum ctl_exit top(const struct ctl *ctl, const char *only);

#endif
