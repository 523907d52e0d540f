/* What the halves of mysql_statement share: how the text is cut into words, and what they mean. */
#ifndef ROUTER_PROTO_MYSQL_STATEMENT_INTERNAL_H
#define ROUTER_PROTO_MYSQL_STATEMENT_INTERNAL_H

#include "proto/mysql_statement.h"

/* Lengths of words that are none. */
#define MYSQL_WORD_LONG   254 /* longer than is kept */
#define MYSQL_WORD_QUOTED 255 /* a quoted name: never a word of the language */

/* Of statements, by their first word. */
enum mysql_kind {
    MYSQL_KIND_NONE,  /* it has no word yet */
    MYSQL_KIND_PLAIN, /* its words count where they call a function */
    MYSQL_KIND_SET,
    MYSQL_KIND_SET_FOR, /* SET STATEMENT, up to its FOR */
    MYSQL_KIND_SHOW,
    MYSQL_KIND_FLUSH,
    MYSQL_KIND_BEGIN,
    MYSQL_KIND_EXPLAIN,
    MYSQL_KIND_MODEL, /* CREATE and the like: names and types until a SELECT */
};

/* What stands before the next word. */
enum mysql_context {
    MYSQL_CONTEXT_NONE,
    MYSQL_CONTEXT_DOT,         /* a name and a dot */
    MYSQL_CONTEXT_USER,        /* @ */
    MYSQL_CONTEXT_SYSTEM,      /* @@ */
    MYSQL_CONTEXT_SCOPE,       /* @@ and SESSION or the like: a dot follows */
    MYSQL_CONTEXT_SCOPED,      /* that dot */
    MYSQL_CONTEXT_SYSTEM_NAME, /* @@ and a name: what follows may be an assignment */
};

/* In what the next byte is. */
enum mysql_place {
    MYSQL_IN_CODE,
    MYSQL_IN_WORD,
    MYSQL_IN_STRING, /* '...' */
    MYSQL_IN_STRING_ESCAPE,
    MYSQL_IN_DOUBLE, /* "..." */
    MYSQL_IN_DOUBLE_ESCAPE,
    MYSQL_IN_NAME, /* `...` */
    MYSQL_IN_AT,
    MYSQL_IN_DASH,
    MYSQL_IN_DASH_DASH, /* a comment, if space follows */
    MYSQL_IN_LINE,      /* a comment up to the end of the line */
    MYSQL_IN_SLASH,
    MYSQL_IN_BLOCK_BEGIN, /* behind the first two bytes of a comment */
    MYSQL_IN_BLOCK_M,     /* MariaDB's executable comments have an M there */
    MYSQL_IN_BLOCK,
    MYSQL_IN_BLOCK_STAR,
    MYSQL_IN_VERSION, /* the digits behind the ! */
    MYSQL_IN_STAR,    /* in an executable comment: it may end */
};

/* A sign that is part of no comment and no string. */
void mysql_statement_sign(struct mysql_statement *s, char c);
/* In or before a comment: takes bytes from `p` on and says how far it came. */
const char *mysql_comment_step(struct mysql_statement *s, const char *p, const char *end);

/* The last word is whole and has no dot before it. */
void mysql_meaning_of_word(struct mysql_statement *s);
/* It is the name of a system variable, or of a scope. */
void mysql_meaning_of_system(struct mysql_statement *s);
/* It calls a function. */
void mysql_meaning_of_call(struct mysql_statement *s);

/* A function or a word of the language that may stand before a parenthesis; in small letters. */
bool mysql_is_built_in(const char *name);

#endif
