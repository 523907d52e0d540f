/* The protocols a backend may speak. */
#ifndef ROUTER_PROTO_PROTO_H
#define ROUTER_PROTO_PROTO_H

#include "router_proto.h"

extern const struct proto proto_tcp;
extern const struct proto proto_redis;
extern const struct proto proto_mysql;
extern const struct proto proto_pgsql;
extern const struct proto proto_http;

/* NULL if there is no such protocol. */
const struct proto *proto_find(const char *name);

#endif
