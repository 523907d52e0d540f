/* Parsers and printers of TLS' files and names: each line adds an item. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"
#include "model/sni.h"

#define ALPN_BYTES_MAX 255 /* RFC 7301, section 3.1 */

static bool add_text(struct parse *p, struct text_list *out)
{
    if (!parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    out->items[out->count++] = xstrdup(p->value);
    return true;
}

bool parse_FILES(struct parse *p, struct text_list *out)
{
    return add_text(p, out);
}

void print_FILES(struct text *out, const struct text_list *value, size_t item)
{
    text_add(out, "%s", value->items[item]);
}

void release_FILES(struct text_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i]);
    }
    free(value->items);
    *value = (struct text_list){0};
}

bool parse_ALPN(struct parse *p, struct text_list *out)
{
    if (strlen(p->value) > ALPN_BYTES_MAX || strpbrk(p->value, " \t,") != NULL) {
        parse_expected(p, p->value);
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->items[i], p->value) == 0) {
            parse_error(p, p->value, ": it is there twice");
            return false;
        }
    }
    return add_text(p, out);
}

void print_ALPN(struct text *out, const struct text_list *value, size_t item)
{
    print_FILES(out, value, item);
}

void release_ALPN(struct text_list *value)
{
    release_FILES(value);
}

/* HOST BACKEND ------------------------------------------------------------------------------ */

static bool check_host(struct parse *p, const char *shown, const char *host)
{
    if (strlen(shown) <= SNI_HOST_MAX && sni_host_valid(host)) {
        return true;
    }
    parse_error(p, shown,
                ": a host name has letters, digits, \"-\" and \"_\", at most %d of them between "
                "two dots and %d in all; no address, and \"*.\" at its beginning only",
                SNI_LABEL_MAX, SNI_HOST_MAX);
    return false;
}

bool parse_SNI(struct parse *p, struct sni_list *out)
{
    char *rest = p->value;
    char *shown = parse_next_word(&rest);
    char *backend = parse_next_word(&rest);
    if (shown == NULL || backend == NULL || parse_next_word(&rest) != NULL) {
        parse_expected(p, p->value);
        return false;
    }
    bool wildcard = strncmp(shown, "*.", 2) == 0;
    const char *host = wildcard ? shown + 2 : shown;
    if (!check_host(p, shown, host) ||
        !parse_grow(p, &out->items, out->count, sizeof(*out->items))) {
        return false;
    }
    struct sni_rule rule = {
        .host = xstrdup(host), .wildcard = wildcard, .backend_name = xstrdup(backend)};
    for (char *c = rule.host; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    out->items[out->count++] = rule;
    return true;
}

void print_SNI(struct text *out, const struct sni_list *value, size_t item)
{
    const struct sni_rule *rule = &value->items[item];
    text_add(out, "%s%s %s", rule->wildcard ? "*." : "", rule->host, rule->backend_name);
}

void release_SNI(struct sni_list *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->items[i].host);
        free(value->items[i].backend_name);
    }
    free(value->items);
    free(value->sorted);
    *value = (struct sni_list){0};
}
