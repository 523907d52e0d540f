/* Where a Redis client's commands end (RESP, "Sending commands to a Redis server"; inline
 * commands). Looks at bytes as they come, keeps none of them, and takes any split of the input.
 * What it learns of a command is where its first words are, so that who keeps the bytes can read
 * them. */
#ifndef ROUTER_PROTO_REDIS_REQUEST_H
#define ROUTER_PROTO_REDIS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/redis_number.h"

#define REDIS_WORDS_MAX     8         /* HELLO 3 AUTH user password SETNAME name has seven */
#define REDIS_ARGUMENTS_MAX INT32_MAX /* Redis 7.0's; older ones take a million and judge that */
#define REDIS_BULK_MAX      (512ULL * 1024 * 1024) /* proto-max-bulk-len's default */
#define REDIS_INLINE_MAX    (64 * 1024)            /* as a server's; its LF not counted */

struct redis_word {
    uint32_t at; /* from the command's first byte */
    uint32_t len;
};

/* One command that is coming in. Start from a zeroed struct. */
struct redis_request {
    uint64_t len;       /* bytes of it seen so far, line ends too */
    uint64_t declared;  /* bytes that it has at least, by what it says itself: >= len */
    uint32_t argc;      /* as its head says; of an inline command, once it is whole. 0 with
                         * REDIS_WHOLE: an empty one, which servers do not answer. It is not to be
                         * sent: behind a line of blanks Valkey 8.1 takes whatever follows for an
                         * inline command, and answers more often than it was asked */
    uint8_t word_count; /* words that are whole, at most REDIS_WORDS_MAX */
    bool is_inline;
    bool is_odd; /* inline, with quotes: the words, quotes and all, are not what a server sees */
    struct redis_word words[REDIS_WORDS_MAX];
    /* the scanner's */
    uint8_t phase;
    uint32_t arguments_left;
    uint64_t bulk_left;
    struct redis_number number;
};

enum redis_scan {
    REDIS_MORE,  /* all of `data` was taken, the command goes on */
    REDIS_WHOLE, /* it is over after *used bytes */
    REDIS_BAD,   /* not to be sent to any server: `why` in words, where servers have words for it
                  * those that follow their "Protocol error: ". They do not mind what stands
                  * where an LF is due (Redis 7.0); we do, and we do not wait for 64 KiB of a line
                  * that is wrong already */
};

/* The next bytes of the command. Not to be called again after REDIS_WHOLE and REDIS_BAD; with the
 * latter *used says nothing. */
enum redis_scan redis_request_feed(struct redis_request *r, const char *data, size_t len,
                                   size_t *used, const char **why);

/* Whether word `i` is this one, whatever the case of its letters; `first` is the command's first
 * byte. */
bool redis_word_is(const struct redis_request *r, const char *first, unsigned i, const char *word);

#endif
