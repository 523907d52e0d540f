/* Where commands begin in what a client sends (MySQL internals manual, "Command Phase"): a command
 * is one packet with sequence number 0, or several where each but the last has 16 MB - 1. Sees
 * every byte once, keeps none: the caller passes on or keeps them. */
#ifndef ROUTER_PROTO_MYSQL_COMMAND_H
#define ROUTER_PROTO_MYSQL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first byte of a command. */
enum mysql_com {
    MYSQL_COM_SLEEP = 0x00,
    MYSQL_COM_QUIT = 0x01,
    MYSQL_COM_INIT_DB = 0x02,
    MYSQL_COM_QUERY = 0x03,
    MYSQL_COM_FIELD_LIST = 0x04,
    MYSQL_COM_CREATE_DB = 0x05,
    MYSQL_COM_DROP_DB = 0x06,
    MYSQL_COM_REFRESH = 0x07,
    MYSQL_COM_SHUTDOWN = 0x08,
    MYSQL_COM_STATISTICS = 0x09,
    MYSQL_COM_PROCESS_INFO = 0x0a,
    MYSQL_COM_PROCESS_KILL = 0x0c,
    MYSQL_COM_DEBUG = 0x0d,
    MYSQL_COM_PING = 0x0e,
    MYSQL_COM_CHANGE_USER = 0x11,
    MYSQL_COM_BINLOG_DUMP = 0x12,
    MYSQL_COM_TABLE_DUMP = 0x13,
    MYSQL_COM_REGISTER_SLAVE = 0x15,
    MYSQL_COM_STMT_PREPARE = 0x16,
    MYSQL_COM_STMT_EXECUTE = 0x17,
    MYSQL_COM_STMT_SEND_LONG_DATA = 0x18,
    MYSQL_COM_STMT_CLOSE = 0x19,
    MYSQL_COM_STMT_RESET = 0x1a,
    MYSQL_COM_SET_OPTION = 0x1b,
    MYSQL_COM_STMT_FETCH = 0x1c,
    MYSQL_COM_BINLOG_DUMP_GTID = 0x1e,
    MYSQL_COM_RESET_CONNECTION = 0x1f,
    MYSQL_COM_CLONE = 0x20,
    MYSQL_COM_STMT_BULK_EXECUTE = 0xfa, /* MariaDB's */
    /* No server's: what mysql_command_asks() calls a COM_STMT_EXECUTE that asks for no cursor. */
    MYSQL_COM_EXECUTE_AT_ONCE = 0xf9,
};

/* Starts zeroed: at the beginning of a command. */
struct mysql_command {
    uint8_t code;     /* enum mysql_com: of the command that began last */
    uint8_t sequence; /* of the packet that the stream is in */
    bool continues;   /* that packet is full: another one of the same command follows */
    bool file;        /* the client sends a file (mysql_command_file): packets up to an empty one */
    bool inside;      /* of a command that was entered, or of a packet of a file */
    bool uncounted;   /* the next packet may have any sequence number */
    bool cursor;      /* it is a COM_STMT_EXECUTE that asks for a cursor */
    uint32_t length;  /* of that packet's payload */
    uint32_t left;    /* bytes of it that have not been seen, or of it and its header */
};

enum mysql_command_event {
    MYSQL_COMMAND_MORE,  /* all bytes belong to what began before */
    MYSQL_COMMAND_BEGIN, /* behind those *used begins a command: `code`, `length`, `continues`
                          * and `cursor` say which. Its header and code are there but not in *used
                          * (of an empty one, which is a COM_SLEEP, its header is all of it): the
                          * caller says mysql_command_enter() to go on into it. */
    MYSQL_COMMAND_PART,  /* the rest behind *used, at most 9 bytes, is too little to tell what
                          * begins: to be given again, with more behind it */
    MYSQL_COMMAND_END,   /* *used ends the file: what follows are commands again */
    MYSQL_COMMAND_BAD,   /* behind those *used comes a packet out of sequence; the same again if it
                          * is looked at again */
};

/* Looks at `len` bytes; *used says how many belong to what began before. */
enum mysql_command_event mysql_command_look(struct mysql_command *c, const char *data, size_t len,
                                            size_t *used);
/* The command that MYSQL_COMMAND_BEGIN told of is to be seen as begun: look at the same bytes
 * again. Until then it has not begun, however often it is looked at. */
void mysql_command_enter(struct mysql_command *c);
/* The server has asked for a file: what the client sends next is that. */
void mysql_command_file(struct mysql_command *c);
/* Nothing of a command, or of a file, is outstanding. */
bool mysql_command_is_whole(const struct mysql_command *c);
/* Of the command that began last, for mysql_reply_begin(): its code, but where the same code is
 * answered in two ways. */
uint8_t mysql_command_asks(const struct mysql_command *c);
/* Whether a server answers it at all. */
bool mysql_command_is_answered(uint8_t code);

#endif
