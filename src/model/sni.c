/* The rules lie sorted by kind and host: one binary search for the exact name, and one for each of
 * its ends that begins behind a dot, the longest first. */
#include "model/sni.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int compare(bool a_wildcard, const char *a, bool b_wildcard, const char *b)
{
    if (a_wildcard != b_wildcard) {
        return a_wildcard ? 1 : -1;
    }
    return strcmp(a, b);
}

static int by_host(const void *left, const void *right, void *list)
{
    const struct sni_rule *items = ((const struct sni_list *)list)->items;
    size_t a = *(const uint16_t *)left;
    size_t b = *(const uint16_t *)right;
    int order = compare(items[a].wildcard, items[a].host, items[b].wildcard, items[b].host);
    return order != 0 ? order : (a > b) - (a < b);
}

static const struct sni_rule *search(const struct sni_list *list, bool wildcard, const char *host)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sni_rule *rule = &list->items[list->sorted[middle]];
        int order = compare(wildcard, host, rule->wildcard, rule->host);
        if (order == 0) {
            return rule;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct sni_rule *sni_find(const struct sni_list *list, const char *name)
{
    char host[SNI_HOST_MAX + 1];
    size_t len = name != NULL ? strnlen(name, sizeof(host)) : 0;
    if (len == 0 || len > SNI_HOST_MAX || list->count == 0) {
        return NULL;
    }
    for (size_t i = 0; i <= len; i++) {
        host[i] = (char)tolower((unsigned char)name[i]);
    }
    const struct sni_rule *found = search(list, false, host);
    for (const char *dot = strchr(host, '.'); found == NULL && dot != NULL;
         dot = strchr(dot + 1, '.')) {
        found = search(list, true, dot + 1);
    }
    return found;
}

static bool label_valid(const char *label, size_t len)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return len > 0 && len <= SNI_LABEL_MAX && strspn(label, bytes) >= len;
}

/* What has digits only is an address, which no client sends as a name. */
bool sni_host_valid(const char *host)
{
    if (strlen(host) > SNI_HOST_MAX || host[strspn(host, "0123456789.")] == '\0') {
        return false;
    }
    for (;;) {
        size_t len = strcspn(host, ".");
        if (!label_valid(host, len)) {
            return false;
        }
        if (host[len] == '\0') {
            return true;
        }
        host += len + 1;
    }
}

void sni_sort(struct sni_list *list)
{
    assert(list->count <= UINT16_MAX);
    list->sorted = xrealloc(list->sorted, (list->count + 1) * sizeof(*list->sorted));
    for (size_t i = 0; i < list->count; i++) {
        list->sorted[i] = (uint16_t)i;
    }
    qsort_r(list->sorted, list->count, sizeof(*list->sorted), by_host, list);
}

bool sni_same_host(const struct sni_rule *a, const struct sni_rule *b)
{
    return compare(a->wildcard, a->host, b->wildcard, b->host) == 0;
}
