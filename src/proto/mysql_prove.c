/* Everything is passed on as it came, except the password itself where the legs differ. What a
 * client does about that is told by what it sends rather than by its leg: over a unix socket some
 * tell the password, others ask for a key.
 *
 * MariaDB sends what its plugins say as it is, unless it begins like another packet; so with a
 * plugin that we do not know any packet that is not OK, ERR or another plugin is its word. */
#include "proto/mysql_prove.h"

#include <assert.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/mem.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_key.h"

#define OK_MIN      7 /* bytes of an OK packet: its header, two numbers, status, warnings */
#define SHA2_FAST   3 /* the server's word: OK follows */
#define SHA2_FULL   4 /* the same: tell me the password */
#define SHA2_ASK    2 /* the client's: send me your key */
#define SHA256_ASK  1
#define NEXT_FACTOR 2
#define VAIN_LEN    64 /* bytes of a wrong answer, as mysql_login.c explains */
#define MADE_UP_MAX 64
#define ED25519_LEN 64  /* bytes of a signature */
#define BLOCK_MIN   128 /* bytes that a key of 1024 bits makes of a password */

enum plugin {
    PLUGIN_NONE, /* the server has not named one */
    PLUGIN_SHA2,
    PLUGIN_SHA256,
    PLUGIN_NATIVE,
    PLUGIN_ED25519,
    PLUGIN_OTHER,
};

/* What the next packet is. */
enum expects {
    EXPECT_SERVER,      /* anything of the server's */
    EXPECT_KEY,         /* the server's key, by which we encrypt the password that waits */
    EXPECT_CLIENTS_KEY, /* the server's key, for the client */
    EXPECT_PROOF,       /* the client's, by the plugin that was named */
    EXPECT_BLOCK,       /* the client's: the password, encrypted with the server's key */
    EXPECT_PASSWORD,    /* the client's: the password, or that it asks for a key */
    EXPECT_OURS,        /* the client's: the password, encrypted with our key */
    EXPECT_WORD,        /* of a plugin that we do not know: the client's, or the server's again */
    EXPECT_NOTHING,
};

void mysql_prove_begin(struct mysql_prove *p, unsigned char client_sequence,
                       unsigned char server_sequence, enum mysql_leg client_leg,
                       enum mysql_leg server_leg, const struct mysql_key *key)
{
    *p = (struct mysql_prove){
        .key = key,
        .client_leg = client_leg,
        .server_leg = server_leg,
        .client_sequence = client_sequence,
        .server_sequence = server_sequence,
    };
}

static void forget_secret(struct mysql_prove *p)
{
    wipe(p->secret, sizeof p->secret);
    p->secret_len = 0;
}

void mysql_prove_forget(struct mysql_prove *p)
{
    wipe(p, sizeof *p);
    p->expects = EXPECT_NOTHING;
}

static enum mysql_prove_step bad(struct mysql_prove *p, const char **why, const char *words)
{
    forget_secret(p);
    *why = words;
    return MYSQL_PROVE_BAD;
}

static bool clients_turn(const struct mysql_prove *p)
{
    return p->expects >= EXPECT_PROOF && p->expects <= EXPECT_WORD;
}

/* Whether the server takes the password in the clear. */
static bool wants_clear(const struct mysql_prove *p)
{
    return p->server_leg == MYSQL_LEG_TLS ||
           (p->server_leg == MYSQL_LEG_SOCKET && p->plugin == PLUGIN_SHA2);
}

/* Writing ------------------------------------------------------------------------------------ */

static void write_packet(struct mysql_writer *w, unsigned char *sequence, const void *payload,
                         size_t len)
{
    mysql_begin(w, (*sequence)++);
    mysql_write_bytes(w, payload, len);
    mysql_end(w);
    assert(!w->full);
}

static enum mysql_prove_step to_server(struct mysql_prove *p, struct mysql_writer *server,
                                       const void *payload, size_t len, enum expects then)
{
    write_packet(server, &p->server_sequence, payload, len);
    p->expects = then;
    return MYSQL_PROVE_SERVER;
}

/* `client` = NULL: it has gone. */
static enum mysql_prove_step to_client(struct mysql_prove *p, struct mysql_writer *client,
                                       const void *payload, size_t len, enum expects then)
{
    if (client != NULL) {
        write_packet(client, &p->client_sequence, payload, len);
    }
    p->expects = then;
    return clients_turn(p) ? MYSQL_PROVE_CLIENT : MYSQL_PROVE_SERVER;
}

