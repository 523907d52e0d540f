/* Conditions: acls, named and anonymous, and the rules that use them. */
#ifndef ROUTER_IMPORT_RULE_H
#define ROUTER_IMPORT_RULE_H

#include "import/proxy.h"

/* One test: "{ src 10.0.0.0/8 }", "{ req.ssl_sni -i a.b c.d }", "{ nbsrv(redis) ge 2 }". A named
 * acl of several lines is several tests of which one must hold: they are spelled out. */
struct test {
    bool negated;
    const char *fetch;      /* "src", "req.ssl_sni", "nbsrv": without converters and arguments */
    const char *argument;   /* between the brackets; "" if none */
    const char *converters; /* behind the fetch: "lower,map(f)"; "" if none */
    const char *method; /* "-m end", or what the name says (sni_end, path_beg); "str", "ip", "int",
                           ... ; "" = default */
    bool ignore_case;
    const char *comparison; /* of numbers: "gt", "ge", "eq", "le", "lt"; "" = none */
    struct word *values;    /* patterns; of files (-f) too */
    size_t value_count;
};

/* All tests of one item must hold; one item of the condition must. */
struct conjunction {
    struct test *tests;
    size_t count;
};

struct condition {
    struct conjunction *items; /* none: it holds always */
    size_t count;
    bool understood;    /* false: an acl is not there, or too many combinations */
    struct line **acls; /* the named ones that it uses */
    size_t acl_count;
};

/* Reads "if ..." or "unless ..." from argument `at` of the line on; an absent one holds always. The
 * acl lines used are noted: condition_claim() marks them as the rule was. */
void condition_read(const struct proxy *p, struct line *l, size_t at, struct condition *out);
void condition_claim(const struct proxy *p, const struct condition *c, enum verdict verdict);
/* Acls are not needed by themselves: what becomes of them is told at the rules that use them. */
void conditions_settle(const struct proxy *p);
/* The lines of a file (-f, map()), without comments; false if it cannot be read, or is too large.
 * Keys are what stands first in a line, values what stands behind; NULL: lines are keys. */
bool condition_file(struct source *s, const char *path, struct word **keys, struct word **values,
                    size_t *count);

#define CONDITION_FILE_BYTES  (1024 * 1024)
#define CONDITION_FILE_VALUES 10000

#endif
