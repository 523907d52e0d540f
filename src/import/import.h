/* HAProxy's configuration as router.ini, and what became of each of its lines. */
#ifndef ROUTER_IMPORT_IMPORT_H
#define ROUTER_IMPORT_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

struct import;
struct text;

/* Reads files and directories in this order. 0 and *out, to be released with import_free(); or
 * -EINVAL: then `errors` (release with text_free()) has a line "FILE:LINE: words" for each thing
 * that HAProxy would refuse too. */
int import_read(const char *const *paths, size_t count, struct import **out, struct text *errors);
/* The same from memory; `path` is what messages call it. For the fuzzer. */
int import_read_bytes(const char *path, const char *bytes, size_t len, struct import **out,
                      struct text *errors);
void import_free(struct import *i);

/* router.ini with comments, NUL ended; borrowed. It may hold secrets. */
const char *import_text(const struct import *i);
/* Probes need an account that HAProxy did without: it is read from the environment. */
#define IMPORT_USER     "ROUTER_PROBE_USER"
#define IMPORT_PASSWORD "ROUTER_PROBE_PASSWORD"
bool import_wants_account(const struct import *i);
/* Something that the file says is not in it. */
bool import_lost(const struct import *i);
/* A server to which HAProxy may lead the clients of a frontend. */
struct import_route {
    const char *frontend; /* of router.ini */
    const char *backend;  /* these two of HAProxy */
    const char *server;
    const char *ours; /* what router.ini calls the server; NULL: it is not in it */
};

void import_each_route(const struct import *i,
                       void (*each)(void *context, const struct import_route *route),
                       void *context);
/* The unix sockets at which HAProxy answers (`stats socket`); NULL behind the last. */
const char *import_socket(const struct import *i, size_t n);

/* What became of each line, for people or as JSON: {"files": [...], "kept": N, "difference": N,
 * "not_needed": N, "lost": N, "lines": [{"file", "line", "section", "directive", "verdict",
 * "words": [...]}]}. No secrets. */
void import_report(const struct import *i, bool json, struct text *out);
/* A line "FILE:LINE: words" for each thing that is lost. */
void import_report_lost(const struct import *i, struct text *out);

#endif
