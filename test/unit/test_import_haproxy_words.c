/* Promise: HAProxy and the importer cut any line into the same words, and complain of the same
 * place in it. The lines are random, but the same in each run. */
#include "haproxy_fixture.h"

#include "base/macros.h"

#define LINES   400
#define IN_FILE 40 /* HAProxy stops at 50 mistakes */
#define MERGED  30 /* of which all words are compared at once */
#define SEED    20261122

static uint64_t random_next(void)
{
    static uint64_t state = SEED;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return state >> 33;
}

/* A line of pieces that mean something, and some that do not. */
static void random_line(struct text *t)
{
    static const char *const pieces[] = {
        "a",          "b",           "c",          "-",        "0",     " ",        "  ",
        "\t",         "\"",          "\"",         "\"",       "'",     "'",        "\\",
        "\\ ",        "\\\"",        "\\'",        "\\\\",     "\\#",   "\\$",      "\\t",
        "\\n",        "\\r",         "\\x41",      "\\x2",     "\\q",   "#",        " #",
        "$",          "$PLAIN",      "${PLAIN}",   "${NONE",   "$NONE", "${EMPTY}", "${SPACED}",
        "${LIST[*]}", "${NONE-d e}", "${PLAIN-'}", "${.LINE}", "$1",    "{",        "}",
        "[*]",        "\xc3\xa9",    ".",          "=",        "(",     ",",        "\v"};
    size_t count = 1 + random_next() % 14;
    for (size_t i = 0; i < count; i++) {
        text_add(t, "%s", pieces[random_next() % ARRAY_LEN(pieces)]);
    }
}

/* The words of a line that is the `number`th of its file, or what is wrong with it. */
struct answer {
    struct source source;
    struct text mistake;
    const struct line *line; /* NULL: there is a mistake, or no word */
};

/* `directive` keeps empty words, which other lines end at: ".notice" or ".if". */
static void ask_us(struct answer *a, const char *directive, const char *line, size_t number)
{
    struct text t = {0};
    for (size_t i = 1; i < number; i++) {
        text_add(&t, "\n");
    }
    text_add(&t, "%s%s\n", directive, line);
    a->mistake = (struct text){0};
    source_read_bytes(&a->source, path, t.data, t.len, &a->mistake);
    text_add(&a->mistake, "%s", "");
    a->line = a->source.skipped_count > 0 ? a->source.skipped[0] : NULL;
    text_free(&t);
}

static void answer_free(struct answer *a)
{
    source_free(&a->source);
    text_free(&a->mistake);
}

static void assert_said(const struct text *said, const char *words, size_t len, const char *line)
{
    if (memmem(said->data, said->len, words, len) == NULL) {
        print_error("line <%s>\nexpected: %.*s\nHAProxy said: %s\n", line, (int)len, words,
                    said->data);
    }
    assert_non_null(memmem(said->data, said->len, words, len));
}

/* .notice shows its first argument, and complains of the second. */
static void check_notice(const struct text *said, const char *line, size_t number)
{
    struct answer a;
    ask_us(&a, ".notice ", line, number);
    struct text expected = {0};
    text_add(&expected, "parsing [%s:%zu]: ", path, number);
    const struct line *l = a.line;
    if (l == NULL) {
        /* Without the file and the line before it, and the end of the line. */
        text_add(&expected, "%s", strchr(a.mistake.data, ' ') + 1);
        expected.len--;
    } else if (l->count > 2 && l->words[2].len > 0) {
        text_add(&expected, "Unexpected argument '%s' for '.notice'.", l->words[2].text);
    } else {
        text_add(&expected, "'%s'.\n", l->count > 1 ? l->words[1].text : "");
    }
    assert_said(said, expected.data, expected.len, line);
    text_free(&expected);
    answer_free(&a);
}

static void words_are_cut_as_haproxy_cuts_them(void **state)
{
    (void)state;
    for (size_t first = 0; first < LINES; first += IN_FILE) {
        struct text file = {0};
        struct text lines[IN_FILE] = {{0}};
        text_add(&file, ".diag %0200d\n", 0);
        for (size_t i = 0; i < IN_FILE; i++) {
            random_line(&lines[i]);
            text_add(&file, ".notice %s\n", lines[i].data);
        }
        write_file(file.data, file.len);
        int rc;
        struct text said = haproxy_says(&rc);
        for (size_t i = 0; i < IN_FILE; i++) {
            check_notice(&said, lines[i].data, i + 2);
            text_free(&lines[i]);
        }
        text_free(&said);
        text_free(&file);
    }
}

/* ".if 0 ..." is not understood, and shown whole. */
static void check_if(const struct answer *a, const char *line)
{
    struct text file = {0};
    /* The first line makes room: 2.6 reads a line twice for which it has none, and spoils defaults
     * of variables when it does. */
    text_add(&file, ".diag %0200d\n.if 0 %s\n", 0, line);
    write_file(file.data, file.len);
    int rc;
    struct text said = haproxy_says(&rc);
    struct text expected = {0};
    text_add(&expected, "unexpected character '%c' at the end of conditional expression '0",
             a->line->words[2].text[0]);
    for (size_t i = 2; i < a->line->count; i++) {
        text_add(&expected, " %s", a->line->words[i].text);
    }
    size_t len = expected.len;
    text_add(&expected, "' in '.if'");
    if (memmem(said.data, said.len, expected.data, expected.len) == NULL) {
        /* 2.6 takes blanks at the end for one word more. */
        expected.len = len;
        text_add(&expected, " ' in '.if'");
    }
    assert_said(&said, expected.data, expected.len, line);
    text_free(&expected);
    text_free(&said);
    text_free(&file);
}

static void all_words_of_a_line_are_the_same(void **state)
{
    (void)state;
    size_t seen = 0;
    while (seen < MERGED) {
        struct text line = {0};
        random_line(&line);
        struct answer a;
        ask_us(&a, ".if 0 ", line.data, 2);
        if (a.line != NULL && a.line->count > 3 &&
            strchr(" \t", a.line->words[2].text[0]) == NULL) {
            check_if(&a, line.data);
            seen++;
        }
        answer_free(&a);
        text_free(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut_as_haproxy_cuts_them),
        cmocka_unit_test(all_words_of_a_line_are_the_same),
    };
    return cmocka_run_group_tests(tests, haproxy_setup, haproxy_teardown);
}
