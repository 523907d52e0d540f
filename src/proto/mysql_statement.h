/* What a statement mentions that is not the server's data but the connection's memory: looked for
 * in the text of SQL, in any split, in constant memory. It only adds to what the server's own
 * trackers tell (mysql_state.h): what is found here keeps a session on its connection, what is not
 * found never frees it. No parser: words, in the places where they count.
 *
 * Not seen are what triggers, views and events do, and the text that PREPARE and EXECUTE IMMEDIATE
 * take from a string; those two are told as such. A function that is neither MySQL's nor MariaDB's
 * own is told as a routine. */
#ifndef ROUTER_PROTO_MYSQL_STATEMENT_H
#define ROUTER_PROTO_MYSQL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What statements say. */
enum mysql_says {
    MYSQL_SAYS_USER_VARIABLE = 1U << 0,   /* @x */
    MYSQL_SAYS_TEMPORARY = 1U << 1,       /* CREATE or DROP TEMPORARY */
    MYSQL_SAYS_NAMED_LOCK = 1U << 2,      /* GET_LOCK() */
    MYSQL_SAYS_TABLE_LOCK = 1U << 3,      /* LOCK, BACKUP, FLUSH ... WITH READ LOCK or FOR EXPORT */
    MYSQL_SAYS_PREPARED = 1U << 4,        /* PREPARE, EXECUTE, DEALLOCATE */
    MYSQL_SAYS_HANDLER = 1U << 5,         /* HANDLER */
    MYSQL_SAYS_XA = 1U << 6,              /* XA */
    MYSQL_SAYS_ROUTINE = 1U << 7,         /* CALL, a function that is not built in */
    MYSQL_SAYS_COMPOUND = 1U << 8,        /* a program: BEGIN NOT ATOMIC, IF, LOOP ... (MariaDB) */
    MYSQL_SAYS_IDENTITY = 1U << 9,        /* SET ROLE and what else changes who one is */
    MYSQL_SAYS_ODD = 1U << 10,            /* BINLOG, SET RESOURCE GROUP: remembered, never told */
    MYSQL_SAYS_UNCLEAR = 1U << 11,        /* not understood, or it may be read in two ways */
    MYSQL_SAYS_UNTOLD = 1U << 12,         /* SET @@x = 1 without SESSION, SET STATEMENT ... FOR:
                                           * MariaDB's trackers are silent, or wrong */
    MYSQL_SAYS_DIAGNOSTICS = 1U << 13,    /* asks about the statement before it: FOUND_ROWS(),
                                           * ROW_COUNT(), SHOW WARNINGS or ERRORS, GET DIAGNOSTICS,
                                           * @@warning_count, @@error_count */
    MYSQL_SAYS_HISTORY = 1U << 14,        /* asks about earlier ones: LASTVAL(), PREVIOUS VALUE FOR,
                                           * SHOW PROFILE, @@last_gtid */
    MYSQL_SAYS_LAST_INSERT_ID = 1U << 15, /* LAST_INSERT_ID(), @@last_insert_id, @@identity */
    MYSQL_SAYS_FOUND_ROWS = 1U << 16,     /* SQL_CALC_FOUND_ROWS: the next one will ask */
    MYSQL_SAYS_CONNECTION_ID = 1U << 17,  /* CONNECTION_ID(), @@pseudo_thread_id */
    MYSQL_SAYS_KILL = 1U << 18,           /* KILL, EXPLAIN FOR CONNECTION, SHOW EXPLAIN FOR */
    MYSQL_SAYS_STATUS = 1U << 19,         /* SHOW [SESSION] STATUS counts for the connection */
    MYSQL_SAYS_SET = 1U << 20,            /* SET */
    MYSQL_SAYS_NEXT = 1U << 21,           /* SET TRANSACTION: for the transaction that comes */
    MYSQL_SAYS_USE = 1U << 22,            /* USE */
    MYSQL_SAYS_TRANSACTION = 1U << 23,    /* BEGIN, START, COMMIT, ROLLBACK, SAVEPOINT, RELEASE */
    MYSQL_SAYS_SYSTEM_VARIABLE = 1U << 24, /* @@x */
    MYSQL_SAYS_SEVERAL = 1U << 25,         /* more than one statement */
};

