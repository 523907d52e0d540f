/* The body is made as lines of plain text with colours, as many as there are, and then as many of
 * them as the screen has room for are copied. */
#include "routerctl/top_frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "routerctl/format.h"
#include "routerctl/table.h"
#include "routerctl/views.h"

#define ROWS_MAX   5000 /* servers that are drawn */
#define EVENTS_MAX 20
#define AROUND     3 /* lines that are not of the body: two at the top, one at the bottom */

static const char *const sort_names[TOP_SORTS] = {"place", "sessions", "rate", "bytes"};

/* A server or a frontend, and what it did in the last second. */
struct row {
    const struct json_node *node;
    size_t place;
    double sessions;
    bool known; /* the rates are */
    double rate;
    double in;
    double out;
};

struct rows {
    struct row *items; /* owned */
    size_t count;
};

/* Rates ------------------------------------------------------------------------------------- */

static double per_second(const struct top_frame *f, const struct json_node *now,
                         const struct json_node *then, const char *key)
{
    double seconds = (double)(f->now->at_ms - f->then->at_ms) / 1000;
    double more =
        json_number_or(&f->now->j, now, key, 0) - json_number_or(&f->then->j, then, key, 0);
    return seconds > 0 && more > 0 ? more / seconds : 0; /* less: the counters were cleared */
}

/* `then` stood in the same place a second ago; a stranger's numbers say nothing. */
static struct row measure(const struct top_frame *f, const struct json_node *now,
                          const struct json_node *then)
{
    struct row row = {.node = now, .sessions = json_number_or(&f->now->j, now, "sessions", 0)};
    const char *name = json_string(&f->now->j, now, "name", "");
    row.known = then != NULL && strcmp(json_string(&f->then->j, then, "name", ""), name) == 0;
    if (row.known) {
        row.rate = per_second(f, now, then, "sessions_total");
        row.in = per_second(f, now, then, "bytes_in");
        row.out = per_second(f, now, then, "bytes_out");
    }
    return row;
}

static struct rows measure_list(const struct top_frame *f, const struct json_node *now,
                                const struct json_node *then)
{
    struct rows rows = {0};
    size_t capacity = 0;
    for (; now != NULL && rows.count < ROWS_MAX; now = json_next(&f->now->j, now)) {
        if (rows.count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 16;
            rows.items = xrealloc(rows.items, capacity * sizeof(*rows.items));
        }
        rows.items[rows.count] = measure(f, now, then);
        rows.items[rows.count].place = rows.count;
        rows.count++;
        then = json_next(&f->then->j, then);
    }
    return rows;
}

static double weight_of(const struct row *row, enum top_sort sort)
{
    return sort == TOP_BY_SESSIONS ? row->sessions
           : sort == TOP_BY_RATE   ? row->rate
           : sort == TOP_BY_BYTES  ? row->in + row->out
                                   : 0;
}

static int compare(const struct row *a, const struct row *b, enum top_sort sort)
{
    double left = weight_of(a, sort);
    double right = weight_of(b, sort);
    if (left != right) {
        return left > right ? -1 : 1;
    }
    return a->place < b->place ? -1 : a->place > b->place;
}

/* Comparisons for qsort(), one for each way. */
static int by_sessions(const void *a, const void *b)
{
    return compare(a, b, TOP_BY_SESSIONS);
}

static int by_rate(const void *a, const void *b)
{
    return compare(a, b, TOP_BY_RATE);
}

static int by_bytes(const void *a, const void *b)
{
    return compare(a, b, TOP_BY_BYTES);
}

static void sort_rows(struct rows *rows, enum top_sort sort)
{
    static int (*const ways[TOP_SORTS])(const void *, const void *) = {
        [TOP_BY_SESSIONS] = by_sessions,
        [TOP_BY_RATE] = by_rate,
        [TOP_BY_BYTES] = by_bytes,
    };
    if (ways[sort] != NULL && rows->count > 1) {
        qsort(rows->items, rows->count, sizeof(*rows->items), ways[sort]);
    }
}

/* The body ---------------------------------------------------------------------------------- */

/* Words that may be coloured as a whole, cut at the width of the screen. */
static void add_line(const struct top_frame *f, enum colour colour, const char *words,
                     struct text *out)
{
    char *cut = xstrndup(words, term_fit(words, f->columns));
    term_paint(out, f->colours, colour, cut);
    text_add(out, "\n");
    free(cut);
}

static void add_rates(const struct row *row, struct table *t)
{
    char words[FORMAT_MAX];
    if (!row->known) {
        table_add(t, COLOUR_DIM, "-");
        table_add(t, COLOUR_DIM, "-");
        table_add(t, COLOUR_DIM, "-");
        return;
    }
    table_add(t, COLOUR_PLAIN, "%s", format_count(words, row->rate));
    table_add(t, COLOUR_PLAIN, "%s", format_count(words, row->in));
    table_add(t, COLOUR_PLAIN, "%s", format_count(words, row->out));
}

