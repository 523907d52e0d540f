/* Widths are those of Unicode's East Asian Width in broad strokes: whole blocks, without a locale,
 * because a name in a script that we measure wrongly spoils a column and nothing else. */
#include "routerctl/term.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"

struct range {
    uint32_t first;
    uint32_t last;
};

/* Controls, what has no width, what turns the direction of writing, private use, tags. */
static const struct range hidden[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f},    {0x00ad, 0x00ad}, {0x0300, 0x036f}, {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x180b, 0x180f},    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
    {0x3164, 0x3164}, {0xd800, 0xf8ff},    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
    {0xfff0, 0xffff}, {0xe0000, 0x10ffff},
};

static const struct range wide[] = {
    {0x1100, 0x115e}, {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
    {0xac00, 0xd7a3}, {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool within(const struct range *ranges, size_t count, uint32_t point)
{
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

bool term_wants_colours(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fileno(file)) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}

const char *term_escape(enum colour colour)
{
    static const char *const escapes[] = {
        [COLOUR_PLAIN] = "\033[0m", [COLOUR_BOLD] = "\033[1m",  [COLOUR_DIM] = "\033[2m",
        [COLOUR_GOOD] = "\033[32m", [COLOUR_WARN] = "\033[33m", [COLOUR_BAD] = "\033[1;31m",
    };
    return escapes[colour];
}

void term_paint(struct text *out, bool colours, enum colour colour, const char *words)
{
    if (!colours || colour == COLOUR_PLAIN || words[0] == '\0') {
        text_add(out, "%s", words);
    } else {
        text_add(out, "%s%s%s", term_escape(colour), words, term_escape(COLOUR_PLAIN));
    }
}

/* The code point at s[0..len) and its length in bytes; one byte and *point = 0 for what is no UTF-8
 * (RFC 3629, section 4). */
static size_t decode(const char *s, size_t len, uint32_t *point)
{
    const unsigned char *u = (const unsigned char *)s;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    size_t more = u[0] < 0x80   ? 0
                  : u[0] < 0xc2 ? 9
                  : u[0] < 0xe0 ? 1
                  : u[0] < 0xf0 ? 2
                  : u[0] < 0xf5 ? 3
                                : 9;
    *point = 0;
    if (more > 3 || more >= len) {
        return 1;
    }
    uint32_t value = more == 0 ? u[0] : u[0] & (0x3fU >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((u[i] & 0xc0) != 0x80) {
            return 1;
        }
        value = value << 6 | (u[i] & 0x3fU);
    }
    if (value < least[more] || value > 0x10ffff) {
        return 1;
    }
    *point = value;
    return more + 1;
}

void term_clean(struct text *out, const char *s, size_t len, bool lines)
{
    for (size_t at = 0; at < len;) {
        uint32_t point;
        size_t used = decode(s + at, len - at, &point);
        bool kept = lines && (s[at] == '\n' || s[at] == '\t');
        if (!kept && within(hidden, ARRAY_LEN(hidden), point)) {
            text_add_bytes(out, "?", 1);
        } else {
            text_add_bytes(out, s + at, used);
        }
        at += used;
    }
}

/* Bytes of `s` that take at most `columns`; *width is what they take. */
static size_t measure(const char *s, size_t columns, size_t *width)
{
    size_t len = strlen(s);
    size_t at = 0;
    *width = 0;
    while (at < len) {
        uint32_t point;
        size_t used = decode(s + at, len - at, &point);
        size_t takes = within(wide, ARRAY_LEN(wide), point) ? 2 : 1;
        if (*width + takes > columns) {
            break;
        }
        *width += takes;
        at += used;
    }
    return at;
}

size_t term_width(const char *s)
{
    size_t width;
    measure(s, SIZE_MAX, &width);
    return width;
}

size_t term_fit(const char *s, size_t columns)
{
    size_t width;
    return measure(s, columns, &width);
}
