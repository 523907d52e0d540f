/* A program of steps, run as all its states at once (Thompson 1968): no step backwards, ever.
 *
 * Fragments have relative jumps, so that they can be moved (something is put before them) and
 * copied (x{2,5}). */
#include "import/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DEPTH_MAX  32
#define REPEAT_MAX 64

struct reader {
    struct pattern *out;
    const char *at;
    const char *end;
    int depth;
    bool ignore_case;
    bool bad;
};

static void read_choice(struct reader *r);

static struct pattern_step *add(struct reader *r, int kind, int one, int other)
{
    static struct pattern_step none;
    if (r->out->count == PATTERN_SIZE) {
        r->bad = true;
        return &none;
    }
    struct pattern_step *step = &r->out->steps[r->out->count++];
    *step = (struct pattern_step){.kind = kind, .one = one, .other = other};
    return step;
}

/* Room for a step before those from `from` on. */
static void insert(struct reader *r, int from, int one, int other)
{
    add(r, PATTERN_JUMP, 1, 0);
    if (r->bad) {
        return;
    }
    struct pattern_step *first = &r->out->steps[from];
    memmove(first + 1, first, (size_t)(r->out->count - 1 - from) * sizeof *first);
    *first = (struct pattern_step){.kind = PATTERN_SPLIT, .one = one, .other = other};
}

static void set_byte(struct pattern_step *step, unsigned char c)
{
    step->bytes[c / 8] |= (uint8_t)(1u << (c % 8));
}

static bool has_byte(const struct pattern_step *step, unsigned char c)
{
    return (step->bytes[c / 8] >> (c % 8) & 1) != 0;
}

static void invert(struct pattern_step *step)
{
    for (size_t i = 0; i < sizeof step->bytes; i++) {
        step->bytes[i] = (uint8_t)~step->bytes[i];
    }
}

static void fold(struct reader *r, struct pattern_step *step)
{
    for (int c = 'a'; r->ignore_case && c <= 'z'; c++) {
        if (has_byte(step, (unsigned char)c) || has_byte(step, (unsigned char)toupper(c))) {
            set_byte(step, (unsigned char)c);
            set_byte(step, (unsigned char)toupper(c));
        }
    }
}

static bool is_of(char kind, int c)
{
    switch (kind) {
    case 'd':
        return isdigit(c);
    case 'w':
        return isalnum(c) || c == '_';
    default:
        return isspace(c);
    }
}

static void add_kind(struct pattern_step *step, char kind)
{
    bool inverted = isupper((unsigned char)kind);
    for (int c = 0; c < 256; c++) {
        if (is_of((char)tolower((unsigned char)kind), c) != inverted) {
            set_byte(step, (unsigned char)c);
        }
    }
}

static int hex_digit(struct reader *r)
{
    int c = r->at < r->end ? tolower((unsigned char)*r->at) : 0;
    if (!isxdigit(c)) {
        r->bad = true;
        return 0;
    }
    r->at++;
    return isdigit(c) ? c - '0' : c - 'a' + 10;
}

/* What stands behind a backslash: a byte, or a kind of bytes (then -1 and it was added). */
static int escaped(struct reader *r, struct pattern_step *step)
{
    if (r->at == r->end) {
        r->bad = true;
        return -1;
    }
    char c = *r->at++;
    static const char names[] = "nrtfv";
    static const char bytes[] = "\n\r\t\f\v";
    const char *name = strchr(names, c);
    if (c != '\0' && name != NULL) {
        return bytes[name - names];
    }
    if (c == 'x') {
        int high = hex_digit(r);
        return high * 16 + hex_digit(r);
    }
    if (c != '\0' && strchr("dDwWsS", c) != NULL) {
        add_kind(step, c);
        return -1;
    }
    r->bad = r->bad || isalnum((unsigned char)c);
    return (unsigned char)c;
}

/* [:digit:] and its like, behind its "[:". */
static void read_named(struct reader *r, struct pattern_step *step)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } kinds[] = {{"digit:]", isdigit},  {"alpha:]", isalpha}, {"alnum:]", isalnum},
                 {"space:]", isspace},  {"upper:]", isupper}, {"lower:]", islower},
                 {"xdigit:]", isxdigit}};
    size_t left = (size_t)(r->end - r->at);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].name);
        if (left < len || memcmp(r->at, kinds[i].name, len) != 0) {
            continue;
        }
        for (int c = 0; c < 256; c++) {
            if (kinds[i].is(c)) {
                set_byte(step, (unsigned char)c);
            }
        }
        r->at += len;
        return;
    }
    r->bad = true;
}

static int set_member(struct reader *r, struct pattern_step *step)
{
    char c = *r->at++;
    return c == '\\' ? escaped(r, step) : (unsigned char)c;
}

