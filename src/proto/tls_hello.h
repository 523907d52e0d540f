/* Reads the server name of a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3) without
 * being TLS: what a passed-through connection is routed by. The caller keeps the bytes and shows
 * all of them each time; the struct remembers how far they were looked at, so that a hello costs
 * the same in one piece or byte by byte. It owns nothing and may be forgotten at any time.
 *
 * With Encrypted ClientHello the name is the outer one: the only one that is there to be seen. */
#ifndef ROUTER_PROTO_TLS_HELLO_H
#define ROUTER_PROTO_TLS_HELLO_H

#include <stddef.h>

/* A hello, its record headers included, is over by then, or refused. Browsers send 0.5 to 2 KiB,
 * several post-quantum key shares make it 10; the message's own limit of 16 MiB would be memory for
 * whoever asks. */
#define TLS_HELLO_MAX 65536

#define TLS_NAME_MAX 253 /* characters of a host name: RFC 1035, section 2.3.4 without the root */

enum tls_hello_step {
    TLS_HELLO_MORE, /* so far it is one, or nothing has come */
    TLS_HELLO_DONE, /* the hello is whole and `name` is set */
    TLS_HELLO_NONE, /* not TLS */
    TLS_HELLO_BAD,  /* TLS, but no ClientHello that could be routed */
};

struct tls_hello {
    char name[TLS_NAME_MAX + 3]; /* DONE: SNI in lower case without a final dot; "" = it has none */

    /* The parser's own. */
    enum tls_hello_step step;
    const char *why; /* static words */
    size_t record;   /* where the header of the record lies that is not whole yet */
    size_t content;  /* bytes of the message in the records before it */
    size_t message;  /* length of the message with its header; 0 = not known yet */
};

void tls_hello_init(struct tls_hello *h);
/* `data` is all that has come, the bytes of the calls before included. What follows the hello is
 * not looked at. NONE and BAD come as soon as the bytes tell, and set *why to static words that
 * hold nothing of the client's. After anything but MORE the answer stays. */
enum tls_hello_step tls_hello_look(struct tls_hello *h, const char *data, size_t len,
                                   const char **why);

#endif
