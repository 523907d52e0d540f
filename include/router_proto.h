/* The contract of a protocol: bytes in, verdicts and bytes out. A protocol is one `const struct
 * proto`; it does no I/O, keeps its state in the memory it is given, accepts any split of its input
 * and bounds every length before using it. proto_find() in src/proto/proto.h knows them all. */
#ifndef ROUTER_PROTO_H
#define ROUTER_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct observation;   /* src/model/observation.h: what a probe learnt */
struct probe_account; /* below */

/* Why a client is refused; a protocol may word each in its own error format. */
enum refusal {
    REFUSED_SESSIONS,   /* a cap on sessions: router, frontend or client address */
    REFUSED_RATE,       /* a cap on new sessions a second */
    REFUSED_QUEUE_FULL, /* queue_limit */
    REFUSED_TIMEOUT,    /* queue_timeout: no slot or no primary in time */
    REFUSED_CONNECT,    /* no server took the connect */
    REFUSED_LEFT,       /* the client ended its sending side while it waited */
    REFUSED_SHUTDOWN,   /* the router stops */
};

/* What a probe says next. */
enum probe_step {
    PROBE_STEP_READ, /* send `out` if any, then feed the answer */
    PROBE_STEP_DONE, /* the observation is complete; the connection may serve the next probe */
    PROBE_STEP_FAIL, /* the observation says why; close the connection */
};

struct probe_account {
    const char *user;     /* NULL = none */
    const char *password; /* NULL = none */
    /* The name under which the server knows `command`; the command itself if it is not renamed. */
    const char *(*command)(const void *renames, const char *command);
    const void *renames;
};

/* A dialogue that asks a server for its role. All strings are borrowed until the next call. */
struct probe_dialogue {
    size_t state_size;
    /* `state` is zeroed memory of state_size bytes. `greeting` says that the connection is new and
     * must log in first. Writes what to send to out/out_len (borrowed from the state). */
    enum probe_step (*start)(void *state, const struct probe_account *account, bool greeting,
                             const char **out, size_t *out_len);
    enum probe_step (*feed)(void *state, const char *data, size_t len, struct observation *result,
                            const char **out, size_t *out_len);
    /* The polite end of a kept or single connection. */
    void (*goodbye)(void *state, const struct probe_account *account, const char **out,
                    size_t *out_len);
    void (*release)(void *state); /* frees what the state holds; the state itself is the caller's */
};

struct proto {
    const char *name;
    bool has_roles;                        /* route = primary and replica make sense */
    const struct probe_dialogue *dialogue; /* NULL: probe = auto is a connect */

    /* Writes the refusal in the client's language, at most `size` bytes, and returns the length; 0:
     * just close. `words` is plain ASCII without line ends. */
    size_t (*refuse)(enum refusal why, const char *words, char *out, size_t size);

    /* Whether the first bytes of what a server sent (len > 0) say that its role is in doubt. Called
     * for every read of the relay: must cost next to nothing. NULL: never. */
    bool (*doubts)(const char *data, size_t len);
};

#endif
