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
    REFUSED_FENCED,     /* the server lost its role before the client was logged in */
    REFUSED_DISABLED,   /* the operator has disabled the frontend */
    REFUSED_LOGIN,      /* the client broke its login, or did not go on with it in time */
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
    /* With `unfinished` and tls_inside, before feed() goes on with no bytes: the server cannot
     * prove who it is, `why` is borrowed until release(). The login is brought to its end all the
     * same, but it is told nothing of ours, and the observation fails. */
    void (*distrust)(void *state, const char *why);
    /* Bytes that come between two probes: whether they are part of the protocol, and say that a
     * question is worth while now. NULL: nothing comes unasked. */
    bool (*unasked)(void *state, const char *data, size_t len);
};

/* What the beginning of a session waits for. */
enum login_step {
    LOGIN_CLIENT, /* more from the client */
    LOGIN_SERVER, /* a server, or what it says; what the client sends meanwhile is kept */
    LOGIN_OVER,   /* nothing: from now on all bytes pass unseen */
    LOGIN_BAD,    /* the client breaks the protocol and is to be refused */
    LOGIN_CANCEL, /* what the client sent is a whole request to cancel what another session does */
};

/* How a refusal goes on. */
enum refuse_step {
    REFUSE_SAID,   /* `out` ends it; empty: no words would be understood, just close */
    REFUSE_READ,   /* send `out`, and ask again when the client has sent more */
    REFUSE_CUT,    /* the client is in the midst of a message: only a reset tells it */
    REFUSE_CANCEL, /* as LOGIN_CANCEL */
};

struct refusal_words {
    enum refusal why;
    const char *words; /* plain ASCII without line ends */
};

#define LOGIN_OUT_MAX 512

/* What a login dialogue writes itself. */
struct login_out {
    size_t len;
    char data[LOGIN_OUT_MAX];
};

/* The beginning of a session in the clear, watched while it passes: for protocols in which who
 * speaks first, how one is refused, or what becomes of a connection that is cut depends on it.
 *
 * The client's bytes are kept by the caller and shown in one piece from the first one that was not
 * taken yet, again and again until they are taken; the server's are passed on whatever they are.
 * `state` is zeroed memory of state_size bytes without pointers: it may be copied. */
struct login_dialogue {
    size_t state_size;
    /* How long the client may take each time it is its turn. */
    unsigned patience_ms;

    /* Where the client speaks first: what its first bytes ask for. LOGIN_SERVER: route it, and
     * show the same bytes to client(). Does not change what client() expects. NULL: the server
     * speaks first. */
    enum login_step (*first)(void *state, const char *data, size_t len, const char **why);
    /* Says how many of the bytes may go to the server now, in *pass. LOGIN_BAD: *why in words. */
    enum login_step (*client)(void *state, const char *data, size_t len, size_t *pass,
                              const char **why);
    enum login_step (*server)(void *state, const char *data, size_t len);

    /* Where the server is spoken to under TLS of ours: changes bytes of what it said, in place,
     * that would be a lie to the client, because they are about that TLS. NULL: there are none. */
    void (*veil)(void *state, char *data, size_t len);

    /* Refuses the client, wherever it is: looks at what it sent and nobody took, says how many of
     * these bytes are done with, in *used. Only itself is called after it. */
    enum refuse_step (*refuse)(void *state, const struct refusal_words *refusal, const char *data,
                               size_t len, size_t *used, struct login_out *out);

    /* The name by which others may ask to cancel what this session does: after LOGIN_OVER its own,
     * if it was seen (0: it was not), after LOGIN_CANCEL that of the session which is meant. It is
     * a secret. NULL: the protocol has no such thing. */
    size_t (*key)(const void *state, const char **key);
    /* After LOGIN_CANCEL: what the client asked. */
    void (*request)(const void *state, struct login_out *out);

    /* For a server whose client went away, and that would hold a login that is cut against our
     * address: goes on with it in the client's place, with an account that does not exist. Takes
     * what the server sends (nothing, when it begins), writes what to send, and says whether it is
     * over. NULL: the server does not mind. */
    bool (*finish)(void *state, const char *data, size_t len, struct login_out *out);
};

/* What a client that has not said anything yet wants. */
enum upgrade_step {
    UPGRADE_MORE,   /* its first message is not whole */
    UPGRADE_ASKED,  /* whether it may begin TLS */
    UPGRADE_OTHER,  /* whether it may begin something else, that there is not */
    UPGRADE_DIRECT, /* it begins TLS without a question */
    UPGRADE_CLEAR,  /* it goes on in the clear */
    UPGRADE_EXEMPT, /* the same; and that is right also where TLS is required */
};

/* TLS that begins inside the protocol: one side asks, the other answers with one byte. */
struct tls_upgrade {
    const char *request;
    size_t request_len;
    char yes;
    char no;
    /* Looks at all that a client has sent; ASKED and OTHER: *used says how long the question is. */
    enum upgrade_step (*asked)(const char *data, size_t len, size_t *used);
};

struct proto {
    const char *name;
    bool has_roles;                        /* route = primary and replica make sense */
    const struct probe_dialogue *dialogue; /* NULL: probe = auto is a connect */

    /* NULL: nothing depends on how a session begins. */
    const struct login_dialogue *login;

    /* NULL: TLS begins with the connection, or the protocol's own is relayed as it is. */
    const struct tls_upgrade *upgrade;

    /* TLS begins inside the protocol, when the server has greeted: only who speaks that, a pool or
     * a probe, can begin it. */
    bool tls_greeted;

    /* Without `login`: writes the refusal in the client's language, at most `size` bytes, and
     * returns the length; 0: just close. `words` is plain ASCII without line ends. */
    size_t (*refuse)(enum refusal why, const char *words, char *out, size_t size);

    /* Whether the first bytes of what a server sent (len > 0) say that its role is in doubt. Called
     * for every read of the relay: must cost next to nothing. NULL: never. */
    bool (*doubts)(const char *data, size_t len);
};

#endif
