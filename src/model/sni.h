/* Which backend a name in a client's TLS hello goes to (server_name, RFC 6066, section 3). The
 * rules are part of the configuration, immutable once it is loaded; a look-up takes a few string
 * comparisons for each label of the name, whatever the number of rules.
 *
 * The exact name counts first, then the longest "*.rest" that it ends with: a wildcard stands for
 * any number of labels, at least one. Case is of no importance. */
#ifndef ROUTER_MODEL_SNI_H
#define ROUTER_MODEL_SNI_H

#include "model/config.h"

#define SNI_HOST_MAX  253 /* RFC 1035, section 2.3.4, as text */
#define SNI_LABEL_MAX 63

/* NULL: no rule is about it. `name` may be NULL (none was sent), and whatever a client sends that
 * has no NUL byte within. */
const struct sni_rule *sni_find(const struct sni_list *list, const char *name);

/* Letters, digits, "-" and "_" in labels with "." between them, not all of them digits. */
bool sni_host_valid(const char *host);
/* Makes list->sorted; two that are about the same host stand beside each other, in the order of the
 * file. */
void sni_sort(struct sni_list *list);
bool sni_same_host(const struct sni_rule *a, const struct sni_rule *b);

#endif
