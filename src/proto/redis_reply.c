/* One state machine, byte by byte, says what is right. Before it come shortcuts for whole values,
 * which do nothing where a value is not all there or unusual in any way.
 *
 * Nesting needs no stack: an aggregate is one value less to come, and as many more as it says. An
 * attribute is no value, so the one that it stands before is still to come when its own are over.
 */
#include "proto/redis_reply.h"

#include <assert.h>
#include <string.h>

/* Of all aggregates together; nobody lives to see so many. */
#define VALUES_LEFT_MAX (1ULL << 60)

static_assert(REDIS_NUMBER_LINE_MAX <= REDIS_REPLY_BULK_MAX, "quick_bulk() has to look");
static_assert(REDIS_NUMBER_LINE_MAX <= REDIS_VALUES_MAX, "quick_aggregate() has to look");

/* What is awaited. */
enum phase {
    PHASE_VALUE, /* a type */
    PHASE_LINE,  /* a simple value, up to its CR */
    PHASE_LINE_LF,
    PHASE_LENGTH, /* of a bulk or an aggregate */
    PHASE_LENGTH_LF,
    PHASE_BULK,
    PHASE_BULK_CR,
    PHASE_BULK_LF,
    PHASE_OVER,
};

enum shape { SHAPE_NONE, SHAPE_LINE, SHAPE_BULK, SHAPE_AGGREGATE };

static enum shape shape_of(char type)
{
    switch (type) {
    case '+':
    case '-':
    case ':':
    case '_':
    case ',':
    case '#':
    case '(':
        return SHAPE_LINE;
    case '$':
    case '!':
    case '=':
        return SHAPE_BULK;
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
        return SHAPE_AGGREGATE;
    default:
        return SHAPE_NONE;
    }
}

static enum redis_scan bad(const char **why, const char *words)
{
    *why = words;
    return REDIS_BAD;
}

static void put_head(struct redis_reply *r, const char *p, size_t len)
{
    size_t room = REDIS_HEAD_MAX - r->head_len;
    size_t n = len < room ? len : room;
    if (!r->in_head) {
        return;
    }
    memcpy(r->head + r->head_len, p, n);
    r->head_len += (uint8_t)n;
    r->head_whole = r->head_len == REDIS_HEAD_MAX;
    r->in_head = !r->head_whole;
}

static void end_head(struct redis_reply *r)
{
    r->in_head = false;
    r->head_whole = true;
}

/* Values ----------------------------------------------------------------------------------------
 */

static bool may_begin(const struct redis_reply *r, char type)
{
    return shape_of(type) != SHAPE_NONE &&
           (type != '>' || (r->type == '\0' && r->values_left <= 1));
}

static void begin_value(struct redis_reply *r, char type)
{
    if (r->values_left == 0) {
        r->values_left = 1;
    }
    bool outermost = r->type == '\0' && r->values_left == 1 && type != '|';
    r->value = type;
    if (outermost) {
        r->type = type;
        r->in_head = type != '$' && type != '=';
        r->head_whole = !r->in_head;
    } else if (r->in_head && type != '$' && type != '+' && type != '=') {
        end_head(r); /* the first value is no string */
    }
}

static void end_value(struct redis_reply *r)
{
    if (r->in_head) {
        end_head(r);
    }
    r->values_left--;
    r->phase = r->values_left > 0 ? PHASE_VALUE : PHASE_OVER;
}

/* An aggregate has said how many values it has. */
static bool open_aggregate(struct redis_reply *r, uint64_t count)
{
    uint64_t values = r->value == '%' || r->value == '|' ? 2 * count : count;
    if (count > REDIS_VALUES_MAX || r->values_left + values > VALUES_LEFT_MAX) {
        return false;
    }
    r->values_left += values;
    r->phase = PHASE_VALUE;
    if (r->value == '|') {
        return true;
    }
    if (values == 0) {
        end_value(r);
    } else {
        r->values_left--;
    }
    return true;
}

/* Byte by byte ----------------------------------------------------------------------------------
 */

static enum redis_scan value_step(struct redis_reply *r, char c, const char **why)
{
    if (!may_begin(r, c)) {
        return bad(why, c == '>' ? "a push inside of a reply" : "a reply of no known type");
    }
    begin_value(r, c);
    r->left = 0;
    r->number = (struct redis_number){0};
    r->phase = shape_of(c) == SHAPE_LINE ? PHASE_LINE : PHASE_LENGTH;
    return REDIS_MORE;
}

static enum redis_scan line_step(struct redis_reply *r, char c, const char **why)
{
    if (r->phase == PHASE_LINE_LF && c == '\n') {
        end_value(r);
        return REDIS_MORE;
    }
    if (r->phase == PHASE_LINE_LF) { /* a CR in the midst of it */
        put_head(r, "\r", 1);
        r->left++;
    }
    r->phase = c == '\r' ? PHASE_LINE_LF : PHASE_LINE;
    if (c != '\r') {
        put_head(r, &c, 1);
        r->left++;
    }
    return r->left <= REDIS_LINE_MAX ? REDIS_MORE : bad(why, "a simple reply that is too long");
}

