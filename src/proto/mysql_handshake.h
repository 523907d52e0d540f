/* The packets that begin a connection of MySQL's protocol, read and written: a server's greeting
 * (Protocol::HandshakeV10), a client's request for TLS and its login (Protocol::SSLRequest,
 * Protocol::HandshakeResponse41), COM_CHANGE_USER. MariaDB's own capabilities ride in bytes that
 * are zeros elsewhere, where LONG_PASSWORD is not set (MariaDB KB, "Connection").
 *
 * For a router that stands between both: it greets clients in a server's place, and logs them in
 * there without knowing their passwords (mysql_prove.h). */
#ifndef ROUTER_PROTO_MYSQL_HANDSHAKE_H
#define ROUTER_PROTO_MYSQL_HANDSHAKE_H

#include "model/greeting.h"
#include "proto/mysql_packet.h"

/* A plugin that no account has: a server must then name the account's own, with a fresh nonce. */
#define MYSQL_NO_PLUGIN "router_asks_for_the_plugin"

/* What of a server's capabilities a client may be offered: not compression, optional metadata,
 * MariaDB's progress reports, cached metadata and COM_MULTI. `tls`: it may ask us for TLS. */
uint32_t mysql_caps_offered(uint32_t server, bool tls);
uint32_t mysql_caps_offered_extended(uint32_t server);
/* Those of a client that change what passes on the wire, or how statements are carried out: a
 * server connection serves only clients with the same. MariaDB's own are the upper half. */
uint64_t mysql_caps_key(uint32_t capabilities, uint32_t extended);
/* With what we log in at a server for a client with this key; CONNECT_WITH_DB among them, SSL not.
 * The server must offer all of the key, and what of the rest it does not offer is left out. */
uint32_t mysql_caps_login(uint64_t key);
uint32_t mysql_caps_login_extended(uint64_t key);

/* The server's side ------------------------------------------------------------------------- */

struct mysql_greeting {
    struct greeting says;
    uint32_t thread; /* the connection's id */
    uint16_t status;
    unsigned char nonce[MYSQL_NONCE]; /* of ours: without zeros, which end it for some clients */
};

/* False: it is none, or that of a server from before 5.5.7, which knows no plugins. */
bool mysql_read_greeting(struct mysql_greeting *g, const void *payload, size_t len);
/* False: it is none. */
bool mysql_read_any_greeting(struct mysql_greeting *g, const void *payload, size_t len);
/* A whole packet, sequence number 0. */
void mysql_write_greeting(struct mysql_writer *w, const struct mysql_greeting *g);

/* The client's side ------------------------------------------------------------------------- */

/* A login or a COM_CHANGE_USER. Texts are borrowed from the payload. */
struct mysql_request {
    uint32_t capabilities;
    uint32_t extended;
    uint16_t charset;
    struct mysql_text user;
    struct mysql_text token;
    struct mysql_text database;   /* empty: none */
    struct mysql_text plugin;     /* empty: none was named */
    struct mysql_text attributes; /* the pairs, without the length of all; empty: none */
};

enum mysql_request_kind {
    MYSQL_REQUEST_LOGIN,
    MYSQL_REQUEST_TLS, /* capabilities, extended and charset only; the handshake of TLS follows */
    MYSQL_REQUEST_OLD, /* a client from before 4.1, or without PLUGIN_AUTH: cannot be served */
    MYSQL_REQUEST_BAD, /* as bad: a user or database above 255 bytes, attributes above 64 KB */
};

/* The first packet of a client, or the one that follows under TLS (where `offered` is best without
 * SSL). What it claims beyond `offered` is not believed: such bits are cleared before they are
 * used; LONG_PASSWORD, which only says whose client it is, stays as it came. */
enum mysql_request_kind mysql_read_login(struct mysql_request *r, uint32_t offered,
                                         uint32_t offered_extended, const void *payload,
                                         size_t len);
/* The payload, its first byte (0x11) included, of a client with these capabilities; `extended` is
 * left 0. */
bool mysql_read_change_user(struct mysql_request *r, uint32_t capabilities, const void *payload,
                            size_t len);

/* What a server would call wrong before it asks for a proof, and count as a broken handshake: the
 * code of its error; 0: nothing. */
unsigned mysql_request_fault(const struct mysql_request *r, const char **words);

/* Whole packets. Logins and changes of user carry the request's user, database, charset and
 * attributes, no token, and MYSQL_NO_PLUGIN. Changes of user are for connections that have logged
 * in with mysql_caps_login(). A login has a charset of one byte: one above 255 becomes 0, the
 * server's default. A request for TLS has sequence number 1, and the charset of the login that will
 * follow it: MySQL takes it from the first of both, and calls another in the second a bad
 * handshake. */
void mysql_write_tls_request(struct mysql_writer *w, uint32_t capabilities, uint32_t extended,
                             uint16_t charset);
void mysql_write_login(struct mysql_writer *w, unsigned char sequence, uint32_t capabilities,
                       const struct mysql_request *r);
void mysql_write_change_user(struct mysql_writer *w, const struct mysql_request *r);
/* Bytes that a writer needs for either of them. */
size_t mysql_request_size(const struct mysql_request *r);
/* An ERR packet; `words` plain ASCII. `state`: five letters; NULL: none, as in place of the
 * greeting. */
void mysql_write_error(struct mysql_writer *w, unsigned char sequence, unsigned code,
                       const char *state, const char *words);

#endif
