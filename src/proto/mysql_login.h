/* The login of a probe on one connection to a MySQL or MariaDB server, for the inside of proto/:
 * HandshakeV10, HandshakeResponse41 and what the plugins of accounts say to each other
 * (mysql_native_password, caching_sha2_password). One that cannot succeed is still brought to its
 * end, because servers count handshakes that are broken off (max_connect_errors). */
#ifndef ROUTER_PROTO_MYSQL_LOGIN_H
#define ROUTER_PROTO_MYSQL_LOGIN_H

#include "model/greeting.h"
#include "model/observation.h"
#include "proto/mysql_packet.h"
#include "proto/mysql_words.h"
#include "router_proto.h"

#define MYSQL_GREETING_MAX 1024 /* bytes of its payload */

enum mysql_login_state {
    MYSQL_LOGIN_GREETING, /* waits for the server's greeting; zeroed memory is here */
    MYSQL_LOGIN_TLS,      /* waits for mysql_login_secured() */
    MYSQL_LOGIN_PROOF,    /* waits for OK, ERR, another plugin or its next word */
    MYSQL_LOGIN_OVER,     /* OK or ERR was read, or it was no MySQL */
};

enum mysql_plugin {
    MYSQL_PLUGIN_NATIVE,
    MYSQL_PLUGIN_SHA2,
    MYSQL_PLUGIN_FOREIGN, /* one that we cannot do */
};

struct mysql_login {
    enum mysql_login_state state;
    char *user; /* owned, as the next two; never NULL after the start */
    char *password;
    char *database;
    bool tls;    /* is wanted */
    bool secure; /* nobody listens: the password may be sent as it is */
    bool mariadb;
    const char *vain; /* why it cannot succeed; nothing of ours is told any more; NULL = it can */
    bool key_asked;
    enum mysql_plugin plugin; /* whose turn it is */
    char foreign[48];         /* the last one that we could not do; empty = none */
    uint32_t capabilities;    /* of both sides */
    struct greeting greeting; /* the server's; without a version: it was not read yet */
    unsigned char nonce[MYSQL_NONCE];
    unsigned char sequence; /* of the next packet, whoever sends it */
    unsigned packets;       /* taken so far */
};

/* Copies the account; what is in `l` is released first. False: out of memory. */
bool mysql_login_start(struct mysql_login *l, const struct probe_setup *setup);
/* Bytes that a writer needs for the longest answer. */
size_t mysql_login_size(const struct mysql_login *l);
/* One packet from the server. PROBE_STEP_DONE: logged in; PROBE_STEP_FAIL: `o` says why. */
enum probe_step mysql_login_take(struct mysql_login *l, const struct mysql_inbox *packet,
                                 struct observation *o, struct mysql_writer *answer);
/* The connection is TLS now. */
enum probe_step mysql_login_secured(struct mysql_login *l, struct observation *o,
                                    struct mysql_writer *answer);
/* Before mysql_login_secured(): the server is not who it should be, so the login must fail; it is
 * counted as a broken one unless it comes to its end. `why` is borrowed. */
void mysql_login_distrust(struct mysql_login *l, const char *why);
struct mysql_account mysql_login_account(const struct mysql_login *l);
void mysql_login_forget(struct mysql_login *l); /* wipes and releases; zeroed then */

#endif
