#include "net/tls_names.h"

#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* In lower case and without the dot of the root. False: it cannot be a host's name. */
static bool normalise(const char *name, size_t len, char out[TLS_HOST_MAX])
{
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len >= TLS_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c >= 0x7f) {
            return false;
        }
        out[i] = (char)tolower(c);
    }
    out[len] = '\0';
    return true;
}

static void add(struct tls_names *n, const ASN1_STRING *text, size_t index)
{
    char name[TLS_HOST_MAX];
    const char *data = (const char *)ASN1_STRING_get0_data(text);
    if (normalise(data, (size_t)ASN1_STRING_length(text), name)) {
        n->items = xrealloc(n->items, (n->count + 1) * sizeof *n->items);
        n->items[n->count++] = (struct tls_named){xstrdup(name), index};
    }
}

void tls_names_add(struct tls_names *n, X509 *certificate, size_t index)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS) {
            add(n, name->d.dNSName, index);
        }
    }
    if (all != NULL) {
        GENERAL_NAMES_free(all);
        return;
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) {
        add(n, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), index);
    }
}

static int compare(const void *a, const void *b)
{
    const struct tls_named *x = a;
    const struct tls_named *y = b;
    int names = strcmp(x->name, y->name);
    return names != 0 ? names : (x->index > y->index) - (x->index < y->index);
}

void tls_names_sort(struct tls_names *n)
{
    if (n->count > 0) {
        qsort(n->items, n->count, sizeof *n->items, compare);
    }
}

bool tls_names_equal(const struct tls_names *a, const struct tls_names *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->items[i].name, b->items[i].name) == 0;
    }
    return same;
}

/* The first of those with this very name. */
static const struct tls_named *find(const struct tls_names *n, const char *name)
{
    size_t low = 0;
    size_t high = n->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(n->items[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < n->count && strcmp(n->items[low].name, name) == 0;
    return found ? &n->items[low] : NULL;
}

bool tls_names_find(const struct tls_names *n, const char *host, size_t *index)
{
    char name[TLS_HOST_MAX];
    if (!normalise(host, strlen(host), name)) {
        return false;
    }
    const struct tls_named *found = find(n, name);
    char *dot = strchr(name, '.');
    if (found == NULL && dot != NULL && dot > name) {
        dot[-1] = '*';
        found = find(n, dot - 1);
    }
    if (found != NULL) {
        *index = found->index;
    }
    return found != NULL;
}

void tls_names_print(const struct tls_names *n, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n->count; i++) {
        int more = snprintf(out + len, size - len, "%s%s", len > 0 ? " " : "", n->items[i].name);
        if (more < 0 || (size_t)more >= size - len) {
            out[len] = '\0';
            return;
        }
        len += (size_t)more;
    }
}

void tls_names_release(struct tls_names *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free(n->items[i].name);
    }
    free(n->items);
    *n = (struct tls_names){0};
}
