/* libFuzzer: whatever a statement is, in whatever pieces, it says the same; and a variable is seen
 * where a reader sees it who has the whole text before him.
 *
 * The first byte is the mode, the second the size of the pieces; the rest is the text. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mysql_statement.h"

#define ALL_MODES        15
#define QUERY_ATTRIBUTES (1U << 27)
#define VARIABLES        (MYSQL_SAYS_USER_VARIABLE | MYSQL_SAYS_SYSTEM_VARIABLE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each piece in memory of its own so that a sanitizer sees its ends. */
static uint32_t run(const char *text, size_t size, size_t piece, uint32_t capabilities,
                    unsigned mode)
{
    struct mysql_statement s;
    mysql_statement_begin(&s, capabilities, mode);
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = malloc(len);
        uint32_t before = s.says;
        memcpy(copy, text + at, len);
        mysql_statement_look(&s, copy, len);
        free(copy);
        assert((before & ~s.says) == 0);
    }
    return mysql_statement_end(&s);
}

/* Behind a comment, a string or a name that begins at `at`; 0: none does, or it does not end. */
static size_t behind(const char *text, size_t at)
{
    const char *p = text + at;
    const char *end = NULL;
    if (p[0] == '\'' || p[0] == '"' || p[0] == '`') {
        size_t i = at + 1;
        for (; text[i] != '\0' && text[i] != p[0]; i++) {
            if (text[i] == '\\' && p[0] != '`' && text[i + 1] != '\0') {
                i++;
            }
        }
        return text[i] == '\0' ? 0 : i + 1;
    }
    if (p[0] == '#' || (p[0] == '-' && p[1] == '-' &&
                        (isspace((unsigned char)p[2]) || iscntrl((unsigned char)p[2])))) {
        end = strchr(p, '\n');
        return end == NULL ? strlen(text) : (size_t)(end + 1 - text);
    }
    if (p[0] == '/' && p[1] == '*') {
        end = strstr(p + 2, "*/");
        return end == NULL ? 0 : (size_t)(end + 2 - text);
    }
    return 0;
}

/* Whether there is an @ in the code, except between the parts of an account. */
static bool has_variable(const char *text)
{
    for (size_t at = 0; text[at] != '\0';) {
        size_t next = behind(text, at);
        bool quoted = next > 0 && strchr("'\"`", text[at]) != NULL;
        if (next > 0) {
            at = next;
        } else if (text[at] == '@') {
            return true;
        } else {
            at++;
        }
        if (quoted && text[at] == '@' && text[at + 1] != '@') {
            at++;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 4096) {
        return 0;
    }
    unsigned mode = data[0] & ALL_MODES;
    uint32_t capabilities = data[0] & 0x80 ? QUERY_ATTRIBUTES : 0;
    size_t piece = 1 + data[1] % (size - 2);
    size -= 2;
    char *text = calloc(1, size + 4);
    memcpy(text, data + 2, size);
    uint32_t says = run(text, size, size, capabilities, mode);
    assert(says == run(text, size, piece, capabilities, mode));
    assert(says == run(text, size, 1, capabilities, mode));
    bool clear = mode == 0 && capabilities == 0 && !(says & MYSQL_SAYS_UNCLEAR);
    if (clear && strlen(text) == size && strstr(text, "/*!") == NULL) {
        assert(has_variable(text) == ((says & VARIABLES) != 0));
    }
    free(text);
    return 0;
}
