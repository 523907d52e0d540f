/* Packets are a length of 3 bytes, a sequence id that both sides count on, and the payload. Of the
 * server's packets the head, the first bytes and, in the greeting, the capabilities are looked at.
 * A client's packet is judged as soon as it can be, and passed on when it is whole. */
#include "proto/mysql_watch.h"

#include <stdint.h>
#include <string.h>

#include "base/macros.h"

#define HEAD 4 /* of a packet */

/* A login: clients send at most 64 KiB of connection attributes in it. */
#define LOGIN_MAX (65536 + 2048)
/* Its fixed part up to the user's name, which alone is the request for TLS. */
#define LOGIN_MIN 32

#define CAN_PROTOCOL_41       0x00000200U
#define CAN_SSL               0x00000800U
#define CAN_SECURE_CONNECTION 0x00008000U
#define CAN_PLUGIN_AUTH       0x00080000U
#define CHARSET_LATIN1        8

#define PACKET_OK        0x00
#define PACKET_MORE_DATA 0x01
#define PACKET_SWITCH    0xfe
#define PACKET_ERR       0xff
#define PROTOCOL_10      0x0a

#define COM_QUIT 1

/* caching_sha2_password: what follows PACKET_MORE_DATA, and what asks for the server's key. */
#define SHA2_FAST_OK    3
#define SHA2_FULL       4
#define SHA2_PUBLIC_KEY 2

/* RFC 8446, section 5.1. */
#define TLS_HANDSHAKE  0x16
#define TLS_MAJOR      3
#define TLS_HEAD       5
#define TLS_RECORD_MAX 16384

#define ER_CON_COUNT_ERROR 1040
#define ER_HANDSHAKE_ERROR 1043
#define ER_SERVER_SHUTDOWN 1053
#define ER_UNKNOWN_ERROR   1105

enum phase {
    GREETING, /* waits for the server's first packet */
    ANSWER,   /* waits for a packet of the client */
    VERDICT,  /* waits for the server's answer to it */
    OVER,
};

struct watch {
    uint8_t phase;
    uint8_t sequence; /* of the packet that is expected next, or of the one that is coming in */
    bool answered;    /* the client's login went to the server, or ours did */
    bool accepted;    /* OVER: by OK */
    unsigned char head[HEAD];
    uint8_t first_len;
    unsigned char first[20]; /* of the payload of the server's last packet */
    uint32_t have;           /* bytes of the packet that is coming in, its head among them */
    uint32_t length;         /* of its payload */
    uint32_t since_version;  /* GREETING: bytes after the version's NUL, which is the first */
    uint32_t can;            /* GREETING: the lower half of what the server can do */
};

static uint32_t length_of(const unsigned char *head)
{
    return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16;
}

/* What the server says --------------------------------------------------------------------- */

/* Protocol::HandshakeV10: the version ends in NUL, then come 4 bytes of thread id, 8 of scramble, a
 * filler and the lower half of the capabilities. */
static void look_at_greeting(struct watch *w, unsigned char byte)
{
    enum { CAPABILITIES = 1 + 4 + 8 + 1 };
    if (w->since_version > 0 || byte == 0) {
        w->since_version++;
    }
    if (w->since_version == CAPABILITIES + 1) {
        w->can = byte;
    } else if (w->since_version == CAPABILITIES + 2) {
        w->can |= (uint32_t)byte << 8;
    }
}

static void on_payload_byte(struct watch *w, unsigned char byte)
{
    if (w->first_len < sizeof w->first) {
        w->first[w->first_len] = byte;
        w->first_len++;
    }
    if (w->phase == GREETING && w->first_len > 1) {
        look_at_greeting(w, byte);
    } else if (w->phase == GREETING && byte != PROTOCOL_10) {
        w->phase = OVER; /* ERR: it does not want us; others: it is none of ours */
    }
}

static void on_verdict(struct watch *w)
{
    unsigned char kind = w->first_len > 0 ? w->first[0] : PACKET_SWITCH;
    if (kind == PACKET_OK || kind == PACKET_ERR) {
        w->phase = OVER;
        w->accepted = kind == PACKET_OK;
    } else if (kind == PACKET_MORE_DATA && w->length == 2 && w->first[1] == SHA2_FAST_OK) {
        w->sequence = w->head[3]; /* another packet of the server follows */
    } else {
        w->phase = ANSWER; /* a plugin's question */
    }
}

static void on_server_packet(struct watch *w)
{
    w->sequence = (uint8_t)(w->head[3] + 1);
    if (w->phase != GREETING) {
        on_verdict(w);
    } else {
        w->phase = w->length > 0 ? ANSWER : OVER;
    }
}

/* Bytes of the payload up to its end, or to where they need not be looked at. */
static size_t take_payload(struct watch *w, const unsigned char *data, size_t len)
{
    size_t left = HEAD + (size_t)w->length - w->have;
    size_t n = len < left ? len : left;
    bool all = w->phase == GREETING;
    for (size_t i = 0; i < n && w->phase != OVER && (all || w->first_len < sizeof w->first); i++) {
        on_payload_byte(w, data[i]);
    }
    w->have += (uint32_t)n;
    return n;
}

