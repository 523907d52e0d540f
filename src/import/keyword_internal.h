/* What the files of keyword.h share; nobody else includes this.
 *
 * keyword.c finds the keyword of each line, shape.c looks at what follows it, keyword_names.c at
 * what lines say of each other, keyword_verdict.c says what becomes of lines that need nobody. */
#ifndef ROUTER_IMPORT_KEYWORD_INTERNAL_H
#define ROUTER_IMPORT_KEYWORD_INTERNAL_H

#include "import/keyword.h"

/* A word from outside as messages show it: short, printable, "***" if it is secret. Returns out. */
#define SHOWN_MAX 64
const char *word_shown(const struct word *w, char out[SHOWN_MAX]);

/* Shapes (shape.c): the letters of keywords.def. */
/* How many arguments it has, without those behind `*`. */
size_t shape_length(const char *shape);
/* Whether the arguments are what `shape` says; if not, it is told. `name`: whose they are. */
bool shape_check(struct source *s, const struct line *l, const char *name, const char *shape,
                 struct word *arguments, size_t count);

/* A row of parameters.def. */
struct parameter_row {
    const char *name;
    unsigned where;
    enum verdict verdict;
    const char *words;
    const char *shape;
};

extern const struct parameter_row parameter_table[];
extern const size_t parameter_count;

/* What HAProxy refuses in the arguments of some keywords beyond their shape (keyword_values.c). */
void keyword_check_values(struct source *s, struct line *l);
/* The words of `server`, `bind` and their like (parameters.c). */
void parameters_check(struct source *s, struct line *l);
/* Lines that speak of others (keyword_names.c). */
void keyword_check_names(struct source *s);
/* Those that have one (keyword_verdict.c). */
void keyword_mark_verdicts(struct source *s);

/* Marks the words that nobody may see: hide.c. */
void keyword_hide_secrets(struct line *l);

#endif
