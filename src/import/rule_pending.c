/* Until rule.c is there: no condition is understood, so every rule that has one is lost. */
#include "import/rule.h"

__attribute__((weak)) void condition_read(const struct proxy *p, struct line *l, size_t at,
                                          struct condition *out)
{
    (void)p;
    *out = (struct condition){.count = line_argument(l, at) != NULL, .understood = false};
}

__attribute__((weak)) void condition_claim(const struct proxy *p, const struct condition *c,
                                           enum verdict verdict)
{
    (void)p;
    (void)c;
    (void)verdict;
}
