/* Cuts the text into words and signs; what they mean is in mysql_meaning.c. Strings end where the
 * server ends them, as far as sql_mode is known. A word is not copied unless the bytes end in it.
 */
#include "proto/mysql_statement.h"

#include <string.h>

#include "base/macros.h"
#include "proto/mysql_statement_internal.h"

#define CAP_QUERY_ATTRIBUTES (1U << 27)
#define PREFIX               2 /* no attributes, one set: 00 01 */
#define COUNTED              9 /* words of a statement */

enum class {
    OTHER,
    SPACE,
    LETTER,
    MARK, /* begins something: a string, a name, a comment, a variable */
};

static const uint8_t classes[256] = {
    [' '] = SPACE,          ['\t'] = SPACE,         ['\n'] = SPACE,
    ['\v'] = SPACE,         ['\f'] = SPACE,         ['\r'] = SPACE,
    ['_'] = LETTER,         ['$'] = LETTER,         ['0' ... '9'] = LETTER,
    ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, [0x80 ... 0xff] = LETTER,
    ['\''] = MARK,          ['"'] = MARK,           ['`'] = MARK,
    ['#'] = MARK,           ['-'] = MARK,           ['/'] = MARK,
    ['@'] = MARK,           ['*'] = MARK,
};

static enum class class_of(char c) { return (enum class)classes[(unsigned char)c]; }

void mysql_statement_begin(struct mysql_statement *s, uint32_t capabilities, unsigned mode)
{
    *s = (struct mysql_statement){
        .mode = (uint8_t)mode,
        .prefix = capabilities & CAP_QUERY_ATTRIBUTES ? PREFIX : 0,
    };
}

/* Words ------------------------------------------------------------------------------------- */

static void shift(struct mysql_statement *s)
{
    s->before.at = s->word.at;
    s->before.len = s->word.len;
    if (s->word.at == NULL && s->word.len > 0) {
        memcpy(s->before.kept, s->word.kept, sizeof s->word.kept);
    }
}

static void forget_words(struct mysql_statement *s)
{
    s->word.len = 0;
    s->before.len = 0;
    s->context = MYSQL_CONTEXT_NONE;
}

static void begin_word(struct mysql_statement *s, const char *at)
{
    if (s->context == MYSQL_CONTEXT_NONE) {
        shift(s);
    }
    if (UNLIKELY(*at == '$')) {
        s->says |= MYSQL_SAYS_UNCLEAR; /* $$ may begin a string of MySQL */
    }
    s->word.at = at;
    s->word.len = 0;
}

/* The word goes on with these bytes: what was seen of it is kept. */
static void extend(struct mysql_statement_word *w, const char *data, size_t len)
{
    if (w->len + len > MYSQL_STATEMENT_WORD) {
        w->len = MYSQL_WORD_LONG;
        return;
    }
    memcpy(w->kept + w->len, data, len);
    w->len = (uint8_t)(w->len + len);
}

/* In a plain statement only a few words mean something where they call nothing: VALUE, behind
 * PREVIOUS, and SQL_CALC_FOUND_ROWS. */
static bool is_idle(const struct mysql_statement *s)
{
    const struct mysql_statement_word *w = &s->word;
    char first = w->at == NULL ? w->kept[0] : w->at[0];
    bool may_count = w->len == 19 || (w->len == 5 && (first == 'v' || first == 'V'));
    return !may_count && s->kind == MYSQL_KIND_PLAIN && s->context == MYSQL_CONTEXT_NONE;
}

static void end_word(struct mysql_statement *s)
{
    unsigned context = s->context;
    if (is_idle(s)) {
        s->words = COUNTED;
        s->qualified = false;
        return;
    }
    s->context = MYSQL_CONTEXT_NONE;
    if (context == MYSQL_CONTEXT_USER) {
        forget_words(s);
        return;
    }
    if (context == MYSQL_CONTEXT_SYSTEM || context == MYSQL_CONTEXT_SCOPED) {
        s->context = (uint8_t)context;
        mysql_meaning_of_system(s);
        s->word.len = s->before.len = 0;
        return;
    }
    s->qualified = context == MYSQL_CONTEXT_DOT;
    if (s->words < COUNTED) {
        s->words++;
    }
    mysql_meaning_of_word(s);
}

static void end_name(struct mysql_statement *s)
{
    if (s->context == MYSQL_CONTEXT_SYSTEM || s->context == MYSQL_CONTEXT_SCOPED ||
        s->kind == MYSQL_KIND_NONE) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    s->qualified = s->context == MYSQL_CONTEXT_DOT;
    s->word.len = s->context == MYSQL_CONTEXT_USER ? 0 : MYSQL_WORD_QUOTED;
    s->context = MYSQL_CONTEXT_NONE;
}

