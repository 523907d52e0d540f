#include "proto/pgsql_scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define GS2       "n,,"  /* no channel binding, no other identity */
#define GS2_TEXT  "biws" /* the same in Base64 */
#define SALT_MAX  128
#define STR(x)    #x
#define NUMBER(x) STR(x)

static const char nonsense[] = "does not speak SCRAM as RFC 5802 says";
static const char no_crypto[] = "cannot be asked: the router's OpenSSL fails at SCRAM-SHA-256";

struct span {
    const char *p;
    size_t len;
};

const char *scram_begin(struct scram *s, const char *user, const char *nonce)
{
    char text[SCRAM_NONCE_BYTES / 3 * 4 + 1];
    if (nonce == NULL) {
        unsigned char bytes[SCRAM_NONCE_BYTES];
        if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
            return no_crypto;
        }
        EVP_EncodeBlock((unsigned char *)text, bytes, sizeof(bytes));
        nonce = text;
    }
    int len = snprintf(s->first, sizeof(s->first), GS2 "n=%s,r=%s", user, nonce);
    return len < (int)sizeof(s->first) ? NULL : nonsense;
}

/* The value of the attribute `name` at the start of *text, which moves behind it and its comma. */
static bool attribute(struct span *text, char name, struct span *value)
{
    if (text->len < 2 || text->p[0] != name || text->p[1] != '=') {
        return false;
    }
    const char *comma = memchr(text->p, ',', text->len);
    size_t len = comma != NULL ? (size_t)(comma - text->p) : text->len;
    *value = (struct span){text->p + 2, len - 2};
    size_t all = comma != NULL ? len + 1 : len;
    *text = (struct span){text->p + all, text->len - all};
    return true;
}

/* Returns how many bytes, 0 for what is no Base64 or does not fit. */
static size_t decode(struct span in, unsigned char *out, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t padding = 0;
    while (padding < 2 && padding < in.len && in.p[in.len - 1 - padding] == '=') {
        padding++;
    }
    if (in.len == 0 || in.len % 4 != 0 || in.len / 4 * 3 > size) {
        return 0;
    }
    for (size_t i = 0; i < in.len - padding; i++) {
        if (in.p[i] == '\0' || strchr(letters, in.p[i]) == NULL) {
            return 0;
        }
    }
    int len = EVP_DecodeBlock(out, (const unsigned char *)in.p, (int)in.len);
    return len > 0 ? (size_t)len - padding : 0;
}

static unsigned rounds_of(struct span text)
{
    unsigned long rounds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return 0;
        }
        rounds = rounds * 10 + (unsigned long)(text.p[i] - '0');
        rounds = rounds < SCRAM_ROUNDS_MAX ? rounds : SCRAM_ROUNDS_MAX + 1;
    }
    return (unsigned)rounds;
}

static bool hmac(const unsigned char key[SCRAM_KEY], const char *text, size_t len,
                 unsigned char out[SCRAM_KEY])
{
    return HMAC(EVP_sha256(), key, SCRAM_KEY, (const unsigned char *)text, len, out, NULL) != NULL;
}

/* `message` is RFC 5802's AuthMessage. Writes the proof, and the signature to expect. */
static bool prove(struct scram *s, const unsigned char salted[SCRAM_KEY], struct span message,
                  unsigned char proof[SCRAM_KEY])
{
    unsigned char client[SCRAM_KEY];
    unsigned char stored[SCRAM_KEY];
    unsigned char server[SCRAM_KEY];
    bool good = hmac(salted, "Client Key", strlen("Client Key"), client) &&
                SHA256(client, sizeof(client), stored) != NULL &&
                hmac(stored, message.p, message.len, proof) &&
                hmac(salted, "Server Key", strlen("Server Key"), server) &&
                hmac(server, message.p, message.len, s->signature);
    for (size_t i = 0; good && i < SCRAM_KEY; i++) {
        proof[i] ^= client[i];
    }
    wipe(client, sizeof(client));
    wipe(stored, sizeof(stored));
    wipe(server, sizeof(server));
    return good;
}

/* RFC 5802, section 3: SaltedPassword, and what follows from it. The password is used as it is:
 * RFC 4013 (SASLprep) would only change what is neither ASCII nor composed. */
static bool answer(struct scram *s, const char *password, struct span salt, unsigned rounds,
                   struct span message, unsigned char proof[SCRAM_KEY])
{
    unsigned char salted[SCRAM_KEY];
    bool good =
        PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)salt.p,
                          (int)salt.len, (int)rounds, EVP_sha256(), SCRAM_KEY, salted) == 1 &&
        prove(s, salted, message, proof);
    wipe(salted, sizeof(salted));
    return good;
}

const char *scram_prove(struct scram *s, const char *password, const char *text, size_t len)
{
    struct span rest = {text, len};
    struct span nonce;
    struct span salt_text;
    struct span rounds_text;
    unsigned char salt[SALT_MAX];
    const char *bare = s->first + strlen(GS2);
    const char *ours = strstr(bare, ",r=") + strlen(",r=");
    if (len >= SCRAM_TEXT_MAX || memchr(text, '\0', len) != NULL ||
        !attribute(&rest, 'r', &nonce) || !attribute(&rest, 's', &salt_text) ||
        !attribute(&rest, 'i', &rounds_text)) {
        return nonsense;
    }
    if (nonce.len <= strlen(ours) || memcmp(nonce.p, ours, strlen(ours)) != 0) {
        return "does not repeat the probe's SCRAM nonce";
    }
    size_t salt_len = decode(salt_text, salt, sizeof(salt));
    unsigned rounds = rounds_of(rounds_text);
    if (salt_len == 0 || rounds == 0) {
        return nonsense;
    }
    if (rounds > SCRAM_ROUNDS_MAX) {
        return "wants more than " NUMBER(SCRAM_ROUNDS_MAX) " rounds of SCRAM (scram_iterations): "
                                                           "too many for a probe";
    }
    char message[3 * SCRAM_TEXT_MAX];
    unsigned char proof[SCRAM_KEY];
    char proof_text[SCRAM_KEY / 3 * 4 + 4 + 1];
    snprintf(s->last, sizeof(s->last), "c=" GS2_TEXT ",r=%.*s", (int)nonce.len, nonce.p);
    int n = snprintf(message, sizeof(message), "%s,%.*s,%s", bare, (int)len, text, s->last);
    if (!answer(s, password, (struct span){(const char *)salt, salt_len}, rounds,
                (struct span){message, (size_t)n}, proof)) {
        return no_crypto;
    }
    EVP_EncodeBlock((unsigned char *)proof_text, proof, sizeof(proof));
    size_t last = strlen(s->last);
    snprintf(s->last + last, sizeof(s->last) - last, ",p=%s", proof_text);
    return NULL;
}

const char *scram_verify(const struct scram *s, const char *text, size_t len)
{
    struct span rest = {text, len};
    struct span value;
    unsigned char signature[SCRAM_KEY + 3];
    if (attribute(&rest, 'e', &value)) {
        return "does not accept the probe's user and password";
    }
    if (!attribute(&rest, 'v', &value) ||
        decode(value, signature, sizeof(signature)) != SCRAM_KEY) {
        return nonsense;
    }
    return CRYPTO_memcmp(signature, s->signature, SCRAM_KEY) == 0
               ? NULL
               : "does not prove that it knows the password: it is not who it should be";
}
