/* What real servers forgive in a login is forgiven here: a last text without its NUL, nothing where
 * attributes should be, bytes behind the end (the level of a compression that was not offered). */
#include "proto/mysql_handshake.h"

#include <string.h>

#include "base/macros.h"
#include "base/text.h"

#define HEAD_LEN        32 /* bytes of a login that a request for TLS has too */
#define NAME_MAX_LEN    255
#define ATTRIBUTES_MAX  65536
#define PACKET_SIZE_MAX (1U << 24)
#define RESERVED_LEN    6  /* zeros of a greeting, before MariaDB's capabilities */
#define FILLER_LEN      19 /* the same of a login */
#define CHANGE_USER     0x11

/* Capabilities ------------------------------------------------------------------------------- */

/* What concerns the login alone. */
#define CAPS_LOGIN                                                                                 \
    (MYSQL_CAP_CONNECT_WITH_DB | MYSQL_CAP_PROTOCOL_41 | MYSQL_CAP_TRANSACTIONS |                  \
     MYSQL_CAP_SECURE_CONNECTION | MYSQL_CAP_PLUGIN_AUTH | MYSQL_CAP_CONNECT_ATTRS |               \
     MYSQL_CAP_PLUGIN_AUTH_LENENC)

/* MFA belongs to them: a server sends another factor's question only to who claims to know it. */
#define CAPS_KEY                                                                                   \
    (MYSQL_CAP_FOUND_ROWS | MYSQL_CAP_LONG_FLAG | MYSQL_CAP_NO_SCHEMA | MYSQL_CAP_ODBC |           \
     MYSQL_CAP_LOCAL_FILES | MYSQL_CAP_IGNORE_SPACE | MYSQL_CAP_INTERACTIVE |                      \
     MYSQL_CAP_MULTI_STATEMENTS | MYSQL_CAP_MULTI_RESULTS | MYSQL_CAP_PS_MULTI_RESULTS |           \
     MYSQL_CAP_EXPIRED_PASSWORDS | MYSQL_CAP_SESSION_TRACK | MYSQL_CAP_DEPRECATE_EOF |             \
     MYSQL_CAP_QUERY_ATTRIBUTES | MYSQL_CAP_MFA)

#define CAPS_IDLE (MYSQL_CAP_LONG_PASSWORD | MYSQL_CAP_IGNORE_SIGPIPE | MYSQL_CAP_RESERVED)

#define EXTENDED (MYSQL_EXT_BULK | MYSQL_EXT_TYPE_INFO)

uint32_t mysql_caps_offered(uint32_t server, bool tls)
{
    return (server & (CAPS_LOGIN | CAPS_KEY | CAPS_IDLE)) | (tls ? MYSQL_CAP_SSL : 0);
}

uint32_t mysql_caps_offered_extended(uint32_t server)
{
    return server & EXTENDED;
}

uint64_t mysql_caps_key(uint32_t capabilities, uint32_t extended)
{
    return (capabilities & CAPS_KEY) | (uint64_t)(extended & EXTENDED) << 32;
}

/* Without LONG_PASSWORD MariaDB looks for its own capabilities; elsewhere nobody looks at it. */
uint32_t mysql_caps_login(uint64_t key)
{
    uint32_t mine = mysql_caps_login_extended(key) != 0 ? 0 : MYSQL_CAP_LONG_PASSWORD;
    return ((uint32_t)key & CAPS_KEY) | CAPS_LOGIN | mine;
}

uint32_t mysql_caps_login_extended(uint64_t key)
{
    return (uint32_t)(key >> 32) & EXTENDED;
}

/* The server's side -------------------------------------------------------------------------- */

/* What is no printable ASCII becomes a question mark. */
static void keep_text(char *out, size_t size, struct mysql_text text)
{
    size_t n = 0;
    for (; n < text.len && n < size - 1; n++) {
        out[n] = text.data[n] < ' ' || text.data[n] > '~' ? '?' : text.data[n];
    }
    out[n] = '\0';
}

/* A text that ends in a NUL, or with the packet. */
static struct mysql_text read_last(struct mysql_cursor *c)
{
    size_t left = mysql_left(c);
    bool ended = left > 0 && memchr(c->at, '\0', left) != NULL;
    return ended ? mysql_read_nul(c) : mysql_read_rest(c);
}

