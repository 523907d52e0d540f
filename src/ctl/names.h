/* The names of the running configuration: each is looked up at the start, every resolve_interval,
 * and after failed connects; what is found becomes servers (model/discovery.h) by another
 * configuration that takes the place of the running one (ctl/apply.h), and Sentinels.
 *
 * The last good answer stays in use. Control thread only. */
#ifndef ROUTER_CTL_NAMES_H
#define ROUTER_CTL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control;
struct name_addresses;
struct names;
struct text;

/* NULL: memory. */
struct names *names_new(struct control *c);
/* While the loop runs; frees itself later. NULL is fine. */
void names_close(struct names *n);

/* Looks up the names of the running configuration: at the start, and when another one has taken its
 * place. NULL is fine. */
void names_follow(struct names *n);
/* A connect to where this name leads has failed, or the server there is down. NULL is fine. */
void names_doubt(struct names *n, const char *host);
/* What is known of a name; NULL: nothing. */
const struct name_addresses *names_find(const struct names *n, const char *host);
/* Whether each name has been looked up, with whatever result, and what was found is in effect. */
bool names_settled(const struct names *n);

/* For people and numbers. */
struct name_view {
    const char *host;
    size_t addresses; /* that are known */
    bool answered;    /* it was looked up, with whatever result */
    bool failing;     /* the last look-up brought nothing */
    const char *why;  /* then */
    bool asking;      /* one is under way */
    uint64_t lookups;
    uint64_t failures;
    uint64_t good_ms; /* how long ago the last good answer came; UINT64_MAX = never */
};

size_t names_count(const struct names *n);
void names_view(const struct names *n, size_t i, struct name_view *out);
bool names_look(const struct names *n, const char *host, struct name_view *out); /* is it one? */
/* A table, a line for each name and each of its addresses. */
void names_tell(const struct names *n, struct text *out);

#endif
