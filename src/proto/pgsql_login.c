#include "proto/pgsql_login.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/probe_end.h"

#define SALT_LEN  4
#define MD5_LEN   16
#define MECHANISM "SCRAM-SHA-256"

/* Authentication requests (manual, "Message Formats"). */
enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_GSS = 7,
    AUTH_SSPI = 9,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
};

static const char nonsense[] = "does not speak PostgreSQL";

void pgsql_out_message(struct pgsql_out *out, char type, const void *body, size_t len)
{
    assert(len + PGSQL_HEAD <= sizeof(out->data) - out->len);
    if (type != 0) {
        out->data[out->len++] = type;
    }
    pgsql_put32(out->data + out->len, (uint32_t)(len + 4));
    memcpy(out->data + out->len + 4, body, len);
    out->len += len + 4;
}

static void add_string(char *body, size_t *len, const char *s)
{
    size_t n = strlen(s) + 1;
    memcpy(body + *len, s, n);
    *len += n;
}

static void send_startup(struct pgsql_login *l, struct pgsql_out *out)
{
    char body[2 * PGSQL_NAME_MAX + 64];
    size_t len = 4;
    pgsql_put32(body, PGSQL_PROTOCOL_3);
    add_string(body, &len, "user");
    add_string(body, &len, l->user);
    add_string(body, &len, "database");
    add_string(body, &len, l->database);
    add_string(body, &len, "application_name");
    add_string(body, &len, "router");
    add_string(body, &len, "");
    pgsql_out_message(out, 0, body, len);
    l->state = PGSQL_LOGIN_ASKED;
}

static bool copy(char *to, size_t size, const char *from)
{
    return snprintf(to, size, "%s", from) < (int)size;
}

static const char *what_is_missing(struct pgsql_login *l, const struct probe_setup *setup)
{
    if (setup->user == NULL || setup->user[0] == '\0') {
        return "tells its role only to an account of its own: probe_user";
    }
    const char *database = setup->database != NULL ? setup->database : "postgres";
    const char *password = setup->password != NULL ? setup->password : "";
    if (!copy(l->user, sizeof(l->user), setup->user) ||
        !copy(l->database, sizeof(l->database), database)) {
        return "knows no such account: probe_user or probe_database is too long";
    }
    if (!copy(l->password, sizeof(l->password), password)) {
        return "knows no such account: probe_password is too long";
    }
    return NULL;
}

/* Who lacks something says so with the server's answer, as only feed() has an observation. An
 * SSLRequest gets one without a trace in the server's log. */
void pgsql_login_start(struct pgsql_login *l, const struct probe_setup *setup,
                       struct pgsql_out *out)
{
    pgsql_login_wipe(l);
    l->tls = setup->tls;
    l->unheard = setup->tls || setup->local;
    l->missing = what_is_missing(l, setup);
    if (!l->tls && l->missing == NULL) {
        send_startup(l, out);
        return;
    }
    char request[4];
    pgsql_put32(request, PGSQL_SSL_REQUEST);
    pgsql_out_message(out, 0, request, sizeof(request));
    l->state = PGSQL_LOGIN_BYTE;
}

/* What comes before TLS is worth nothing: an error in place of the byte is not quoted
 * (CVE-2024-10977), and bytes behind it are not taken for the server's (CVE-2021-23222). */
static enum probe_step take_byte(struct pgsql_login *l, const char *data, size_t len,
                                 struct observation *o)
{
    if (data[0] != 'S' && data[0] != 'N' && data[0] != 'E') {
        return probe_fail(o, REACH_DENIED, "%s", nonsense);
    }
    if (l->missing != NULL) {
        return probe_fail(o, REACH_DENIED, "%s", l->missing);
    }
    if (data[0] == 'E') {
        return probe_fail(o, REACH_DENIED, "answers the wish for TLS with an error");
    }
    if (data[0] == 'N') {
        return probe_fail(o, REACH_DENIED, "does not offer TLS (ssl = off): probe_tls");
    }
    if (len > 1) {
        return probe_fail(o, REACH_DENIED, "sends bytes in the clear after it agreed to TLS");
    }
    l->state = PGSQL_LOGIN_TLS;
    return PROBE_STEP_TLS;
}

enum probe_step pgsql_login_raw(struct pgsql_login *l, const char *data, size_t len,
                                struct observation *o, struct pgsql_out *out)
{
    if (l->state == PGSQL_LOGIN_BYTE) {
        return len > 0 ? take_byte(l, data, len, o) : PROBE_STEP_READ;
    }
    if (len > 0) {
        return probe_fail(o, REACH_DENIED, "%s", nonsense);
    }
    send_startup(l, out);
    return PROBE_STEP_READ;
}

/* Authentication ---------------------------------------------------------------------------- */

static void send_password(struct pgsql_login *l, const char *password, struct pgsql_out *out)
{
    pgsql_out_message(out, 'p', password, strlen(password) + 1);
    l->state = PGSQL_LOGIN_OK;
}

