/* The load's connections, each in a closed loop (load_client.c), and what they share. One thread;
 * whatever goes wrong ends the program. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "secure.h"
#include "watch.h"

#include <netinet/in.h>

enum {
    BUFFER = 256 * 1024,
    EVENTS = 256,
    SILENCE_MS = 30000,
    IDLE_AT_ONCE = 32,
    WRITE = 16 * 1024
};

enum mode { MODE_GET, MODE_SET, MODE_CYCLE, MODE_IDLE };

enum client_state {
    CLIENT_RESTS,  /* nothing: there is nothing left to ask */
    CLIENT_SHAKES, /* the handshake */
    CLIENT_ASKS,   /* room for the rest of the request */
    CLIENT_HEARS,  /* the rest of the reply */
    CLIENT_ENDS    /* the other side's end */
};

struct client {
    int fd;
    enum client_state state;
    uint32_t events;     /* what epoll is to tell */
    SSL *tls;            /* owned; NULL: clear */
    SSL_SESSION *ticket; /* owned; the newest one */
    bool resumes;        /* it offered one */
    int64_t asked_at;
    size_t sent; /* bytes of the request */
    size_t seen; /* bytes of the expected replies */
};

struct load {
    enum mode mode;
    struct sockaddr_in to;
    int epoll;
    struct client *clients; /* owned */
    long connections;
    long depth;
    long warmup;
    long wanted;        /* requests to measure */
    long asked;         /* requests sent or being sent, the warm-up's included */
    long done;          /* replies */
    long done_at_start; /* of them, when measuring began */
    int64_t now;        /* when the last client was done, and so asks again */
    struct watch watch; /* ns from asking (cycle: from the connect) to the last reply */
    char *request;      /* owned: depth requests */
    size_t request_len;
    char *reply; /* owned: their replies */
    size_t reply_len;
    size_t value_len;
    SSL_CTX *tls; /* owned; NULL: clear */
    struct secure_asked asked_tls;
    bool resume;
    long full; /* handshakes */
    long resumed;
    char buffer[BUFFER];
};

void load_tickets(const struct load *l); /* connections keep the tickets that they get */
void client_start(struct load *l, struct client *c); /* connects and asks */
void client_ask(struct load *l, struct client *c);
/* Until all that was asked is answered, and nobody asks more. */
void serve(struct load *l);

#endif
