/* libFuzzer: whatever text is given for a set, it is read within its bounds into a set that is
 * sorted and merged, or is not known. */
#include <stdlib.h>
#include <string.h>

#include "base/gtid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool kept)
{
    if (!kept) {
        abort();
    }
}

static void check(const struct gtid_set *set, bool read)
{
    uint64_t ranges = 0;
    demand(set->known == read && set->count <= GTID_RANGES_MAX && (read || set->count == 0));
    for (unsigned i = 0; i < set->count; i++) {
        const struct gtid_range *r = &set->ranges[i];
        demand(r->first >= 1 && r->first <= r->last);
        ranges++;
        if (i > 0) {
            int order = memcmp(&r[-1].source, &r->source, sizeof(r->source));
            demand(order < 0 || (order == 0 && r[-1].last < r->first - 1));
        }
    }
    demand(gtid_count(set) >= ranges);
    demand(gtid_contains(set, set) == read && gtid_missing(set, set) == 0);
}

static void check_pair(const struct gtid_set *a, const struct gtid_set *b)
{
    if (a->known && b->known) {
        demand(gtid_contains(a, b) == (gtid_missing(b, a) == 0));
        demand(gtid_missing(a, b) <= gtid_count(a));
    } else {
        demand(!gtid_contains(a, b) && gtid_missing(a, b) == 0);
    }
}

/* The first byte says where the text is parted: two sets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gtid_set sets[4];
    if (size == 0) {
        return 0;
    }
    size_t len = size - 1;
    size_t cut = len * data[0] / 255;
    char *one = malloc(cut > 0 ? cut : 1); /* of its own size: an over-read is seen */
    char *two = malloc(len > cut ? len - cut : 1);
    demand(one != NULL && two != NULL);
    memcpy(one, data + 1, cut);
    memcpy(two, data + 1 + cut, len - cut);
    check(&sets[0], gtid_parse_mysql(&sets[0], one, cut));
    check(&sets[1], gtid_parse_mysql(&sets[1], two, len - cut));
    check(&sets[2], gtid_parse_mariadb(&sets[2], one, cut));
    check(&sets[3], gtid_parse_mariadb(&sets[3], two, len - cut));
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            check_pair(&sets[i], &sets[j]);
        }
    }
    free(one);
    free(two);
    return 0;
}
