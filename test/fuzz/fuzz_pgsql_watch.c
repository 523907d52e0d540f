/* libFuzzer: a PostgreSQL login between a client and a server that send anything. */
#include "login_walk.h"
#include "proto/pgsql_watch.h"
#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    login_walk(&pgsql_login, data, size);
    if (size > 0) {
        const char *why;
        char *copy = login_copy(data, size);
        void *state = calloc(1, pgsql_login.state_size);
        pgsql_login.first(state, copy, size, &why);
        proto_pgsql.doubts(copy, size);
        free(state);
        free(copy);
    }
    return 0;
}
