/* The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1). Every worker has a copy made from
 * the same seed, and all derive the same key for the same hour without sharing anything: each
 * hour's secret is a one-way function of the one before, which is wiped, so who steals it cannot
 * read the tickets of the past. A ticket can be used in the hour in which it was made and in the
 * next one, where it is renewed. */
#ifndef ROUTER_NET_TLS_TICKETS_H
#define ROUTER_NET_TLS_TICKETS_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_SEED_BYTES     32
#define TLS_TICKET_NAME    16
#define TLS_TICKET_EPOCH_S 3600
#define TLS_TICKETS_KNOWN  2 /* epochs: this one and the one before */

struct tls_ticket_keys {
    unsigned char name[TLS_TICKET_NAME];
    unsigned char cipher[32]; /* AES-256-CBC */
    unsigned char mac[32];    /* HMAC-SHA256 */
};

struct tls_tickets {
    uint64_t began_s; /* when epoch 0 began */
    uint64_t epoch;
    unsigned char secret[TLS_SEED_BYTES];           /* of this epoch, and of all that follow */
    struct tls_ticket_keys keys[TLS_TICKETS_KNOWN]; /* this epoch's first */
    size_t known;
    uint64_t (*clock_s)(void); /* monotonic; tests set it */
    EVP_CIPHER *aes;           /* owned: fetched once, because that is slow */
};

/* `seed` is random, the caller wipes it; `now_s` is tls_tickets_now(), the same for all copies. */
void tls_tickets_init(struct tls_tickets *t, const unsigned char seed[TLS_SEED_BYTES],
                      uint64_t now_s);
void tls_tickets_release(struct tls_tickets *t); /* wipes; its sessions are gone */
uint64_t tls_tickets_now(void);                  /* seconds of a clock that only goes forward */

/* For SSL_CTX_set_tlsext_ticket_key_evp_cb(3): finds the worker's keys through the session. */
int tls_tickets_on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *aes,
                       EVP_MAC_CTX *mac, int encrypt);

#endif
