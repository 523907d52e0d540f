/* The MySQL load's connections, each in a closed loop (mysql_client.c), and what they share. One
 * thread; whatever goes wrong ends the program. */
#ifndef BENCH_MYSQL_LOAD_H
#define BENCH_MYSQL_LOAD_H

#include "mysql_login.h"
#include "secure.h"
#include "watch.h"

#include <netinet/in.h>

enum { EVENTS = 256, SILENCE_MS = 30000, HEARD_MAX = 1024, ASKED_MAX = 512 };

enum mode {
    MODE_CYCLE, /* connect, log in, one query, COM_QUIT, close */
    MODE_QUERY  /* connections stay */
};

enum client_state {
    CLIENT_GREETS, /* the server's greeting */
    CLIENT_SHAKES, /* the TLS handshake */
    CLIENT_PROVES, /* the server's word on the login */
    CLIENT_HEARS,  /* the rest of the reply */
    CLIENT_RESTS   /* nothing: there is nothing left to ask */
};

struct client {
    int fd;
    enum client_state state;
    uint32_t events; /* what epoll is to tell */
    SSL *tls;        /* owned; NULL: clear */
    int64_t asked_at;
    uint8_t sequence; /* of the next packet, either way, until the login is over */
    struct greeting greeting;
    char login[LOGIN_MAX]; /* kept while TLS shakes hands */
    size_t login_len;
    char heard[HEARD_MAX]; /* what was received and not looked at */
    size_t heard_len;
};

struct load {
    enum mode mode;
    struct sockaddr_in to;
    struct account account;
    int epoll;
    struct client *clients; /* owned */
    long connections;
    long warmup;
    long wanted; /* queries to measure */
    long asked;  /* queries sent or being sent, the warm-up's included */
    long done;
    long done_at_start; /* of them, when measuring began */
    long logins;
    long switched; /* logins in which another proof was asked for */
    int64_t now;   /* when the last client was done, and so asks again */
    struct watch watch;
    char query[ASKED_MAX]; /* the whole packet */
    size_t query_len;
    char reply[HEARD_MAX]; /* the first one; all others must be the same */
    size_t reply_len;
    SSL_CTX *tls; /* owned; NULL: clear */
    struct secure_asked asked_tls;
};

void client_start(struct load *l, struct client *c); /* connects and asks */
/* Until all that was asked is answered, and nobody asks more. */
void serve(struct load *l);

#endif
