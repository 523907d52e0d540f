/* Between the parts of check_understand(): scripts as steps, and who makes sense of them. */
#ifndef ROUTER_IMPORT_CHECK_INTERNAL_H
#define ROUTER_IMPORT_CHECK_INTERNAL_H

#include "import/check.h"
#include "import/pattern.h"

#define SCRIPT_STEPS_MAX 128 /* of a backend; a longer one is not understood */

enum step_kind {
    STEP_CONNECT,
    STEP_SEND,
    STEP_EXPECT,
    STEP_ASIDE /* a comment, a variable */
};

enum step_match {
    MATCH_TEXT,
    MATCH_PATTERN,
    MATCH_HEX_PATTERN, /* of the answer in hexadecimal digits */
    MATCH_STATUS,      /* http-check: "200,300-399" */
    MATCH_STATUS_PATTERN,
    MATCH_OTHER
};

/* A line of tcp-check or http-check. */
struct step {
    enum step_kind kind;
    struct line *line;
    struct word *origin; /* the word of the line that `data` comes from */
    struct word data;    /* what is sent, as bytes; or what is expected, as match says */
    bool clear;          /* the data is known: not so of variables that are not */
    enum step_match match;
    bool negated;
    bool lines;    /* take ^ and $ for those of lines */
    unsigned port; /* of a connect; 0: the server's */
    bool tls;
    enum verdict verdict; /* for the line, unless all are one */
    const char *words;
};

struct script {
    struct step *items;
    size_t count;
    bool cut; /* there are more */
};

/* What is known of the backend besides its check. */
struct surroundings {
    unsigned port;       /* of the servers; 0: none, or several */
    unsigned check_port; /* the same, of their lines */
    bool checked;        /* any server has `check` */
    bool redis;          /* by the ports and names */
    bool mysql;
    bool pgsql;
};

struct understanding {
    const struct proxy *p;
    struct source *s;
    struct check *out;
    struct surroundings around;
    struct line *option;         /* the check that counts; NULL: none */
    const struct section *rules; /* whose tcp-check or http-check lines count with it */
    struct script script;
    size_t work; /* done in looking for patterns */
};

/* Looks at the servers' lines and the names. */
void surroundings_look(const struct proxy *p, struct surroundings *out);

/* The role that words tell of: "check_primary.sh", "mysql-ro", "slave is running". */
enum check_wants check_words(const char *text);

/* The lines of `keyword` ("tcp-check", "http-check") that count. Those that do not are marked. */
void script_read(struct understanding *u, const char *keyword);
/* Says the same of each line that has no verdict yet. */
void script_mark(struct understanding *u, enum verdict verdict, const char *words);
/* A script may connect more than once; this one counts, NULL: the first one. */
void script_take_connect(struct understanding *u, const struct step *connect);
/* Whether the answer would be what a step expects; `answer` may hold any bytes. */
bool step_accepts(struct understanding *u, const struct step *step, const char *answer, size_t len);
/* Bytes of hexadecimal digits; false if it is none. */
bool script_decode_hex(struct source *s, const struct word *w, struct word *out);
/* The pieces of a log-format that are known: text, "%%", %[str(x)], %[env(NAME)], variables that
 * were set from these. False: it has others. */
bool script_format(struct understanding *u, const struct word *w, size_t upto, struct word *out);

/* What is sent until an answer is awaited, as one. */
struct exchange {
    size_t first;  /* step */
    size_t expect; /* the first step that expects; == behind if there is none */
    size_t behind;
    struct word sent;
    bool clear;
};

/* The next one at or behind step *at, false if there is none. */
bool exchange_next(struct understanding *u, size_t *at, struct exchange *out);
/* Whatever lies in [at, at + len) of what it sent is secret, in the words of the lines too. */
void exchange_hide(struct understanding *u, const struct exchange *e, size_t at, size_t len);

/* A command of Redis as it stands in an exchange. */
struct command {
    struct word *args;
    size_t *places; /* of each in what is sent */
    size_t *sizes;
    size_t count;
};

struct commands {
    struct command *items;
    size_t count;
    bool clear; /* all of it was commands */
};

/* Inline commands with their quotes, and arrays (RESP). */
void commands_read(struct understanding *u, const struct exchange *e, struct commands *out);
bool command_is(const struct command *c, const char *name);
/* The same for an argument, in any case of letters. */
bool command_says(const struct command *c, size_t i, const char *text);

/* Each says whether it has made sense of it; then `out` is filled in, and the lines are marked. */
bool check_redis(struct understanding *u);
bool check_mysql_words(struct understanding *u); /* tcp-check expect string, of mysqlchk */
bool check_pgsql_query(struct understanding *u); /* tcp-check send-binary */
void check_http(struct understanding *u, struct line *option);
/* `option external-check`. The script is read where that is allowed, and never run. */
void check_external(struct understanding *u, struct line *option);

#endif
