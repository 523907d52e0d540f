#include "routerctl/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "routerctl/json.h"
#include "routerctl/table.h"

/* The line at *rest, ended by a NUL, and *rest behind it; NULL at the end. */
static char *take_line(char **rest)
{
    char *line = *rest;
    if (*line == '\0') {
        return NULL;
    }
    size_t len = strcspn(line, "\n");
    *rest = line + len + (line[len] == '\n');
    line[len] = '\0';
    if (len > 0 && line[len - 1] == '\r') {
        line[len - 1] = '\0';
    }
    return line;
}

/* Like it, of a row: the field at *rest, up to `separator`, without its quotes. */
static char *take_field(char **rest, char separator)
{
    char *begin = *rest;
    char *in = begin;
    if (in == NULL) {
        return NULL;
    }
    char *out = begin;
    bool quoted = separator == ',' && *in == '"';
    for (in += quoted; *in != '\0' && (quoted || *in != separator); in++) {
        if (quoted && *in == '"') {
            quoted = in[1] == '"';
            in += quoted;
            if (!quoted) {
                continue;
            }
        }
        *out++ = *in;
    }
    *rest = *in != '\0' ? in + 1 : NULL;
    *out = '\0';
    return begin;
}

static void add_row(struct rows *r)
{
    if (r->count + r->columns > r->capacity) {
        r->capacity = r->capacity * 2 + r->columns;
        r->cells = xrealloc(r->cells, r->capacity * sizeof(*r->cells));
    }
    memset(r->cells + r->count, 0, r->columns * sizeof(*r->cells));
    r->count += r->columns;
}

/* Behind "# ". A comma at the end makes no column. */
static void parse_table(struct rows *r, char *titles, char *rest)
{
    char separator = strchr(titles, ',') != NULL ? ',' : ' ';
    char *field;
    r->form = ROWS_TABLE;
    while (r->columns < ROWS_COLUMNS_MAX && (field = take_field(&titles, separator)) != NULL) {
        if (*field != '\0') {
            r->titles[r->columns++] = field;
        }
    }
    for (char *line; r->columns > 0 && (line = take_line(&rest)) != NULL;) {
        if (*line == '\0') {
            continue;
        }
        add_row(r);
        for (size_t i = 0; i < r->columns; i++) {
            r->cells[r->count - r->columns + i] = take_field(&line, separator);
        }
    }
}

/* "0x7f: proto=tcp src=..." or "proto=tcp ...": whether the line is made of named values. */
static bool is_named(const char *line)
{
    size_t id = strcspn(line, " =");
    if (id > 0 && line[id] == ' ' && line[id - 1] == ':') {
        line += id + strspn(line + id, " ");
        id = strcspn(line, " =");
    }
    return id > 0 && line[id] == '=';
}

static size_t column_of(struct rows *r, const char *title)
{
    for (size_t i = 0; i < r->columns; i++) {
        if (strcmp(r->titles[i], title) == 0) {
            return i;
        }
    }
    if (r->columns == ROWS_COLUMNS_MAX) {
        return r->columns;
    }
    r->titles[r->columns] = title;
    return r->columns++;
}

/* Finds the columns of a line, or with `fill` its cells, too. Splits the line only then. */
static void walk_named(struct rows *r, char *line, bool fill)
{
    const char *begin = line;
    while (line != NULL && *line != '\0') {
        char *field = take_field(&line, ' ');
        size_t len = strlen(field);
        char *value = strchr(field, '=');
        char *title = field;
        if (value != NULL) {
            *value++ = '\0';
        } else if (len > 1 && field[len - 1] == ':') {
            field[len - 1] = '\0';
            value = field;
            title = "id";
        } else {
            if (field > begin) {
                field[-1] = ' '; /* a value of several words */
            }
            continue;
        }
        size_t column = column_of(r, title);
        if (fill && column < r->columns) {
            r->cells[r->count - r->columns + column] = value;
        }
    }
}

/* All columns must be known before the first row: they are looked for in a copy. */
static void parse_named(struct rows *r, char *data)
{
    r->form = ROWS_TABLE;
    r->names = xstrdup(data);
    char *copy = r->names;
    for (char *line; (line = take_line(&copy)) != NULL;) {
        walk_named(r, line, false);
    }
    for (char *line; (line = take_line(&data)) != NULL;) {
        if (*line != '\0' && r->columns > 0) {
            add_row(r);
            walk_named(r, line, true);
        }
    }
}

static void parse_pairs(struct rows *r, char *data)
{
    r->form = ROWS_PAIRS;
    r->columns = 2;
    for (char *line; (line = take_line(&data)) != NULL;) {
        char *colon = strchr(line, ':');
        if (colon == NULL) {
            continue;
        }
        add_row(r);
        *colon = '\0';
        r->cells[r->count - 2] = line;
        r->cells[r->count - 1] = colon + 1 + strspn(colon + 1, " ");
    }
}

