/* Packets of MySQL's protocol, for the inside of proto/: taken from a stream in any split, read
 * without ever running past their end, and written into a bounded buffer. A packet is a length of
 * three bytes, a sequence number and so many bytes of payload (MySQL internals manual, "MySQL
 * Packets"); one of 16 MB or more, which continues in the next, is always too long for us. */
#ifndef ROUTER_PROTO_MYSQL_PACKET_H
#define ROUTER_PROTO_MYSQL_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MYSQL_HEADER 4
#define MYSQL_NONCE  20
#define MYSQL_FULL   0xffffff /* the length of a packet that continues in the next */

/* Capability flags. */
#define MYSQL_CAP_LONG_PASSWORD      0x00000001U /* MariaDB's servers clear it: "is not MySQL" */
#define MYSQL_CAP_FOUND_ROWS         0x00000002U
#define MYSQL_CAP_LONG_FLAG          0x00000004U
#define MYSQL_CAP_CONNECT_WITH_DB    0x00000008U
#define MYSQL_CAP_NO_SCHEMA          0x00000010U
#define MYSQL_CAP_COMPRESS           0x00000020U
#define MYSQL_CAP_ODBC               0x00000040U
#define MYSQL_CAP_LOCAL_FILES        0x00000080U
#define MYSQL_CAP_IGNORE_SPACE       0x00000100U
#define MYSQL_CAP_PROTOCOL_41        0x00000200U
#define MYSQL_CAP_INTERACTIVE        0x00000400U
#define MYSQL_CAP_SSL                0x00000800U
#define MYSQL_CAP_IGNORE_SIGPIPE     0x00001000U
#define MYSQL_CAP_TRANSACTIONS       0x00002000U
#define MYSQL_CAP_RESERVED           0x00004000U
#define MYSQL_CAP_SECURE_CONNECTION  0x00008000U
#define MYSQL_CAP_MULTI_STATEMENTS   0x00010000U
#define MYSQL_CAP_MULTI_RESULTS      0x00020000U
#define MYSQL_CAP_PS_MULTI_RESULTS   0x00040000U
#define MYSQL_CAP_PLUGIN_AUTH        0x00080000U
#define MYSQL_CAP_CONNECT_ATTRS      0x00100000U
#define MYSQL_CAP_PLUGIN_AUTH_LENENC 0x00200000U
#define MYSQL_CAP_EXPIRED_PASSWORDS  0x00400000U
#define MYSQL_CAP_SESSION_TRACK      0x00800000U
#define MYSQL_CAP_DEPRECATE_EOF      0x01000000U
#define MYSQL_CAP_OPTIONAL_METADATA  0x02000000U
#define MYSQL_CAP_ZSTD               0x04000000U
#define MYSQL_CAP_QUERY_ATTRIBUTES   0x08000000U
#define MYSQL_CAP_MFA                0x10000000U

/* MariaDB's own, the upper half of 64 there. */
#define MYSQL_EXT_BULK      0x00000004U
#define MYSQL_EXT_TYPE_INFO 0x00000008U

/* The first byte of a payload from a server. */
#define MYSQL_OK    0x00
#define MYSQL_MORE  0x01 /* AuthMoreData, in a login */
#define MYSQL_V10   0x0a /* the greeting */
#define MYSQL_FILE  0xfb /* LOCAL INFILE: it wants a file of ours */
#define MYSQL_EOF   0xfe /* with less than 9 bytes; in a login: AuthSwitchRequest */
#define MYSQL_ERROR 0xff

/* Taking packets from a stream --------------------------------------------------------------- */

/* Starts zeroed; mysql_inbox_free() releases it. */
struct mysql_inbox {
    unsigned char head[MYSQL_HEADER];
    size_t head_len;
    unsigned char *payload; /* owned */
    size_t capacity;
    size_t length; /* of the whole payload; valid once the header is there */
    size_t have;
};

enum mysql_inbox_state {
    MYSQL_INBOX_PART,  /* all bytes are taken, the packet is not whole */
    MYSQL_INBOX_WHOLE, /* payload, length and sequence are valid until the next call */
    MYSQL_INBOX_LONG,  /* its length is above `max`; nothing more can be taken */
    MYSQL_INBOX_NOMEM,
};

/* Takes bytes up to the end of one packet and moves *data and *len behind them. */
enum mysql_inbox_state mysql_inbox_take(struct mysql_inbox *in, size_t max, const char **data,
                                        size_t *len);
/* Whether a packet has begun that is not whole. */
bool mysql_inbox_begun(const struct mysql_inbox *in);
unsigned char mysql_inbox_sequence(const struct mysql_inbox *in);
void mysql_inbox_free(struct mysql_inbox *in);

/* Reading a payload -------------------------------------------------------------------------- */

/* Bytes of somebody else's. data = NULL: SQL's NULL. */
struct mysql_text {
    const char *data;
    size_t len;
};

/* What would read past the end reads zeros instead and sets `broken`, for good. */
struct mysql_cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool broken;
};

struct mysql_cursor mysql_read(const void *payload, size_t len);
size_t mysql_left(const struct mysql_cursor *c);
/* Little-endian, of 1 to 8 bytes. */
uint64_t mysql_read_int(struct mysql_cursor *c, unsigned bytes);
uint64_t mysql_read_lenenc(struct mysql_cursor *c);
struct mysql_text mysql_read_bytes(struct mysql_cursor *c, size_t len);
/* Up to a NUL, which is skipped. */
struct mysql_text mysql_read_nul(struct mysql_cursor *c);
struct mysql_text mysql_read_rest(struct mysql_cursor *c);
/* A string behind its length; 0xfb is NULL. */
struct mysql_text mysql_read_string(struct mysql_cursor *c);

struct mysql_error {
    unsigned code;
    char state[6]; /* SQLSTATE, empty if there is none, as before the login */
    struct mysql_text text;
};

/* Of a payload that begins with MYSQL_ERROR. False: malformed. */
bool mysql_read_error(struct mysql_error *error, const void *payload, size_t len);

/* Writing ------------------------------------------------------------------------------------ */

/* One or more packets in a buffer of the caller's. What does not fit sets `full`, for good. */
struct mysql_writer {
    unsigned char *data; /* borrowed */
    size_t size;
    size_t len;
    size_t packet; /* where the one that was begun begins */
    bool full;
};

void mysql_begin(struct mysql_writer *w, unsigned char sequence);
void mysql_write_int(struct mysql_writer *w, uint64_t value, unsigned bytes);
void mysql_write_bytes(struct mysql_writer *w, const void *data, size_t len);
void mysql_write_zeros(struct mysql_writer *w, size_t count);
void mysql_write_nul(struct mysql_writer *w, const char *text); /* and its NUL */
void mysql_end(struct mysql_writer *w);                         /* fills in the length */

#endif
