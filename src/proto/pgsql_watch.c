/* The client's messages have no type until it has sent its StartupMessage: a length, which counts
 * itself, and a version or a code. What it sends behind that passes unseen; of the server's
 * messages the heads are looked at, and BackendKeyData is kept. */
#include "proto/pgsql_watch.h"

#include <stdint.h>
#include <string.h>

#include "base/macros.h"
#include "proto/pgsql_message.h"

#define FIRST_HEAD 8 /* of a message without a type */
#define STARTUP_MAX                                                                                \
    10004              /* what servers take (MAX_STARTUP_PACKET_LENGTH), and the length itself     \
                        */
#define KEY_MIN   8    /* a process id and a secret of 4 bytes */
#define KEY_MAX   260  /* protocol 3.2: up to 256 */
#define TLS_HELLO 0x16 /* sslnegotiation=direct: RFC 8446, section 5.1 */

enum phase {
    REQUEST, /* waits for a message of the client without a type */
    ASKED,   /* waits for the server's one byte about encryption */
    STARTED, /* waits for the server's ReadyForQuery */
    OVER,
};

struct watch {
    uint8_t phase;
    bool asked_tls; /* a refused client may ask for each once */
    bool asked_gss;
    bool requested; /* the client's first message was seen */
    uint8_t bound;  /* how much of PLUS the server said last */
    unsigned char head[PGSQL_HEAD];
    uint16_t key_len;
    uint32_t have; /* bytes of the server's message that is coming in */
    uint32_t length;
    char key[KEY_MAX];
};

/* What the client says ---------------------------------------------------------------------- */

enum request {
    REQUEST_MORE, /* not enough bytes to say */
    REQUEST_ENCRYPTION,
    REQUEST_CANCEL,
    REQUEST_STARTUP,
    REQUEST_TLS, /* TLS begins without a question */
    REQUEST_BAD,
};

/* What the client's next message is; its length if it is known. */
static enum request request_of(const struct watch *w, const char *data, size_t len, size_t *length)
{
    *length = 0;
    if (len > 0 && data[0] == TLS_HELLO && !w->requested) {
        return REQUEST_TLS;
    }
    if (len > 0 && data[0] != 0) { /* a length in the millions */
        return REQUEST_BAD;
    }
    if (len < FIRST_HEAD) {
        return REQUEST_MORE;
    }
    uint32_t code = pgsql_get32(data + 4);
    *length = pgsql_get32(data);
    if (code == PGSQL_SSL_REQUEST || code == PGSQL_GSSENC_REQUEST) {
        return *length == FIRST_HEAD ? REQUEST_ENCRYPTION : REQUEST_BAD;
    }
    if (code == PGSQL_CANCEL_REQUEST) {
        bool fits = *length >= FIRST_HEAD + KEY_MIN && *length <= FIRST_HEAD + KEY_MAX;
        return fits ? REQUEST_CANCEL : REQUEST_BAD;
    }
    bool startup = code >> 16 == PGSQL_PROTOCOL_3 >> 16;
    return startup && *length >= FIRST_HEAD && *length <= STARTUP_MAX ? REQUEST_STARTUP
                                                                      : REQUEST_BAD;
}

static enum login_step take_cancel(struct watch *w, const char *data, size_t len, size_t length)
{
    if (len < length) {
        return LOGIN_CLIENT;
    }
    w->key_len = (uint16_t)(length - FIRST_HEAD);
    memcpy(w->key, data + FIRST_HEAD, w->key_len);
    return LOGIN_CANCEL;
}

static enum login_step pgsql_first(void *state, const char *data, size_t len, const char **why)
{
    struct watch *w = state;
    size_t length;
    switch (request_of(w, data, len, &length)) {
    case REQUEST_MORE:
        return LOGIN_CLIENT;
    case REQUEST_CANCEL:
        return take_cancel(w, data, len, length);
    case REQUEST_BAD:
        *why = "it does not speak PostgreSQL's protocol 3";
        return LOGIN_BAD;
    default:
        return LOGIN_SERVER;
    }
}