bool mysql_read_any_greeting(struct mysql_greeting *g, const void *payload, size_t len)
{
    struct mysql_cursor c = mysql_read(payload, len);
    *g = (struct mysql_greeting){0};
    uint64_t version = mysql_read_int(&c, 1);
    keep_text(g->says.version, sizeof g->says.version, mysql_read_nul(&c));
    g->thread = (uint32_t)mysql_read_int(&c, 4);
    struct mysql_text first = mysql_read_bytes(&c, 8);
    mysql_read_int(&c, 1);
    uint32_t caps = (uint32_t)mysql_read_int(&c, 2);
    g->says.charset = (uint8_t)mysql_read_int(&c, 1);
    g->status = (uint16_t)mysql_read_int(&c, 2);
    caps |= (uint32_t)mysql_read_int(&c, 2) << 16;
    mysql_read_bytes(&c, 1 + RESERVED_LEN); /* length of the nonce, always 21 */
    uint32_t extended = (uint32_t)mysql_read_int(&c, 4);
    struct mysql_text second = mysql_read_bytes(&c, MYSQL_NONCE - 8);
    if (c.broken || version != MYSQL_V10) {
        return false;
    }
    memcpy(g->nonce, first.data, 8);
    memcpy(g->nonce + 8, second.data, MYSQL_NONCE - 8);
    mysql_read_int(&c, 1); /* its NUL */
    keep_text(g->says.plugin, sizeof g->says.plugin, read_last(&c));
    g->says.capabilities = caps;
    g->says.extended = (caps & MYSQL_CAP_LONG_PASSWORD) == 0 ? extended : 0;
    return true;
}

bool mysql_read_greeting(struct mysql_greeting *g, const void *payload, size_t len)
{
    uint32_t needed = MYSQL_CAP_PROTOCOL_41 | MYSQL_CAP_SECURE_CONNECTION | MYSQL_CAP_PLUGIN_AUTH;
    return mysql_read_any_greeting(g, payload, len) && (g->says.capabilities & needed) == needed;
}

void mysql_write_greeting(struct mysql_writer *w, const struct mysql_greeting *g)
{
    uint32_t caps = g->says.capabilities;
    mysql_begin(w, 0);
    mysql_write_int(w, MYSQL_V10, 1);
    mysql_write_nul(w, g->says.version);
    mysql_write_int(w, g->thread, 4);
    mysql_write_bytes(w, g->nonce, 8);
    mysql_write_int(w, 0, 1);
    mysql_write_int(w, caps & 0xffff, 2);
    mysql_write_int(w, g->says.charset, 1);
    mysql_write_int(w, g->status, 2);
    mysql_write_int(w, caps >> 16, 2);
    mysql_write_int(w, MYSQL_NONCE + 1, 1);
    mysql_write_zeros(w, RESERVED_LEN);
    mysql_write_int(w, (caps & MYSQL_CAP_LONG_PASSWORD) == 0 ? g->says.extended : 0, 4);
    mysql_write_bytes(w, g->nonce + 8, MYSQL_NONCE - 8);
    mysql_write_int(w, 0, 1);
    mysql_write_nul(w, g->says.plugin);
    mysql_end(w);
}

/* The client's side: reading ----------------------------------------------------------------- */

static struct mysql_text read_counted(struct mysql_cursor *c)
{
    return mysql_read_bytes(c, (size_t)mysql_read_int(c, 1));
}

static struct mysql_text read_lenenc_text(struct mysql_cursor *c)
{
    uint64_t len = mysql_read_lenenc(c);
    return mysql_read_bytes(c, len < SIZE_MAX ? (size_t)len : SIZE_MAX);
}

/* Plugin and attributes, the end of both requests. */
static void read_tail(struct mysql_request *r, struct mysql_cursor *c)
{
    if ((r->capabilities & MYSQL_CAP_PLUGIN_AUTH) != 0) {
        r->plugin = read_last(c);
    }
    if ((r->capabilities & MYSQL_CAP_CONNECT_ATTRS) != 0 && mysql_left(c) > 0) {
        r->attributes = read_lenenc_text(c);
    }
}

static bool is_bounded(const struct mysql_request *r)
{
    return r->user.len <= NAME_MAX_LEN && r->database.len <= NAME_MAX_LEN &&
           r->plugin.len <= NAME_MAX_LEN && r->attributes.len <= ATTRIBUTES_MAX;
}

#define NOTHING                                                                                    \
    {                                                                                              \
        .data = "", .len = 0                                                                       \
    }

static const struct mysql_request no_request = {
    .user = NOTHING,
    .token = NOTHING,
    .database = NOTHING,
    .plugin = NOTHING,
    .attributes = NOTHING,
};

