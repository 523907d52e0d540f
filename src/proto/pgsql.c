/* What workers know of PostgreSQL: how its sessions begin, and which errors say that a server's
 * role changed. */
#include "proto/pgsql.h"

#include <string.h>

#include "base/macros.h"
#include "proto/pgsql_message.h"
#include "proto/pgsql_watch.h"
#include "proto/proto.h"

#define SQLSTATE_LEN 5

/* The fields of an ErrorResponse up to its SQLSTATE, which stands near its beginning. */
static bool names_role(const char *data, size_t len)
{
    static const char *const states[] = {
        "25006", /* read_only_sql_transaction */
        "57P01", /* admin_shutdown */
        "57P02", /* crash_shutdown */
        "57P03", /* cannot_connect_now */
    };
    const char *end = data + len;
    const char *at = data + PGSQL_HEAD;
    while (at < end && *at != 'C') {
        const char *nul = memchr(at, 0, (size_t)(end - at));
        at = nul != NULL && *at != 0 ? nul + 1 : end;
    }
    if (end - at < 1 + SQLSTATE_LEN) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (memcmp(at + 1, states[i], SQLSTATE_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* Most drivers send Parse, Bind, Describe and Execute together, and the server its answers: what
 * the first three bring stands before the error of the last. How many bytes that is. */
static size_t extended_answers(const char *data, size_t len)
{
    enum { MOST = 4 };
    size_t at = 0;
    for (int i = 0; i < MOST && len - at > PGSQL_HEAD; i++) {
        if (memchr("12ntT", data[at], 5) == NULL) {
            break;
        }
        size_t message = 1 + (size_t)pgsql_get32(data + at + 1);
        if (message < PGSQL_HEAD || message >= len - at) {
            break;
        }
        at += message;
    }
    return at;
}

static bool pgsql_doubts(const char *data, size_t len)
{
    enum { ENOUGH = 64 }; /* severity comes first, twice and in any language */
    size_t at = extended_answers(data, len);
    size_t left = len - at;
    return UNLIKELY(data[at] == 'E') && left > PGSQL_HEAD &&
           names_role(data + at, left < ENOUGH ? left : ENOUGH);
}

/* Protocol, "SSL Session Encryption": the request is a length and a code; 'S' or 'N' answers it. A
 * request to cancel comes in the clear even from clients that use TLS (libpq before 17). */
static enum upgrade_step pgsql_asked(const char *data, size_t len, size_t *used)
{
    enum { REQUEST = 8, TLS_HANDSHAKE = 0x16 };
    if (len > 0 && data[0] == TLS_HANDSHAKE) {
        return UPGRADE_DIRECT;
    }
    if (len < REQUEST) {
        return len > 0 && data[0] != 0 ? UPGRADE_CLEAR : UPGRADE_MORE;
    }
    *used = REQUEST;
    if (pgsql_get32(data) == REQUEST && pgsql_get32(data + 4) == PGSQL_SSL_REQUEST) {
        return UPGRADE_ASKED;
    }
    if (pgsql_get32(data) == REQUEST && pgsql_get32(data + 4) == PGSQL_GSSENC_REQUEST) {
        return UPGRADE_OTHER;
    }
    return pgsql_get32(data + 4) == PGSQL_CANCEL_REQUEST ? UPGRADE_EXEMPT : UPGRADE_CLEAR;
}

static const struct tls_upgrade pgsql_upgrade = {
    .request = "\0\0\0\x08\x04\xd2\x16\x2f",
    .request_len = 8,
    .yes = 'S',
    .no = 'N',
    .asked = pgsql_asked,
};

const struct proto proto_pgsql = {
    .name = "pgsql",
    .has_roles = true,
    .dialogue = &pgsql_probe,
    .login = &pgsql_login,
    .upgrade = &pgsql_upgrade,
    .doubts = pgsql_doubts,
};
