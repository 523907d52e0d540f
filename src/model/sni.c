/* The rules lie sorted by kind and host: one binary search for the exact name, and one for each of
 * its ends that begins behind a dot, the longest first. */
#include "model/sni.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct wanted {
    bool wildcard;
    const char *host;
};

static int compare(bool a_wildcard, const char *a, bool b_wildcard, const char *b)
{
    if (a_wildcard != b_wildcard) {
        return a_wildcard ? 1 : -1;
    }
    return strcmp(a, b);
}

static int by_host(const void *left, const void *right)
{
    const struct sni_rule *a = *(const struct sni_rule *const *)left;
    const struct sni_rule *b = *(const struct sni_rule *const *)right;
    int order = compare(a->wildcard, a->host, b->wildcard, b->host);
    return order != 0 ? order : (a > b) - (a < b);
}

static int by_wanted(const void *key, const void *item)
{
    const struct wanted *w = key;
    const struct sni_rule *rule = *(const struct sni_rule *const *)item;
    return compare(w->wildcard, w->host, rule->wildcard, rule->host);
}

static const struct sni_rule *search(const struct sni_list *list, bool wildcard, const char *host)
{
    struct wanted wanted = {.wildcard = wildcard, .host = host};
    const struct sni_rule *const *found =
        bsearch(&wanted, list->sorted, list->count, sizeof(*list->sorted), by_wanted);
    return found != NULL ? *found : NULL;
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
    list->sorted = xrealloc(list->sorted, (list->count + 1) * sizeof(*list->sorted));
    for (size_t i = 0; i < list->count; i++) {
        list->sorted[i] = &list->items[i];
    }
    qsort(list->sorted, list->count, sizeof(*list->sorted), by_host);
}

bool sni_same_host(const struct sni_rule *a, const struct sni_rule *b)
{
    return compare(a->wildcard, a->host, b->wildcard, b->host) == 0;
}