static struct mysql_text read_token(const struct mysql_request *r, struct mysql_cursor *c)
{
    if ((r->capabilities & MYSQL_CAP_PLUGIN_AUTH_LENENC) != 0) {
        return read_lenenc_text(c);
    }
    bool counted = (r->capabilities & MYSQL_CAP_SECURE_CONNECTION) != 0;
    return counted ? read_counted(c) : mysql_read_nul(c);
}

enum mysql_request_kind mysql_read_login(struct mysql_request *r, uint32_t offered,
                                         uint32_t offered_extended, const void *payload, size_t len)
{
    struct mysql_cursor c = mysql_read(payload, len);
    uint32_t claims = (uint32_t)mysql_read_int(&c, 4);
    *r = no_request;
    if (c.broken) {
        return MYSQL_REQUEST_BAD;
    }
    if ((claims & MYSQL_CAP_PROTOCOL_41) == 0) {
        return MYSQL_REQUEST_OLD;
    }
    bool mariadb = (claims & MYSQL_CAP_LONG_PASSWORD) == 0;
    r->capabilities = claims & (offered | MYSQL_CAP_LONG_PASSWORD);
    mysql_read_int(&c, 4); /* how long a packet may be for it: never asked by servers */
    r->charset = (uint16_t)mysql_read_int(&c, 1);
    mysql_read_bytes(&c, FILLER_LEN);
    uint32_t extended = (uint32_t)mysql_read_int(&c, 4);
    r->extended = mariadb ? extended & offered_extended : 0;
    if (c.broken) {
        return MYSQL_REQUEST_BAD;
    }
    if (len == HEAD_LEN && (r->capabilities & MYSQL_CAP_SSL) != 0) {
        return MYSQL_REQUEST_TLS;
    }
    if ((r->capabilities & MYSQL_CAP_PLUGIN_AUTH) == 0) {
        return MYSQL_REQUEST_OLD;
    }
    r->user = mysql_read_nul(&c);
    r->token = read_token(r, &c);
    if ((r->capabilities & MYSQL_CAP_CONNECT_WITH_DB) != 0) {
        r->database = read_last(&c);
    }
    read_tail(r, &c);
    if (c.broken || !is_bounded(r)) {
        return MYSQL_REQUEST_BAD;
    }
    return (r->capabilities & MYSQL_CAP_PLUGIN_AUTH) != 0 ? MYSQL_REQUEST_LOGIN : MYSQL_REQUEST_OLD;
}

bool mysql_read_change_user(struct mysql_request *r, uint32_t capabilities, const void *payload,
                            size_t len)
{
    struct mysql_cursor c = mysql_read(payload, len);
    *r = no_request;
    r->capabilities = capabilities;
    uint64_t command = mysql_read_int(&c, 1);
    r->user = mysql_read_nul(&c);
    bool counted = (capabilities & MYSQL_CAP_SECURE_CONNECTION) != 0;
    r->token = counted ? read_counted(&c) : mysql_read_nul(&c);
    r->database = read_last(&c);
    if (mysql_left(&c) > 0) {
        r->charset = (uint16_t)mysql_read_int(&c, 2);
        read_tail(r, &c);
    }
    return command == CHANGE_USER && !c.broken && is_bounded(r);
}

/* Charsets ----------------------------------------------------------------------------------- */

struct charset_range {
    uint16_t first, last;
};

static bool is_among(const struct charset_range *ranges, size_t count, uint16_t charset)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].first <= charset && charset <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* UCS2, UTF16, UTF16LE, UTF32: statements cannot be written in them. */
static bool is_wide(uint16_t charset)
{
    static const struct charset_range wide[] = {
        {35, 35}, {54, 56}, {60, 62}, {90, 90}, {101, 124}, {128, 151}, {159, 159}, {160, 183},
    };
    return is_among(wide, ARRAY_LEN(wide), charset);
}

/* UTF8MB3 and UTF8MB4, those above 255 not among them: no login can name these. */
static bool is_utf8(uint16_t charset)
{
    static const struct charset_range utf8[] = {
        {33, 33}, {45, 46}, {76, 76}, {83, 83}, {192, 215}, {223, 247}, {255, 255},
    };
    return is_among(utf8, ARRAY_LEN(utf8), charset);
}

