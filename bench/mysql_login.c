#include "mysql_login.h"

#include <openssl/evp.h>
#include <string.h>

enum {
    LONG_PASSWORD = 1 << 0,
    LONG_FLAG = 1 << 2,
    CONNECT_WITH_DB = 1 << 3,
    PROTOCOL_41 = 1 << 9,
    SSL_WANTED = 1 << 11,
    TRANSACTIONS = 1 << 13,
    SECURE_CONNECTION = 1 << 15,
    MULTI_RESULTS = 1 << 17,
    PLUGIN_AUTH = 1 << 19,
    CONNECT_ATTRS = 1 << 20,
    NEEDED = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | CONNECT_WITH_DB,
    /* Those of PHP's mysqlnd, which wants EOF packets and no session state. */
    ASKED = NEEDED | LONG_PASSWORD | LONG_FLAG | TRANSACTIONS | MULTI_RESULTS | CONNECT_ATTRS,
    UTF8MB4 = 45
};

static const char ATTRIBUTES[] = "\x13\x0c_client_name\x05"
                                 "bench";

static void hash(const EVP_MD *md, uint8_t *to, const void *a, size_t a_len, const void *b,
                 size_t b_len)
{
    uint8_t both[64];
    memcpy(both, a, a_len);
    memcpy(both + a_len, b, b_len);
    EVP_Digest(both, a_len + b_len, to, NULL, md, NULL);
}

void account_init(struct account *a, const char *user, const char *password, const char *database)
{
    *a = (struct account){.user = user, .database = database};
    EVP_Digest(password, strlen(password), a->native[0], NULL, EVP_sha1(), NULL);
    EVP_Digest(a->native[0], 20, a->native[1], NULL, EVP_sha1(), NULL);
    EVP_Digest(password, strlen(password), a->sha2[0], NULL, EVP_sha256(), NULL);
    EVP_Digest(a->sha2[0], 32, a->sha2[1], NULL, EVP_sha256(), NULL);
}

static uint32_t number(const char *from, int bytes)
{
    uint32_t n = 0;
    for (int i = bytes; i-- > 0;)
        n = n << 8 | (uint8_t)from[i];
    return n;
}

bool greeting_parse(struct greeting *g, const char *packet, size_t len, bool tls)
{
    const char *end = packet + len;
    const char *at = len ? memchr(packet, '\0', len) : NULL; /* of the version */
    if (!at || packet[0] != 10 || end - at < 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 13 || end[-1])
        return false;
    at += 1 + 4;
    memcpy(g->nonce, at, 8);
    at += 8 + 1;
    g->capabilities = number(at, 2) | number(at + 5, 2) << 16;
    at += 2 + 1 + 2 + 2 + 1 + 10;
    memcpy(g->nonce + 8, at, 12);
    g->plugin = at + 13;
    uint32_t needed = NEEDED | (tls ? SSL_WANTED : 0);
    return (g->capabilities & needed) == needed && g->plugin < end;
}

size_t proof_make(uint8_t to[PROOF_MAX], const struct account *a, const char *plugin,
                  const uint8_t nonce[NONCE])
{
    bool native = strcmp(plugin, "mysql_native_password") == 0;
    if (!native && strcmp(plugin, "caching_sha2_password") != 0)
        return 0;
    size_t len = native ? 20 : 32;
    if (native)
        hash(EVP_sha1(), to, nonce, NONCE, a->native[1], 20);
    else
        hash(EVP_sha256(), to, a->sha2[1], 32, nonce, NONCE);
    for (size_t i = 0; i < len; i++)
        to[i] ^= native ? a->native[0][i] : a->sha2[0][i];
    return len;
}

static char *put(char *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

static char *put_number(char *at, uint32_t n)
{
    const uint8_t bytes[] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    return put(at, bytes, sizeof(bytes));
}

size_t login_make(char to[LOGIN_MAX], const struct account *a, const struct greeting *g, bool tls)
{
    uint8_t proof[PROOF_MAX];
    size_t len = proof_make(proof, a, g->plugin, g->nonce);
    uint32_t capabilities = (ASKED & g->capabilities) | (tls ? SSL_WANTED : 0);
    size_t words = strlen(a->user) + strlen(a->database) + strlen(g->plugin);
    if (!len || TLS_REQUEST + words + 3 + 1 + len + sizeof(ATTRIBUTES) > LOGIN_MAX)
        return 0;
    char *at = put_number(to, capabilities);
    at = put_number(at, 1 << 24);
    memset(at, 0, TLS_REQUEST - 8);
    at[0] = UTF8MB4;
    at = put(to + TLS_REQUEST, a->user, strlen(a->user) + 1);
    *at++ = (char)len;
    at = put(at, proof, len);
    at = put(at, a->database, strlen(a->database) + 1);
    at = put(at, g->plugin, strlen(g->plugin) + 1);
    if (capabilities & CONNECT_ATTRS)
        at = put(at, ATTRIBUTES, sizeof(ATTRIBUTES) - 1);
    return (size_t)(at - to);
}
