/* The messages of PostgreSQL's protocol 3.0 (manual, "Frontend/Backend Protocol"), for whoever in
 * proto/ reads or writes them.
 *
 * A reader takes a server's messages from a stream in whatever pieces it comes. It keeps the first
 * PGSQL_KEPT bytes of a body and skips the rest. Zeroed memory is a new one; nothing to release. */
#ifndef ROUTER_PROTO_PGSQL_MESSAGE_H
#define ROUTER_PROTO_PGSQL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands where a StartupMessage has its version. */
#define PGSQL_PROTOCOL_3     0x00030000u
#define PGSQL_CANCEL_REQUEST 80877102u
#define PGSQL_SSL_REQUEST    80877103u
#define PGSQL_GSSENC_REQUEST 80877104u

#define PGSQL_HEAD        5      /* a type and a length that counts itself */
#define PGSQL_KEPT        4096   /* of a body */
#define PGSQL_MESSAGE_MAX 262144 /* a longer one is none */

struct pgsql_reader {
    unsigned char head[PGSQL_HEAD];
    size_t have;               /* of the head and the body that are coming in */
    size_t length;             /* of the body, once the head is whole */
    size_t kept;               /* of the body */
    char body[PGSQL_KEPT + 1]; /* a NUL follows what is kept */
};

enum pgsql_read {
    PGSQL_READ_MORE,    /* all bytes are taken, the message is not whole yet */
    PGSQL_READ_MESSAGE, /* the reader holds one; valid until the next call */
    PGSQL_READ_BROKEN,  /* an impossible length: the stream is none of PostgreSQL's */
};

/* Takes bytes off the front of data/len until a message is whole. */
enum pgsql_read pgsql_read(struct pgsql_reader *r, const char **data, size_t *len);
/* The type of the message that is whole, or coming in; 0: nothing came yet. */
char pgsql_type(const struct pgsql_reader *r);
/* Whether all of the body was kept. */
bool pgsql_whole(const struct pgsql_reader *r);

/* The fields of an ErrorResponse or NoticeResponse that we use, inside its body; never NULL. */
struct pgsql_error {
    const char *severity; /* not localised where the server tells it (9.6 and later) */
    const char *code;     /* SQLSTATE */
    const char *message;
};
struct pgsql_error pgsql_error_read(const struct pgsql_reader *r);

/* Big-endian, at any address. */
uint32_t pgsql_get32(const void *from);
uint16_t pgsql_get16(const void *from);
void pgsql_put32(void *to, uint32_t value);

#endif
