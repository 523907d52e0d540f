/* What the parts of the catalog share: its rows, and what the reader of COMMAND's reply tells. */
#ifndef ROUTER_PROTO_REDIS_CATALOG_INTERNAL_H
#define ROUTER_PROTO_REDIS_CATALOG_INTERNAL_H

#include "proto/redis_catalog.h"
#include "proto/redis_request.h"

#define REDIS_NAME_MAX     64   /* of a command, of a container and its subcommand together */
#define REDIS_COMMANDS_MAX 4096 /* that a server may teach */

/* Where the arguments have a say. */
enum redis_look {
    LOOK_NOTHING, /* they have none */
    LOOK_SECRET,  /* nor have they, but they hold a password */
    LOOK_HELLO,   /* they do where AUTH is among them */
    LOOK_STREAMS, /* XREAD, XREADGROUP: waits with BLOCK */
    LOOK_ON_OFF,  /* the third word says whether it begins or ends */
    LOOK_REPLY,   /* CLIENT REPLY: ON is harmless */
    LOOK_DEBUG,   /* SCRIPT DEBUG: NO is harmless */
    LOOK_CURSOR,  /* FT.AGGREGATE: WITHCURSOR leaves a cursor at the server that was asked */
};

struct redis_row {
    const char *name; /* "client|setname"; a constant, or the catalog's */
    uint8_t kind;     /* enum redis_kind */
    uint8_t access;   /* enum redis_access */
    uint8_t look;     /* enum redis_look */
};

/* The verdict on a command that is this row. */
struct redis_verdict redis_catalog_look(const struct redis_row *row, const struct redis_request *r,
                                        const char *data, size_t len);

/* What COMMAND's reply says of a command. */
enum redis_flag {
    FLAG_WRITE = 1,
    FLAG_READONLY = 2,
    FLAG_BLOCKING = 4,
    FLAG_REPLICATES = 8,  /* "may_replicate" */
    FLAG_CONNECTION = 16, /* of a category that is about the connection: @connection, @pubsub,
                           * @transaction */
};

struct redis_taught {
    char name[REDIS_NAME_MAX + 1];
    uint8_t len; /* 0: the name is not one that we keep */
    uint8_t flags;
};

enum redis_lesson {
    LESSON_READING,
    LESSON_WHOLE,
    LESSON_BAD, /* an error, nonsense, or no memory */
};

#define REDIS_LESSON_DEPTH 6

/* A reply to COMMAND or COMMAND INFO that is being read. Start from a zeroed struct. */
struct redis_reading {
    enum redis_lesson state;
    uint8_t phase;
    char type; /* of the value that is being read */
    uint8_t depth;
    struct {
        uint8_t role;
        uint8_t field;    /* how many of its values are over */
        uint32_t left;    /* values still to come */
        uint32_t command; /* in `taught` */
    } stack[REDIS_LESSON_DEPTH];
    uint64_t skip; /* values still to come of one that says nothing to us */
    uint64_t bulk_left;
    size_t word_len; /* may be more than is kept */
    char word[REDIS_NAME_MAX];
    struct redis_taught *taught; /* owned */
    size_t count;
    size_t capacity;
};

void redis_reading_feed(struct redis_reading *r, const char *data, size_t len);
/* Forgets everything. */
void redis_reading_end(struct redis_reading *r);

#endif