/* Columns that stay where they are from one second, and one backend, to the next. */
static void begin_table(struct table *t, const char *titles, const unsigned char *widths)
{
    table_begin(t, titles);
    for (size_t i = 0; i < t->column_count; i++) {
        table_widen(t, i, widths[i]);
    }
}

static void draw_frontends(const struct top_frame *f, struct text *out)
{
    const struct json *j = &f->now->j;
    struct table t;
    struct rows rows =
        measure_list(f, view_list(j, "frontends"), view_list(&f->then->j, "frontends"));
    static const unsigned char widths[] = {10, 7, 7, 5, 5, 5, 5};
    begin_table(&t, "FRONTEND BACKEND ROUTE >SESS >NEW/s >IN/s >OUT/s", widths);
    sort_rows(&rows, f->sort);
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = &rows.items[i];
        const char *backend = json_string(j, row->node, "backend", "-");
        if (!view_wanted(f->only, backend, NULL)) {
            continue;
        }
        bool served = json_is_true(j, row->node, "has_server");
        table_add(&t, served ? COLOUR_PLAIN : COLOUR_BAD, "%s",
                  json_string(j, row->node, "name", "?"));
        table_add(&t, COLOUR_PLAIN, "%s", backend);
        table_add(&t, COLOUR_PLAIN, "%s", json_string(j, row->node, "route", "-"));
        table_add(&t, COLOUR_PLAIN, "%.0f", row->sessions);
        add_rates(row, &t);
    }
    for (size_t row = 0; table_rows(&t) > 0 && row <= table_rows(&t); row++) {
        table_row(&t, row == 0 ? SIZE_MAX : row - 1, f->colours, f->columns, out);
        text_add(out, "\n");
    }
    table_free(&t);
    free(rows.items);
}

static void add_server(const struct top_frame *f, const struct row *row, struct table *t)
{
    const struct json *j = &f->now->j;
    const char *role = json_string(j, row->node, "role", "-");
    const char *state = json_string(j, row->node, "state", "-");
    const char *access = json_string(j, row->node, "access", "open");
    const char *admin = json_string(j, row->node, "admin", "ready");
    struct text lag = {0};
    if (strcmp(admin, "ready") != 0) {
        access = admin;
    }
    view_lag(j, row->node, &lag);
    table_add(t, COLOUR_PLAIN, "%s", json_string(j, row->node, "name", "?"));
    table_add(t, view_role_colour(role), "%s", role);
    if (strcmp(access, "open") == 0 || strcmp(state, "up") != 0) {
        table_add(t, view_state_colour(state), "%s", state);
    } else {
        table_add(t, COLOUR_WARN, "%s", access);
    }
    table_add(t, COLOUR_PLAIN, "%.0f", row->sessions);
    add_rates(row, t);
    table_add(t, COLOUR_PLAIN, "%s", lag.data);
    table_add(t, COLOUR_DIM, "%s", json_string(j, row->node, "reason", ""));
    text_free(&lag);
}

static void draw_backend(const struct top_frame *f, const struct json_node *b,
                         const struct json_node *then, struct text *out)
{
    const struct json *j = &f->now->j;
    const struct json *old = &f->then->j;
    struct text words = {0};
    struct table t;
    const char *reason = json_string(j, b, "reason", "");
    bool same = strcmp(json_string(old, then, "name", ""), json_string(j, b, "name", "?")) == 0;
    struct rows rows =
        measure_list(f, json_first(j, json_member(j, b, "servers")),
                     same ? json_first(old, json_member(old, then, "servers")) : NULL);
    enum colour colour = view_backend_words(j, b, &words);
    text_add(&words, ": ");
    term_clean(&words, reason, strlen(reason), false);
    text_add(out, "\n");
    add_line(f, colour, words.data, out);
    static const unsigned char widths[] = {10, 7, 7, 5, 5, 5, 5, 6, 3};
    begin_table(&t, "SERVER ROLE STATE >SESS >NEW/s >IN/s >OUT/s >LAG WHY", widths);
    sort_rows(&rows, f->sort);
    for (size_t i = 0; i < rows.count; i++) {
        add_server(f, &rows.items[i], &t);
    }
    for (size_t row = 0; row <= table_rows(&t); row++) {
        table_row(&t, row == 0 ? SIZE_MAX : row - 1, f->colours, f->columns, out);
        text_add(out, "\n");
    }
    table_free(&t);
    text_free(&words);
    free(rows.items);
}