static void keep(struct mysql_statement_word *w)
{
    if (w->at != NULL && w->len > 0 && w->len <= MYSQL_STATEMENT_WORD) {
        memcpy(w->kept, w->at, w->len);
    }
    w->at = NULL;
}

/* Signs ------------------------------------------------------------------------------------- */

static void end_statement(struct mysql_statement *s)
{
    s->kind = MYSQL_KIND_NONE;
    s->words = 0;
    forget_words(s);
}

static void on_dot(struct mysql_statement *s)
{
    bool system = s->context == MYSQL_CONTEXT_SCOPE || s->context == MYSQL_CONTEXT_SYSTEM_NAME;
    if (system) {
        s->context = MYSQL_CONTEXT_SCOPED;
    } else if (s->word.len > 0) {
        s->context = MYSQL_CONTEXT_DOT;
    }
}

/* What means nothing by itself stands between words all the same. */
void mysql_statement_sign(struct mysql_statement *s, char c)
{
    if (c == '.') {
        on_dot(s);
        return;
    }
    if (c == ';') {
        end_statement(s);
        return;
    }
    if (c == '(' && s->word.len > 0) {
        mysql_meaning_of_call(s);
    }
    bool label = c == ':' && s->words == 1 && s->word.len > 0;
    if (UNLIKELY(label)) {
        s->says |= MYSQL_SAYS_COMPOUND;
    }
    if ((c == '=' || c == ':') && s->context == MYSQL_CONTEXT_SYSTEM_NAME &&
        s->kind == MYSQL_KIND_SET) {
        s->says |= MYSQL_SAYS_UNTOLD;
    }
    if (UNLIKELY(c == '\0' || (s->kind == MYSQL_KIND_NONE && c != '('))) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    forget_words(s);
}

/* Whether "x" is a name, and a backslash in it nothing special. */
static bool double_is_name(const struct mysql_statement *s)
{
    return (s->mode & (MYSQL_TEXT_ANSI_QUOTES | MYSQL_TEXT_UNSURE)) != 0;
}

static void on_mark(struct mysql_statement *s, const char *at)
{
    switch (*at) {
    case '\'':
        s->place = MYSQL_IN_STRING;
        mysql_statement_sign(s, *at);
        break;
    case '"':
        s->place = MYSQL_IN_DOUBLE;
        if (double_is_name(s)) {
            begin_word(s, at);
        } else {
            mysql_statement_sign(s, *at);
        }
        break;
    case '`':
        s->place = MYSQL_IN_NAME;
        begin_word(s, at);
        break;
    case '@':
        s->place = MYSQL_IN_AT;
        break;
    case '#':
        s->place = MYSQL_IN_LINE;
        break;
    case '-':
        s->place = MYSQL_IN_DASH;
        break;
    case '/':
        s->place = MYSQL_IN_SLASH;
        break;
    default: /* '*' */
        s->place = s->in_code ? MYSQL_IN_STAR : MYSQL_IN_CODE;
        if (!s->in_code) {
            mysql_statement_sign(s, *at);
        }
        break;
    }
}

/* One place after the other: each takes bytes from `p` on and says how far it came ---------------
 */

static const char *in_word(struct mysql_statement *s, const char *p, const char *end)
{
    const char *start = p;
    while (p < end && class_of(*p) == LETTER) {
        p++;
    }
    extend(&s->word, start, (size_t)(p - start));
    if (p < end) {
        s->place = MYSQL_IN_CODE;
        end_word(s);
    }
    return p;
}

/* From its first byte on: nearly always whole. */
static const char *take_word(struct mysql_statement *s, const char *p, const char *end)
{
    const char *start = p;
    do {
        p++;
    } while (p < end && class_of(*p) == LETTER);
    size_t len = (size_t)(p - start);
    begin_word(s, start);
    s->word.len = (uint8_t)(len <= MYSQL_STATEMENT_WORD ? len : MYSQL_WORD_LONG);
    if (p < end) {
        end_word(s);
    } else {
        s->place = MYSQL_IN_WORD;
    }
    return p;
}

static const char *in_code(struct mysql_statement *s, const char *p, const char *end)
{
    while (p < end) {
        enum class class = class_of(*p);
        if (class == LETTER) {
            s->quoted = false;
            p = take_word(s, p, end);
            continue;
        }
        if (class == MARK) {
            s->quoted = s->quoted && *p == '@';
            on_mark(s, p);
            return p + 1;
        }
        s->quoted = false;
        if (class == OTHER) {
            mysql_statement_sign(s, *p);
        }
        p++;
    }
    return p;
}

