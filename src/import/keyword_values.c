#include <string.h>

#include "import/keyword_internal.h"

void keyword_check_values(struct source *s, struct line *l)
{
    (void)s;
    (void)l;
}
