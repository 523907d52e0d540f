#include <string.h>

#include "import/keyword_internal.h"

void keyword_check_names(struct source *s)
{
    (void)s;
}