/* The line with the length is over. */
static enum redis_scan have_length(struct redis_reply *r, const char **why)
{
    if (r->number.negative) { /* RESP2's null */
        end_value(r);
    } else if (shape_of(r->value) == SHAPE_BULK) {
        r->left = r->number.value;
        r->phase = r->left > 0 ? PHASE_BULK : PHASE_BULK_CR;
    } else if (!open_aggregate(r, r->number.value)) {
        return bad(why, "a reply of too many values");
    }
    return REDIS_MORE;
}

static enum redis_scan length_step(struct redis_reply *r, char c, const char **why)
{
    bool may_be_null = r->value == '$' || r->value == '*';
    uint64_t max = shape_of(r->value) == SHAPE_BULK ? REDIS_REPLY_BULK_MAX : REDIS_VALUES_MAX;
    if (r->phase == PHASE_LENGTH_LF && c == '\n') {
        return have_length(r, why);
    }
    if (r->phase == PHASE_LENGTH && c == '\r' && r->number.begun) {
        r->phase = PHASE_LENGTH_LF;
        return REDIS_MORE;
    }
    if (r->phase == PHASE_LENGTH_LF || (c == '-' && !may_be_null) ||
        !redis_number_take(&r->number, c, r->number.negative ? 1 : max)) {
        return bad(why, "an invalid length in a reply");
    }
    return REDIS_MORE;
}

static enum redis_scan step(struct redis_reply *r, char c, const char **why)
{
    switch ((enum phase)r->phase) {
    case PHASE_VALUE:
        return value_step(r, c, why);
    case PHASE_LINE:
    case PHASE_LINE_LF:
        return line_step(r, c, why);
    case PHASE_LENGTH:
    case PHASE_LENGTH_LF:
        return length_step(r, c, why);
    case PHASE_BULK_CR:
        r->phase = PHASE_BULK_LF;
        return c == '\r' ? REDIS_MORE : bad(why, "a string in a reply has no end");
    default:
        assert(r->phase == PHASE_BULK_LF);
        end_value(r);
        return c == '\n' ? REDIS_MORE : bad(why, "a string in a reply has no end");
    }
}

/* Shortcuts -------------------------------------------------------------------------------------
 */

static size_t quick_line(struct redis_reply *r, const char *p, size_t len)
{
    size_t most = len - 1 <= REDIS_LINE_MAX ? len - 1 : REDIS_LINE_MAX + 1;
    const char *cr = memchr(p + 1, '\r', most);
    if (cr == NULL || cr + 1 == p + len || cr[1] != '\n') {
        return 0;
    }
    begin_value(r, p[0]);
    put_head(r, p + 1, (size_t)(cr - p) - 1);
    end_value(r);
    return (size_t)(cr - p) + 2;
}

static size_t quick_bulk(struct redis_reply *r, const char *p, size_t len)
{
    uint64_t length;
    size_t line = redis_number_line(p + 1, len - 1, &length);
    size_t text = 1 + line;
    if (line == 0 || len - text < length + 2 || p[text + length] != '\r' ||
        p[text + length + 1] != '\n') {
        return 0;
    }
    begin_value(r, p[0]);
    put_head(r, p + text, length);
    end_value(r);
    return text + length + 2;
}

static size_t quick_aggregate(struct redis_reply *r, const char *p, size_t len)
{
    uint64_t count;
    size_t line = redis_number_line(p + 1, len - 1, &count);
    if (line == 0 || !may_begin(r, p[0]) || r->values_left > VALUES_LEFT_MAX / 2) {
        return 0;
    }
    begin_value(r, p[0]);
    bool fits = open_aggregate(r, count);
    assert(fits);
    (void)fits;
    return 1 + line;
}

static size_t quick(struct redis_reply *r, const char *p, size_t len)
{
    if (r->phase == PHASE_BULK) {
        size_t n = r->left < len ? (size_t)r->left : len;
        put_head(r, p, n);
        r->left -= n;
        r->phase = r->left > 0 ? PHASE_BULK : PHASE_BULK_CR;
        return n;
    }
    if (r->phase != PHASE_VALUE) {
        return 0;
    }
    switch (shape_of(p[0])) {
    case SHAPE_LINE:
        return quick_line(r, p, len);
    case SHAPE_BULK:
        return quick_bulk(r, p, len);
    case SHAPE_AGGREGATE:
        return quick_aggregate(r, p, len);
    default:
        return 0;
    }
}

enum redis_scan redis_reply_feed(struct redis_reply *r, const char *data, size_t len, size_t *used,
                                 const char **why)
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
    return r->phase == PHASE_OVER ? REDIS_WHOLE : REDIS_MORE;
}

bool redis_reply_is_error(const struct redis_reply *r, const char *code)
{
    size_t len = strlen(code);
    return (r->type == '-' || r->type == '!') && r->head_len >= len &&
           memcmp(r->head, code, len) == 0 && (r->head_len == len || r->head[len] == ' ');
}
