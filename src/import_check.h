/* `router import --check`: would clients reach the servers that HAProxy sends them to now? */
#ifndef ROUTER_IMPORT_CHECK_H
#define ROUTER_IMPORT_CHECK_H

struct config;
struct import;

/* Probes the servers of `config`, which was made from `import`, asks HAProxy by its stats socket
 * where it runs, and prints both to standard output. 0: every frontend has a server, and as far as
 * HAProxy was heard it sends clients to the same ones; else 1. */
int import_check(const struct import *import, struct config *config);

#endif
