/* One state machine, byte by byte, says what is right. Before it come shortcuts for whole parts of
 * usual commands, which do nothing where a part is not all there or unusual in any way.
 *
 * Inline commands are split as Redis' sdssplitargs() does it: blanks separate, words may have
 * quotes anywhere, a closing quote ends its word. */
#include "proto/redis_request.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"

#define LEAST_ARGUMENT 6 /* "$0\r\n\r\n" */

/* What is awaited. */
enum phase {
    PHASE_START, /* the first byte */
    PHASE_COUNT, /* behind '*' */
    PHASE_COUNT_LF,
    PHASE_DOLLAR,
    PHASE_LENGTH, /* behind '$' */
    PHASE_LENGTH_LF,
    PHASE_BULK,
    PHASE_BULK_CR,
    PHASE_BULK_LF,
    PHASE_BLANK, /* inline from here on: between words */
    PHASE_WORD,
    PHASE_DOUBLE,         /* between double quotes */
    PHASE_DOUBLE_ESCAPED, /* there, behind a backslash */
    PHASE_SINGLE,
    PHASE_SINGLE_ESCAPED,
    PHASE_QUOTED, /* behind a closing quote */
    PHASE_OVER,
};

static_assert(REDIS_WORDS_MAX * REDIS_BULK_MAX <= UINT32_MAX + 1ULL, "words need longer numbers");
static_assert(REDIS_NUMBER_LINE_MAX <= REDIS_ARGUMENTS_MAX, "quick_count() has to look");

static enum redis_scan bad(const char **why, const char *words)
{
    *why = words;
    return REDIS_BAD;
}

/* Where the next word begins, which may not be wanted any more. */
static void begin_word(struct redis_request *r, uint64_t at, uint64_t len)
{
    if (r->word_count < REDIS_WORDS_MAX) {
        r->words[r->word_count] = (struct redis_word){(uint32_t)at, (uint32_t)len};
    }
}

static void end_word(struct redis_request *r)
{
    if (r->word_count < REDIS_WORDS_MAX) {
        r->word_count++;
    }
}

/* Arguments with their lengths ------------------------------------------------------------------
 */

static void have_count(struct redis_request *r, uint32_t count)
{
    r->argc = count;
    r->arguments_left = count;
    r->phase = count > 0 ? PHASE_DOLLAR : PHASE_OVER;
}

static void end_argument(struct redis_request *r)
{
    end_word(r);
    r->arguments_left--;
    r->phase = r->arguments_left > 0 ? PHASE_DOLLAR : PHASE_OVER;
}

#define GOT(c)                                                                                     \
    {                                                                                              \
        'e', 'x', 'p', 'e', 'c', 't', 'e', 'd', ' ', '\'', '$', '\'', ',', ' ', 'g', 'o', 't',     \
            ' ', '\'', (c), '\''                                                                   \
    }
#define GOT_4(c)  GOT(c), GOT((c) + 1), GOT((c) + 2), GOT((c) + 3)
#define GOT_16(c) GOT_4(c), GOT_4((c) + 4), GOT_4((c) + 8), GOT_4((c) + 12)

/* What Redis says, with the character; what cannot be printed is '?'. */
static const char *unexpected(char c)
{
    static const char words[][22] = {GOT_16(' '), GOT_16('0'), GOT_16('@'),
                                     GOT_16('P'), GOT_16('`'), GOT_16('p')};
    return words[(c >= ' ' && c <= '~' ? c : '?') - ' '];
}

static enum redis_scan count_step(struct redis_request *r, char c, const char **why)
{
    uint64_t max = r->number.negative ? INT64_MAX + 1ULL : REDIS_ARGUMENTS_MAX;
    if (r->phase == PHASE_COUNT && c == '\r' && r->number.begun) {
        r->phase = PHASE_COUNT_LF;
    } else if (r->phase == PHASE_COUNT_LF && c == '\n') {
        have_count(r, r->number.negative ? 0 : (uint32_t)r->number.value);
    } else if (r->phase == PHASE_COUNT_LF || !redis_number_take(&r->number, c, max)) {
        return bad(why, "invalid multibulk length");
    }
    return REDIS_MORE;
}