static void read_range(struct reader *r, struct pattern_step *step)
{
    int from = set_member(r, step);
    if (from < 0) {
        return;
    }
    int to = from;
    if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
        r->at++;
        to = set_member(r, step);
    }
    r->bad = r->bad || to < from;
    for (int c = from; c <= to; c++) {
        set_byte(step, (unsigned char)c);
    }
}

/* Behind its '['. */
static void read_set(struct reader *r)
{
    struct pattern_step *step = add(r, PATTERN_BYTES, 1, 0);
    bool inverted = r->at < r->end && *r->at == '^';
    r->at += inverted;
    bool first = true;
    while (!r->bad && r->at < r->end && (*r->at != ']' || first)) {
        first = false;
        if (r->end - r->at > 2 && r->at[0] == '[' && r->at[1] == ':') {
            r->at += 2;
            read_named(r, step);
        } else {
            read_range(r, step);
        }
    }
    r->bad = r->bad || r->at == r->end;
    r->at += !r->bad;
    fold(r, step);
    if (inverted) {
        invert(step);
    }
}

/* Behind its '('. */
static void read_group(struct reader *r)
{
    if (r->end - r->at >= 2 && r->at[0] == '?') {
        r->bad = r->bad || r->at[1] != ':';
        r->at += 2;
    }
    if (++r->depth > DEPTH_MAX) {
        r->bad = true;
        return;
    }
    read_choice(r);
    r->depth--;
    r->bad = r->bad || r->at == r->end || *r->at != ')';
    r->at += !r->bad;
}

static void read_byte(struct reader *r, char c)
{
    struct pattern_step *step = add(r, PATTERN_BYTES, 1, 0);
    int byte = c == '\\' ? escaped(r, step) : (unsigned char)c;
    if (byte >= 0) {
        set_byte(step, (unsigned char)byte);
    }
    fold(r, step);
}

/* Any byte but a line feed, as HAProxy's library has it. */
static void read_any(struct reader *r)
{
    struct pattern_step *step = add(r, PATTERN_BYTES, 1, 0);
    set_byte(step, '\n');
    invert(step);
}

static void read_atom(struct reader *r)
{
    char c = *r->at++;
    switch (c) {
    case '(':
        read_group(r);
        break;
    case '[':
        read_set(r);
        break;
    case '^':
        add(r, PATTERN_START, 1, 0);
        break;
    case '$':
        add(r, PATTERN_END, 1, 0);
        break;
    case '.':
        read_any(r);
        break;
    case '*':
    case '+':
    case '?':
        r->bad = true;
        break;
    default:
        read_byte(r, c);
    }
}

static int read_count(struct reader *r, int otherwise)
{
    int n = 0;
    bool any = false;
    while (r->at < r->end && isdigit((unsigned char)*r->at) && n <= REPEAT_MAX) {
        n = n * 10 + (*r->at++ - '0');
        any = true;
    }
    r->bad = r->bad || n > REPEAT_MAX;
    return any ? n : otherwise;
}

static void copy(struct reader *r, int from, int len)
{
    for (int i = 0; i < len && !r->bad; i++) {
        struct pattern_step *step = add(r, PATTERN_JUMP, 1, 0);
        *step = r->out->steps[from + i];
    }
}

static void star(struct reader *r, int from)
{
    int len = r->out->count - from;
    insert(r, from, 1, len + 2);
    add(r, PATTERN_JUMP, -(len + 1), 0);
}

static void maybe(struct reader *r, int from)
{
    insert(r, from, 1, r->out->count - from + 1);
}

/* x{min,max}, where x is what was read from `from` on; max < 0: any number. */
static void repeat(struct reader *r, int from, int min, int max)
{
    int len = r->out->count - from;
    if (min == 0 && max == 0) {
        r->out->count = from;
        return;
    }
    int wanted = max < 0 ? min + 1 : max;
    for (int i = 0; i < wanted && !r->bad; i++) {
        int start = i == 0 ? from : r->out->count;
        if (i > 0) {
            /* The first one may have a step before it by now. */
            copy(r, from + (min == 0), len);
        }
        if (i < min) {
            continue;
        }
        if (max < 0) {
            star(r, start);
        } else {
            maybe(r, start);
        }
    }
}

static void read_braces(struct reader *r, int from)
{
    int min = read_count(r, 0);
    int max = min;
    if (r->at < r->end && *r->at == ',') {
        r->at++;
        max = read_count(r, -1);
    }
    r->bad = r->bad || r->at == r->end || *r->at != '}' || (max >= 0 && max < min);
    r->at += !r->bad;
    if (!r->bad) {
        repeat(r, from, min, max);
    }
}

static bool is_quantifier(char c)
{
    return c == '*' || c == '+' || c == '?' || c == '{';
}