static size_t take_head(struct watch *w, const unsigned char *data)
{
    if (w->have == 0) {
        w->first_len = 0;
    }
    w->head[w->have] = *data;
    w->have++;
    if (w->have == HEAD) {
        w->length = length_of(w->head);
    }
    return 1;
}

static void hear_server(struct watch *w, const char *bytes, size_t len)
{
    const unsigned char *data = (const unsigned char *)bytes;
    while (len > 0 && w->phase != OVER) {
        size_t n = w->have < HEAD ? take_head(w, data) : take_payload(w, data, len);
        data += n;
        len -= n;
        if (w->phase != OVER && w->have >= HEAD && w->have == HEAD + w->length) {
            w->have = 0;
            on_server_packet(w);
        }
    }
}

static enum login_step step_of(const struct watch *w)
{
    return w->phase == OVER ? LOGIN_OVER : w->phase == ANSWER ? LOGIN_CLIENT : LOGIN_SERVER;
}

static enum login_step mysql_server(void *state, const char *data, size_t len)
{
    struct watch *w = state;
    hear_server(w, data, len);
    return step_of(w);
}

/* What the client says ---------------------------------------------------------------------- */

static enum login_step bad(const char **why, const char *words)
{
    *why = words;
    return LOGIN_BAD;
}

/* The client goes over to TLS: its request waits for the first record, so that a client that asks
 * and leaves costs nothing. From then on the server's login is the client's own affair. */
static enum login_step begin_tls(struct watch *w, const unsigned char *data, size_t len,
                                 size_t *pass, const char **why)
{
    size_t length = length_of(data);
    const unsigned char *record = data + HEAD + length;
    if (length != LOGIN_MIN || (w->can & CAN_SSL) == 0) {
        return bad(why, "it asks for TLS in a way that the server does not know");
    }
    if (len < HEAD + length + TLS_HEAD) {
        return LOGIN_CLIENT;
    }
    size_t record_len = (size_t)record[3] << 8 | record[4];
    if (record[0] != TLS_HANDSHAKE || record[1] != TLS_MAJOR || record_len > TLS_RECORD_MAX) {
        return bad(why, "it asked for TLS and sent something else");
    }
    if (len < HEAD + length + TLS_HEAD + record_len) {
        return LOGIN_CLIENT;
    }
    *pass = len;
    w->phase = OVER;
    return LOGIN_OVER;
}

/* Judges what is there of the client's packet. LOGIN_SERVER: nothing is wrong with it. */
static enum login_step judge(const struct watch *w, const unsigned char *data, size_t len,
                             const char **why)
{
    uint8_t sequence = w->phase == GREETING ? 1 : w->sequence;
    if (len < HEAD) {
        return LOGIN_SERVER;
    }
    if (data[3] != sequence) {
        return bad(why, "it does not speak MySQL's protocol");
    }
    if (length_of(data) > LOGIN_MAX) {
        return bad(why, "its login is too long");
    }
    if (w->answered) {
        return LOGIN_SERVER;
    }
    if (length_of(data) < LOGIN_MIN ||
        (len > HEAD + 1 && (data[HEAD + 1] & (CAN_PROTOCOL_41 >> 8)) == 0)) {
        return bad(why, "its protocol is older than MySQL 4.1");
    }
    return LOGIN_SERVER;
}

static enum login_step mysql_client(void *state, const char *bytes, size_t len, size_t *pass,
                                    const char **why)
{
    struct watch *w = state;
    const unsigned char *data = (const unsigned char *)bytes;
    *pass = 0;
    if (w->phase == VERDICT || w->phase == OVER) {
        return step_of(w);
    }
    if (judge(w, data, len, why) == LOGIN_BAD) {
        return LOGIN_BAD;
    }
    if (w->phase == GREETING || w->have > 0) { /* it speaks before its turn */
        return LOGIN_SERVER;
    }
    if (len < HEAD || len < HEAD + length_of(data)) {
        return LOGIN_CLIENT;
    }
    if (!w->answered && (data[HEAD + 1] & (CAN_SSL >> 8)) != 0) {
        return begin_tls(w, data, len, pass, why);
    }
    *pass = HEAD + length_of(data);
    w->phase = VERDICT;
    w->answered = true;
    return LOGIN_SERVER;
}

/* In the client's place --------------------------------------------------------------------- */

static void put_packet(struct login_out *out, uint8_t sequence, const void *payload, size_t len)
{
    const char head[HEAD] = {(char)len, (char)(len >> 8), 0, (char)sequence};
    memcpy(out->data + out->len, head, HEAD);
    if (len > 0) {
        memcpy(out->data + out->len + HEAD, payload, len);
    }
    out->len += HEAD + len;
}

