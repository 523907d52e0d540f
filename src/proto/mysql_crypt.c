/* SHA-1 is what MySQL's old plugin and its padding are made of; nothing here was our choice. */
#include "proto/mysql_crypt.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/mem.h"

/* The digest of a + b; b may be empty. */
static bool digest(const EVP_MD *type, unsigned char *out, const void *a, size_t a_len,
                   const void *b, size_t b_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && EVP_DigestInit_ex(ctx, type, NULL) == 1 &&
                EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
                EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static void xor_into(unsigned char *out, const unsigned char *with, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] ^= with[i];
    }
}

bool mysql_crypt_native(unsigned char out[MYSQL_NATIVE_LEN], const char *password,
                        const unsigned char nonce[MYSQL_NONCE])
{
    const EVP_MD *sha1 = EVP_sha1();
    unsigned char stored[MYSQL_NATIVE_LEN];
    unsigned char mask[MYSQL_NATIVE_LEN];
    bool good = digest(sha1, out, password, strlen(password), "", 0) &&
                digest(sha1, stored, out, MYSQL_NATIVE_LEN, "", 0) &&
                digest(sha1, mask, nonce, MYSQL_NONCE, stored, sizeof stored);
    xor_into(out, mask, good ? MYSQL_NATIVE_LEN : 0);
    wipe(stored, sizeof stored);
    wipe(mask, sizeof mask);
    return good;
}

bool mysql_crypt_sha2(unsigned char out[MYSQL_SHA2_LEN], const char *password,
                      const unsigned char nonce[MYSQL_NONCE])
{
    const EVP_MD *sha256 = EVP_sha256();
    unsigned char stored[MYSQL_SHA2_LEN];
    unsigned char mask[MYSQL_SHA2_LEN];
    bool good = digest(sha256, out, password, strlen(password), "", 0) &&
                digest(sha256, stored, out, MYSQL_SHA2_LEN, "", 0) &&
                digest(sha256, mask, stored, sizeof stored, nonce, MYSQL_NONCE);
    xor_into(out, mask, good ? MYSQL_SHA2_LEN : 0);
    wipe(stored, sizeof stored);
    wipe(mask, sizeof mask);
    return good;
}

/* PEM may say that it is encrypted; without this, OpenSSL asks whoever sits at our terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static EVP_PKEY *read_key(struct mysql_text pem)
{
    BIO *bio = pem.len <= MYSQL_KEY_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (key != NULL && EVP_PKEY_get_size(key) > MYSQL_RSA_MAX) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

size_t mysql_crypt_rsa(unsigned char out[MYSQL_RSA_MAX], struct mysql_text pem,
                       const char *password, const unsigned char nonce[MYSQL_NONCE])
{
    unsigned char plain[MYSQL_RSA_MAX];
    size_t plain_len = strlen(password) + 1;
    size_t len = MYSQL_RSA_MAX;
    if (plain_len > sizeof plain) {
        return 0;
    }
    for (size_t i = 0; i < plain_len; i++) {
        plain[i] = (unsigned char)password[i] ^ nonce[i % MYSQL_NONCE];
    }
    EVP_PKEY *key = read_key(pem);
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool good = ctx != NULL && EVP_PKEY_encrypt_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
                EVP_PKEY_encrypt(ctx, out, &len, plain, plain_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    wipe(plain, sizeof plain);
    return good ? len : 0;
}
