/* Looking up what the words of a command name: sections and servers that are not gone. What is not
 * found is told as the command's answer, in HAProxy's words. */
#ifndef ROUTER_CTL_COMMAND_NAMES_H
#define ROUTER_CTL_COMMAND_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct command_call;

/* HAProxy's numbers of sections and servers: they stay what they are as long as these live. */
#define PROXY_ID_FRONTEND(index) (2 * (index) + 2)
#define PROXY_ID_BACKEND(index)  (2 * (index) + 3)
#define SERVER_ID(index)         ((index) + 1)

/* For commands that take one backend or none: *only is its index, or SIZE_MAX for all. */
bool command_only_backend(struct command_call *call, size_t *only);
/* "name", or "#number". */
bool command_backend(struct command_call *call, const char *name, size_t *backend);
/* "backend/server"; both may be numbers. */
bool command_server(struct command_call *call, const char *name, size_t *backend, size_t *server);
bool command_frontend(struct command_call *call, const char *name, size_t *frontend);

#define COMMAND_WHO_MAX 64

/* Who gave the command, "uid 0, pid 4711", for the events; returns `who`. */
const char *command_who(const struct command_call *call, char who[COMMAND_WHO_MAX]);

#endif