/* A server may ask for the password in clear, and so may whoever sits where the server should. */
static enum probe_step take_cleartext(struct pgsql_login *l, struct observation *o,
                                      struct pgsql_out *out)
{
    if (!l->unheard) {
        return probe_fail(o, REACH_DENIED,
                          "asks for the password in clear, which the probe tells only over TLS: "
                          "probe_tls = yes");
    }
    send_password(l, l->password, out);
    return PROBE_STEP_READ;
}

/* "md5" and the digest in hex, of text and salt. `out` has room for 36 bytes. */
static bool md5_hex(const char *text, const void *salt, size_t salt_len, char out[36])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, text, strlen(text)) == 1 &&
                EVP_DigestUpdate(context, salt, salt_len) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    memcpy(out, "md5", 4);
    for (size_t i = 0; good && i < MD5_LEN; i++) {
        snprintf(out + 3 + 2 * i, 3, "%02x", digest[i]);
    }
    wipe(digest, sizeof(digest));
    return good;
}

static enum probe_step take_md5(struct pgsql_login *l, const char *salt, size_t len,
                                struct observation *o, struct pgsql_out *out)
{
    char inner[36];
    char outer[36];
    if (len != SALT_LEN) {
        return probe_fail(o, REACH_DENIED, "%s", nonsense);
    }
    if (!md5_hex(l->password, l->user, strlen(l->user), inner) ||
        !md5_hex(inner + 3, salt, SALT_LEN, outer)) {
        return probe_fail(o, REACH_DENIED, "wants MD5, which the router's OpenSSL cannot do");
    }
    send_password(l, outer, out);
    wipe(inner, sizeof(inner));
    wipe(outer, sizeof(outer));
    return PROBE_STEP_READ;
}

static bool offers_scram(const char *list, size_t len)
{
    for (size_t at = 0; at < len && list[at] != '\0'; at += strnlen(list + at, len - at) + 1) {
        if (strcmp(list + at, MECHANISM) == 0) { /* the reader ends the body in a NUL */
            return true;
        }
    }
    return false;
}

static enum probe_step take_sasl(struct pgsql_login *l, const char *list, size_t len,
                                 struct observation *o, struct pgsql_out *out)
{
    if (!offers_scram(list, len)) {
        char quote[PROBE_QUOTE_MAX];
        return probe_fail(o, REACH_DENIED, "wants a login that the probe cannot do (%.40s)",
                          probe_quote(quote, list, l->password));
    }
    const char *wrong = scram_begin(&l->scram, "", NULL);
    if (wrong != NULL) {
        return probe_fail(o, REACH_DENIED, "%s", wrong);
    }
    char body[sizeof(MECHANISM) + 4 + SCRAM_TEXT_MAX];
    size_t first = strlen(l->scram.first);
    memcpy(body, MECHANISM, sizeof(MECHANISM));
    pgsql_put32(body + sizeof(MECHANISM), (uint32_t)first);
    memcpy(body + sizeof(MECHANISM) + 4, l->scram.first, first);
    pgsql_out_message(out, 'p', body, sizeof(MECHANISM) + 4 + first);
    l->state = PGSQL_LOGIN_FIRST;
    return PROBE_STEP_READ;
}

static enum probe_step take_scram(struct pgsql_login *l, const char *text, size_t len,
                                  struct observation *o, struct pgsql_out *out)
{
    bool first = l->state == PGSQL_LOGIN_FIRST;
    const char *wrong =
        first ? scram_prove(&l->scram, l->password, text, len) : scram_verify(&l->scram, text, len);
    if (wrong != NULL) {
        return probe_fail(o, REACH_DENIED, "%s", wrong);
    }
    if (first) {
        pgsql_out_message(out, 'p', l->scram.last, strlen(l->scram.last));
    }
    l->state = first ? PGSQL_LOGIN_FINAL : PGSQL_LOGIN_OK;
    return PROBE_STEP_READ;
}

/* The first request: which way to log in. */
static enum probe_step take_request(struct pgsql_login *l, uint32_t kind, const char *data,
                                    size_t len, struct observation *o, struct pgsql_out *out)
{
    bool known = kind == AUTH_CLEARTEXT || kind == AUTH_MD5 || kind == AUTH_SASL;
    if (known && l->password[0] == '\0') {
        return probe_fail(o, REACH_DENIED, "asks for a password: probe_password");
    }
    switch (kind) {
    case AUTH_CLEARTEXT:
        return take_cleartext(l, o, out);
    case AUTH_MD5:
        return take_md5(l, data, len, o, out);
    case AUTH_SASL:
        return take_sasl(l, data, len, o, out);
    case AUTH_GSS:
    case AUTH_SSPI:
        return probe_fail(o, REACH_DENIED, "wants GSSAPI or SSPI, which the probe cannot do");
    default:
        return probe_fail(o, REACH_DENIED, "wants a login that the probe cannot do (%u)", kind);
    }
}

