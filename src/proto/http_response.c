/* A line is collected before it is looked at. A field line is only looked at when the byte behind
 * it has come: a space there continues it (RFC 9112, section 5.2). */
#include "proto/http_response.h"

#include <string.h>
#include <strings.h>

#define CHUNK_DIGITS_MAX 8

struct span {
    const char *p;
    size_t len;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_space(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool is(struct span s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

/* The next element of a list with commas; false at its end. */
static bool next_element(struct span *list, struct span *element)
{
    if (list->len == 0) {
        return false;
    }
    const char *comma = memchr(list->p, ',', list->len);
    size_t len = comma != NULL ? (size_t)(comma - list->p) : list->len;
    size_t all = comma != NULL ? len + 1 : len;
    *element = trim((struct span){list->p, len});
    *list = (struct span){list->p + all, list->len - all};
    return true;
}

/* Lines ------------------------------------------------------------------------------------- */

/* Adds bytes up to the next LF to the line. *whole: it is there, without its CR LF (a bare LF is
 * one, section 2.2). False: too long. */
static bool collect(struct http_response *r, const char **data, size_t *len, bool *whole)
{
    const char *end = memchr(*data, '\n', *len);
    size_t n = end != NULL ? (size_t)(end - *data) + 1 : *len;
    r->heads += n;
    if (r->heads > HTTP_HEAD_MAX) {
        return false;
    }
    memcpy(r->line + r->line_len, *data, n);
    r->line_len += n;
    *data += n;
    *len -= n;
    *whole = end != NULL;
    if (*whole) {
        r->line_len--;
        r->line_len -= r->line_len > 0 && r->line[r->line_len - 1] == '\r' ? 1 : 0;
        r->line[r->line_len] = '\0';
    }
    return true;
}

/* "HTTP/1.1 200 OK"; the words may be missing, and even the space before them. */
static bool read_status(struct http_response *r)
{
    static const char version[] = "HTTP/1.";
    const char *p = r->line;
    if (r->line_len < 12 || memcmp(p, version, 7) != 0 || !is_digit(p[7]) || p[8] != ' ' ||
        p[9] < '1' || p[9] > '5' || !is_digit(p[10]) || !is_digit(p[11]) ||
        (r->line_len > 12 && p[12] != ' ')) {
        return false;
    }
    r->old = p[7] == '0';
    r->status =
        (unsigned)(p[9] - '0') * 100 + (unsigned)(p[10] - '0') * 10 + (unsigned)(p[11] - '0');
    return r->status != 101; /* nobody asked for an upgrade */
}

/* The same length may stand there several times (RFC 9110, section 8.6). */
static bool read_length(struct http_response *r, struct span value)
{
    struct span element;
    if (value.len == 0 || value.p[value.len - 1] == ',') {
        return false;
    }
    while (next_element(&value, &element)) {
        uint64_t n = 0;
        if (element.len == 0) {
            return false;
        }
        for (size_t i = 0; i < element.len; i++) {
            if (!is_digit(element.p[i]) || n > (uint64_t)INT64_MAX / 10 - 1) {
                return false;
            }
            n = n * 10 + (uint64_t)(element.p[i] - '0');
        }
        if (r->has_length && n != r->length) {
            return false;
        }
        r->has_length = true;
        r->length = n;
    }
    return true;
}

static bool read_coding(struct http_response *r, struct span value)
{
    struct span element;
    while (next_element(&value, &element)) {
        if (element.len > 0 && r->chunked) {
            return false; /* chunked is applied once, and last (section 6.1) */
        }
        r->has_coding = true;
        r->chunked = is(element, "chunked");
    }
    return true;
}

static void read_connection(struct http_response *r, struct span value)
{
    struct span element;
    while (next_element(&value, &element)) {
        r->close = r->close || is(element, "close");
        r->keep_alive = r->keep_alive || is(element, "keep-alive");
    }
}

static bool read_field(struct http_response *r)
{
    const char *colon = memchr(r->line, ':', r->line_len);
    if (colon == NULL || colon == r->line || is_space(colon[-1]) ||
        memchr(r->line, '\0', r->line_len) != NULL || memchr(r->line, '\r', r->line_len) != NULL) {
        return false;
    }
    struct span name = {r->line, (size_t)(colon - r->line)};
    struct span value = trim((struct span){colon + 1, r->line_len - name.len - 1});
    if (is(name, "Content-Length")) {
        return read_length(r, value);
    }
    if (is(name, "Transfer-Encoding")) {
        return read_coding(r, value);
    }
    if (is(name, "Connection")) {
        read_connection(r, value);
    }
    return true;
}

/* States ------------------------------------------------------------------------------------ */

static enum http_read done(struct http_response *r, bool keep)
{
    r->keep = keep;
    r->state = HTTP_RESPONSE_DONE;
    return HTTP_READ_DONE;
}

/* Both a coding and a length, or a coding in HTTP/1.0: the end of such a response is in doubt, and
 * the connection not for another one (section 6.1). */
static bool may_keep(const struct http_response *r)
{
    bool doubt = r->has_coding && (r->has_length || r->old);
    return !r->close && !doubt && (!r->old || r->keep_alive);
}

/* RFC 9112, section 6.3: how long the body is. */
static enum http_read end_head(struct http_response *r)
{
    if (r->status < 200) { /* an interim response: the real one follows */
        r->has_length = r->has_coding = r->chunked = r->close = r->keep_alive = false;
        r->status = 0;
        r->line_len = 0;
        r->state = HTTP_STATUS;
        return HTTP_READ_MORE;
    }
    if (r->head_only || r->status == 204 || r->status == 304) {
        return done(r, may_keep(r));
    }
    if (r->has_coding) {
        r->state = HTTP_CHUNK;
        return r->chunked ? HTTP_READ_MORE : done(r, false);
    }
    if (!r->has_length || r->length > HTTP_BODY_MAX) {
        return done(r, false);
    }
    r->left = r->length;
    r->state = HTTP_BODY;
    return r->left == 0 ? done(r, may_keep(r)) : HTTP_READ_MORE;
}

static enum http_read on_status(struct http_response *r, const char **data, size_t *len)
{
    bool whole;
    if (!collect(r, data, len, &whole)) {
        return HTTP_READ_BROKEN;
    }
    /* What is no HTTP may never send a line end. */
    size_t seen = r->line_len < 7 ? r->line_len : 7;
    if (memcmp(r->line, "HTTP/1.", seen) != 0 || (whole && !read_status(r))) {
        return HTTP_READ_BROKEN;
    }
    if (whole) {
        r->line_len = 0;
        r->state = HTTP_FIELD;
    }
    return HTTP_READ_MORE;
}

static enum http_read on_field(struct http_response *r, const char **data, size_t *len)
{
    bool whole;
    if (!collect(r, data, len, &whole)) {
        return HTTP_READ_BROKEN;
    }
    if (!whole) {
        return HTTP_READ_MORE;
    }
    if (r->line_len == 0) {
        return end_head(r);
    }
    r->state = HTTP_FIELD_END;
    return is_space(r->line[0]) ? HTTP_READ_BROKEN : HTTP_READ_MORE;
}

static enum http_read on_field_end(struct http_response *r, const char **data, size_t *len)
{
    (void)len;
    r->state = HTTP_FIELD;
    if (is_space((*data)[0])) {
        return HTTP_READ_MORE; /* the line goes on */
    }
    bool good = read_field(r);
    r->line_len = 0;
    return good ? HTTP_READ_MORE : HTTP_READ_BROKEN;
}

/* True if the body is getting too long. */
static bool count(struct http_response *r, uint64_t n)
{
    r->body = n > HTTP_BODY_MAX ? HTTP_BODY_MAX + 1 : r->body + (size_t)n;
    return r->body > HTTP_BODY_MAX;
}

static void skip(struct http_response *r, const char **data, size_t *len)
{
    size_t n = r->left < *len ? (size_t)r->left : *len;
    r->left -= n;
    *data += n;
    *len -= n;
}

static enum http_read on_body(struct http_response *r, const char **data, size_t *len)
{
    skip(r, data, len);
    return r->left == 0 ? done(r, may_keep(r)) : HTTP_READ_MORE;
}

/* -1: no hex digit. */
static int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Extensions may follow it. */
static bool read_size(struct http_response *r)
{
    size_t i = 0;
    r->left = 0;
    for (; i <= CHUNK_DIGITS_MAX && hex_digit(r->line[i]) >= 0; i++) { /* a NUL ends the line */
        r->left = r->left * 16 + (uint64_t)hex_digit(r->line[i]);
    }
    char end = i < r->line_len ? r->line[i] : ';';
    return i > 0 && i <= CHUNK_DIGITS_MAX && (end == ';' || is_space(end));
}

static enum http_read on_chunk(struct http_response *r, const char **data, size_t *len)
{
    bool whole;
    if (!collect(r, data, len, &whole)) {
        return done(r, false);
    }
    if (!whole) {
        return HTTP_READ_MORE;
    }
    if (!read_size(r)) {
        return HTTP_READ_BROKEN;
    }
    r->line_len = 0;
    r->state = r->left == 0 ? HTTP_TRAILER : HTTP_CHUNK_DATA;
    return count(r, r->left) ? done(r, false) : HTTP_READ_MORE;
}

static enum http_read on_chunk_data(struct http_response *r, const char **data, size_t *len)
{
    skip(r, data, len);
    r->state = r->left == 0 ? HTTP_CHUNK_END : HTTP_CHUNK_DATA;
    return HTTP_READ_MORE;
}

/* The empty line behind a chunk, or any line of the trailers. */
static enum http_read on_line(struct http_response *r, const char **data, size_t *len)
{
    bool whole;
    if (!collect(r, data, len, &whole)) {
        return done(r, false);
    }
    if (!whole) {
        return HTTP_READ_MORE;
    }
    bool empty = r->line_len == 0;
    r->line_len = 0;
    if (r->state == HTTP_CHUNK_END) {
        r->state = HTTP_CHUNK;
        return empty ? HTTP_READ_MORE : HTTP_READ_BROKEN;
    }
    return empty ? done(r, may_keep(r)) : HTTP_READ_MORE;
}

enum http_read http_response_read(struct http_response *r, const char **data, size_t *len)
{
    static enum http_read (*const on[])(struct http_response *, const char **, size_t *) = {
        [HTTP_STATUS] = on_status,  [HTTP_FIELD] = on_field,  [HTTP_FIELD_END] = on_field_end,
        [HTTP_BODY] = on_body,      [HTTP_CHUNK] = on_chunk,  [HTTP_CHUNK_DATA] = on_chunk_data,
        [HTTP_CHUNK_END] = on_line, [HTTP_TRAILER] = on_line,
    };
    enum http_read got = HTTP_READ_MORE;
    while (*len > 0 && got == HTTP_READ_MORE && r->state != HTTP_RESPONSE_DONE) {
        got = on[r->state](r, data, len);
    }
    return r->state == HTTP_RESPONSE_DONE ? HTTP_READ_DONE : got;
}
