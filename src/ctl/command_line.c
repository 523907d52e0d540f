#include "ctl/command_line.h"

#include <errno.h>

bool command_line_end(const char *data, size_t len, size_t *at)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' || data[i] == ';') {
            *at = i;
            return true;
        }
        if (data[i] == '\\' && i + 1 < len && data[i + 1] != '\n') {
            i++;
        }
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Moves the word that begins at `from` to `to`, without its backslashes; returns where it ended. A
 * backslash at the very end is itself. */
static size_t take_word(const char *data, size_t len, size_t from, char **to)
{
    while (from < len && !is_space(data[from])) {
        from += data[from] == '\\' && from + 1 < len;
        *(*to)++ = data[from++];
    }
    return from;
}

int command_line_words(char *data, size_t len, char **words, size_t max)
{
    size_t count = 0;
    char *to = data; /* never beyond what is read: a word's NUL takes the place of a space */
    len -= len > 0 && data[len - 1] == '\r';
    for (size_t i = 0; i < len; i++) {
        if (is_control(data[i]) && data[i] != '\t') {
            return -EILSEQ;
        }
    }
    for (size_t at = 0;;) {
        while (at < len && is_space(data[at])) {
            at++;
        }
        if (at >= len) {
            break;
        }
        if (count == max) {
            return -E2BIG;
        }
        words[count++] = to;
        at = take_word(data, len, at, &to);
        *to++ = '\0';
        at++;
    }
    words[count] = NULL;
    return (int)count;
}
