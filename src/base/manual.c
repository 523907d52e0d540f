#include "base/manual.h"

#include <string.h>

void manual_text(const char *text, size_t len, FILE *out)
{
    if (len > 0 && (text[0] == '.' || text[0] == '\'')) {
        fputs("\\&", out);
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\') {
            fputs("\\e", out);
        } else if (text[i] == '"') {
            fputs("\\(dq", out);
        } else {
            fputc(text[i], out);
        }
    }
}

void manual_sentences(const char *text, FILE *out)
{
    while (*text != '\0') {
        const char *end = strstr(text, ". ");
        size_t len = end != NULL ? (size_t)(end - text) + 1 : strlen(text);
        manual_text(text, len, out);
        fputc('\n', out);
        text += len + (end != NULL);
    }
}
