/* Where the replies of a server end, and what their last packet says of the session (MySQL
 * internals manual, "Text Resultset", "Prepared Statements", "OK_Packet", "EOF_Packet"; MariaDB KB,
 * "Result Set Packets"). Sees every byte once, in any split; keeps of it what it needs of short
 * packets only. */
#ifndef ROUTER_PROTO_MYSQL_REPLY_H
#define ROUTER_PROTO_MYSQL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MYSQL_STATUS_IN_TRANS          0x0001
#define MYSQL_STATUS_AUTOCOMMIT        0x0002
#define MYSQL_STATUS_MORE_RESULTS      0x0008
#define MYSQL_STATUS_CURSOR_EXISTS     0x0040
#define MYSQL_STATUS_LAST_ROW_SENT     0x0080
#define MYSQL_STATUS_PS_OUT_PARAMS     0x1000
#define MYSQL_STATUS_IN_TRANS_READONLY 0x2000
#define MYSQL_STATUS_STATE_CHANGED     0x4000

#define MYSQL_REPLY_KEPT 2048 /* bytes of a packet that matter as a whole */

/* Starts zeroed. */
struct mysql_reply {
    uint32_t capabilities; /* of the connection */
    uint8_t code;          /* of the command that it answers */
    uint8_t expects;       /* enum mysql_expects */
    bool endless;          /* nobody can tell where it ends (a binlog dump, an unknown command),
                            * unless it ends with an ERR */
    bool failed;           /* it ended with an ERR */
    bool has_rows;         /* a result set was among what it brought */
    bool changed;          /* an EOF said MYSQL_STATUS_STATE_CHANGED, as MariaDB's do */
    bool cut;              /* more of the session's state has changed than is kept here */
    uint8_t sequence;      /* of the packet that the stream is in */
    bool uncounted;        /* the next one may have any */
    uint16_t error;        /* of that ERR */
    /* MYSQL_STATUS_*, of the last OK or EOF, of this reply or of one before: an ERR has none, nor
     * have the replies to COM_STATISTICS and, with DEPRECATE_EOF, to COM_STMT_PREPARE. What an ERR
     * did to the session is not known: a deadlock has ended its transaction, and a procedure may
     * have begun one before it failed. */
    uint16_t status;
    uint16_t columns_status; /* what is still true of the EOF behind definitions */
    uint16_t warnings;       /* 0 if it has not said */
    bool wants_charset;      /* mysql_reply_want_charset() */
    uint16_t charset;        /* of the first column, if that was called */
    uint32_t oks;            /* OK and EOF packets so far, also of the replies before */
    uint64_t affected;       /* of the last OK */
    uint64_t insert_id;      /* of the last OK that had one; 0: none had */
    uint32_t statement;      /* COM_STMT_PREPARE: its id */
    uint64_t columns_left;   /* definitions that are to come */
    uint64_t params_left;
    uint32_t left;    /* of the packet that the stream is in: bytes not seen */
    bool continues;   /* it is full: another one continues it */
    bool keeps;       /* it is kept */
    uint8_t head_len; /* bytes of its header and its first byte seen */
    unsigned char head[5];
    uint32_t kept_len;
    unsigned char kept[MYSQL_REPLY_KEPT];
    /* Of the OK packets of this reply: what they say of the session's state, one after another, as
     * it stands there (Protocol::OK_Packet, session state information: a type, a length, so many
     * bytes, and again). Only whole packets' worth. */
    uint32_t state_len;
    unsigned char state[MYSQL_REPLY_KEPT];
};

enum mysql_reply_event {
    MYSQL_REPLY_MORE, /* all bytes are seen, the reply is not over */
    MYSQL_REPLY_END,  /* *used bytes end it */
    MYSQL_REPLY_FILE, /* *used bytes end the server's request for a file (LOCAL INFILE); it goes on
                       * when the client has sent it */
    MYSQL_REPLY_BAD,  /* this is no answer to that command; *used says nothing */
};

/* The reply to a command of this code (mysql_command_asks), one that is answered, comes next. Of a
 * COM_STMT_EXECUTE it is believed that it asks for a cursor; of MYSQL_COM_EXECUTE_AT_ONCE it is
 * not, whatever the server says: that a cursor exists is also said of those that procedures and
 * functions have for themselves, and then rows follow. */
void mysql_reply_begin(struct mysql_reply *r, uint32_t capabilities, uint8_t code);
/* Just behind it: the definition of the first column is read. */
void mysql_reply_want_charset(struct mysql_reply *r);
/* Not to be called again after END and BAD before the next reply begins. */
enum mysql_reply_event mysql_reply_look(struct mysql_reply *r, const char *data, size_t len,
                                        size_t *used);
/* What comes next is a row, or what ends rows. */
bool mysql_reply_in_rows(const struct mysql_reply *r);
/* In no packet: what comes next is the first byte of one. */
bool mysql_reply_between(const struct mysql_reply *r);

#endif
