/* A word that is put together from bytes and parts of others, whose references it keeps. Start from
 * a struct with nothing but `source`. */
#ifndef ROUTER_IMPORT_BUILDER_H
#define ROUTER_IMPORT_BUILDER_H

#include "import/source.h"

struct builder {
    struct source *source; /* borrowed */
    char *bytes;
    size_t len;
    struct reference *references;
    size_t reference_count;
    bool secret; /* a part was */
};

void builder_byte(struct builder *b, char c);
void builder_bytes(struct builder *b, const char *bytes, size_t len);
/* Those references that lie in [at, at + len) too. */
void builder_part(struct builder *b, const struct word *w, size_t at, size_t len);
void builder_reference(struct builder *b, const struct word *w, const struct reference *r);
struct word builder_word(struct builder *b);

#endif
