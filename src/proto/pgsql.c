/* What workers know of PostgreSQL: how to refuse a client. */
#include <stdio.h>
#include <string.h>

#include "proto/pgsql.h"
#include "proto/pgsql_message.h"
#include "proto/proto.h"

/* An ErrorResponse (manual, "Error and Notice Message Fields"): each field is a letter and a string
 * that ends in NUL; so does the list. */
static size_t pgsql_refuse(enum refusal why, const char *words, char *out, size_t size)
{
    bool cap = why == REFUSED_SESSIONS || why == REFUSED_RATE;
    if (size < 64) {
        return 0;
    }
    int fields =
        snprintf(out + PGSQL_HEAD, size - PGSQL_HEAD - 1, "SFATAL%cVFATAL%cC%s%cMrouter: %s", 0, 0,
                 cap ? "53300" : "57P03", 0, words);
    size_t room = size - PGSQL_HEAD - 2;
    size_t len = (size_t)fields < room ? (size_t)fields : room;
    out[0] = 'E';
    out[PGSQL_HEAD + len] = '\0';
    out[PGSQL_HEAD + len + 1] = '\0';
    pgsql_put32(out + 1, (uint32_t)(4 + len + 2));
    return PGSQL_HEAD + len + 2;
}

const struct proto proto_pgsql = {
    .name = "pgsql",
    .has_roles = true,
    .dialogue = &pgsql_probe,
    .refuse = pgsql_refuse,
};