static enum redis_scan length_step(struct redis_request *r, char c, const char **why)
{
    if (r->phase == PHASE_LENGTH && c == '\r' && r->number.begun) {
        r->phase = PHASE_LENGTH_LF;
    } else if (r->phase == PHASE_LENGTH_LF && c == '\n') {
        r->bulk_left = r->number.value;
        r->phase = r->bulk_left > 0 ? PHASE_BULK : PHASE_BULK_CR;
        begin_word(r, r->len + 1, r->bulk_left);
    } else if (r->phase == PHASE_LENGTH_LF || c == '-' ||
               !redis_number_take(&r->number, c, REDIS_BULK_MAX)) {
        return bad(why, "invalid bulk length");
    }
    return REDIS_MORE;
}

static enum redis_scan argument_step(struct redis_request *r, char c, const char **why)
{
    switch ((enum phase)r->phase) {
    case PHASE_DOLLAR:
        if (c != '$') {
            return bad(why, unexpected(c));
        }
        r->number = (struct redis_number){0};
        r->phase = PHASE_LENGTH;
        return REDIS_MORE;
    case PHASE_LENGTH:
    case PHASE_LENGTH_LF:
        return length_step(r, c, why);
    case PHASE_BULK:
        r->bulk_left--;
        r->phase = r->bulk_left > 0 ? PHASE_BULK : PHASE_BULK_CR;
        return REDIS_MORE;
    case PHASE_BULK_CR:
        r->phase = PHASE_BULK_LF;
        return c == '\r' ? REDIS_MORE : bad(why, "expected a line end after an argument");
    default:
        assert(r->phase == PHASE_BULK_LF);
        end_argument(r);
        return c == '\n' ? REDIS_MORE : bad(why, "expected a line end after an argument");
    }
}

/* Inline ----------------------------------------------------------------------------------------
 */

/* Redis' isspace(). */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void end_inline_word(struct redis_request *r)
{
    if (r->word_count < REDIS_WORDS_MAX) {
        struct redis_word *w = &r->words[r->word_count++];
        w->len = (uint32_t)r->len - w->at;
    }
    r->argc++;
    r->phase = PHASE_BLANK;
}

static enum redis_scan end_line(struct redis_request *r, const char **why)
{
    if (r->phase == PHASE_WORD || r->phase == PHASE_QUOTED) {
        end_inline_word(r);
    }
    if (r->phase != PHASE_BLANK) {
        return bad(why, "unbalanced quotes in request");
    }
    r->phase = PHASE_OVER;
    return REDIS_MORE;
}

/* In a word, outside of quotes. Other blanks than these are part of it. */
static void word_step(struct redis_request *r, char c)
{
    if (c == ' ' || c == '\t' || c == '\r') {
        end_inline_word(r);
    } else if (c == '"' || c == '\'') {
        r->is_odd = true;
        r->phase = c == '"' ? PHASE_DOUBLE : PHASE_SINGLE;
    }
}

static enum redis_scan inline_step(struct redis_request *r, char c, const char **why)
{
    if (c == '\n') {
        return end_line(r, why);
    }
    if (r->len >= REDIS_INLINE_MAX) {
        return bad(why, "too big inline request");
    }
    if (c == '\0') { /* a server would never find the end of this line */
        return bad(why, "NUL in an inline request");
    }
    switch ((enum phase)r->phase) {
    case PHASE_BLANK:
        if (!is_blank(c)) {
            begin_word(r, r->len, 0);
            r->phase = PHASE_WORD;
            word_step(r, c);
        }
        break;
    case PHASE_WORD:
        word_step(r, c);
        break;
    case PHASE_DOUBLE:
        r->phase = c == '\\' ? PHASE_DOUBLE_ESCAPED : c == '"' ? PHASE_QUOTED : PHASE_DOUBLE;
        break;
    case PHASE_DOUBLE_ESCAPED: /* the digits of "\x22" need no care */
        r->phase = PHASE_DOUBLE;
        break;
    case PHASE_SINGLE:
        r->phase = c == '\\' ? PHASE_SINGLE_ESCAPED : c == '\'' ? PHASE_QUOTED : PHASE_SINGLE;
        break;
    case PHASE_SINGLE_ESCAPED: /* nothing but \' is one */
        r->phase = c == '\\' ? PHASE_SINGLE_ESCAPED : PHASE_SINGLE;
        break;
    default:
        assert(r->phase == PHASE_QUOTED);
        if (!is_blank(c)) {
            return bad(why, "unbalanced quotes in request");
        }
        end_inline_word(r);
    }
    return REDIS_MORE;
}

