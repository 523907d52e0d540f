/* A set of global transaction identifiers, as MySQL's gtid_executed (5.7 manual, "GTID Sets";
 * tagged since 8.3) or MariaDB's gtid_binlog_state tell it: which transactions a server has. Plain
 * data of bounded size, copied freely. */
#ifndef ROUTER_BASE_GTID_H
#define ROUTER_BASE_GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GTID_RANGES_MAX 128

/* Who numbered the transactions: MySQL's server UUID and a hash of the tag; MariaDB's domain and
 * server id. */
struct gtid_source {
    unsigned char bytes[24];
};

struct gtid_range {
    struct gtid_source source;
    uint64_t first;
    uint64_t last; /* included */
};

/* Sorted by source and first; ranges of one source neither overlap nor touch. */
struct gtid_set {
    bool
        known; /* false: the server has no such set, or one too long to keep; nothing can be said */
    unsigned count;
    struct gtid_range ranges[GTID_RANGES_MAX];
};

/* "uuid:1-5:8,uuid:tag:1-3"; white space and line ends between are skipped. An empty text is the
 * empty set, known. False: malformed or too long; then the set is not known. */
bool gtid_parse_mysql(struct gtid_set *set, const char *text, size_t len);
/* "0-1-100,0-2-50": of each domain and server the last number; all before it belong to the set. */
bool gtid_parse_mariadb(struct gtid_set *set, const char *text, size_t len);

/* Whether all of `b` is in `a`. False if either is not known. */
bool gtid_contains(const struct gtid_set *a, const struct gtid_set *b);
/* How many transactions are in `a` and not in `b`; 0 if either is not known. Saturates. */
uint64_t gtid_missing(const struct gtid_set *a, const struct gtid_set *b);
/* How many are in it: a position that only grows. Saturates. */
uint64_t gtid_count(const struct gtid_set *set);

#endif
