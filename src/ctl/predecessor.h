/* The new side of an upgrade (ctl/upgrade.h): this process has been started to take another one's
 * place. It probes and elects, says that it is ready, and accepts clients as soon as the old one
 * says that it does not any more; what the old one still holds counts against our caps until it is
 * let go of. Control thread only. */
#ifndef ROUTER_CTL_PREDECESSOR_H
#define ROUTER_CTL_PREDECESSOR_H

#include <stdbool.h>

struct control;
struct heritage;

/* Takes the channel out of `h`. `on_turn` is called when it is our turn to serve. 0 or a UV_* code.
 */
int predecessor_begin(struct control *c, struct heritage *h, void (*on_turn)(void *context),
                      void *context);
/* Something may have become known: says that we are ready, once. Nothing if there is none. */
void predecessor_maybe_ready(struct control *c);
/* Whether it is our turn: always, if there is none. */
bool predecessor_is_over(const struct control *c);
/* At the end. */
void predecessor_end(struct control *c);

#endif
