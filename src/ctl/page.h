/* The stats page, which is part of the binary: the files of page/ as they were built in, and the
 * policy under which browsers run it. */
#ifndef ROUTER_CTL_PAGE_H
#define ROUTER_CTL_PAGE_H

#include <stddef.h>

#define PAGE_POLICY_MAX 512

/* Not ended by a NUL. */
const char *page_html(size_t *len);

/* The Content-Security-Policy of this page: nothing but its own style and script, by their hashes,
 * and requests to its own origin. */
void page_policy(char out[PAGE_POLICY_MAX]);

#endif
