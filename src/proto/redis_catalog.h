/* What each command of a Redis server is: whether it reads or writes, and what it does to the
 * connection it is sent on. From the server's own COMMAND reply, with a built-in table for servers
 * that refuse it and for what COMMAND does not say. */
#ifndef ROUTER_PROTO_REDIS_CATALOG_H
#define ROUTER_PROTO_REDIS_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_request;

/* What a command asks of its connection. */
enum redis_kind {
    REDIS_PLAIN,  /* nothing: any connection of the same user, database and protocol does */
    REDIS_CURSOR, /* nothing, but SCAN and its kin go to the server where they began */
    REDIS_BLOCKS, /* it may wait at the server: one of its own until it is answered */
    REDIS_WAITS,  /* WAIT, WAITAOF: the same, one that has run a command before */
    REDIS_OWN,    /* one of its own until it is answered (CLIENT PAUSE, DEBUG, SHUTDOWN) */
    REDIS_AUTH,
    REDIS_HELLO,
    REDIS_SELECT,
    REDIS_RESET,
    REDIS_QUIT,
    REDIS_SETNAME, /* CLIENT SETNAME */
    REDIS_GETNAME, /* CLIENT GETNAME */
    REDIS_ID,      /* CLIENT ID */
    REDIS_MULTI,
    REDIS_EXEC,
    REDIS_DISCARD,
    REDIS_WATCH,
    REDIS_UNWATCH,
    REDIS_SUBSCRIBE, /* SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE */
    REDIS_UNSUBSCRIBE,
    REDIS_TRACKING_ON,  /* CLIENT TRACKING ON, CLIENT NO-EVICT ON, CLIENT NO-TOUCH ON: one of its */
    REDIS_TRACKING_OFF, /* own until each is off again */
    REDIS_STATE,        /* it leaves something behind: one of its own from now on. Also all that is
                         * not known */
    REDIS_RAW,          /* replies cannot be counted any more: MONITOR, CLIENT REPLY, SYNC, PSYNC,
                         * REPLCONF, SCRIPT DEBUG YES|SYNC */
    REDIS_KIND_COUNT
};

enum redis_access {
    REDIS_NEITHER, /* no data: PING, AUTH, MULTI; may be asked again */
    REDIS_READS,   /* may be asked again, and of a replica */
    REDIS_WRITES,  /* must not be asked again when it may have run */
};

struct redis_verdict {
    enum redis_kind kind;
    enum redis_access access;
    bool known;       /* by the catalog; false: taken for a write that leaves something behind */
    bool secret;      /* its words hold a password: AUTH, HELLO, CONFIG SET, ACL SETUSER, MIGRATE;
                       * those of what is not known may, it may be AUTH by another name */
    const char *name; /* a constant, or the catalog's: "client|setname"; of an unknown one "?" */
};

struct redis_catalog;

/* With the built-in table only, until a reply is fed. `command` says the name under which the
 * server knows a command (struct probe_setup), "" where it is disabled; it is not called later.
 * NULL: all have their own names. Returns NULL when out of memory. */
struct redis_catalog *redis_catalog_new(const char *(*command)(const void *renames,
                                                               const char *command),
                                        const void *renames);
void redis_catalog_free(struct redis_catalog *c); /* NULL is fine */

/* What a command is, by its words and, where it matters, its further arguments (XREAD ... BLOCK):
 * `data` is the whole command or, of a longer one, its first `len` bytes. */
struct redis_verdict redis_catalog_judge(const struct redis_catalog *c,
                                         const struct redis_request *r, const char *data,
                                         size_t len);

/* The reply that will be fed is the one to COMMAND INFO <name>, not to COMMAND: what it says is a
 * command is known under this name from then on, MULTI's new name too. Until the end. */
void redis_catalog_ask(struct redis_catalog *c, const char *name, size_t len);
/* The reply to COMMAND, or to COMMAND INFO with one name, in any split; what it says is in force
 * when it is whole. An error reply, or nonsense, changes nothing. Bounded in memory whatever it
 * says. One reply at a time: feed, end, feed. */
void redis_catalog_feed(struct redis_catalog *c, const char *data, size_t len);
/* It is over, or the connection is lost. True: something was learned. What was asked for is noted
 * as asked, if an answer came. */
bool redis_catalog_end(struct redis_catalog *c);

/* Whether the server was asked for this first word of an unknown command already, or need not be:
 * no command is called so, for one with spaces or a NUL. Else it is worth a COMMAND INFO. Remembers
 * REDIS_UNKNOWN_MAX of them, then says yes to all, until a whole reply to COMMAND came. Who asks by
 * redis_catalog_ask() need not note it. */
#define REDIS_UNKNOWN_MAX 256
bool redis_catalog_has_asked(const struct redis_catalog *c, const char *name, size_t len);
void redis_catalog_note_asked(struct redis_catalog *c, const char *name, size_t len);

#endif
