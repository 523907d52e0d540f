/* Where a Redis server's replies end, RESP2 and RESP3 (the RESP specification): nested as deep as
 * they like, with pushes and attributes. Looks at bytes as they come, keeps none but the first few,
 * and takes any split of the input. Needs no memory for the nesting: it counts the values that are
 * still to come. */
#ifndef ROUTER_PROTO_REDIS_REPLY_H
#define ROUTER_PROTO_REDIS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/redis_request.h"

#define REDIS_HEAD_MAX       32
#define REDIS_LINE_MAX       (16 * 1024 * 1024) /* of a simple value; a script may say it */
/* Of a string: nothing that a client could write is longer, but DUMP answers with whole keys. */
#define REDIS_REPLY_BULK_MAX (64ULL * 1024 * 1024 * 1024)
#define REDIS_VALUES_MAX     UINT32_MAX /* of one aggregate */

/* One reply that is coming in. Start from a zeroed struct. */
struct redis_reply {
    uint64_t len;     /* bytes of it seen so far, attributes before it too */
    char type;        /* its first byte, that of the value, not of an attribute: '+', '-', ':',
                       * '$', '*', '_', ',', '#', '!', '=', '(', '%', '~' or '>'; 0 = not seen */
    uint8_t head_len; /* of a simple value (+ - : _ , # () what stands behind the type, of a long
                       * error (!) what it says; of an aggregate, its first value if that is a
                       * string: "message", "subscribe". Cut to REDIS_HEAD_MAX */
    bool head_whole;  /* `head` is complete, or full */
    char head[REDIS_HEAD_MAX];
    /* the scanner's */
    uint8_t phase;
    bool in_head;         /* what comes next belongs there */
    char value;           /* the type of the value that is coming in */
    uint64_t left;        /* bytes of it, where that is known */
    uint64_t values_left; /* it included */
    struct redis_number number;
};

/* The next bytes. REDIS_BAD: no server of ours says this; `why` in words. Not to be called again
 * after REDIS_WHOLE and REDIS_BAD; with the latter *used says nothing. */
enum redis_scan redis_reply_feed(struct redis_reply *r, const char *data, size_t len, size_t *used,
                                 const char **why);

/* Whether a whole reply is an error, '-' or '!', that begins with this ("READONLY"), as a word. */
bool redis_reply_is_error(const struct redis_reply *r, const char *code);

#endif
