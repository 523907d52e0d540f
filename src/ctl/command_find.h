/* Whom a command is about, and who gave it. */
#ifndef ROUTER_CTL_COMMAND_FIND_H
#define ROUTER_CTL_COMMAND_FIND_H

#include <stdbool.h>
#include <stddef.h>

struct backend_control;
struct command_call;

#define COMMAND_WHO_MAX 64

/* The first word, "backend/server" where a server is meant, which is cut in two. NULL or false: the
 * answer says why. */
struct backend_control *command_find_backend(struct command_call *call);
bool command_find_server(struct command_call *call, struct backend_control **b, size_t *server);
bool command_find_frontend(struct command_call *call, size_t *frontend);

/* "uid 0, pid 4711", for the events; returns `who`. */
const char *command_who(const struct command_call *call, char who[COMMAND_WHO_MAX]);

#endif