/* Protocol::HandshakeResponse41 of an account without a password. The plugin must be named: MySQL
 * counts a client that cannot do what its account wants as one that broke off. */
static void put_login(struct login_out *out, uint8_t sequence)
{
    static const uint32_t can = CAN_PROTOCOL_41 | CAN_SECURE_CONNECTION | CAN_PLUGIN_AUTH;
    static const char rest[] = "router_gone\0\0mysql_native_password";
    char login[LOGIN_MIN + sizeof rest] = {
        (char)can, (char)(can >> 8), (char)(can >> 16), 0, 0, 0, 0, 1, CHARSET_LATIN1};
    memcpy(login + LOGIN_MIN, rest, sizeof rest);
    put_packet(out, sequence, login, sizeof login);
}

/* Answers a plugin's question wrongly, but in the form it expects: an answer of an impossible
 * length counts as broken off. Without a password most plugins take an empty one; Ed25519 takes a
 * signature only, and caching_sha2_password, once it wants the password itself, must be asked for
 * its key before it takes no for an answer. */
static void put_answer(const struct watch *w, struct login_out *out)
{
    static const char ed25519[] = "client_ed25519";
    static const char signature[64] = {0};
    static const char ask_key = SHA2_PUBLIC_KEY;
    if (w->first_len > sizeof ed25519 && w->first[0] == PACKET_SWITCH &&
        memcmp(w->first + 1, ed25519, sizeof ed25519) == 0) {
        put_packet(out, w->sequence, signature, sizeof signature);
    } else if (w->length == 2 && w->first[0] == PACKET_MORE_DATA && w->first[1] == SHA2_FULL) {
        put_packet(out, w->sequence, &ask_key, 1);
    } else {
        put_packet(out, w->sequence, NULL, 0);
    }
}

static bool mysql_finish(void *state, const char *data, size_t len, struct login_out *out)
{
    static const char quit = COM_QUIT;
    struct watch *w = state;
    out->len = 0;
    hear_server(w, data, len);
    if (w->phase == ANSWER && w->have == 0) {
        if (w->answered) {
            put_answer(w, out);
        } else {
            put_login(out, w->sequence);
        }
        w->answered = true;
        w->phase = VERDICT;
    } else if (w->phase == OVER && w->accepted) {
        put_packet(out, 0, &quit, 1);
    }
    return w->phase == OVER;
}

/* Refusals ---------------------------------------------------------------------------------- */

struct error {
    unsigned number;
    const char *state; /* SQLSTATE */
};

static struct error error_of(enum refusal why)
{
    switch (why) {
    case REFUSED_SESSIONS:
    case REFUSED_RATE:
        return (struct error){ER_CON_COUNT_ERROR, "08004"};
    case REFUSED_SHUTDOWN:
    case REFUSED_DISABLED:
        return (struct error){ER_SERVER_SHUTDOWN, "08S01"};
    case REFUSED_LOGIN:
        return (struct error){ER_HANDSHAKE_ERROR, "08S01"};
    default:
        return (struct error){ER_UNKNOWN_ERROR, "HY000"};
    }
}

static size_t add(char *to, size_t at, size_t size, const char *text)
{
    size_t len = strlen(text);
    len = len < size - at ? len : size - at;
    memcpy(to + at, text, len);
    return at + len;
}

/* Protocol::ERR_Packet. In place of the greeting it has no SQLSTATE, because nobody has said yet
 * what the client can do; so servers send it too. */
static void put_error(struct login_out *out, uint8_t sequence, bool greeted,
                      const struct refusal_words *refusal)
{
    struct error error = error_of(refusal->why);
    char payload[256] = {(char)PACKET_ERR, (char)error.number, (char)(error.number >> 8)};
    size_t len = 3;
    if (greeted) {
        len = add(payload, len, sizeof payload, "#");
        len = add(payload, len, sizeof payload, error.state);
    }
    len = add(payload, len, sizeof payload, "router: ");
    len = add(payload, len, sizeof payload, refusal->words);
    put_packet(out, sequence, payload, len);
}

/* The error takes the place of the server's next packet. If the client's packet is still missing,
 * the number is the one it expects after that. */
static enum refuse_step mysql_refuse(void *state, const struct refusal_words *refusal,
                                     const char *data, size_t len, size_t *used,
                                     struct login_out *out)
{
    const struct watch *w = state;
    (void)data;
    *used = len;
    out->len = 0;
    if (w->have > 0) {
        return REFUSE_CUT;
    }
    if (w->phase == GREETING) {
        put_error(out, 0, false, refusal);
    } else {
        put_error(out, (uint8_t)(w->sequence + 1), true, refusal);
    }
    return REFUSE_SAID;
}

const struct login_dialogue mysql_login = {
    .state_size = sizeof(struct watch),
    .patience_ms = 8000, /* servers wait 10 s (connect_timeout), and count who does not answer */
    .client = mysql_client,
    .server = mysql_server,
    .refuse = mysql_refuse,
    .finish = mysql_finish,
};
