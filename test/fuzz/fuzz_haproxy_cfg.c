/* libFuzzer: whatever a file of HAProxy's holds, reading it ends with lines of words in sections,
 * or with errors; and each reference lies in its word. */
#include <stdlib.h>
#include <string.h>

#include "import/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool promise)
{
    if (!promise) {
        abort();
    }
}

static void check_word(const struct word *w)
{
    need(strlen(w->text) == w->len);
    size_t behind = 0;
    for (size_t i = 0; i < w->reference_count; i++) {
        const struct reference *r = &w->references[i];
        need(r->at >= behind && r->at + r->len <= w->len && r->name[0] != '\0');
        behind = r->at + r->len;
    }
}

static void check_line(const struct line *l)
{
    need(l->count <= SOURCE_WORDS_MAX && l->place.number > 0);
    for (size_t i = 0; i < l->count; i++) {
        check_word(&l->words[i]);
    }
}

static void check_section(const struct section *section)
{
    need(section->header != NULL && section->header->section == section);
    need(section->from == NULL || section->from->kind == SECTION_DEFAULTS);
    need(section->from != section);
    check_line(section->header);
    for (size_t i = 0; i < section->count; i++) {
        const struct line *l = section->lines[i];
        need(l->section == section && l->count > 0 && l->words[0].len > 0);
        need(!l->negated || !l->defaulted);
        check_line(l);
    }
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; text != NULL && *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s;
    struct text errors = {0};
    setenv("PLAIN", "a", 1);
    setenv("LIST", " x  y ", 1);
    /* Of exactly this size: an over-read is seen. */
    char *copy = malloc(size > 0 ? size : 1);
    need(copy != NULL);
    memcpy(copy, data, size);
    int rc = source_read_bytes(&s, "fuzz.cfg", copy, size, &errors);
    free(copy);
    need((rc == 0) == (errors.len == 0) && (rc == 0) == (s.error_count == 0));
    need(count_lines(errors.data) >= (s.error_count > 0 ? 1 : 0));
    for (size_t i = 0; i < s.section_count; i++) {
        check_section(s.sections[i]);
    }
    for (size_t i = 0; i < s.skipped_count; i++) {
        need(s.skipped[i]->section == NULL);
        need(rc != 0 || s.skipped[i]->verdict != VERDICT_NONE);
        check_line(s.skipped[i]);
    }
    source_free(&s);
    text_free(&errors);
    return 0;
}
