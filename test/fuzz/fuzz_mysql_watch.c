/* libFuzzer: a MySQL login between a client and a server that send anything. */
#include "login_walk.h"
#include "proto/mysql_watch.h"
#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    login_walk(&mysql_login, data, size);
    if (size > 0) {
        char *copy = login_copy(data, size);
        proto_mysql.doubts(copy, size);
        free(copy);
    }
    return 0;
}