static void end_string(struct mysql_statement *s, char quote)
{
    s->place = MYSQL_IN_CODE;
    s->quoted = true;
    if (quote == '`' || (quote == '"' && double_is_name(s))) {
        end_name(s);
    }
}

/* Two quotes in a row stand for one: that is the end of a string and the beginning of another. */
static const char *in_quotes(struct mysql_statement *s, const char *p, const char *end, char quote)
{
    bool plain = quote == '`' || (!(s->mode & MYSQL_TEXT_UNSURE) &&
                                  ((s->mode & MYSQL_TEXT_NO_BACKSLASH) ||
                                   (quote == '"' && (s->mode & MYSQL_TEXT_ANSI_QUOTES))));
    while (p < end) {
        char c = *p++;
        if (c == quote) {
            end_string(s, quote);
            return p;
        }
        if (c == '\\' && !plain) {
            s->place++;
            return p;
        }
    }
    return p;
}

static const char *in_escape(struct mysql_statement *s, const char *p, char quote)
{
    if (*p == quote && (s->mode & MYSQL_TEXT_UNSURE)) {
        s->says |= MYSQL_SAYS_UNCLEAR; /* it may have ended here */
    }
    s->place--;
    return p + 1;
}

static const char *in_at(struct mysql_statement *s, const char *p)
{
    bool account = s->quoted; /* 'user'@'host' */
    s->place = MYSQL_IN_CODE;
    s->quoted = false;
    if (*p == '@') {
        s->says |= MYSQL_SAYS_SYSTEM_VARIABLE;
        s->context = MYSQL_CONTEXT_SYSTEM;
        return p + 1;
    }
    if (!account) {
        s->says |= MYSQL_SAYS_USER_VARIABLE;
    }
    s->context = MYSQL_CONTEXT_USER;
    return p;
}

static const char *step(struct mysql_statement *s, const char *p, const char *end)
{
    switch ((enum mysql_place)s->place) {
    case MYSQL_IN_CODE:
        return in_code(s, p, end);
    case MYSQL_IN_WORD:
        return in_word(s, p, end);
    case MYSQL_IN_STRING:
        return in_quotes(s, p, end, '\'');
    case MYSQL_IN_STRING_ESCAPE:
        return in_escape(s, p, '\'');
    case MYSQL_IN_DOUBLE:
        return in_quotes(s, p, end, '"');
    case MYSQL_IN_DOUBLE_ESCAPE:
        return in_escape(s, p, '"');
    case MYSQL_IN_NAME:
        return in_quotes(s, p, end, '`');
    case MYSQL_IN_AT:
        return in_at(s, p);
    default:
        return mysql_comment_step(s, p, end);
    }
}

/* The whole --------------------------------------------------------------------------------- */

static const char *skip_prefix(struct mysql_statement *s, const char *p, const char *end)
{
    for (; p < end && s->prefix > 0; p++, s->prefix--) {
        if (*p != (s->prefix == PREFIX ? 0 : 1)) {
            s->says |= MYSQL_SAYS_UNCLEAR;
        }
    }
    return p;
}

void mysql_statement_look(struct mysql_statement *s, const char *data, size_t len)
{
    const char *end = data + len;
    const char *p = skip_prefix(s, data, end);
    if (UNLIKELY(s->mode & MYSQL_TEXT_WIDE)) {
        for (const char *byte = p; byte < end; byte++) {
            s->says |= *byte & 0x80 ? MYSQL_SAYS_UNCLEAR : 0U;
        }
    }
    while (p < end) {
        p = step(s, p, end);
    }
    keep(&s->word);
    keep(&s->before);
}

uint32_t mysql_statement_end(struct mysql_statement *s)
{
    switch ((enum mysql_place)s->place) {
    case MYSQL_IN_CODE:
    case MYSQL_IN_DASH:
    case MYSQL_IN_SLASH:
    case MYSQL_IN_DASH_DASH:
    case MYSQL_IN_LINE:
        break;
    case MYSQL_IN_WORD:
        end_word(s);
        break;
    case MYSQL_IN_AT:
        s->says |= s->quoted ? 0U : MYSQL_SAYS_USER_VARIABLE;
        break;
    default:
        s->says |= MYSQL_SAYS_UNCLEAR;
        break;
    }
    if (s->in_code || s->prefix > 0) {
        s->says |= MYSQL_SAYS_UNCLEAR;
    }
    s->place = MYSQL_IN_CODE;
    return s->says;
}