/* The server's packets ----------------------------------------------------------------------- */

static bool is_named(struct mysql_text text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

static enum plugin choose(struct mysql_text name)
{
    if (is_named(name, "caching_sha2_password")) {
        return PLUGIN_SHA2;
    }
    if (is_named(name, "sha256_password")) {
        return PLUGIN_SHA256;
    }
    if (is_named(name, "client_ed25519")) {
        return PLUGIN_ED25519;
    }
    return is_named(name, "mysql_native_password") ? PLUGIN_NATIVE : PLUGIN_OTHER;
}

/* AuthSwitchRequest, AuthNextFactor. */
static enum mysql_prove_step take_switch(struct mysql_prove *p, const unsigned char *payload,
                                         size_t len, struct mysql_writer *client, const char **why)
{
    struct mysql_cursor c = mysql_read(payload, len);
    mysql_read_int(&c, 1);
    enum plugin plugin = choose(mysql_read_nul(&c));
    if (len == 1) {
        return bad(p, why, "the server asks for a password as before MySQL 4.1");
    }
    if (c.broken) {
        return bad(p, why, "the server names no plugin");
    }
    struct mysql_text nonce = mysql_read_rest(&c);
    bool tells = plugin == PLUGIN_SHA2 || plugin == PLUGIN_SHA256;
    if (tells && nonce.len < MYSQL_NONCE) {
        return bad(p, why, "the server's nonce is too short");
    }
    p->plugin = (uint8_t)plugin;
    memcpy(p->nonce, nonce.data, tells ? MYSQL_NONCE : 0);
    return to_client(p, client, payload, len,
                     plugin == PLUGIN_SHA256 ? EXPECT_PASSWORD : EXPECT_PROOF);
}

static enum mysql_prove_step encrypt(struct mysql_prove *p, struct mysql_text pem,
                                     struct mysql_writer *server, const char **why)
{
    unsigned char block[MYSQL_RSA_MAX];
    size_t len = mysql_crypt_rsa(block, pem, (const char *)p->secret, p->nonce);
    forget_secret(p);
    if (len == 0) {
        return bad(p, why, "the server sends a key that the password cannot be encrypted with");
    }
    return to_server(p, server, block, len, EXPECT_SERVER);
}

/* AuthMoreData of the two plugins that tell the password. */
static enum mysql_prove_step take_more(struct mysql_prove *p, const unsigned char *payload,
                                       size_t len, struct mysql_writer *client,
                                       struct mysql_writer *server, const char **why)
{
    if (p->expects == EXPECT_KEY) {
        return encrypt(p, (struct mysql_text){(const char *)payload + 1, len - 1}, server, why);
    }
    if (p->expects == EXPECT_CLIENTS_KEY) {
        return to_client(p, client, payload, len, EXPECT_BLOCK);
    }
    unsigned word = p->plugin == PLUGIN_SHA2 && len == 2 ? payload[1] : 0;
    if (word == SHA2_FAST) {
        return to_client(p, client, payload, len, EXPECT_SERVER);
    }
    if (word == SHA2_FULL) {
        return to_client(p, client, payload, len, EXPECT_PASSWORD);
    }
    return bad(p, why, "the server goes on with the login as its plugin does not");
}

static enum mysql_prove_step take_word(struct mysql_prove *p, const unsigned char *payload,
                                       size_t len, struct mysql_writer *client,
                                       struct mysql_writer *server, const char **why)
{
    unsigned first = len > 0 ? payload[0] : MYSQL_MORE;
    if (first == MYSQL_OK &&
        p->plugin == PLUGIN_NONE) { /* a login without a token proves nothing */
        return bad(p, why, "the server let the client in without asking for a proof");
    }
    if (first == MYSQL_OK && len < OK_MIN) {
        return bad(p, why, "the server's OK is none");
    }
    if (first == MYSQL_OK) {
        forget_secret(p);
        to_client(p, client, payload, len, EXPECT_NOTHING);
        return MYSQL_PROVE_OK;
    }
    if (first == MYSQL_EOF || (first == NEXT_FACTOR && p->plugin != PLUGIN_OTHER)) {
        forget_secret(p);
        return take_switch(p, payload, len, client, why);
    }
    if (p->plugin == PLUGIN_OTHER) {
        return to_client(p, client, payload, len, EXPECT_WORD);
    }
    bool tells = p->plugin == PLUGIN_SHA2 || p->plugin == PLUGIN_SHA256;
    if (first != MYSQL_MORE || len < 2 || !tells) {
        return bad(p, why, "the server sends a packet that does not belong in a login");
    }
    return take_more(p, payload, len, client, server, why);
}

enum mysql_prove_step mysql_prove_server(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why)
{
    const unsigned char *bytes = payload;
    if (len > MYSQL_PROVE_PACKET_MAX) {
        return bad(p, why, "the server sends too long a packet");
    }
    if (len > 0 && bytes[0] == MYSQL_ERROR && p->expects != EXPECT_NOTHING) {
        forget_secret(p); /* at any time, of whatever number: some of them are sent in a hurry */
        to_client(p, client, payload, len, EXPECT_NOTHING);
        return MYSQL_PROVE_DENIED;
    }
    if (sequence != p->server_sequence) {
        return bad(p, why, "the server numbers its packets wrongly");
    }
    if (p->expects == EXPECT_NOTHING || (clients_turn(p) && p->expects != EXPECT_WORD)) {
        return bad(p, why, "the server speaks where it is the client's turn");
    }
    if (++p->rounds > MYSQL_PROVE_ROUNDS) {
        return bad(p, why, "the server never comes to the end of the login");
    }
    p->server_sequence++;
    return take_word(p, bytes, len, client, server, why);
}

/* The client's packets ----------------------------------------------------------------------- */

static enum mysql_prove_step show_key(struct mysql_prove *p, struct mysql_writer *client,
                                      const char **why)
{
    if (p->key == NULL) {
        return bad(p, why, "the client asks for a key, and there is none: it needs TLS");
    }
    struct mysql_text pem = mysql_key_public(p->key);
    mysql_begin(client, p->client_sequence++);
    mysql_write_int(client, MYSQL_MORE, 1);
    mysql_write_bytes(client, pem.data, pem.len);
    mysql_end(client);
    assert(!client->full);
    p->expects = EXPECT_OURS;
    return MYSQL_PROVE_CLIENT;
}

/* The password, or the wish to know a key. */
static enum mysql_prove_step take_password(struct mysql_prove *p, const unsigned char *payload,
                                           size_t len, struct mysql_writer *client,
                                           struct mysql_writer *server, const char **why)
{
    unsigned char ask = p->plugin == PLUGIN_SHA2 ? SHA2_ASK : SHA256_ASK;
    bool clear = wants_clear(p);
    if (len == 1 && payload[0] == ask) {
        return clear ? show_key(p, client, why)
                     : to_server(p, server, payload, len, EXPECT_CLIENTS_KEY);
    }
    bool none = len == 0 || (len == 1 && payload[0] == 0);
    if (none) {
        return to_server(p, server, payload, len, EXPECT_SERVER);
    }
    bool open = p->client_leg == MYSQL_LEG_OPEN;
    if (open && clear) {
        return bad(p, why,
                   "the client tells its password without asking for the router's key: it needs "
                   "TLS");
    }
    bool told = !open && memchr(payload, 0, len) == payload + len - 1;
    bool block = p->client_leg != MYSQL_LEG_TLS && (open || len >= BLOCK_MIN);
    if (!clear && !told && !block) { /* whatever it is, it may be a password */
        return bad(p, why, "the client neither tells its password nor asks for a key");
    }
    if (clear || !told) {
        return to_server(p, server, payload, len, EXPECT_SERVER);
    }
    if (len > sizeof p->secret) {
        return bad(p, why, "the client's password is too long");
    }
    memcpy(p->secret, payload, len);
    p->secret_len = len;
    return to_server(p, server, &ask, 1, EXPECT_KEY);
}

/* MariaDB counts others against our address, as broken handshakes. */
static bool is_of_its_length(const struct mysql_prove *p, size_t len)
{
    switch ((enum plugin)p->plugin) {
    case PLUGIN_NATIVE:
        return len == 0 || len == MYSQL_NATIVE_LEN;
    case PLUGIN_ED25519:
        return len == ED25519_LEN;
    default:
        return true;
    }
}

static enum mysql_prove_step take_proof(struct mysql_prove *p, const unsigned char *payload,
                                        size_t len, struct mysql_writer *server, const char **why)
{
    if (p->expects == EXPECT_PROOF && !is_of_its_length(p, len)) {
        return bad(p, why, "the client's proof is not as long as its plugin makes it");
    }
    return to_server(p, server, payload, len, EXPECT_SERVER);
}

/* A password that is nobody's, of a length that tells nothing either; 0: there is no chance. */
static size_t make_up(unsigned char *out)
{
    unsigned char random[MADE_UP_MAX];
    if (RAND_bytes(random, sizeof random) != 1) {
        return 0;
    }
    size_t len = MADE_UP_MAX / 2 + random[0] % (MADE_UP_MAX / 2);
    for (size_t i = 0; i < len; i++) {
        out[i] = (unsigned char)('a' + random[i] % 26);
    }
    out[len] = 0;
    wipe(random, sizeof random);
    return len;
}

/* What was encrypted with our key is told to the server in the clear. Who did not encrypt it well
 * learns no more of that than how the server answers to a wrong password. */
static enum mysql_prove_step decrypt(struct mysql_prove *p, const unsigned char *payload,
                                     size_t len, struct mysql_writer *server, const char **why)
{
    unsigned char made_up[MADE_UP_MAX];
    unsigned char plain[MYSQL_PROVE_SECRET_MAX + 1];
    size_t made_up_len = make_up(made_up);
    if (made_up_len == 0) {
        return bad(p, why, "libcrypto has no random numbers");
    }
    size_t plain_len = mysql_key_decrypt(p->key, plain, sizeof plain - 1, payload, len);
    for (size_t i = 0; i < plain_len; i++) {
        plain[i] ^= p->nonce[i % MYSQL_NONCE];
    }
    plain[plain_len] = 0;
    bool good = plain_len > 0;
    const unsigned char *password = good ? plain : made_up;
    size_t password_len = good ? strlen((const char *)plain) : made_up_len;
    to_server(p, server, password, password_len + 1, EXPECT_SERVER);
    wipe(plain, sizeof plain);
    wipe(made_up, sizeof made_up);
    return MYSQL_PROVE_SERVER;
}

enum mysql_prove_step mysql_prove_client(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why)
{
    if (len > MYSQL_PROVE_PACKET_MAX) {
        return bad(p, why, "the client sends too long a packet");
    }
    if (!clients_turn(p)) {
        return bad(p, why, "the client speaks where it is the server's turn");
    }
    if (sequence != p->client_sequence) {
        return bad(p, why, "the client numbers its packets wrongly");
    }
    p->client_sequence++;
    switch (p->expects) {
    case EXPECT_PASSWORD:
        return take_password(p, payload, len, client, server, why);
    case EXPECT_OURS:
        return decrypt(p, payload, len, server, why);
    default:
        return take_proof(p, payload, len, server, why);
    }
}

/* A client that has gone --------------------------------------------------------------------- */

/* Of a length that the plugin takes for an answer: others break the handshake. */
static enum mysql_prove_step answer_in_vain(struct mysql_prove *p, struct mysql_writer *server)
{
    unsigned char wrong[VAIN_LEN];
    size_t len = sizeof wrong;
    memset(wrong, 'x', sizeof wrong - 1);
    wrong[len - 1] = 0;
    if (p->expects == EXPECT_PROOF && p->plugin == PLUGIN_NATIVE) {
        len = MYSQL_NATIVE_LEN;
    } else if (p->expects == EXPECT_PROOF && p->plugin == PLUGIN_SHA2) {
        len = 1; /* no password: that ends it at once */
        wrong[0] = 0;
    }
    return to_server(p, server, wrong, len, EXPECT_SERVER);
}

enum mysql_prove_step mysql_prove_abandoned(struct mysql_prove *p, unsigned char sequence,
                                            const void *payload, size_t len,
                                            struct mysql_writer *server)
{
    const char *why = NULL;
    if (p->expects == EXPECT_KEY) {
        forget_secret(p);
        p->expects = EXPECT_CLIENTS_KEY;
    }
    enum mysql_prove_step step = clients_turn(p) ? MYSQL_PROVE_CLIENT : MYSQL_PROVE_SERVER;
    if (payload != NULL) {
        step = mysql_prove_server(p, sequence, payload, len, NULL, server, &why);
    }
    return step == MYSQL_PROVE_CLIENT ? answer_in_vain(p, server) : step;
}
