/* Servers tell a collation by its name, where it is the connection's, and by its number, in the
 * definitions of columns. */
#include <string.h>

#include "base/macros.h"
#include "proto/mysql_state_internal.h"

#define OLD_UTF8 "utf8_"
#define UTF8MB3  "utf8mb3_"

static const struct {
    uint16_t number;
    const char *name;
} collations[] = {
#define COLLATION(number, name) {number, name},
#include "proto/mysql_collations.def"
#undef COLLATION
};

const char *mysql_collation_name(unsigned number)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(collations);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (collations[middle].number == number) {
            return collations[middle].name;
        }
        if (collations[middle].number > number) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* Behind what a charset with two names is called. */
static const char *without_alias(const char *name)
{
    static const char *const aliases[] = {OLD_UTF8, UTF8MB3};
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strncmp(name, aliases[i], strlen(aliases[i])) == 0) {
            return name + strlen(aliases[i]);
        }
    }
    return name;
}

/* utf8mb3 has two names. */
bool mysql_collation_is(const char *name, unsigned charset)
{
    const char *known = mysql_collation_name(charset);
    if (name == NULL || known == NULL || strcmp(name, known) == 0) {
        return name != NULL && known != NULL;
    }
    const char *a = without_alias(name);
    const char *b = without_alias(known);
    return a != name && b != known && strcmp(a, b) == 0;
}

bool mysql_collation_has_alias(const char *name)
{
    return without_alias(name) != name;
}
