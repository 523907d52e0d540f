/* Names of commands and what is known of each: one open hash over commands by the name that clients
 * use, renamed ones by the name they were born with, and subcommands by their container. Rows are
 * never taken out, so that their names live as long as the table. */
#ifndef ROUTER_PROTO_REDIS_TABLE_H
#define ROUTER_PROTO_REDIS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_NAME_MAX     64   /* of a command, of a container and its subcommand together */
#define REDIS_COMMANDS_MAX 4096 /* names beyond those that we bring along */

/* Where the arguments have a say. */
enum redis_look {
    LOOK_NOTHING, /* they have none */
    LOOK_FIRM,    /* nor has what a server says of its access */
    LOOK_SECRET,  /* they hold a password */
    LOOK_HELLO,   /* they do where AUTH is among them */
    LOOK_STREAMS, /* XREAD, XREADGROUP: waits with BLOCK */
    LOOK_BLOCK,   /* TS.READ: the same, BLOCK stands behind what it reads */
    LOOK_ON_OFF,  /* the third word says whether it begins or ends */
    LOOK_REPLY,   /* CLIENT REPLY: ON is harmless */
    LOOK_DEBUG,   /* SCRIPT DEBUG: NO is harmless */
    LOOK_CURSOR,  /* FT.AGGREGATE: WITHCURSOR leaves a cursor at the server that was asked */
};

struct redis_row {
    const char *name; /* "client|setname", in small letters; a constant, or the table's */
    uint8_t kind;     /* enum redis_kind */
    uint8_t access;   /* enum redis_access */
    uint8_t look;     /* enum redis_look */
    bool container;   /* the second word says what it is */
};

/* Whose names are meant, where it is no container. */
#define REDIS_BY_CLIENTS 0xffff
#define REDIS_AT_BIRTH   0xfffe /* of those that clients know by another name, or not at all */
#define REDIS_NO_ROW     0xffff

struct redis_slot;
struct redis_name;

struct redis_table {
    struct redis_slot *slots; /* owned */
    size_t slot_count;
    size_t used;
    struct redis_row *rows; /* owned; an index is a row's name everywhere */
    size_t count;
    size_t capacity;
    struct redis_name *names; /* owned: those that were learned */
    size_t name_count;
};

bool redis_table_init(struct redis_table *t); /* false: no memory */
void redis_table_free(struct redis_table *t);

/* Whether a command may be called so: names end up in lists and logs. None at all is fine. */
bool redis_is_name(const char *text, size_t len);

/* REDIS_NO_ROW: there is none. `parent` is a container's row, or one of the above. */
uint16_t redis_table_find(const struct redis_table *t, uint16_t parent, const char *name,
                          size_t len);
/* By the name that servers know it by, "client|setname" too, whatever clients call it. */
uint16_t redis_table_find_born(const struct redis_table *t, const char *name, size_t len);

/* A copy, in small letters, that lives as long as the table. NULL: it is full, or no memory. */
const char *redis_table_keep(struct redis_table *t, const char *name, size_t len);
/* `row->name` must live as long as the table. REDIS_NO_ROW: no memory. */
uint16_t redis_table_add(struct redis_table *t, const struct redis_row *row);
/* From now on this is the name of the row, and of no other; it is in small letters, at most
 * REDIS_NAME_MAX, and lives as long as the table. False: no memory. */
bool redis_table_name(struct redis_table *t, uint16_t parent, const char *name, uint16_t row);

#endif
