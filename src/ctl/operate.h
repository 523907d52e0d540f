/* What an operator may do to what runs: by the control socket (ctl/command_*.c), or as a program
 * that embeds the router. Each of these is told in the events, with who it was. Control thread
 * only, but for operate().
 *
 * `who` is how the operator is known, "uid 0, pid 4711"; "" if nobody knows. */
#ifndef ROUTER_CTL_OPERATE_H
#define ROUTER_CTL_OPERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/apply.h"
#include "ctl/control.h"

enum order {
    ORDER_PAUSE, /* all that may go on stands still: new sessions wait, living ones are not read */
    ORDER_RESUME,
    ORDER_ELECT, /* a server that claims becomes the primary, whoever else claims has lost */
};
/* Any thread. `server` is for ORDER_ELECT. What becomes of it is told in the events; 0, UV_ENOENT
 * if there is no such backend or server, or UV_ENOMEM. */
int operate(struct control *c, enum order order, const char *backend, const char *server);

/* False: it was that already. */
bool operate_pause(struct backend_control *b, bool paused, const char *who);
/* Whether it is the primary now; if not, *why says why not. */
bool operate_elect(struct backend_control *b, size_t server, const char *who, const char **why);
/* False: it was that already. */
bool operate_admin(struct backend_control *b, size_t server, enum admin_state state,
                   const char *who);
/* New clients of a frontend that is not enabled are refused; those that are there stay. False: it
 * was that already. */
bool operate_frontend(struct control *c, size_t frontend, bool enabled, const char *who);

/* Changes of the configuration, until it is read again. 0, or a UV_* code with one line in `why`.
 */
int operate_weight(struct backend_control *b, size_t server, unsigned weight, const char *who,
                   char why[APPLY_WHY_MAX]);
int operate_address(struct backend_control *b, size_t server, const struct address *at,
                    const char *who, char why[APPLY_WHY_MAX]);
int operate_server_cap(struct backend_control *b, size_t server, unsigned cap, const char *who,
                       char why[APPLY_WHY_MAX]);
int operate_frontend_cap(struct control *c, size_t frontend, unsigned cap, const char *who,
                         char why[APPLY_WHY_MAX]);
int operate_global_cap(struct control *c, unsigned cap, const char *who, char why[APPLY_WHY_MAX]);

/* Ends one session, by the number that "show sess" gives it, or all on a server that are there now.
 * `done` is called from the loop, exactly once, with how many it were. Not while control->stopping.
 */
typedef void (*operate_killed)(void *context, unsigned killed);
void operate_kill_session(struct control *c, uint64_t id, const char *who, operate_killed done,
                          void *context);
void operate_kill_on(struct backend_control *b, size_t server, const char *who, operate_killed done,
                     void *context);
/* Whether there may be a session of this number. */
bool operate_knows_session(const struct control *c, uint64_t id);

#endif
