/* The list is sorted: looked through by halves. It is asked before parentheses only. */
#include <string.h>

#include "base/macros.h"
#include "proto/mysql_statement_internal.h"

/* In their order. */
static const char *const names[] = {
#include "proto/mysql_built_in.def"
};

bool mysql_is_built_in(const char *name)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(names);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name[0] - names[middle][0];
        if (order == 0) {
            order = strcmp(name, names[middle]);
        }
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}
