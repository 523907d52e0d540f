/* Each packet taken is answered by at most one of ours. The server chooses the plugin: its first
 * choice is in the greeting, its later ones come as AuthSwitchRequest. To a plugin that we cannot
 * do we answer with a wrong password, which makes the server go on to the account's next plugin
 * (MariaDB accounts may have several) or refuse us. It has the length of an Ed25519 signature: an
 * answer of any other length is a broken handshake to MariaDB's ed25519, and counted as one.
 *
 * The key by which a password is encrypted without TLS comes from whoever answers us: that keeps
 * listeners out but nobody who sits in between. probe_tls is there for that. */
#include "proto/mysql_login.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_handshake.h"

#define PROOF_MAX       64 /* bytes: an Ed25519 signature */
#define PACKETS_MAX     12 /* of the server, in one login */
#define CHARSET_UTF8MB4 45
#define PACKET_SIZE_MAX (1U << 24)
#define SHA2_FAST       3
#define SHA2_FULL       4
#define SHA2_KEY        2 /* what we answer: send me your key */

static char *copy(const char *text)
{
    return strdup(text != NULL ? text : "");
}

bool mysql_login_start(struct mysql_login *l, const struct probe_setup *setup)
{
    mysql_login_forget(l);
    l->user = copy(setup->user);
    l->password = copy(setup->password);
    l->database = copy(setup->database);
    l->tls = setup->tls;
    l->secure = setup->local;
    return l->user != NULL && l->password != NULL && l->database != NULL;
}

size_t mysql_login_size(const struct mysql_login *l)
{
    return strlen(l->user) + strlen(l->password) + strlen(l->database) + MYSQL_RSA_MAX + 256;
}

struct mysql_account mysql_login_account(const struct mysql_login *l)
{
    return (struct mysql_account){.user = l->user, .password = l->password};
}