static bool is_written_in_utf8(struct mysql_text text)
{
    char copy[NAME_MAX_LEN + 1];
    size_t len = text.len < NAME_MAX_LEN ? text.len : NAME_MAX_LEN;
    memcpy(copy, text.data, len);
    copy[len] = '\0';
    for (size_t at = 0, step; at < len; at += step) {
        step = text_utf8_sequence(copy + at);
        if (step == 0) {
            return false;
        }
    }
    return true;
}

unsigned mysql_request_fault(const struct mysql_request *r, const char **words)
{
    if (is_wide(r->charset)) {
        *words = "no client can have that charset";
        return 1231; /* ER_WRONG_VALUE_FOR_VAR */
    }
    if (is_utf8(r->charset) && !is_written_in_utf8(r->database)) {
        *words = "the database's name is no UTF-8";
        return 1300; /* ER_INVALID_CHARACTER_STRING */
    }
    return 0;
}

/* The client's side: writing ----------------------------------------------------------------- */

static void write_text(struct mysql_writer *w, struct mysql_text text)
{
    mysql_write_bytes(w, text.data, text.len);
    mysql_write_int(w, 0, 1);
}

static void write_lenenc(struct mysql_writer *w, size_t value)
{
    if (value < 0xfb) {
        mysql_write_int(w, value, 1);
    } else if (value <= 0xffff) {
        mysql_write_int(w, 0xfc, 1);
        mysql_write_int(w, value, 2);
    } else {
        mysql_write_int(w, 0xfd, 1);
        mysql_write_int(w, value, 3);
    }
}

static void write_attributes(struct mysql_writer *w, struct mysql_text attributes)
{
    write_lenenc(w, attributes.len);
    mysql_write_bytes(w, attributes.data, attributes.len);
}

static void write_head(struct mysql_writer *w, uint32_t capabilities, uint32_t extended,
                       uint16_t charset)
{
    bool mariadb = (capabilities & MYSQL_CAP_LONG_PASSWORD) == 0;
    mysql_write_int(w, capabilities, 4);
    mysql_write_int(w, PACKET_SIZE_MAX, 4);
    mysql_write_int(w, charset <= 0xff ? charset : 0, 1);
    mysql_write_zeros(w, FILLER_LEN);
    mysql_write_int(w, mariadb ? extended : 0, 4);
}

void mysql_write_tls_request(struct mysql_writer *w, uint32_t capabilities, uint32_t extended,
                             uint16_t charset)
{
    mysql_begin(w, 1);
    write_head(w, capabilities | MYSQL_CAP_SSL, extended, charset);
    mysql_end(w);
}

void mysql_write_login(struct mysql_writer *w, unsigned char sequence, uint32_t capabilities,
                       const struct mysql_request *r)
{
    mysql_begin(w, sequence);
    write_head(w, capabilities, r->extended, r->charset);
    write_text(w, r->user);
    mysql_write_int(w, 0, 1); /* an empty token, in each of its forms */
    if ((capabilities & MYSQL_CAP_CONNECT_WITH_DB) != 0) {
        write_text(w, r->database);
    }
    if ((capabilities & MYSQL_CAP_PLUGIN_AUTH) != 0) {
        mysql_write_nul(w, MYSQL_NO_PLUGIN);
    }
    if ((capabilities & MYSQL_CAP_CONNECT_ATTRS) != 0) {
        write_attributes(w, r->attributes);
    }
    mysql_end(w);
}

void mysql_write_change_user(struct mysql_writer *w, const struct mysql_request *r)
{
    mysql_begin(w, 0);
    mysql_write_int(w, CHANGE_USER, 1);
    write_text(w, r->user);
    mysql_write_int(w, 0, 1);
    write_text(w, r->database);
    mysql_write_int(w, r->charset, 2);
    mysql_write_nul(w, MYSQL_NO_PLUGIN);
    write_attributes(w, r->attributes);
    mysql_end(w);
}

size_t mysql_request_size(const struct mysql_request *r)
{
    return MYSQL_HEADER + HEAD_LEN + r->user.len + r->database.len + r->attributes.len +
           sizeof MYSQL_NO_PLUGIN + 16;
}

void mysql_write_error(struct mysql_writer *w, unsigned char sequence, unsigned code,
                       const char *state, const char *words)
{
    mysql_begin(w, sequence);
    mysql_write_int(w, MYSQL_ERROR, 1);
    mysql_write_int(w, code, 2);
    if (state != NULL) {
        mysql_write_bytes(w, "#", 1);
        mysql_write_bytes(w, state, 5);
    }
    mysql_write_bytes(w, words, strlen(words));
    mysql_end(w);
}
