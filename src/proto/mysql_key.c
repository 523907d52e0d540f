/* A failed decryption takes the same way as a good one: OAEP is checked in constant time by
 * libcrypto, and the copy that follows does not depend on it. */
#include "proto/mysql_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "proto/mysql_crypt.h"

#define KEY_BITS  2048
#define PLAIN_MAX (KEY_BITS / 8)

struct mysql_key {
    EVP_PKEY *pair; /* owned; NULL: there is none */
    char pem[MYSQL_KEY_MAX];
    size_t pem_len;
};

static struct mysql_key shared;

static void make_shared(void)
{
    EVP_PKEY *pair = EVP_RSA_gen(KEY_BITS);
    BIO *bio = pair != NULL ? BIO_new(BIO_s_mem()) : NULL;
    char *text = NULL;
    bool good = bio != NULL && PEM_write_bio_PUBKEY(bio, pair) == 1;
    long len = good ? BIO_get_mem_data(bio, &text) : 0;
    if (len > 0 && (size_t)len <= sizeof shared.pem) {
        memcpy(shared.pem, text, (size_t)len);
        shared.pem_len = (size_t)len;
        shared.pair = pair;
        pair = NULL;
    }
    BIO_free(bio);
    EVP_PKEY_free(pair);
    ERR_clear_error();
}

const struct mysql_key *mysql_key_shared(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_shared);
    return shared.pair != NULL ? &shared : NULL;
}

struct mysql_text mysql_key_public(const struct mysql_key *key)
{
    return (struct mysql_text){key->pem, key->pem_len};
}

size_t mysql_key_decrypt(const struct mysql_key *key, unsigned char *out, size_t size,
                         const void *data, size_t len)
{
    unsigned char plain[PLAIN_MAX] = {0};
    size_t plain_len = sizeof plain;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pair, NULL);
    bool good = ctx != NULL && EVP_PKEY_decrypt_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
                EVP_PKEY_decrypt(ctx, plain, &plain_len, data, len) > 0 && plain_len <= size;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    memcpy(out, plain, size < sizeof plain ? size : sizeof plain);
    wipe(plain, sizeof plain);
    return good ? plain_len : 0;
}
