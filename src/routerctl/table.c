#include "routerctl/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GAP 2

static char *cleaned(const char *s, size_t len)
{
    struct text out = {0};
    text_add(&out, "%s", "");
    term_clean(&out, s, len, false);
    return out.data;
}

static void widen(struct table_column *column, const char *words)
{
    size_t width = term_width(words);
    column->width = width > column->width ? width : column->width;
}

void table_begin(struct table *t, const char *titles)
{
    *t = (struct table){0};
    while (*titles != '\0' && t->column_count < TABLE_COLUMNS_MAX) {
        struct table_column *column = &t->columns[t->column_count++];
        column->right = *titles == '>';
        titles += column->right;
        size_t len = strcspn(titles, " ");
        column->title = cleaned(titles, len);
        widen(column, column->title);
        titles += len + (titles[len] == ' ');
    }
}

void table_widen(struct table *t, size_t column, size_t width)
{
    struct table_column *c = &t->columns[column];
    c->width = width > c->width ? width : c->width;
}

void table_add(struct table *t, enum colour colour, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *raw = xcalloc((size_t)(need > 0 ? need : 0) + 1, 1);
    va_start(args, fmt);
    vsnprintf(raw, (size_t)(need > 0 ? need : 0) + 1, fmt, args);
    va_end(args);
    if (t->count == t->capacity) {
        t->capacity = t->capacity > 0 ? t->capacity * 2 : 64;
        t->cells = xrealloc(t->cells, t->capacity * sizeof(*t->cells));
    }
    struct table_cell *cell = &t->cells[t->count];
    *cell = (struct table_cell){.words = cleaned(raw, strlen(raw)), .colour = colour};
    widen(&t->columns[t->count % t->column_count], cell->words);
    t->count++;
    free(raw);
}

size_t table_rows(const struct table *t)
{
    return t->column_count > 0 ? t->count / t->column_count : 0;
}

static void pad(struct text *out, size_t columns)
{
    text_add(out, "%*s", (int)columns, "");
}

/* The cell in its column, or as much of it as fits; how many columns that took. The last one is not
 * filled up. */
static size_t add_cell(const struct table_column *column, struct table_cell cell, bool last,
                       bool colours, size_t room, struct text *out)
{
    size_t width = term_width(cell.words);
    size_t fill = column->width - width;
    size_t left = column->right ? fill : 0;
    if (left + width > room) {
        left = left < room ? left : room;
        char *cut = xstrndup(cell.words, term_fit(cell.words, room - left));
        pad(out, left);
        term_paint(out, colours, cell.colour, cut);
        free(cut);
        return room;
    }
    pad(out, left);
    term_paint(out, colours, cell.colour, cell.words);
    size_t right = last ? 0 : fill - left;
    right = right < room - left - width ? right : room - left - width;
    pad(out, right);
    return left + width + right;
}

void table_row(const struct table *t, size_t row, bool colours, size_t columns, struct text *out)
{
    size_t room = columns > 0 ? columns : SIZE_MAX;
    for (size_t i = 0; i < t->column_count && room > 0; i++) {
        struct table_cell title = {.words = t->columns[i].title, .colour = COLOUR_DIM};
        struct table_cell cell = row == SIZE_MAX ? title : t->cells[row * t->column_count + i];
        if (i > 0) {
            size_t gap = room < GAP ? room : GAP;
            pad(out, gap);
            room -= gap;
        }
        room -= add_cell(&t->columns[i], cell, i + 1 == t->column_count, colours, room, out);
    }
}

void table_print(const struct table *t, bool colours, const char *indent, struct text *out)
{
    for (size_t row = 0; row <= table_rows(t); row++) {
        text_add(out, "%s", indent);
        table_row(t, row == 0 ? SIZE_MAX : row - 1, colours, 0, out);
        text_add(out, "\n");
    }
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->column_count; i++) {
        free(t->columns[i].title);
    }
    for (size_t i = 0; i < t->count; i++) {
        free(t->cells[i].words);
    }
    free(t->cells);
    *t = (struct table){0};
}
