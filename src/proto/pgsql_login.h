/* The way in to a PostgreSQL server: TLS, startup and authentication, up to its first ReadyForQuery
 * (manual, "Start-up" and "SASL Authentication"). Holds the password: pgsql_login_wipe() at the
 * end. Zeroed memory may be wiped. */
#ifndef ROUTER_PROTO_PGSQL_LOGIN_H
#define ROUTER_PROTO_PGSQL_LOGIN_H

#include "model/observation.h"
#include "proto/pgsql_message.h"
#include "proto/pgsql_scram.h"
#include "router_proto.h"

#define PGSQL_NAME_MAX     128 /* of a user or a database; PostgreSQL cuts at 63 */
#define PGSQL_PASSWORD_MAX 1024
#define PGSQL_OUT_MAX      8192

/* What is to be sent. What fills it is bounded, see pgsql_out_message(). */
struct pgsql_out {
    char data[PGSQL_OUT_MAX];
    size_t len;
};

enum pgsql_login_state {
    PGSQL_LOGIN_BYTE,  /* waits for the one byte that answers an SSLRequest */
    PGSQL_LOGIN_TLS,   /* waits for TLS */
    PGSQL_LOGIN_ASKED, /* waits for what the server wants to see */
    PGSQL_LOGIN_FIRST, /* waits for the server-first-message of SCRAM */
    PGSQL_LOGIN_FINAL, /* waits for the server-final-message */
    PGSQL_LOGIN_OK,    /* waits for AuthenticationOk */
    PGSQL_LOGIN_READY, /* waits for ReadyForQuery */
    PGSQL_LOGIN_DONE,
};

struct pgsql_login {
    enum pgsql_login_state state;
    const char *missing; /* what the probe lacks, in words; NULL = nothing */
    bool tls;
    bool unheard; /* nobody can listen: TLS, or a unix socket */
    char user[PGSQL_NAME_MAX];
    char database[PGSQL_NAME_MAX];
    char password[PGSQL_PASSWORD_MAX]; /* empty = none */
    char version[32];                  /* server_version, empty until it came */
    struct scram scram;
};

/* Fills `out` with the first words to a server. */
void pgsql_login_start(struct pgsql_login *l, const struct probe_setup *setup,
                       struct pgsql_out *out);
/* Before the startup (PGSQL_LOGIN_BYTE, PGSQL_LOGIN_TLS): what feed() got. */
enum probe_step pgsql_login_raw(struct pgsql_login *l, const char *data, size_t len,
                                struct observation *o, struct pgsql_out *out);
/* After it: a message that is neither an error nor a notice nor a parameter. */
enum probe_step pgsql_login_take(struct pgsql_login *l, const struct pgsql_reader *r,
                                 struct observation *o, struct pgsql_out *out);
/* An ErrorResponse, in words; also for those that come later. */
enum probe_step pgsql_login_error(const struct pgsql_login *l, const struct pgsql_reader *r,
                                  struct observation *o);
void pgsql_login_wipe(struct pgsql_login *l);

/* Appends a message, or, with type 0, a packet without a type. Our own are small: that they fit is
 * asserted. */
void pgsql_out_message(struct pgsql_out *out, char type, const void *body, size_t len);

#endif
