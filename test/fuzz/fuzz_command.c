/* Feeds arbitrary bytes as a peer of a control socket would send them, cuts them into commands and
 * these into words, and checks that both stay within what they were given. What is cut is made
 * again by escaping every byte of every word: that must come to the same words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command_line.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(const char *data, size_t len, size_t room)
{
    char *copy = malloc(len + room > 0 ? len + room : 1); /* of exactly this size */
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, len);
    return copy;
}

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

/* "\a\b \c": the words again, their length in *len. */
static char *escaped(char *const *words, int count, size_t len_max, size_t *len)
{
    char *out = malloc(2 * len_max + (size_t)count + 1);
    check(out != NULL);
    *len = 0;
    for (int i = 0; i < count; i++) {
        for (const char *p = words[i]; *p != '\0'; p++) {
            out[(*len)++] = '\\';
            out[(*len)++] = *p;
        }
        out[(*len)++] = ' ';
    }
    return out;
}

static void check_again(char *const *words, int count, size_t len_max)
{
    char *again[WORDS_MAX + 1];
    size_t len;
    size_t at;
    char *text = escaped(words, count, len_max, &len);
    check(!command_line_end(text, len, &at)); /* no ";" is bare */
    check(command_line_words(text, len, again, WORDS_MAX) == count);
    for (int i = 0; i < count; i++) {
        check(strcmp(words[i], again[i]) == 0);
    }
    free(text);
}

/* One command of `len` bytes, and the byte behind it. */
static void take_command(const char *data, size_t len)
{
    char *words[WORDS_MAX + 1];
    char *text = copy_of(data, len, 1);
    int count = command_line_words(text, len, words, WORDS_MAX);
    check(count <= WORDS_MAX);
    if (count >= 0) {
        check(words[count] == NULL);
        size_t sum = 0;
        for (int i = 0; i < count; i++) {
            check(words[i] >= text && words[i] < text + len);
            sum += strlen(words[i]) + 1;
        }
        check(sum <= len + 1);
        check_again(words, count, len);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = copy_of((const char *)data, size, 0);
    size_t from = 0;
    size_t at;
    while (command_line_end(text + from, size - from, &at)) {
        check(at < size - from && (text[from + at] == '\n' || text[from + at] == ';'));
        take_command(text + from, at);
        from += at + 1;
    }
    check(memchr(text + from, '\n', size - from) == NULL);
    free(text);
    return 0;
}