/* Leaves something behind that cannot be given again to another connection. */
#define MYSQL_SAYS_PINS_MYSQL                                                                      \
    (MYSQL_SAYS_USER_VARIABLE | MYSQL_SAYS_TEMPORARY | MYSQL_SAYS_NAMED_LOCK |                     \
     MYSQL_SAYS_TABLE_LOCK | MYSQL_SAYS_PREPARED | MYSQL_SAYS_HANDLER | MYSQL_SAYS_XA |            \
     MYSQL_SAYS_ROUTINE | MYSQL_SAYS_COMPOUND | MYSQL_SAYS_IDENTITY | MYSQL_SAYS_ODD |             \
     MYSQL_SAYS_UNCLEAR)
#define MYSQL_SAYS_PINS_MARIADB (MYSQL_SAYS_PINS_MYSQL | MYSQL_SAYS_UNTOLD)
/* Has a wrong answer on a connection that is not the one of the statements before it. */
#define MYSQL_SAYS_ASKS         (MYSQL_SAYS_DIAGNOSTICS | MYSQL_SAYS_HISTORY)

/* How the server reads the text (mysql_state.text). */
enum mysql_text_mode {
    MYSQL_TEXT_USUAL = 0,
    MYSQL_TEXT_NO_BACKSLASH = 1U << 0, /* sql_mode has NO_BACKSLASH_ESCAPES */
    MYSQL_TEXT_ANSI_QUOTES = 1U << 1,  /* "x" is a name */
    MYSQL_TEXT_UNSURE = 1U << 2,       /* sql_mode is not known */
    MYSQL_TEXT_WIDE = 1U << 3,         /* a character may have a backslash as its second byte */
};

#define MYSQL_STATEMENT_WORD 40 /* longer words mean nothing to us */

/* A word: in the bytes that are looked at, or kept from earlier ones. */
struct mysql_statement_word {
    const char *at; /* borrowed during a call; NULL: it is in `kept` */
    uint8_t len;    /* 0: none; enum, see mysql_statement.c, for one that is quoted or too long */
    char kept[MYSQL_STATEMENT_WORD];
};

/* One scan. Only `says`, what was found so far, is for others. */
struct mysql_statement {
    uint32_t says;
    uint8_t mode;    /* enum mysql_text_mode */
    uint8_t place;   /* in what the next byte is; enums, see mysql_statement.c */
    uint8_t prefix;  /* bytes of the query attributes that are to come */
    uint8_t kind;    /* of statement */
    uint8_t context; /* what the last sign means for the next word */
    uint8_t words;   /* of this statement so far; no more than a few are counted */
    uint8_t digits;  /* of a comment's version */
    uint32_t version;
    bool began;                         /* a statement has begun, this one or one before it */
    bool in_code;                       /* of an executable comment */
    bool quoted;                        /* the last byte ended something quoted */
    bool qualified;                     /* the last word had others and dots before it */
    bool remodels;                      /* an earlier statement names sql_mode */
    struct mysql_statement_word before; /* the word before the last one, if nothing is between */
    struct mysql_statement_word word;   /* the last one, if nothing but space is behind it */
};

/* The text of a COM_QUERY comes next, everything behind its code. With QUERY_ATTRIBUTES among the
 * connection's capabilities that begins with 00 01; anything else there is UNCLEAR. For a
 * COM_STMT_PREPARE, which has no attributes: no capabilities. */
void mysql_statement_begin(struct mysql_statement *s, uint32_t capabilities, unsigned mode);
void mysql_statement_look(struct mysql_statement *s, const char *data, size_t len);
/* What it says, now that all of it was seen. */
uint32_t mysql_statement_end(struct mysql_statement *s);

#endif
