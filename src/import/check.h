/* What the health check of a backend asks, and so what its servers are. */
#ifndef ROUTER_IMPORT_CHECK_H
#define ROUTER_IMPORT_CHECK_H

#include "import/proxy.h"

enum check_kind {
    CHECK_NONE,       /* no server has `check` */
    CHECK_CONNECT,    /* a TCP connect, or TLS hello */
    CHECK_REDIS_ROLE, /* INFO replication or ROLE; `wants` */
    CHECK_REDIS_PING,
    CHECK_SENTINEL,     /* the servers are Sentinels; `master` */
    CHECK_PATRONI,      /* `wants`, `max_lag`; the port is Patroni's */
    CHECK_CLUSTERCHECK, /* Galera's node state over HTTP, or a word of mysqlchk */
    CHECK_MYSQL_LOGIN,  /* mysql-check: no role is asked */
    CHECK_MYSQL_ROLE,   /* an external script; `topology`, `wants` */
    CHECK_PGSQL_LOGIN,  /* pgsql-check; with `wants`: a script that asks for the role */
    CHECK_HTTP,         /* `request`, `expect` */
    CHECK_UNKNOWN       /* a script that is no idiom: its lines are marked as lost */
};

enum check_wants { CHECK_WANTS_ANY, CHECK_WANTS_PRIMARY, CHECK_WANTS_REPLICA };

struct check {
    enum check_kind kind;
    enum check_wants wants;
    struct word user;     /* len 0 and no references: none */
    struct word password; /* the same; of Redis, or of the Sentinels */
    struct word master;   /* of CHECK_SENTINEL: the name that is asked for */
    struct word expected; /* of CHECK_SENTINEL: the address that must come back; "" if none */
    struct word request;  /* of CHECK_HTTP: "GET /health" */
    const char
        *expect; /* of CHECK_HTTP: as http_expect takes it; NULL: any 2xx and 3xx, as HAProxy */
    const char *topology; /* of MySQL: "replication", "group_replication", "galera"; NULL: auto */
    const char *max_lag;  /* of Patroni: as max_lag takes it; NULL: none */
    unsigned port;        /* tcp-check connect port; 0: the servers' lines say it */
    bool tls; /* the check speaks TLS (tcp-check connect ssl); check-ssl is on the servers' lines */
    struct line *line; /* the one that says how it is asked: `option httpchk ...`; NULL: none */
};

/* Looks at a backend's lines: `option *-check`, `tcp-check`, `http-check`, `external-check`; marks
 * each of those. What stands in the servers' lines (check, port, check-ssl, ...) is others' to
 * mark, but it is looked at: check ports 8008 and 9200, and names, tell Patroni and clustercheck.
 */
void check_understand(const struct proxy *p, struct check *out);

#endif
