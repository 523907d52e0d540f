/* What the files of keyword.h share; nobody else includes this.
 *
 * keyword.c finds the keyword of each line, shape.c looks at what follows it; keyword_values.c,
 * keyword_address.c, keyword_rules.c with fetch.c, and parameters.c look closer at some;
 * keyword_conditions.c at the acls that rules name, keyword_names.c at what lines say of each
 * other, keyword_references.c at what servers say of other sections. keyword_verdict.c says what
 * becomes of lines that need nobody. */
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
/* Addresses of `bind` and `server` (keyword_address.c). */
void address_check(struct source *s, struct line *l);
/* The action of a rule, or the test of an acl (keyword_rules.c). */
void rule_check(struct source *s, struct line *l);
/* What a test looks at, "src", "hdr(host),lower" (fetch.c). */
bool fetch_is_known(const char *name, size_t len);
bool fetch_check(struct source *s, const struct line *l, const struct word *w);
/* The words of `server`, `bind` and their like (parameters.c). */
void parameters_check(struct source *s, struct line *l);
/* Lines that speak of others (keyword_names.c, keyword_references.c). */
void keyword_check_names(struct source *s);
void keyword_check_references(struct source *s);
/* The conditions of the section's rules (keyword_conditions.c). */
void conditions_check(struct source *s, const struct section *section);
/* Those that have one (keyword_verdict.c). */
void keyword_mark_verdicts(struct source *s);

/* Marks the words that nobody may see: hide.c. */
void keyword_hide_secrets(struct line *l);

#endif
