/* HAProxy's configuration as it was written: sections, lines, words; and what became of each line.
 *
 * haproxy.cfg -> lines of words (words.h) -> sections of lines (here) -> what they mean (proxy.h,
 * check.h, rule.h) -> router.ini (plan.h). Everything belongs to the arena of struct source.
 *
 * Source: HAProxy's configuration manual 3.2, chapters 2.2 to 2.4 and 4. */
#ifndef ROUTER_IMPORT_SOURCE_H
#define ROUTER_IMPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/text.h"

#define SOURCE_BYTES_MAX    (8u * 1024 * 1024) /* of all files */
#define SOURCE_FILES_MAX    256
#define SOURCE_WORDS_MAX    64 /* of a line, as HAProxy */
#define SOURCE_SECTIONS_MAX 1024
#define SOURCE_SERVERS_MAX  4096
#define SOURCE_ERRORS_MAX   50 /* told; the rest is counted */

/* "${NAME}" or "${NAME-otherwise}" stood there: what it was when the file was read is
 * text[at, at + len) of its word. */
struct reference {
    size_t at;
    size_t len;
    const char *name;
    const char *otherwise; /* NULL: none */
};

struct word {
    const char *text; /* as HAProxy would see it; may hold any byte but NUL, and ends in one */
    size_t len;
    const struct reference *references; /* by place, they do not overlap */
    size_t reference_count;
    bool secret; /* never shown */
};

/* Later ones win where a line has several. */
enum verdict {
    VERDICT_NONE, /* nobody has said anything yet; at the end it is LOST */
    VERDICT_NOT_NEEDED,
    VERDICT_KEPT,
    VERDICT_DIFFERENCE,
    VERDICT_LOST
};

struct remark {
    enum verdict verdict;
    const char *words; /* one line for people; "": nothing to say */
    struct remark *next;
};

struct place {
    const char *file; /* as named on the command line, or found in a directory */
    size_t number;    /* 1 = the first line */
    size_t rank;      /* of the file among those that were read */
};

/* Where an error is, and how long its line is in the errors. */
struct told {
    size_t rank;
    size_t number;
    size_t len;
};

struct keyword; /* keyword.h */
struct section;

struct line {
    struct place place;
    struct word *words; /* those of the keyword first, `no` and `default` left out */
    size_t count;
    const struct keyword *keyword; /* never NULL once the source is checked */
    size_t keyword_words;          /* how many of the words it has: arguments stand behind them */
    bool negated;                  /* `no` stood before it */
    bool defaulted;                /* `default` stood before it */
    struct section *section;
    enum verdict verdict;   /* the worst of its remarks */
    struct remark *remarks; /* in the order in which they were made */
};

enum section_kind {
    SECTION_GLOBAL,
    SECTION_DEFAULTS,
    SECTION_FRONTEND,
    SECTION_BACKEND,
    SECTION_LISTEN,
    SECTION_PEERS,
    SECTION_RESOLVERS,
    SECTION_USERLIST,
    SECTION_OTHER /* cache, program, mailers, ring, log-forward, http-errors, fcgi-app, ... */
};

struct section {
    enum section_kind kind;
    struct line *header;  /* "listen redis": a line as others, with a verdict; keyword is NULL */
    const char *name;     /* "" if it has none */
    struct section *from; /* the defaults that it inherits, NULL = none */
    bool named;           /* of defaults: another says `from` about it */
    struct line **lines;
    size_t count;
    bool told; /* some section of router.ini says what became of its lines */
};

struct source {
    struct arena arena;
    struct section **sections; /* in the order of the files */
    size_t section_count;
    struct line **skipped; /* .if and its like, and what they leave out; they have no section */
    size_t skipped_count;
    struct text *errors; /* borrowed: "FILE:LINE: words" each, in the order of the files */
    struct told told[SOURCE_ERRORS_MAX];
    size_t error_count;
    size_t file_count;
};

/* Reads files and directories (each *.cfg in it, by name, as HAProxy does), in this order. `errors`
 * gets a line for whatever HAProxy would refuse. Returns 0, or -EINVAL if there was any; release
 * with source_free() in both cases. */
int source_read(struct source *s, const char *const *paths, size_t count, struct text *errors);
/* The same for one file that is in memory. */
int source_read_bytes(struct source *s, const char *file, const char *data, size_t len,
                      struct text *errors);
void source_free(struct source *s);

/* Number 0: it is about the file. */
void source_error(struct source *s, struct place at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What becomes of a line; may be said more than once. fmt NULL: no words. Words name what they are
 * about if that is one word of several: "slowstart: ...". */
void line_mark(struct source *s, struct line *l, enum verdict verdict, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* The line for people: secrets as "***", bytes that cannot be printed as "?", cut where it is long.
 */
void line_show(const struct line *l, struct text *out);
/* "12", or "b.cfg:12" where there are several files. */
void place_show(const struct source *s, struct place at, struct text *out);

/* For qsort() of lines of one section that have names: by the name, then by where they stand. */
int line_compare_names(const void *a, const void *b);

/* The argument `i` of a line, counted behind its keyword; NULL if there is none. */
const struct word *line_argument(const struct line *l, size_t i);
/* Whether the argument is there and is this. */
bool line_says(const struct line *l, size_t i, const char *text);

bool word_is(const struct word *w, const char *text);
/* A part of a word, with the references that lie in it. */
struct word word_slice(struct source *s, const struct word *w, size_t at, size_t len);
struct word word_of(struct source *s, const char *text);
/* Two words as one, with something between them. */
struct word word_join(struct source *s, const struct word *a, const char *between,
                      const struct word *b);

/* HAProxy's times ("30s", "500", "1m"): `unit_us` is what a bare number counts, 1000 for most.
 * Returns ms, rounded up, or -EINVAL. */
long long word_milliseconds(const struct word *w, long long unit_us);
/* A whole number from min to max, or -EINVAL. */
long long word_number(const struct word *w, long long min, long long max);

#endif
