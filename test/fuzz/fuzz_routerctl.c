/* What routerctl makes of a router's bytes: JSON that is parsed, written, and parsed again is the
 * same; rows of whatever kind become JSON; an answer is the same whatever pieces it comes in (the
 * first byte of the input chooses them); and what is cleaned holds nothing that a terminal obeys.
 * Build with -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "routerctl/answer.h"
#include "routerctl/json.h"
#include "routerctl/rows.h"
#include "routerctl/table.h"
#include "routerctl/term.h"
#include "routerctl/views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise) {
        abort();
    }
}

/* Of exactly this size and a NUL: an over-read is seen. */
static char *copy_of(const char *data, size_t size)
{
    return xstrndup(data, size);
}

static void must_be_clean(const struct text *t)
{
    for (size_t i = 0; i < t->len; i++) {
        unsigned char c = (unsigned char)t->data[i];
        must(c >= 0x20 && c != 0x7f);
        must(c != 0xc2 || (unsigned char)t->data[i + 1] >= 0xa0); /* C1 in UTF-8 */
    }
}

static void show(const struct json *j)
{
    struct view v = {.j = j};
    struct text out = {0};
    view_status(&v, &out);
    view_changes(&v, &out);
    view_events(&v, &out);
    view_json(&v, "servers", &out);
    text_free(&out);
}

static void fuzz_json(const char *data, size_t size)
{
    struct json j;
    struct text once = {0};
    char *copy = copy_of(data, size);
    if (json_parse(&j, copy, strlen(copy)) == 0) {
        struct json again;
        struct text twice = {0};
        json_write(&j, json_root(&j), &once);
        show(&j);
        char *written = copy_of(once.data, once.len);
        must(json_parse(&again, written, once.len) == 0);
        json_write(&again, json_root(&again), &twice);
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
        json_free(&again);
        free(written);
        text_free(&twice);
    }
    json_free(&j);
    text_free(&once);
    free(copy);
}

static void fuzz_rows(const char *data, size_t size)
{
    struct rows r;
    struct json j;
    struct text json = {0};
    struct text table = {0};
    char *copy = copy_of(data, size);
    rows_parse(&r, copy);
    rows_write_json(&r, &json);
    rows_print(&r, false, &table);
    must(json_parse(&j, json.data, json.len) == 0);
    json_free(&j);
    rows_free(&r);
    text_free(&json);
    text_free(&table);
    free(copy);
}

static void fuzz_clean(const char *data, size_t size)
{
    struct text clean = {0};
    struct text again = {0};
    term_clean(&clean, data, size, false);
    if (clean.len > 0) {
        must_be_clean(&clean);
        term_clean(&again, clean.data, clean.len, false);
        must(again.len == clean.len && memcmp(again.data, clean.data, clean.len) == 0);
        for (size_t columns = 0; columns < 5; columns++) {
            char *cut = copy_of(clean.data, term_fit(clean.data, columns));
            must(term_width(cut) <= columns);
            free(cut);
        }
    }
    text_free(&clean);
    text_free(&again);
}

static void keep(void *to, const char *words, size_t len, bool refusal)
{
    struct text *kept = to;
    text_add_bytes(&kept[refusal ? 1 : 0], words, len);
}

static bool take_answer(const char *data, size_t size, size_t piece, struct text *kept)
{
    struct answer a = {.on_words = keep, .to = kept};
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *copy = xrealloc(NULL, len);
        memcpy(copy, data + at, len);
        answer_feed(&a, copy, len);
        free(copy);
    }
    return answer_end(&a);
}

static void fuzz_answer(const char *data, size_t size, size_t piece)
{
    struct text whole[2] = {{0}, {0}};
    struct text split[2] = {{0}, {0}};
    must(take_answer(data, size, size + 1, whole) == take_answer(data, size, piece, split));
    for (size_t i = 0; i < 2; i++) {
        must(whole[i].len == split[i].len);
        must(whole[i].len == 0 || memcmp(whole[i].data, split[i].data, whole[i].len) == 0);
        text_free(&whole[i]);
        text_free(&split[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    fuzz_json(text, size - 1);
    fuzz_rows(text, size - 1);
    fuzz_clean(text, size - 1);
    fuzz_answer(text, size - 1, (size_t)data[0] + 1);
    return 0;
}
