/* One configuration after another, while sessions go on.
 *
 * Positions are stable: a frontend, a backend, a server keeps its index and its id in each
 * configuration that follows, so that whoever keeps one finds the same thing there. What is removed
 * stays as `gone` until nobody uses it, and lives again when it comes back; then something new may
 * get its place, so that the arrays do not grow with each change.
 *
 * The same frontend is one of the same name; the same backend one of the same name and kind (its
 * protocol and the way in which it is probed); the same server one of the same name and address. */
#ifndef ROUTER_MODEL_CONFIG_FOLLOW_H
#define ROUTER_MODEL_CONFIG_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "model/config.h"

/* Who is still used: by sessions, or by anything else that keeps its index. */
struct config_usage {
    bool (*frontend)(const void *context, size_t index);
    bool (*backend)(const void *context, size_t index);
    bool (*server)(const void *context, size_t id);
    const void *context;
};

/* `a` and `b` are in configurations that follow one another. */
bool config_same_backend(const struct backend_config *a, const struct backend_config *b);
bool config_same_server(const struct server_config *a, const struct server_config *b);

/* A whole configuration that says the same as `running`, shares its memory and can be edited: see
 * below. Never NULL; release with config_free(). */
struct config *config_derive(struct config *running);

/* Brings the positions of `next`, which nobody uses yet, in line with those of `running`, and adds
 * to it what is gone. */
void config_follow(struct config *next, struct config *running, const struct config_usage *usage);

/* Edits of a configuration that nobody uses yet. Of the server, weight, said_max_connections,
 * backup may be written to directly. */
/* The server of that name gets another address, as a new server (the old one will be gone). */
void config_set_address(struct server_config *s, const struct address *at, const char *text);
/* Adds a server to a backend; the texts are copied. Returns it, borrowed until the next edit. */
struct server_config *config_add_server(struct backend_config *b, const char *name,
                                        const struct address *at, const char *text);
/* Removes it. */
void config_remove_server(struct backend_config *b, size_t server);

/* The first option that is not the same in two configurations, as its key; NULL if there is none.
 * Secrets are compared, too. */
const char *config_changed_start(const struct config *a, const struct config *b); /* OPTION_START */
/* OPTION_ANEW, of the backend at that index. */
const char *config_changed_probes(const struct config *a, const struct config *b, size_t backend);

#endif