static void parse_lines(struct rows *r, char *data)
{
    r->columns = 1;
    for (char *line; (line = take_line(&data)) != NULL;) {
        add_row(r);
        r->cells[r->count - 1] = line;
    }
}

/* Each line, which may be empty, has a word and a colon, and something behind it or nothing. */
static bool are_pairs(const char *data)
{
    bool any = false;
    while (*data != '\0') {
        size_t len = strcspn(data, "\n");
        size_t name = strcspn(data, ":\n");
        bool pair = name > 0 && name < len && (data[name + 1] == ' ' || name + 1 == len);
        if (len > 0 && !pair) {
            return false;
        }
        any = any || pair;
        data += len + (data[len] == '\n');
    }
    return any;
}

void rows_parse(struct rows *r, char *data)
{
    *r = (struct rows){.form = ROWS_LINES};
    data += strspn(data, "\n");
    if (strncmp(data, "1\n#", 3) == 0) { /* the version of what `show servers state` prints */
        data += 2;
    }
    if (data[0] == '#' && data[1] == ' ') {
        char *titles = take_line(&data);
        parse_table(r, titles + 2, data);
    } else if (is_named(data)) {
        parse_named(r, data);
    } else if (are_pairs(data)) {
        parse_pairs(r, data);
    } else {
        parse_lines(r, data);
    }
}

void rows_free(struct rows *r)
{
    free(r->cells);
    free(r->names);
    *r = (struct rows){0};
}

/* A number as JSON writes it stays one; what is empty is null. */
static void write_value(const char *value, struct text *out)
{
    bool negative = value[0] == '-';
    const char *digits = value + negative;
    size_t whole = strspn(digits, "0123456789");
    size_t point = digits[whole] == '.';
    size_t part = strspn(digits + whole + point, "0123456789") * point;
    bool number = whole > 0 && (digits[0] != '0' || whole == 1) && part >= point &&
                  digits[whole + point + part] == '\0' && whole + part < 19;
    if (value[0] == '\0') {
        text_add(out, "null");
    } else if (number) {
        text_add(out, "%s", value);
    } else {
        text_add_json(out, value);
    }
}

static void write_row(const struct rows *r, const char **cells, struct text *out)
{
    const char *comma = "{";
    for (size_t i = 0; i < r->columns; i++) {
        if (cells[i] != NULL) {
            text_add(out, "%s", comma);
            text_add_json(out, r->titles[i]);
            text_add(out, ":");
            write_value(cells[i], out);
            comma = ",";
        }
    }
    text_add(out, "%s}", *comma == '{' ? "{" : "");
}

void rows_write_json(const struct rows *r, struct text *out)
{
    static const char brackets[][2] = {
        [ROWS_LINES] = "[]", [ROWS_PAIRS] = "{}", [ROWS_TABLE] = "[]"};
    text_add(out, "%c", brackets[r->form][0]);
    for (size_t at = 0; at < r->count; at += r->columns) {
        text_add(out, "%s", at > 0 ? ",\n" : "");
        if (r->form == ROWS_TABLE) {
            write_row(r, r->cells + at, out);
        } else {
            text_add_json(out, r->cells[at]);
        }
        if (r->form == ROWS_PAIRS) {
            text_add(out, ":");
            write_value(r->cells[at + 1], out);
        }
    }
    text_add(out, "%c", brackets[r->form][1]);
}

static void print_lines(const struct rows *r, struct text *out)
{
    for (size_t i = 0; i < r->count; i++) {
        term_clean(out, r->cells[i], strlen(r->cells[i]), false);
        text_add(out, "\n");
    }
}

static void print_titles(const struct rows *r, struct table *t)
{
    struct text titles = {0};
    for (size_t i = 0; i < r->columns && i < TABLE_COLUMNS_MAX; i++) {
        text_add(&titles, "%s%s", i > 0 ? " " : "", r->titles[i]);
    }
    for (size_t i = 0; i < titles.len; i++) {
        bool lower = titles.data[i] >= 'a' && titles.data[i] <= 'z';
        titles.data[i] = (char)(titles.data[i] - (lower ? 'a' - 'A' : 0));
    }
    table_begin(t, titles.data);
    text_free(&titles);
}

void rows_print(const struct rows *r, bool colours, struct text *out)
{
    struct table t;
    if (r->form == ROWS_LINES || r->count == 0) {
        print_lines(r, out);
        return;
    }
    if (r->form == ROWS_TABLE) {
        print_titles(r, &t);
    } else {
        table_begin(&t, "NAME VALUE");
    }
    for (size_t i = 0; i < r->count; i++) {
        const char *words = r->cells[i] != NULL ? r->cells[i] : "-";
        if (i % r->columns < t.column_count) {
            table_add(&t, COLOUR_PLAIN, "%s", words);
        }
    }
    table_print(&t, colours, "", out);
    table_free(&t);
}