/* Only what is due is taken: an AuthenticationOk in place of SCRAM's end, for one, would be from a
 * server that cannot prove that it knows the password. */
static enum probe_step take_authentication(struct pgsql_login *l, const struct pgsql_reader *r,
                                           struct observation *o, struct pgsql_out *out)
{
    if (r->length < 4 || !pgsql_whole(r)) {
        return probe_fail(o, REACH_DENIED, "%s", nonsense);
    }
    uint32_t kind = pgsql_get32(r->body);
    const char *data = r->body + 4;
    size_t len = r->length - 4;
    if (kind == AUTH_OK && (l->state == PGSQL_LOGIN_ASKED || l->state == PGSQL_LOGIN_OK)) {
        l->state = PGSQL_LOGIN_READY;
        return PROBE_STEP_READ;
    }
    if (l->state == PGSQL_LOGIN_ASKED) {
        return take_request(l, kind, data, len, o, out);
    }
    if ((l->state == PGSQL_LOGIN_FIRST && kind == AUTH_SASL_CONTINUE) ||
        (l->state == PGSQL_LOGIN_FINAL && kind == AUTH_SASL_FINAL)) {
        return take_scram(l, data, len, o, out);
    }
    return probe_fail(o, REACH_DENIED, "breaks the login off: it is not who it should be");
}

enum probe_step pgsql_login_take(struct pgsql_login *l, const struct pgsql_reader *r,
                                 struct observation *o, struct pgsql_out *out)
{
    bool in = l->state == PGSQL_LOGIN_READY;
    switch (pgsql_type(r)) {
    case 'R':
        if (!in) {
            return take_authentication(l, r, o, out);
        }
        break;
    case 'v': /* NegotiateProtocolVersion: 3.0 is what we speak anyway */
        if (l->state == PGSQL_LOGIN_ASKED) {
            return PROBE_STEP_READ;
        }
        break;
    case 'K': /* BackendKeyData */
        if (in) {
            return PROBE_STEP_READ;
        }
        break;
    case 'Z':
        if (in) {
            l->state = PGSQL_LOGIN_DONE;
            return PROBE_STEP_READ;
        }
        break;
    default:
        break;
    }
    return probe_fail(o, REACH_DENIED, "%s", nonsense);
}

/* What an error means (manual, "PostgreSQL Error Codes") ----------------------------------- */

static const struct {
    const char *code;
    enum reach reach;
    const char *why; /* followed by the server's own words */
} meanings[] = {
    {"28P01", REACH_DENIED, "does not accept the probe's user and password"},
    {"28000", REACH_DENIED, "does not let the probe in (pg_hba.conf, or the role)"},
    {"3D000", REACH_DENIED, "lacks probe_database"},
    {"42501", REACH_DENIED, "does not allow it to the probe's user"},
    {"53300", REACH_DENIED, "has no connection left for the probe"},
    {"57014", REACH_SILENT, "did not answer in time"},
    {"57P01", REACH_REFUSED, "ended the probe's session"},
    {"57P02", REACH_REFUSED, "ended the probe's session"},
    {"57P03", REACH_SILENT, "takes no sessions now"},
    {"57P04", REACH_DENIED, "lost probe_database"},
    {"57P05", REACH_REFUSED, "ended the probe's session"},
};

/* Names that PostgreSQL 11 has, and those before it do not. */
static bool is_unknown_name(const char *code)
{
    return strcmp(code, "42883") == 0 || strcmp(code, "42703") == 0 || strcmp(code, "42P01") == 0;
}

enum probe_step pgsql_login_error(const struct pgsql_login *l, const struct pgsql_reader *r,
                                  struct observation *o)
{
    struct pgsql_error e = pgsql_error_read(r);
    char words[PROBE_QUOTE_MAX];
    char code[PROBE_QUOTE_MAX];
    bool in = l->state == PGSQL_LOGIN_DONE;
    probe_quote(words, e.message, l->password);
    probe_quote(code, e.code, l->password);
    if (in && is_unknown_name(e.code)) {
        return probe_fail(o, REACH_DENIED, "is %s; the probe needs PostgreSQL 11 or later (%.60s)",
                          l->version[0] != '\0' ? l->version : "no PostgreSQL", words);
    }
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        if (strcmp(e.code, meanings[i].code) == 0) {
            return probe_fail(o, meanings[i].reach, "%s%s%s", meanings[i].why,
                              words[0] != '\0' ? ": " : "", words);
        }
    }
    return probe_fail(o, REACH_DENIED, "answers the probe's %s with error %.5s: %s",
                      in ? "question" : "login", code, words);
}

void pgsql_login_wipe(struct pgsql_login *l)
{
    wipe(l, sizeof(*l));
}
