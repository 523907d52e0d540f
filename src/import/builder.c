#include "import/builder.h"

void builder_byte(struct builder *b, char c)
{
    b->bytes = arena_grow(&b->source->arena, b->bytes, b->len, 1);
    b->bytes[b->len++] = c;
}

void builder_bytes(struct builder *b, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        builder_byte(b, bytes[i]);
    }
}

void builder_part(struct builder *b, const struct word *w, size_t at, size_t len)
{
    size_t moved = b->len;
    builder_bytes(b, w->text + at, len);
    for (size_t i = 0; i < w->reference_count; i++) {
        struct reference r = w->references[i];
        if (r.at < at || r.at + r.len > at + len) {
            continue;
        }
        r.at = r.at - at + moved;
        b->references = arena_grow(&b->source->arena, b->references, b->reference_count, sizeof r);
        b->references[b->reference_count++] = r;
    }
    b->secret = b->secret || w->secret;
}

void builder_reference(struct builder *b, const struct word *w, const struct reference *r)
{
    struct reference moved = *r;
    moved.at = b->len;
    b->references = arena_grow(&b->source->arena, b->references, b->reference_count, sizeof moved);
    b->references[b->reference_count++] = moved;
    builder_bytes(b, w->text + r->at, r->len);
}

struct word builder_word(struct builder *b)
{
    builder_byte(b, '\0');
    b->len--;
    return (struct word){.text = b->bytes,
                         .len = b->len,
                         .references = b->references,
                         .reference_count = b->reference_count,
                         .secret = b->secret};
}
