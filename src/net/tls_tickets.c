#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "net/tls_session.h"

#define NS_PER_S 1000000000U

uint64_t tls_tickets_now(void)
{
    return uv_hrtime() / NS_PER_S;
}

/* HMAC as a function that nobody can turn round (RFC 5869 expands keys so). */
static void derive(const unsigned char secret[TLS_SEED_BYTES], const char *what,
                   unsigned char out[TLS_SEED_BYTES])
{
    unsigned len = TLS_SEED_BYTES;
    HMAC(EVP_sha256(), secret, TLS_SEED_BYTES, (const unsigned char *)what, strlen(what), out,
         &len);
}

/* The keys of this epoch, before those of the one that ends. */
static void make_keys(struct tls_tickets *t)
{
    unsigned char name[TLS_SEED_BYTES];
    t->keys[1] = t->keys[0];
    derive(t->secret, "name", name);
    memcpy(t->keys[0].name, name, sizeof t->keys[0].name);
    derive(t->secret, "cipher", t->keys[0].cipher);
    derive(t->secret, "mac", t->keys[0].mac);
    t->known = t->known < TLS_TICKETS_KNOWN ? t->known + 1 : TLS_TICKETS_KNOWN;
}

static void advance(struct tls_tickets *t)
{
    uint64_t now = t->clock_s();
    uint64_t epoch = now > t->began_s ? (now - t->began_s) / TLS_TICKET_EPOCH_S : 0;
    while (t->epoch < epoch) {
        unsigned char next[TLS_SEED_BYTES];
        derive(t->secret, "next", next);
        memcpy(t->secret, next, sizeof t->secret);
        wipe(next, sizeof next);
        t->epoch++;
        make_keys(t);
    }
}

void tls_tickets_init(struct tls_tickets *t, const unsigned char seed[TLS_SEED_BYTES],
                      uint64_t now_s)
{
    *t = (struct tls_tickets){
        .began_s = now_s,
        .clock_s = tls_tickets_now,
        .aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL),
    };
    memcpy(t->secret, seed, sizeof t->secret);
    make_keys(t);
}

void tls_tickets_release(struct tls_tickets *t)
{
    EVP_CIPHER_free(t->aes);
    wipe(t, sizeof *t);
}

static const struct tls_ticket_keys *keys_called(const struct tls_tickets *t,
                                                 const unsigned char *name)
{
    for (size_t i = 0; i < t->known; i++) {
        if (memcmp(t->keys[i].name, name, TLS_TICKET_NAME) == 0) {
            return &t->keys[i];
        }
    }
    return NULL;
}

static bool set_keys(const struct tls_tickets *t, const struct tls_ticket_keys *keys,
                     const unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac, int encrypt)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)keys->mac, sizeof keys->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(aes, t->aes, keys->cipher, iv, encrypt, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 0: not ours, or too old: a full handshake. 2: the client gets a new one; in TLS 1.3 always,
 * because it is to use each only once (RFC 8446, appendix C.4). */
static int open_ticket(const struct tls_tickets *t, SSL *ssl, const unsigned char *name,
                       const unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac)
{
    const struct tls_ticket_keys *keys = keys_called(t, name);
    if (keys == NULL) {
        return 0;
    }
    if (!set_keys(t, keys, iv, aes, mac, 0)) {
        return -1;
    }
    return keys == &t->keys[0] && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

int tls_tickets_on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *aes,
                       EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_tickets *t = tls_of(ssl)->tickets;
    if (t == NULL) {
        return 0; /* those who have none are sent away with a full handshake */
    }
    advance(t);
    if (!encrypt) {
        return open_ticket(t, ssl, name, iv, aes, mac);
    }
    memcpy(name, t->keys[0].name, TLS_TICKET_NAME);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->aes)) != 1) {
        return -1;
    }
    return set_keys(t, &t->keys[0], iv, aes, mac, 1) ? 1 : -1;
}