/* Both ------------------------------------------------------------------------------------------
 */

static enum redis_scan step(struct redis_request *r, char c, const char **why)
{
    if (r->phase == PHASE_START && c == '*') {
        r->phase = PHASE_COUNT;
        return REDIS_MORE;
    }
    if (r->phase == PHASE_START) {
        r->is_inline = true;
        r->phase = PHASE_BLANK;
    }
    if (r->is_inline) {
        return inline_step(r, c, why);
    }
    return r->phase <= PHASE_COUNT_LF ? count_step(r, c, why) : argument_step(r, c, why);
}

/* "*2\r\n", all of it. */
static size_t quick_count(struct redis_request *r, const char *p, size_t len)
{
    uint64_t count;
    size_t line = p[0] == '*' ? redis_number_line(p + 1, len - 1, &count) : 0;
    if (line == 0) {
        return 0;
    }
    have_count(r, (uint32_t)count);
    return 1 + line;
}

/* As many arguments as are there. */
static size_t quick_arguments(struct redis_request *r, const char *p, size_t len)
{
    size_t at = 0;
    while (r->phase == PHASE_DOLLAR && len - at >= LEAST_ARGUMENT && p[at] == '$') {
        uint64_t length;
        size_t line = redis_number_line(p + at + 1, len - at - 1, &length);
        size_t text = at + 1 + line;
        if (line == 0 || len - text < length + 2 || p[text + length] != '\r' ||
            p[text + length + 1] != '\n' || length > REDIS_BULK_MAX) {
            break;
        }
        begin_word(r, r->len + text, length);
        end_argument(r);
        at = text + length + 2;
    }
    return at;
}

static size_t quick(struct redis_request *r, const char *p, size_t len)
{
    switch ((enum phase)r->phase) {
    case PHASE_START:
        return quick_count(r, p, len);
    case PHASE_DOLLAR:
        return quick_arguments(r, p, len);
    case PHASE_BULK: {
        size_t n = r->bulk_left < len ? (size_t)r->bulk_left : len;
        r->bulk_left -= n;
        r->phase = r->bulk_left > 0 ? PHASE_BULK : PHASE_BULK_CR;
        return n;
    }
    default:
        return 0;
    }
}

/* How many bytes are to come at least. */
static uint64_t least_left(const struct redis_request *r)
{
    uint64_t others = r->arguments_left > 0 ? r->arguments_left - 1 : 0;
    others *= LEAST_ARGUMENT;
    switch ((enum phase)r->phase) {
    case PHASE_DOLLAR:
        return others + LEAST_ARGUMENT;
    case PHASE_LENGTH:
        return others + r->number.value + (r->number.begun ? 4 : 5);
    case PHASE_LENGTH_LF:
        return others + r->number.value + 3;
    case PHASE_BULK:
    case PHASE_BULK_CR:
        return others + r->bulk_left + 2;
    case PHASE_BULK_LF:
        return others + 1;
    default:
        return 0;
    }
}

enum redis_scan redis_request_feed(struct redis_request *r, const char *data, size_t len,
                                   size_t *used, const char **why)
{
    assert(r->phase != PHASE_OVER);
    size_t at = 0;
    while (at < len && r->phase != PHASE_OVER) {
        size_t n = quick(r, data + at, len - at);
        if (n == 0) {
            if (step(r, data[at], why) == REDIS_BAD) {
                return REDIS_BAD;
            }
            n = 1;
        }
        at += n;
        r->len += n;
    }
    *used = at;
    r->declared = r->len + least_left(r);
    return r->phase == PHASE_OVER ? REDIS_WHOLE : REDIS_MORE;
}

bool redis_word_is(const struct redis_request *r, const char *first, unsigned i, const char *word)
{
    return i < r->word_count && r->words[i].len == strlen(word) &&
           strncasecmp(first + r->words[i].at, word, r->words[i].len) == 0;
}
