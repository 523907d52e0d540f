/* One test of a condition, from its words. */
#ifndef ROUTER_IMPORT_RULE_TEST_H
#define ROUTER_IMPORT_RULE_TEST_H

#include "import/rule.h"

/* Of "src -f office.lst 10.0.0.0/8", what stands in braces or behind the name of an acl. False if
 * a file cannot be read, or a flag is not known. */
bool test_read(struct source *s, const struct word *words, size_t count, struct test *out);
/* Whether a value would say the same for both if it were moved from one to the other. */
bool test_is_alike(const struct test *a, const struct test *b);
/* "src 127.0.0.1/8 ::1" of LOCALHOST and its like; NULL: there is none of this name. */
const char *test_predefined(const char *name);

#endif
