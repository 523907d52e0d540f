/* A router inside a program: load a configuration, run it, drain it. `build/router` is main.c on
 * top of this. Link with libuv, hiredis, inih, OpenSSL and pthreads. */
#ifndef ROUTER_H
#define ROUTER_H

#include <stdbool.h>

#define ROUTER_VERSION "0.1.0"

struct router;
struct config; /* src/model/config.h: config_load() */

/* Binds every address, starts the workers. `config` is borrowed until router_free(). Returns 0 and
 * *out, or a negative errno value with one line of explanation in `why` (at least 512 bytes; NUL
 * ended): then nothing is left open or running. */
int router_start(struct router **out, struct config *config, char *why, unsigned why_size);

/* Before router_run(): what SIGUSR2 starts to take this process' place (exec, the only one): a file
 * and its arguments, NULL behind the last; both are borrowed until router_free(). */
void router_allow_upgrade(struct router *r, const char *path, char *const *arguments);

/* Runs the control loop on the calling thread until a drain is complete. SIGTERM and SIGINT begin
 * the drain; a second one ends the process at once. Returns 0, or UV_EBUSY if a handle leaked. Both
 * signals are ignored from then on, so that a late one cannot spoil the end: a program that goes on
 * sets what it wants. */
int router_run(struct router *r);

/* Any thread, until router_run() returns; a second call has no effect. After shutdown_delay
 * stop accepting, let sessions finish for at most drain_timeout, then close them. */
void router_drain(struct router *r);

/* Any thread, while router_run() runs. What becomes of it is told in the events and the log; 0, or
 * -ENOENT if there is no such backend or server, or -ENOMEM.
 *
 * pause: new sessions wait (for queue_timeout), living ones stand still, until resume. */
int router_pause(struct router *r, const char *backend);
int router_resume(struct router *r, const char *backend);
/* Makes a server that claims to be the primary the elected one; all others that claim have lost. */
int router_elect(struct router *r, const char *backend, const char *server);

/* After router_run() has returned. */
void router_free(struct router *r);

/* Reads the certificates and keys that `config` names, as a start does, and logs what is wrong with
 * their time or names. 0, or a negative errno value with one line in `why` (at least 512 bytes). */
int router_check(const struct config *config, char *why, unsigned why_size);

/* Probes every server once and prints to standard output what it is, who would be primary and why.
 * 0 if every frontend has a server, 1 if one has none. Starts nothing else. */
int router_probe(struct config *config);

/* What came of it for one server and one frontend that may lead there. */
struct router_probed {
    const char *frontend;
    const char *backend;
    const char *server;
    const char *role; /* "primary", "replica", "unknown" */
    bool up;
    bool serves; /* clients of the frontend may be sent there now */
};

/* The same, and tells of each server of each frontend before it returns; what it tells lasts no
 * longer than the call. */
int router_probe_told(struct config *config,
                      void (*tell)(void *context, const struct router_probed *probed),
                      void *context);

#endif
