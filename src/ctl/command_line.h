/* Lines of commands, as HAProxy's runtime socket reads them: commands end at a line end or at a ";"
 * that no backslash stands before, their words are separated by spaces and tabs, and a backslash
 * takes the meaning from what follows it. Pure functions. */
#ifndef ROUTER_CTL_COMMAND_LINE_H
#define ROUTER_CTL_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* Where the first command in these bytes ends: *at is the index of its line end or ";". False if
 * it does not end there. */
bool command_line_end(const char *data, size_t len, size_t *at);

/* Cuts one command (without its end) into words in place: data[len] must be writable. Returns how
 * many there are, words[that] is NULL; or -E2BIG for more than max, -EILSEQ where a control
 * character stands in it. A carriage return at its end is none. */
int command_line_words(char *data, size_t len, char **words, size_t max);

#endif
