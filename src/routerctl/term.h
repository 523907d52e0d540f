/* What may be written to a terminal: colours where they are wanted, and names and words of the
 * router without anything that a terminal would obey. Nothing is kept. */
#ifndef ROUTER_ROUTERCTL_TERM_H
#define ROUTER_ROUTERCTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"

enum colour { COLOUR_PLAIN, COLOUR_BOLD, COLOUR_DIM, COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD };

/* A terminal that knows colours, and nobody said NO_COLOR. */
bool term_wants_colours(FILE *file);
/* The escape that begins a colour; COLOUR_PLAIN ends all. */
const char *term_escape(enum colour colour);
void term_paint(struct text *out, bool colours, enum colour colour, const char *words);

/* Adds s[0..len) in which each control character (C0, DEL, C1), each invisible or
 * direction-changing one and each byte that is no UTF-8 is a '?'. Ends of lines and tabs stay if
 * `lines`. */
void term_clean(struct text *out, const char *s, size_t len, bool lines);
/* How many columns a cleaned text takes, and how many of its bytes fit into `columns`. */
size_t term_width(const char *s);
size_t term_fit(const char *s, size_t columns);

#endif
