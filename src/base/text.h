/* A growing text, for pages and messages built on the control thread. Start from a zeroed struct;
 * text_free() releases it. `data` ends in NUL once anything was added. */
#ifndef ROUTER_BASE_TEXT_H
#define ROUTER_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct text {
    char *data; /* owned */
    size_t len;
    size_t capacity;
};

void text_add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add_bytes(struct text *t, const void *bytes, size_t len);
/* As a JSON string with its quotes (RFC 8259, section 7). Bytes that are no UTF-8 become '?'. */
void text_add_json(struct text *t, const char *s);
/* As "%lld" would, but in a tenth of the time: pages have thousands of numbers. */
void text_add_number(struct text *t, long long number);
/* "12s", "3m05s", "2h07m", "4d11h". */
void text_add_duration(struct text *t, uint64_t ms);
void text_free(struct text *t);

/* Length of the well-formed UTF-8 sequence at `s` (RFC 3629, section 4), 0 if there is none. `s`
 * ends in NUL. */
size_t text_utf8_sequence(const char *s);

#endif
