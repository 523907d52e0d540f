/* Plain text as mdoc(7), for the manuals that are made from tables. Used by the build only. */
#ifndef ROUTER_BASE_MANUAL_H
#define ROUTER_BASE_MANUAL_H

#include <stddef.h>
#include <stdio.h>

/* No escapes, no requests. */
void manual_text(const char *text, size_t len, FILE *out);
/* Each sentence on a line of its own, as mdoc(7) wants it. */
void manual_sentences(const char *text, FILE *out);

#endif
