#include "proto/proto.h"

#include <string.h>

#include "base/macros.h"

static const struct proto *const protos[] = {&proto_tcp, &proto_redis, &proto_mysql, &proto_pgsql,
                                             &proto_http};

const struct proto *proto_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
        if (strcmp(protos[i]->name, name) == 0) {
            return protos[i];
        }
    }
    return NULL;
}
