/* What the parts of the catalog share: what arguments say, and the reader of COMMAND's reply. */
#ifndef ROUTER_PROTO_REDIS_CATALOG_INTERNAL_H
#define ROUTER_PROTO_REDIS_CATALOG_INTERNAL_H

#include "proto/redis_catalog.h"
#include "proto/redis_request.h"
#include "proto/redis_table.h"

/* The verdict on a command that is this row. */
struct redis_verdict redis_catalog_look(const struct redis_row *row, const struct redis_request *r,
                                        const char *data, size_t len);

/* How many words the command has; 0: its line has not ended yet. */
static inline uint32_t redis_catalog_argc(const struct redis_request *r, const char *data,
                                          size_t len)
{
    bool open = r->is_inline && (r->len == 0 || r->len > len || data[r->len - 1] != '\n');
    return open ? 0 : r->argc;
}

/* What COMMAND's reply says of a command, in its flags and categories. */
enum redis_flag {
    FLAG_WRITE = 1,
    FLAG_READONLY = 2,
    FLAG_BLOCKING = 4,
    FLAG_REPLICATES = 8,  /* "may_replicate" */
    FLAG_CONNECTION = 16, /* it is about its connection: @connection, @pubsub, @transaction */
};

struct redis_taught {
    char name[REDIS_NAME_MAX];
    uint8_t len; /* 0: not a name that we keep */
    uint8_t flags;
};

enum redis_lesson {
    LESSON_READING,
    LESSON_WHOLE,
    LESSON_BAD, /* an error, nonsense, or no memory */
};

#define REDIS_LESSON_DEPTH 6 /* commands, a command, subcommands, a subcommand, its flags */

/* A reply to COMMAND or COMMAND INFO that is being read. Start from a zeroed struct. */
struct redis_reading {
    enum redis_lesson state;
    uint8_t phase;
    char type; /* of the value that is being read */
    uint8_t depth;
    struct {
        uint8_t role;
        uint32_t field;   /* how many of its values came */
        uint32_t left;    /* how many are still to come */
        uint32_t command; /* in `taught`; beyond its end: not kept */
    } stack[REDIS_LESSON_DEPTH];
    uint64_t skip; /* values still to come of one that says nothing to us */
    uint64_t bulk_left;
    size_t word_len; /* of the line or string that is being read; may be more than is kept */
    char word[REDIS_NAME_MAX];
    struct redis_taught *taught; /* owned; of a container, its subcommands follow it */
    size_t count;
    size_t capacity;
};

void redis_reading_feed(struct redis_reading *r, const char *data, size_t len);
/* Forgets everything. */
void redis_reading_end(struct redis_reading *r);

#endif
