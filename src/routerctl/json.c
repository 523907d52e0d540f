/* Recursive descent, as deep as JSON_DEPTH_MAX. A node is named by its index, because the array
 * moves while it grows. */
#include "routerctl/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"

struct parser {
    struct json *j;
    char *data;
    size_t len;
    size_t at;
    int failed; /* negative errno */
};

static uint32_t parse_value(struct parser *p, unsigned depth);

static uint32_t fail(struct parser *p, int code)
{
    if (p->failed == 0) {
        p->failed = code;
        p->j->wrong_at = p->at;
    }
    return 0;
}

static int peek(const struct parser *p)
{
    return p->at < p->len ? (unsigned char)p->data[p->at] : -1;
}

static int skip_space(struct parser *p)
{
    while (p->at < p->len && memchr(" \t\r\n", p->data[p->at], 4) != NULL) {
        p->at++;
    }
    return peek(p);
}

/* The index of a new node; 0 when there are too many (the first one is never asked for twice). */
static uint32_t add_node(struct parser *p, enum json_kind kind)
{
    struct json *j = p->j;
    if (j->count == JSON_NODES_MAX) {
        return fail(p, -E2BIG);
    }
    if (j->count == j->capacity) {
        j->capacity = j->capacity > 0 ? j->capacity * 2 : 256;
        j->nodes = xrealloc(j->nodes, j->capacity * sizeof(*j->nodes));
    }
    j->nodes[j->count] = (struct json_node){.kind = kind};
    return j->count++;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u. */
static long hex4(struct parser *p)
{
    long value = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        int digit = hex_digit(peek(p));
        if (digit < 0) {
            fail(p, -EINVAL);
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* UTF-8 of a code point (RFC 3629); never longer than the escape that it came from. */
static size_t put_utf8(char *out, unsigned long point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[more] | point >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | (point >> (6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

/* Behind "\u": one code point, of a pair of surrogates if it is one (RFC 8259, section 7). What is
 * no code point, and NUL, which would end our strings, become '?'. */
static size_t take_unicode(struct parser *p, char *out)
{
    long point = hex4(p);
    if (point >= 0xd800 && point < 0xdc00 && p->at + 1 < p->len && p->data[p->at] == '\\' &&
        p->data[p->at + 1] == 'u') {
        p->at += 2;
        long low = hex4(p);
        bool pair = low >= 0xdc00 && low < 0xe000;
        point = pair ? 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00) : '?';
    }
    if (point <= 0 || (point >= 0xd800 && point < 0xe000)) {
        point = '?';
    }
    return put_utf8(out, (unsigned long)point);
}

static size_t take_escape(struct parser *p, char *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    p->at++;
    if (c == 'u') {
        return take_unicode(p, out);
    }
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (found == NULL) {
        fail(p, -EINVAL);
        return 0;
    }
    *out = to[found - from];
    return 1;
}

/* At its opening quote. The decoded string stands where the written one stood. */
static char *take_string(struct parser *p, uint32_t *len)
{
    size_t begin = ++p->at;
    size_t end = begin;
    while (p->failed == 0) {
        int c = peek(p);
        if (c < 0x20) { /* the end of the bytes too */
            fail(p, -EINVAL);
            break;
        }
        p->at++;
        if (c == '"') {
            break;
        } else if (c == '\\') {
            end += take_escape(p, p->data + end);
        } else {
            p->data[end++] = (char)c;
        }
    }
    p->data[end] = '\0';
    *len = (uint32_t)(end - begin);
    return p->data + begin;
}

static size_t take_digits(struct parser *p)
{
    size_t begin = p->at;
    while (peek(p) >= '0' && peek(p) <= '9') {
        p->at++;
    }
    return p->at - begin;
}

/* RFC 8259, section 6. */
static uint32_t parse_number(struct parser *p)
{
    size_t begin = p->at;
    p->at += peek(p) == '-';
    bool zero = peek(p) == '0';
    size_t digits = take_digits(p);
    bool good = digits == 1 || (digits > 1 && !zero);
    if (peek(p) == '.') {
        p->at++;
        good = take_digits(p) > 0 && good;
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        p->at += peek(p) == '+' || peek(p) == '-';
        good = take_digits(p) > 0 && good;
    }
    if (!good) {
        return fail(p, -EINVAL);
    }
    uint32_t node = add_node(p, JSON_NUMBER);
    p->j->nodes[node].text = p->data + begin;
    p->j->nodes[node].len = (uint32_t)(p->at - begin);
    return node;
}

static uint32_t parse_word(struct parser *p)
{
    static const struct {
        const char *word;
        enum json_kind kind;
    } words[] = {{"null", JSON_NULL}, {"true", JSON_TRUE}, {"false", JSON_FALSE}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i].word);
        if (p->len - p->at >= len && memcmp(p->data + p->at, words[i].word, len) == 0) {
            p->at += len;
            return add_node(p, words[i].kind);
        }
    }
    return fail(p, -EINVAL);
}

/* A member's name and the colon. */
static const char *parse_key(struct parser *p)
{
    uint32_t len;
    if (skip_space(p) != '"') {
        fail(p, -EINVAL);
        return NULL;
    }
    const char *key = take_string(p, &len);
    if (p->failed == 0 && skip_space(p) != ':') {
        fail(p, -EINVAL);
    }
    p->at++;
    return key;
}

static uint32_t parse_child(struct parser *p, bool object, unsigned depth)
{
    const char *key = object ? parse_key(p) : NULL;
    if (p->failed != 0) {
        return 0;
    }
    uint32_t child = parse_value(p, depth + 1);
    if (p->failed == 0) {
        p->j->nodes[child].key = key;
    }
    return child;
}

static uint32_t parse_group(struct parser *p, unsigned depth)
{
    bool object = peek(p) == '{';
    char end = object ? '}' : ']';
    uint32_t group = add_node(p, object ? JSON_OBJECT : JSON_LIST);
    uint32_t last = 0;
    p->at++;
    if (depth == JSON_DEPTH_MAX) {
        return fail(p, -E2BIG);
    }
    if (skip_space(p) == end) {
        p->at++;
        return group;
    }
    while (p->failed == 0) {
        uint32_t child = parse_child(p, object, depth);
        if (p->failed != 0) {
            break;
        }
        *(last == 0 ? &p->j->nodes[group].child : &p->j->nodes[last].next) = child;
        last = child;
        int c = skip_space(p);
        p->at++;
        if (c == end) {
            return group;
        } else if (c != ',') {
            fail(p, -EINVAL);
        }
    }
    return 0;
}

static uint32_t parse_value(struct parser *p, unsigned depth)
{
    int c = skip_space(p);
    if (c == '{' || c == '[') {
        return parse_group(p, depth);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        return parse_number(p);
    } else if (c != '"') {
        return parse_word(p);
    }
    uint32_t len;
    char *text = take_string(p, &len);
    uint32_t node = p->failed == 0 ? add_node(p, JSON_STRING) : 0;
    if (p->failed == 0) {
        p->j->nodes[node].text = text;
        p->j->nodes[node].len = len;
    }
    return node;
}

int json_parse(struct json *j, char *data, size_t len)
{
    struct parser p = {.j = j, .data = data, .len = len};
    *j = (struct json){0};
    if (len >= UINT32_MAX) {
        return -E2BIG;
    }
    parse_value(&p, 0);
    if (p.failed == 0 && skip_space(&p) != -1) {
        fail(&p, -EINVAL);
    }
    return p.failed;
}

void json_free(struct json *j)
{
    free(j->nodes);
    *j = (struct json){0};
}