static enum login_step pgsql_request(struct watch *w, const char *data, size_t len, size_t *pass,
                                     const char **why)
{
    size_t length;
    switch (request_of(w, data, len, &length)) {
    case REQUEST_ENCRYPTION:
        w->requested = true;
        w->phase = ASKED;
        *pass = FIRST_HEAD;
        return LOGIN_SERVER;
    case REQUEST_STARTUP:
        w->requested = true;
        w->phase = STARTED;
        *pass = len;
        return LOGIN_SERVER; /* which has a time-out of its own from here on */
    case REQUEST_TLS:
        w->phase = OVER;
        *pass = len;
        return LOGIN_OVER;
    default:
        return pgsql_first(w, data, len, why);
    }
}

static enum login_step pgsql_client(void *state, const char *data, size_t len, size_t *pass,
                                    const char **why)
{
    struct watch *w = state;
    *pass = 0;
    switch ((enum phase)w->phase) {
    case REQUEST:
        return pgsql_request(w, data, len, pass, why);
    case ASKED:
        return LOGIN_SERVER;
    case STARTED:
        *pass = len;
        return LOGIN_SERVER;
    case OVER:
        break;
    }
    return LOGIN_OVER;
}

/* What the server says ---------------------------------------------------------------------- */

static void on_head(struct watch *w)
{
    char type = (char)w->head[0];
    uint32_t length = pgsql_get32(w->head + 1);
    bool broken = length < 4 || length > PGSQL_MESSAGE_MAX;
    if (broken || type == 'Z' || type == 'E') {
        w->phase = OVER;
        return;
    }
    w->length = PGSQL_HEAD + length - 4;
    if (type == 'K') {
        w->key_len = 0;
    }
}

static size_t take_body(struct watch *w, const char *data, size_t len)
{
    size_t left = w->length - w->have;
    size_t n = len < left ? len : left;
    bool fits = w->length >= PGSQL_HEAD + KEY_MIN && w->length <= PGSQL_HEAD + KEY_MAX;
    if (w->head[0] == 'K' && fits) {
        memcpy(w->key + w->key_len, data, n);
        w->key_len = (uint16_t)(w->key_len + n);
    }
    w->have += (uint32_t)n;
    return n;
}

static void hear_messages(struct watch *w, const char *data, size_t len)
{
    while (len > 0 && w->phase == STARTED) {
        size_t n = 1;
        if (w->have < PGSQL_HEAD) {
            w->head[w->have] = (unsigned char)*data;
            w->have++;
        } else {
            n = take_body(w, data, len);
        }
        data += n;
        len -= n;
        if (w->have == PGSQL_HEAD && w->length == 0) {
            on_head(w);
        }
        if (w->have >= PGSQL_HEAD && w->have == w->length) {
            w->have = 0;
            w->length = 0;
        }
    }
}

/* Anything but N or a message is encrypted from here on, or tells why the server does not go on. */
static enum login_step pgsql_server(void *state, const char *data, size_t len)
{
    struct watch *w = state;
    if (w->phase == STARTED) {
        hear_messages(w, data, len);
        return w->phase == OVER ? LOGIN_OVER : LOGIN_SERVER;
    }
    if (w->phase == ASKED && len == 1 && data[0] == 'N') {
        w->phase = REQUEST;
        return LOGIN_CLIENT;
    }
    w->phase = OVER;
    return LOGIN_OVER;
}

/* A server offers to bind the login to the TLS that it sees (SCRAM-SHA-256-PLUS, RFC 5802 section
 * 6), which is not the client's: libpq takes the offer in the clear for an attack. So the client
 * reads another name there, which none knows. AuthenticationSASL ("SASL Authentication") is a list
 * of names to choose from. */
static void pgsql_veil(void *state, char *data, size_t len)
{
    static const char plus[] = "SCRAM-SHA-256-PLUS";
    static const char none[] = "SCRAM-SHA-256-NONE";
    struct watch *w = state;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != plus[w->bound]) {
            w->bound = data[i] == plus[0];
            continue;
        }
        data[i] = none[w->bound++];
        w->bound = w->bound < sizeof plus - 1 ? w->bound : 0;
    }
}

static size_t pgsql_key(const void *state, const char **key)
{
    const struct watch *w = state;
    *key = w->key;
    return w->key_len;
}