static void draw_events(const struct top_frame *f, struct text *out)
{
    const struct json *j = &f->now->j;
    const struct json_node *e = view_list(j, "events");
    struct text words = {0};
    add_line(f, COLOUR_PLAIN, "", out);
    add_line(f, COLOUR_DIM, "LAST EVENTS", out);
    for (size_t i = 0; e != NULL && i < EVENTS_MAX; e = json_next(j, e)) {
        const char *backend = json_string(j, e, "backend", "");
        if (!view_wanted(f->only, backend, NULL)) {
            continue;
        }
        struct text raw = {0};
        text_add(&raw, "%s %s%s%s: %s", json_string(j, e, "at", "-"), backend,
                 backend[0] != '\0' ? " " : "", json_string(j, e, "kind", "-"),
                 json_string(j, e, "text", ""));
        words.len = 0;
        term_clean(&words, raw.data, raw.len, false);
        add_line(f, COLOUR_PLAIN, words.data, out);
        text_free(&raw);
        i++;
    }
    text_free(&words);
}

static void draw_body(const struct top_frame *f, struct text *out)
{
    const struct json *j = &f->now->j;
    const struct json *old = &f->then->j;
    draw_frontends(f, out);
    const struct json_node *then = view_list(old, "backends");
    for (const struct json_node *b = view_list(j, "backends"); b != NULL; b = json_next(j, b)) {
        if (view_wanted(f->only, json_string(j, b, "name", "?"), NULL)) {
            draw_backend(f, b, then, out);
        }
        then = json_next(old, then);
    }
    draw_events(f, out);
}

/* The frame --------------------------------------------------------------------------------- */

static void draw_head(const struct top_frame *f, struct text *out)
{
    const struct json *j = &f->now->j;
    struct text words = {0};
    char in[FORMAT_MAX];
    char sent[FORMAT_MAX];
    char rate[FORMAT_MAX];
    struct row sum = {0};
    double waiting = 0;
    struct rows rows =
        measure_list(f, view_list(j, "frontends"), view_list(&f->then->j, "frontends"));
    for (size_t i = 0; i < rows.count; i++) {
        sum.rate += rows.items[i].rate;
        sum.in += rows.items[i].in;
        sum.out += rows.items[i].out;
    }
    for (const struct json_node *b = view_list(j, "backends"); b != NULL; b = json_next(j, b)) {
        waiting += json_number_or(j, b, "waiting", 0);
    }
    view_headline(j, &words);
    add_line(f, COLOUR_BOLD, words.data, out);
    words.len = 0;
    text_add(&words, "%s new sessions/s, %s/s in, %s/s out, %.0f waiting",
             format_count(rate, sum.rate), format_bytes(in, sum.in), format_bytes(sent, sum.out),
             waiting);
    if (f->trouble != NULL) {
        words.len = 0;
        term_clean(&words, f->trouble, strlen(f->trouble), false);
    }
    add_line(f, f->trouble != NULL ? COLOUR_BAD : COLOUR_PLAIN, words.data, out);
    text_free(&words);
    free(rows.items);
}

static size_t count_lines(const char *s)
{
    size_t count = 0;
    for (; *s != '\0'; s++) {
        count += *s == '\n';
    }
    return count;
}

static const char *skip_lines(const char *s, size_t count)
{
    for (; count > 0 && *s != '\0'; count--) {
        s += strcspn(s, "\n");
        s += *s == '\n';
    }
    return s;
}

/* So many lines of `from`, each cleared behind its end; empty ones where there are no more. */
static void copy_lines(const char *from, size_t count, struct text *out)
{
    for (; count > 0; count--) {
        size_t len = strcspn(from, "\n");
        text_add_bytes(out, from, len);
        text_add(out, "\033[K\r\n");
        from += len + (from[len] == '\n');
    }
}

void top_draw(struct top_frame *f, struct text *out)
{
    struct text head = {0};
    struct text body = {0};
    struct text foot = {0};
    size_t room = f->rows > AROUND ? f->rows - AROUND : 0;
    draw_head(f, &head);
    draw_body(f, &body);
    size_t lines = count_lines(body.data);
    size_t last = lines > room ? lines - room : 0;
    f->first = f->first < last ? f->first : last;
    text_add(&foot, "q quit  s sort: %s  b backend: ", sort_names[f->sort]);
    term_clean(&foot, f->only != NULL ? f->only : "all", strlen(f->only != NULL ? f->only : "all"),
               false);
    if (last > 0) {
        text_add(&foot, "  arrows: lines %zu-%zu of %zu", f->first + 1, f->first + room, lines);
    }
    copy_lines(head.data, f->rows > 2 ? 2 : f->rows - 1, out);
    copy_lines(skip_lines(body.data, f->first), room, out);
    char *cut = xstrndup(foot.data, term_fit(foot.data, f->columns));
    term_paint(out, f->colours, COLOUR_DIM, cut);
    text_add(out, "\033[K");
    free(cut);
    text_free(&head);
    text_free(&body);
    text_free(&foot);
}
