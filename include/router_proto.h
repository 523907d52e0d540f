/* The contract of a protocol: bytes in, verdicts and bytes out. A protocol is one `const struct
 * proto`; it does no I/O, keeps its state in the memory it is given, accepts any split of its input
 * and bounds every length before using it. proto_find() in src/proto/proto.h knows them all. */
#ifndef ROUTER_PROTO_H
#define ROUTER_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct observation; /* src/model/observation.h: what a probe learnt */
struct probe_setup; /* below */

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
    PROBE_STEP_TLS,  /* the same, but make the connection TLS first: feed() is called with no bytes
                      * when it is */
    PROBE_STEP_DONE, /* the observation is complete; the connection may serve the next probe */
    PROBE_STEP_LAST, /* the observation is complete; the connection is at its end */
    PROBE_STEP_ANEW, /* the connection is at its end, the observation is not: on the next connection
                      * of this probe feed() is called with no bytes in place of start() */
    PROBE_STEP_FAIL, /* the observation says why; close the connection */
};

/* mysql_topology: how the servers of a MySQL backend hang together. */
enum mysql_topology {
    MYSQL_TOPOLOGY_AUTO, /* each server says it */
    MYSQL_TOPOLOGY_REPLICATION,
    MYSQL_TOPOLOGY_GROUP_REPLICATION,
    MYSQL_TOPOLOGY_GALERA,
};

/* http_check: "GET /health". */
struct http_check {
    char *method; /* NULL = no check */
    char *target;
};

#define HTTP_EXPECT_MAX 8

/* http_expect: the good status codes, "200", "200-299" or several with commas. */
struct http_expect {
    struct {
        unsigned first;
        unsigned last;
    } ranges[HTTP_EXPECT_MAX];
    unsigned count;
};

/* What a dialogue asks with: borrowed, and read anew at each start(), so that a rotated password
 * counts from the next login on. */
struct probe_setup {
    const char *user;     /* NULL = none */
    const char *password; /* NULL = none */
    const char *database; /* NULL = the protocol's default */
    /* The name under which the server knows `command`; the command itself if it is not renamed. */
    const char *(*command)(const void *renames, const char *command);
    const void *renames;
    bool tls;   /* probe_tls: the connection is, or is to be made, TLS */
    bool local; /* a unix socket: nobody listens */
    enum mysql_topology mysql_topology;
    const struct http_check *http;         /* http_probe only */
    const struct http_expect *http_expect; /* http_probe only */
    const char *host;                      /* http_probe, patroni_probe: the Host field */
    uint64_t lag_bytes;                    /* patroni_probe: max_lag, 0 = none */
    const char *master;                    /* sentinel_probe: the name the Sentinels know it by */
};

/* A dialogue that asks a server for its role. All strings are borrowed until the next call. */
struct probe_dialogue {
    size_t state_size;
    /* TLS, where it is wanted, begins inside the protocol (PROBE_STEP_TLS) and not with the
     * connection. */
    bool tls_inside;
    /* `state` is zeroed memory of state_size bytes. `greeting` says that the connection is new and
     * must log in first. Writes what to send to out/out_len (borrowed from the state). */
    enum probe_step (*start)(void *state, const struct probe_setup *setup, bool greeting,
                             const char **out, size_t *out_len);
    enum probe_step (*feed)(void *state, const char *data, size_t len, struct observation *result,
                            const char **out, size_t *out_len);
    /* The polite end of a kept or single connection. */
    void (*goodbye)(void *state, const struct probe_setup *setup, const char **out,
                    size_t *out_len);
    void (*release)(void *state); /* frees what the state holds; the state itself is the caller's */
    /* True while a connection that is cut would be held against our address (MySQL counts broken
     * handshakes): it is kept, whatever the time-out says, until the login is over. Also true
     * before the first byte of it came. NULL: never. */
    bool (*unfinished)(const void *state);
    /* Bytes that come between two probes: whether they are part of the protocol, and say that a
     * question is worth while now. NULL: nothing comes unasked. */
    bool (*unasked)(void *state, const char *data, size_t len);
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
