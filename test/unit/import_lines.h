/* A configuration of HAProxy in a test: its text through source_read_bytes() and keywords_check().
 */
#ifndef IMPORT_LINES_H
#define IMPORT_LINES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/keyword.h"
#include "import/source.h"

struct lines {
    struct source source;
    struct text errors; /* "LINE: words" each */
};

/* Cuts "FILE:" off the beginning of each line. */
static inline void cut_file(struct text *errors, const char *file)
{
    size_t len = strlen(file) + 1;
    for (char *at = errors->data; at != NULL && *at != '\0';) {
        if (strncmp(at, file, len - 1) == 0) {
            memmove(at, at + len, strlen(at + len) + 1);
        }
        at = strchr(at, '\n');
        at += at != NULL;
    }
}

static inline void lines_read(struct lines *lines, const char *text)
{
    *lines = (struct lines){0};
    if (source_read_bytes(&lines->source, "x", text, strlen(text), &lines->errors) == 0) {
        keywords_check(&lines->source);
    }
    text_add(&lines->errors, "%s", "");
    cut_file(&lines->errors, "x");
}

static inline void lines_free(struct lines *lines)
{
    source_free(&lines->source);
    text_free(&lines->errors);
}

/* The line with this number, as editors count; NULL if it is empty, or the header of a section. */
static inline struct line *lines_at(const struct lines *lines, size_t number)
{
    for (size_t i = 0; i < lines->source.section_count; i++) {
        const struct section *section = lines->source.sections[i];
        for (size_t j = 0; j < section->count; j++) {
            if (section->lines[j]->place.number == number) {
                return section->lines[j];
            }
        }
    }
    return NULL;
}

#endif
