/* A proof that is relayed, with both its ends: packets are numbered as real peers do, each payload
 * lies in memory of its own so that a sanitizer sees its ends, and what is passed on is checked to
 * be one whole packet of the right number. */
#ifndef TEST_PROVE_FIXTURE_H
#define TEST_PROVE_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/macros.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_key.h"
#include "proto/mysql_prove.h"

#define SHA2     "caching_sha2_password"
#define SHA256   "sha256_password"
#define NATIVE   "mysql_native_password"
#define ED25519  "client_ed25519"
#define DIALOG   "dialog"
#define PASSWORD "s3cret"
#define NONCE    "abcdefghijklmnopqrst"

#define FIRST_OF_CLIENT 3 /* behind a login under TLS */
#define FIRST_OF_SERVER 1 /* behind a change of user */

static const char ok_packet[] = {0, 0, 0, 2, 0, 0, 0};
static const char denied_packet[] = "\xff\x15\x04#28000Access denied";

/* One side: what it was sent by the last call, and the number of its next packet. */
struct prove_side {
    unsigned char bytes[MYSQL_PROVE_PACKET_MAX + MYSQL_KEY_MAX];
    size_t len; /* of the payload; -1 of nothing */
    unsigned char sequence;
};

#define NOTHING_SENT SIZE_MAX

struct prove_play {
    struct mysql_prove p;
    enum mysql_prove_step step;
    const char *why;
    struct prove_side client;
    struct prove_side server;
};

static inline struct prove_play *play_new(enum mysql_leg client, enum mysql_leg server)
{
    struct prove_play *play = calloc(1, sizeof *play);
    play->client.sequence = FIRST_OF_CLIENT;
    play->server.sequence = FIRST_OF_SERVER;
    play->client.len = NOTHING_SENT;
    play->server.len = NOTHING_SENT;
    mysql_prove_begin(&play->p, FIRST_OF_CLIENT, FIRST_OF_SERVER, client, server,
                      mysql_key_shared());
    return play;
}

static inline void play_free(struct prove_play *play)
{
    mysql_prove_forget(&play->p);
    free(play);
}

/* Takes the packet that was written for a side off its header. */
static inline void side_take(struct prove_side *side, struct mysql_writer *w)
{
    side->len = NOTHING_SENT;
    if (w->len > 0) {
        size_t len = w->data[0] | (size_t)w->data[1] << 8 | (size_t)w->data[2] << 16;
        assert_int_equal(w->len, MYSQL_HEADER + len);
        assert_int_equal(w->data[3], side->sequence);
        side->sequence++;
        memmove(side->bytes, side->bytes + MYSQL_HEADER, len);
        side->len = len;
    }
}

enum prove_from { FROM_SERVER, FROM_CLIENT, FROM_SERVER_ABANDONED };

static inline void play_numbered(struct prove_play *play, enum prove_from from,
                                 unsigned char sequence, const void *data, size_t len)
{
    struct mysql_writer c = {.data = play->client.bytes, .size = sizeof play->client.bytes};
    struct mysql_writer s = {.data = play->server.bytes, .size = sizeof play->server.bytes};
    void *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    play->why = NULL;
    if (from == FROM_SERVER) {
        play->step = mysql_prove_server(&play->p, sequence, copy, len, &c, &s, &play->why);
    } else if (from == FROM_CLIENT) {
        play->step = mysql_prove_client(&play->p, sequence, copy, len, &c, &s, &play->why);
    } else {
        play->step = mysql_prove_abandoned(&play->p, sequence, copy, len, &s);
    }
    free(copy);
    assert_int_equal(play->step == MYSQL_PROVE_BAD && from != FROM_SERVER_ABANDONED,
                     play->why != NULL);
    if (play->step == MYSQL_PROVE_BAD) {
        assert_int_equal(c.len + s.len, 0);
    }
    side_take(&play->client, &c);
    side_take(&play->server, &s);
}

static inline void server_says(struct prove_play *play, const void *data, size_t len)
{
    play_numbered(play, FROM_SERVER, play->server.sequence++, data, len);
}

static inline void client_says(struct prove_play *play, const void *data, size_t len)
{
    play_numbered(play, FROM_CLIENT, play->client.sequence++, data, len);
}

static inline void server_switches(struct prove_play *play, const char *plugin)
{
    char payload[128] = {(char)0xfe};
    size_t len = strlen(plugin) + 1;
    memcpy(payload + 1, plugin, len);
    memcpy(payload + 1 + len, NONCE, sizeof NONCE);
    server_says(play, payload, 1 + len + sizeof NONCE);
}

#define assert_sent(side, data, length)                                                            \
    do {                                                                                           \
        assert_int_equal((side).len, length);                                                      \
        assert_memory_equal((side).bytes, data, length);                                           \
    } while (0)

static inline void assert_bad(struct prove_play *play, const char *words)
{
    assert_int_equal(play->step, MYSQL_PROVE_BAD);
    if (strstr(play->why, words) == NULL) {
        fail_msg("'%s' says nothing of '%s'", play->why, words);
    }
}

/* caching_sha2_password, up to where the password itself is asked for. */
static inline struct prove_play *asked_for_the_password(enum mysql_leg client,
                                                        enum mysql_leg server)
{
    struct prove_play *play = play_new(client, server);
    server_switches(play, SHA2);
    client_says(play, "01234567890123456789012345678901", MYSQL_SHA2_LEN);
    server_says(play, "\001\004", 2);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    assert_sent(play->client, "\001\004", 2);
    return play;
}

/* RSA as both ends do it --------------------------------------------------------------------- */

struct prove_server_key {
    EVP_PKEY *pair;
    char packet[MYSQL_KEY_MAX]; /* 01 and the PEM */
    size_t len;
};

static inline void server_key_make(struct prove_server_key *key, unsigned bits)
{
    key->pair = EVP_RSA_gen(bits);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key->pair), 1);
    char *text;
    size_t len = (size_t)BIO_get_mem_data(bio, &text);
    assert_true(len < sizeof key->packet);
    key->packet[0] = 1;
    memcpy(key->packet + 1, text, len);
    key->len = len + 1;
    BIO_free(bio);
}

/* What a server reads in an encrypted block: the password, or NULL. */
static inline const char *server_decrypts(EVP_PKEY *pair, const unsigned char *data, size_t len)
{
    static unsigned char plain[2048];
    size_t plain_len = sizeof plain;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pair, NULL);
    bool good = EVP_PKEY_decrypt_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
                EVP_PKEY_decrypt(ctx, plain, &plain_len, data, len) > 0;
    EVP_PKEY_CTX_free(ctx);
    for (size_t i = 0; good && i < plain_len; i++) {
        plain[i] ^= (unsigned char)NONCE[i % MYSQL_NONCE];
    }
    return good && plain_len > 0 && plain[plain_len - 1] == 0 ? (const char *)plain : NULL;
}

/* What a client answers to a key, 01 and the PEM. Some blocks would end as a password that is told
 * in the clear does. */
static inline void client_encrypts(struct prove_play *play, const void *packet, size_t len)
{
    unsigned char block[MYSQL_RSA_MAX];
    struct mysql_text pem = {(const char *)packet + 1, len - 1};
    size_t block_len;
    do {
        block_len = mysql_crypt_rsa(block, pem, PASSWORD, (const unsigned char *)NONCE);
        assert_true(block_len > 0);
    } while (block[block_len - 1] == 0);
    client_says(play, block, block_len);
}

#endif