static void read_piece(struct reader *r)
{
    int from = r->out->count;
    read_atom(r);
    if (r->bad || r->at == r->end || !is_quantifier(*r->at)) {
        return;
    }
    switch (*r->at++) {
    case '*':
        repeat(r, from, 0, -1);
        break;
    case '+':
        repeat(r, from, 1, -1);
        break;
    case '?':
        repeat(r, from, 0, 1);
        break;
    default:
        read_braces(r, from);
    }
    /* Lazy or possessive: the same, where it is only asked whether it is found. */
    r->at += r->at < r->end && *r->at == '?';
    r->bad = r->bad || (r->at < r->end && is_quantifier(*r->at));
}

static void read_choice(struct reader *r)
{
    int from = r->out->count;
    while (!r->bad && r->at < r->end && *r->at != ')') {
        if (*r->at != '|') {
            read_piece(r);
            continue;
        }
        r->at++;
        insert(r, from, 1, r->out->count - from + 2);
        struct pattern_step *jump = add(r, PATTERN_JUMP, 0, 0);
        int behind = r->out->count;
        if (++r->depth > DEPTH_MAX) {
            r->bad = true;
            return;
        }
        read_choice(r);
        r->depth--;
        jump->one = r->out->count - behind + 1;
    }
}

int pattern_read(struct pattern *p, const char *text, size_t len, bool ignore_case)
{
    struct reader r = {.out = p, .at = text, .end = text + len, .ignore_case = ignore_case};
    p->count = 0;
    p->lines = false;
    if (len >= 4 && memcmp(text, "(?i)", 4) == 0) {
        r.at += 4;
        r.ignore_case = true;
    }
    read_choice(&r);
    add(&r, PATTERN_FOUND, 0, 0);
    return r.bad || r.at != r.end ? -EINVAL : 0;
}

/* The states behind the same byte, each once. */
struct states {
    int items[PATTERN_SIZE];
    int count;
    size_t noted[PATTERN_SIZE]; /* the round in which it was last */
};

struct run {
    const struct pattern *pattern;
    struct states now;
    struct states next;
    bool start; /* of the text */
    bool end;
};

/* Notes the states that are reached from there without another byte. */
static void reach(struct run *run, struct states *states, int at, size_t round)
{
    int left[2 * PATTERN_SIZE];
    int count = 0;
    left[count++] = at;
    while (count > 0) {
        int i = left[--count];
        const struct pattern_step *step = &run->pattern->steps[i];
        if (states->noted[i] == round) {
            continue;
        }
        states->noted[i] = round;
        states->items[states->count++] = i;
        bool passes = step->kind == PATTERN_SPLIT || step->kind == PATTERN_JUMP ||
                      (step->kind == PATTERN_START && run->start) ||
                      (step->kind == PATTERN_END && run->end);
        if (passes) {
            left[count++] = i + step->one;
        }
        if (step->kind == PATTERN_SPLIT) {
            left[count++] = i + step->other;
        }
    }
}

static bool is_start(const struct pattern *p, const char *text, size_t at)
{
    return at == 0 || (p->lines && text[at - 1] == '\n');
}

/* `$` stands for the end, and for a line feed that is the last byte. */
static bool is_end(const struct pattern *p, const char *text, size_t len, size_t at)
{
    size_t left = len - at;
    return left == 0 || (left == 1 && text[at] == '\n') ||
           (p->lines && (text[at] == '\n' || (left > 1 && memcmp(text + at, "\r\n", 2) == 0)));
}

/* From the states before a byte to those behind it. */
static void pass_byte(struct run *run, unsigned char c, size_t round)
{
    run->next.count = 0;
    for (int k = 0; k < run->now.count; k++) {
        int i = run->now.items[k];
        const struct pattern_step *step = &run->pattern->steps[i];
        if (step->kind == PATTERN_BYTES && has_byte(step, c)) {
            reach(run, &run->next, i + step->one, round);
        }
    }
    run->now.count = run->next.count;
    for (int k = 0; k < run->now.count; k++) {
        run->now.items[k] = run->next.items[k];
        run->now.noted[run->next.items[k]] = round;
    }
}

bool pattern_matches(const struct pattern *p, const char *text, size_t len)
{
    struct run run = {.pattern = p};
    for (size_t i = 0;; i++) {
        run.start = is_start(p, text, i);
        run.end = is_end(p, text, len, i);
        reach(&run, &run.now, 0, i + 1);
        if (run.now.noted[p->count - 1] == i + 1) {
            return true;
        }
        if (i == len) {
            return false;
        }
        run.start = is_start(p, text, i + 1);
        run.end = is_end(p, text, len, i + 1);
        pass_byte(&run, (unsigned char)text[i], i + 2);
    }
}
