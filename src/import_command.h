/* `router import` and `router -f`: HAProxy's configuration, to be read or to be run. */
#ifndef ROUTER_IMPORT_COMMAND_H
#define ROUTER_IMPORT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct config;

/* The command, with "import" as argv[0]. Returns the status to exit with: 0, 1 (it cannot be read)
 * or 3 (something is lost). */
int import_command(int argc, char **argv);

#define IMPORT_FILES_MAX 64

/* The files and directories of `router -f`, which are read again at each reload. */
struct import_files {
    const char *paths[IMPORT_FILES_MAX]; /* borrowed */
    size_t count;
    bool lenient; /* what is lost is left out */
};

/* A configuration from them; `files` stays where it is for as long as the process runs. Returns 0,
 * or the status to exit with, after saying why on standard error. */
int import_load(struct import_files *files, struct config **out);

#endif
