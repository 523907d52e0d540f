/* Opaque bytes: no roles, no words for a refusal. */
#include "proto/proto.h"

static size_t tcp_refuse(enum refusal why, const char *words, char *out, size_t size)
{
    (void)why;
    (void)words;
    (void)out;
    (void)size;
    return 0;
}

const struct proto proto_tcp = {
    .name = "tcp",
    .refuse = tcp_refuse,
};