static void forget_text(char **text)
{
    if (*text != NULL) {
        wipe(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

void mysql_login_forget(struct mysql_login *l)
{
    forget_text(&l->user);
    forget_text(&l->password);
    forget_text(&l->database);
    *l = (struct mysql_login){0};
}

static enum probe_step no_mysql(struct observation *o)
{
    return probe_fail(o, REACH_DENIED, "does not speak MySQL");
}

static enum probe_step no_digests(struct mysql_login *l, struct observation *o)
{
    l->state = MYSQL_LOGIN_OVER;
    return probe_fail(o, REACH_DENIED, "cannot be asked: libcrypto has no SHA-1 or SHA-256");
}

/* What is sent ------------------------------------------------------------------------------- */

static void begin(struct mysql_login *l, struct mysql_writer *w)
{
    mysql_begin(w, l->sequence++);
}

/* The proof by the plugin whose turn it is; returns its length. MySQL's own clients say "no
 * password" with one zero byte to caching_sha2_password, with nothing to the other. */
static size_t prove(const struct mysql_login *l, unsigned char out[PROOF_MAX], bool *good)
{
    *good = true;
    bool empty = l->password[0] == '\0';
    if (l->plugin == MYSQL_PLUGIN_FOREIGN) {
        memset(out, 'x', PROOF_MAX - 1);
        out[PROOF_MAX - 1] = '\0';
        return PROOF_MAX;
    }
    if (l->vain != NULL) {
        return 0;
    }
    if (l->plugin == MYSQL_PLUGIN_NATIVE) {
        *good = empty || mysql_crypt_native(out, l->password, l->nonce);
        return empty ? 0 : MYSQL_NATIVE_LEN;
    }
    out[0] = '\0';
    *good = empty || mysql_crypt_sha2(out, l->password, l->nonce);
    return empty ? 1 : MYSQL_SHA2_LEN;
}

static void write_head(const struct mysql_login *l, struct mysql_writer *w)
{
    mysql_write_int(w, l->capabilities, 4);
    mysql_write_int(w, PACKET_SIZE_MAX, 4);
    mysql_write_int(w, CHARSET_UTF8MB4, 1);
    mysql_write_zeros(w, 23);
}

/* HandshakeResponse41. */
static enum probe_step write_login(struct mysql_login *l, struct observation *o,
                                   struct mysql_writer *w)
{
    unsigned char proof[PROOF_MAX];
    bool good;
    size_t len = prove(l, proof, &good);
    begin(l, w);
    write_head(l, w);
    mysql_write_nul(w, l->vain != NULL ? "" : l->user);
    mysql_write_int(w, len, 1);
    mysql_write_bytes(w, proof, len);
    if ((l->capabilities & MYSQL_CAP_CONNECT_WITH_DB) != 0) {
        mysql_write_nul(w, l->database);
    }
    if ((l->capabilities & MYSQL_CAP_PLUGIN_AUTH) != 0) {
        mysql_write_nul(w, l->plugin == MYSQL_PLUGIN_SHA2 ? "caching_sha2_password"
                                                          : "mysql_native_password");
    }
    mysql_end(w);
    l->state = MYSQL_LOGIN_PROOF;
    return good ? PROBE_STEP_READ : no_digests(l, o);
}

enum probe_step mysql_login_secured(struct mysql_login *l, struct observation *o,
                                    struct mysql_writer *answer)
{
    l->secure = true;
    return write_login(l, o, answer);
}

void mysql_login_distrust(struct mysql_login *l, const char *why)
{
    l->vain = why;
    l->capabilities &= ~MYSQL_CAP_CONNECT_WITH_DB;
}

/* The greeting ------------------------------------------------------------------------------- */

static bool is_named(struct mysql_text text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

/* False: one that we cannot do. */
static bool choose(struct mysql_login *l, struct mysql_text name)
{
    if (is_named(name, "mysql_native_password")) {
        l->plugin = MYSQL_PLUGIN_NATIVE;
    } else if (is_named(name, "caching_sha2_password")) {
        l->plugin = MYSQL_PLUGIN_SHA2;
    } else {
        l->plugin = MYSQL_PLUGIN_FOREIGN;
    }
    return l->plugin != MYSQL_PLUGIN_FOREIGN;
}

static enum probe_step take_greeting(struct mysql_login *l, const struct mysql_inbox *packet,
                                     struct observation *o, struct mysql_writer *w)
{
    struct mysql_greeting said;
    l->state = MYSQL_LOGIN_OVER;
    if (!mysql_read_any_greeting(&said, packet->payload, packet->length)) {
        return no_mysql(o);
    }
    l->greeting = said.says;
    memcpy(l->nonce, said.nonce, MYSQL_NONCE);
    const struct greeting *g = &l->greeting;
    uint32_t needed = MYSQL_CAP_PROTOCOL_41 | MYSQL_CAP_SECURE_CONNECTION;
    if ((g->capabilities & needed) != needed) {
        return probe_fail(o, REACH_DENIED, "is older than MySQL 4.1");
    }
    l->mariadb =
        strstr(g->version, "MariaDB") != NULL || (g->capabilities & MYSQL_CAP_LONG_PASSWORD) == 0;
    if (l->tls && (g->capabilities & MYSQL_CAP_SSL) == 0) {
        l->vain = "does not offer TLS, and probe_tls = yes";
    }
    uint32_t ours = needed | MYSQL_CAP_LONG_PASSWORD | MYSQL_CAP_LONG_FLAG |
                    MYSQL_CAP_TRANSACTIONS | MYSQL_CAP_PLUGIN_AUTH | (l->tls ? MYSQL_CAP_SSL : 0) |
                    (l->database[0] != '\0' && l->vain == NULL ? MYSQL_CAP_CONNECT_WITH_DB : 0);
    l->capabilities = ours & g->capabilities;
    if (!choose(l, (struct mysql_text){g->plugin, strlen(g->plugin)})) {
        l->plugin = MYSQL_PLUGIN_NATIVE; /* the server's favourite need not be our account's */
    }
    if (l->tls && l->vain == NULL) {
        begin(l, w); /* Protocol::SSLRequest: the head alone */
        write_head(l, w);
        mysql_end(w);
        l->state = MYSQL_LOGIN_TLS;
        return PROBE_STEP_TLS;
    }
    return write_login(l, o, w);
}

/* The proof ---------------------------------------------------------------------------------- */

static enum probe_step broken(struct mysql_login *l, struct observation *o)
{
    l->state = MYSQL_LOGIN_OVER;
    return probe_fail(o, REACH_DENIED, "does not go on with the login as MySQL does");
}

/* Protocol::AuthSwitchResponse. */
static enum probe_step write_proof(struct mysql_login *l, struct observation *o,
                                   struct mysql_writer *w)
{
    unsigned char proof[PROOF_MAX];
    bool good;
    size_t len = prove(l, proof, &good);
    begin(l, w);
    mysql_write_bytes(w, proof, len);
    mysql_end(w);
    return good ? PROBE_STEP_READ : no_digests(l, o);
}

/* Protocol::AuthSwitchRequest, or the one byte of before 4.1. */
static enum probe_step take_switch(struct mysql_login *l, const struct mysql_inbox *packet,
                                   struct observation *o, struct mysql_writer *w)
{
    struct mysql_cursor c = mysql_read(packet->payload, packet->length);
    mysql_read_int(&c, 1);
    bool old = packet->length == 1;
    struct mysql_text name =
        old ? (struct mysql_text){"mysql_old_password", 18} : mysql_read_nul(&c);
    struct mysql_text nonce = mysql_read_rest(&c);
    if (c.broken) {
        return broken(l, o);
    }
    if (!choose(l, name)) {
        size_t len = name.len < sizeof l->foreign - 1 ? name.len : sizeof l->foreign - 1;
        memcpy(l->foreign, name.data, len);
        l->foreign[len] = '\0';
    } else if (nonce.len < MYSQL_NONCE) {
        return broken(l, o);
    } else {
        memcpy(l->nonce, nonce.data, MYSQL_NONCE);
    }
    l->key_asked = false;
    return write_proof(l, o, w);
}

/* The server does not know the password's digest by heart and wants the password itself. */
static void write_full(struct mysql_login *l, struct mysql_writer *w)
{
    begin(l, w);
    if (l->secure) {
        mysql_write_nul(w, l->password);
    } else {
        mysql_write_int(w, SHA2_KEY, 1);
        l->key_asked = true;
    }
    mysql_end(w);
}

static void write_encrypted(struct mysql_login *l, struct mysql_text pem, struct mysql_writer *w)
{
    unsigned char secret[MYSQL_RSA_MAX];
    size_t len = mysql_crypt_rsa(secret, pem, l->password, l->nonce);
    if (len == 0) {
        l->vain = "sends a key that the password cannot be encrypted with: probe_tls = yes";
    }
    begin(l, w);
    mysql_write_bytes(w, secret, len);
    mysql_end(w);
    l->key_asked = false;
}

/* Protocol::AuthMoreData. */
static enum probe_step take_more(struct mysql_login *l, const struct mysql_inbox *packet,
                                 struct observation *o, struct mysql_writer *w)
{
    struct mysql_cursor c = mysql_read(packet->payload, packet->length);
    mysql_read_int(&c, 1);
    struct mysql_text more = mysql_read_rest(&c);
    if (l->plugin == MYSQL_PLUGIN_FOREIGN || l->vain != NULL) {
        return write_proof(l, o, w);
    }
    if (l->plugin != MYSQL_PLUGIN_SHA2 || more.len == 0) {
        return broken(l, o);
    }
    if (l->key_asked) {
        write_encrypted(l, more, w);
        return PROBE_STEP_READ;
    }
    if (more.len == 1 && more.data[0] == SHA2_FULL) {
        write_full(l, w);
        return PROBE_STEP_READ;
    }
    return more.len == 1 && more.data[0] == SHA2_FAST ? PROBE_STEP_READ : broken(l, o);
}

/* How it ended, if it could not succeed. */
static enum probe_step in_vain(const struct mysql_login *l, struct observation *o)
{
    if (l->vain != NULL) {
        return probe_fail(o, REACH_DENIED, "%s", l->vain);
    }
    char name[PROBE_QUOTE_MAX];
    struct mysql_text foreign = {l->foreign, strlen(l->foreign)};
    mysql_quote(name, foreign, l->password);
    return probe_fail(o, REACH_DENIED,
                      "its account uses %s, which the probe cannot do: mysql_native_password or "
                      "caching_sha2_password (or there is no such user)",
                      name[0] != '\0' ? name : "a plugin");
}

static enum probe_step take_error(struct mysql_login *l, const struct mysql_inbox *packet,
                                  struct observation *o)
{
    struct mysql_error e;
    bool greeted = l->state != MYSQL_LOGIN_GREETING;
    l->state = MYSQL_LOGIN_OVER;
    if (!mysql_read_error(&e, packet->payload, packet->length) || e.code == 0) {
        return no_mysql(o);
    }
    if (greeted && (l->vain != NULL || l->plugin == MYSQL_PLUGIN_FOREIGN)) {
        return in_vain(l, o);
    }
    struct mysql_account who = mysql_login_account(l);
    return mysql_login_refused(o, &e, &who);
}

static enum probe_step take_proof(struct mysql_login *l, const struct mysql_inbox *packet,
                                  struct observation *o, struct mysql_writer *w)
{
    switch (packet->payload[0]) {
    case MYSQL_OK:
        l->state = MYSQL_LOGIN_OVER;
        return l->vain != NULL ? in_vain(l, o) : PROBE_STEP_DONE;
    case MYSQL_MORE:
        return take_more(l, packet, o, w);
    case MYSQL_EOF:
        return take_switch(l, packet, o, w);
    default:
        return broken(l, o);
    }
}

enum probe_step mysql_login_take(struct mysql_login *l, const struct mysql_inbox *packet,
                                 struct observation *o, struct mysql_writer *answer)
{
    bool greeting = l->state == MYSQL_LOGIN_GREETING;
    if (packet->length > 0 && packet->payload[0] == MYSQL_ERROR) {
        return take_error(l, packet, o); /* of whatever number: some of them are sent in a hurry */
    }
    bool expected = l->state == MYSQL_LOGIN_PROOF || greeting;
    if (!expected || packet->length == 0 || mysql_inbox_sequence(packet) != l->sequence) {
        l->state = MYSQL_LOGIN_OVER;
        return greeting ? no_mysql(o) : broken(l, o);
    }
    l->sequence++;
    if (++l->packets > PACKETS_MAX) {
        l->state = MYSQL_LOGIN_OVER;
        return probe_fail(o, REACH_DENIED, "never comes to the end of its login");
    }
    if (greeting) {
        return packet->payload[0] == MYSQL_V10 ? take_greeting(l, packet, o, answer) : no_mysql(o);
    }
    return take_proof(l, packet, o, answer);
}