static void pgsql_request_to_cancel(const void *state, struct login_out *out)
{
    const struct watch *w = state;
    out->len = FIRST_HEAD + w->key_len;
    pgsql_put32(out->data, (uint32_t)out->len);
    pgsql_put32(out->data + 4, PGSQL_CANCEL_REQUEST);
    memcpy(out->data + FIRST_HEAD, w->key, w->key_len);
}

/* Refusals ---------------------------------------------------------------------------------- */

static const char *state_of(enum refusal why)
{
    switch (why) {
    case REFUSED_SESSIONS:
    case REFUSED_RATE:
        return "53300"; /* too_many_connections */
    case REFUSED_LOGIN:
        return "08P01"; /* protocol_violation */
    default:
        return "57P03"; /* cannot_connect_now */
    }
}

static void put_field(struct login_out *out, char name, const char *prefix, const char *text)
{
    size_t room = sizeof out->data - 2 - out->len - 1; /* this field's NUL, the list's, the name */
    size_t prefix_len = strlen(prefix);
    size_t len = strlen(text);
    len = len + prefix_len < room ? len : room - prefix_len;
    char *at = out->data + out->len;
    *at = name;
    memcpy(at + 1, prefix, prefix_len);
    memcpy(at + 1 + prefix_len, text, len);
    at[1 + prefix_len + len] = '\0';
    out->len += 1 + prefix_len + len + 1;
}

/* ErrorResponse (manual, "Error and Notice Message Fields"). */
static void put_error(struct login_out *out, const struct refusal_words *refusal)
{
    size_t start = out->len;
    out->data[start] = 'E';
    out->len = start + PGSQL_HEAD;
    put_field(out, 'S', "", "FATAL");
    put_field(out, 'V', "", "FATAL");
    put_field(out, 'C', "", state_of(refusal->why));
    put_field(out, 'M', "router: ", refusal->words);
    out->data[out->len] = '\0';
    out->len++;
    pgsql_put32(out->data + start + 1, (uint32_t)(out->len - start - 1));
}

/* No to encryption, which libpq asks for before it takes in any words. */
static bool decline(struct watch *w, const char *data, struct login_out *out)
{
    bool *asked = pgsql_get32(data + 4) == PGSQL_SSL_REQUEST ? &w->asked_tls : &w->asked_gss;
    if (*asked) {
        return false;
    }
    *asked = true;
    w->requested = true;
    out->data[out->len] = 'N';
    out->len++;
    return true;
}

static enum refuse_step pgsql_refuse(void *state, const struct refusal_words *refusal,
                                     const char *data, size_t len, size_t *used,
                                     struct login_out *out)
{
    struct watch *w = state;
    out->len = 0;
    *used = 0;
    if (w->phase == STARTED) {
        *used = len;
        if (w->have > 0) {
            return REFUSE_CUT;
        }
        put_error(out, refusal);
        return REFUSE_SAID;
    }
    if (w->phase == ASKED) {
        out->data[out->len] = 'N';
        out->len++;
        w->phase = REQUEST;
    }
    for (;;) {
        size_t length;
        enum request request = request_of(w, data + *used, len - *used, &length);
        bool whole = len - *used >= length;
        if (request == REQUEST_MORE || (!whole && request != REQUEST_BAD)) {
            return REFUSE_READ;
        }
        if (request == REQUEST_CANCEL) {
            take_cancel(w, data + *used, len - *used, length);
            return REFUSE_CANCEL;
        }
        if (request == REQUEST_STARTUP) {
            *used = len;
            put_error(out, refusal);
            return REFUSE_SAID;
        }
        if (request != REQUEST_ENCRYPTION || !decline(w, data + *used, out)) {
            return REFUSE_SAID; /* nothing that it would understand */
        }
        *used += length;
    }
}

const struct login_dialogue pgsql_login = {
    .state_size = sizeof(struct watch),
    .patience_ms = 60000, /* servers' authentication_timeout */
    .first = pgsql_first,
    .client = pgsql_client,
    .server = pgsql_server,
    .refuse = pgsql_refuse,
    .veil = pgsql_veil,
    .key = pgsql_key,
    .request = pgsql_request_to_cancel,
};
