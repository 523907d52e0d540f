/* Who may see the numbers: basic authentication (RFC 7617) of the admin address. It holds copies of
 * user and password, so that a configuration may go while it lives; the password's file is read
 * again when it changes. Guessing is slowed for whoever guesses: after GUESSES_BURST wrong
 * passwords an address (IPv4, IPv6 /64) has one look a second, and is told to wait without one
 * until then. Others are not held up. Control thread only. */
#ifndef ROUTER_CTL_AUTHORIZE_H
#define ROUTER_CTL_AUTHORIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "ctl/live_secret.h"

struct http_request;
struct router_config;

#define GUESSES_BURST    5
#define GUESSES_EVERY_MS 1000
#define GUESSERS_MAX     64 /* addresses that are remembered */

struct guesser {
    struct client_key who;
    uint64_t free_at_ms; /* by when all that it guessed is forgiven; 0 = nobody */
};

struct authorizer {
    char *user;     /* owned; NULL = whoever asks may see everything */
    char *password; /* owned: as the configuration has it */
    char *path;     /* owned: of the password's file, or NULL */
    struct live_secret secret;
    struct guesser guessers[GUESSERS_MAX];
};

/* `*a` is zeroed, or is given other words to ask for. */
void authorizer_set(struct authorizer *a, const struct router_config *config);
void authorizer_release(struct authorizer *a); /* wipes */
/* Looks whether the password's file has changed. */
void authorizer_look(struct authorizer *a);

/* 0: it may be answered. 401, or 429: `from` has guessed too often, what it says was not looked at.
 * `trusted` connections have known the password before and are always looked at. */
int authorizer_check(struct authorizer *a, const struct http_request *r, const struct address *from,
                     bool trusted, uint64_t now_ms);

/* RFC 4648, section 4, with its padding, into `out`, which has room for 3 bytes of each 4. The
 * length, or a negative errno. */
long base64_decode(const char *s, size_t len, char *out);

#endif
