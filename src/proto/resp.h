/* Redis' protocol (RESP2) for the dialogues of probes with Redis and its Sentinels: commands as
 * arrays of bulk strings, and replies, which hiredis' reader takes apart.
 *
 * That reader buffers a bulk string until it is whole. So each reply's first line is checked before
 * the reader sees it, and its user bounds the bytes it feeds. */
#ifndef ROUTER_PROTO_RESP_H
#define ROUTER_PROTO_RESP_H

#include <hiredis/read.h>
#include <stdbool.h>
#include <stddef.h>

struct probe_setup;

#define RESP_WORDS_MAX 12
#define RESP_ERROR_MAX 128

struct resp_command {
    const char *words[RESP_WORDS_MAX]; /* borrowed */
    size_t count;
};

/* AUTH, which the server calls `name`, with the account of `setup`. Holds the password. False:
 * there is none. */
bool resp_auth(struct resp_command *c, const char *name, const struct probe_setup *setup);
/* How many bytes resp_write() may need, a NUL among them. */
size_t resp_bound(const struct resp_command *c);
/* Writes the command and a NUL; returns its length. `size` is at least resp_bound(). */
size_t resp_write(const struct resp_command *c, char *out, size_t size);

/* What a reply to a probe may begin with. */
enum resp_shape {
    RESP_TEXT, /* a status, an error, or a bulk string of less than 100 KB */
    RESP_LIST, /* a status, an error, or an array (or none) of less than 1,000 elements */
};

enum resp_read {
    RESP_MORE,   /* no whole reply is there */
    RESP_REPLY,  /* the callbacks have seen one */
    RESP_BROKEN, /* this is no Redis */
};

/* Start from a zeroed struct. */
struct resp_reader {
    redisReader *hiredis; /* owned; NULL = none yet */
    bool head_checked;    /* of the reply that is coming in */
};

/* An empty reader. `on_reply` is borrowed; its callbacks find `user` as task->privdata and return
 * anything but NULL. 0 or -ENOMEM. */
int resp_open(struct resp_reader *r, redisReplyObjectFunctions *on_reply, void *user);
void resp_close(struct resp_reader *r); /* as zeroed */
/* 0 or -ENOMEM. */
int resp_feed(struct resp_reader *r, const char *data, size_t len);
/* The next reply of what was fed. */
enum resp_read resp_next(struct resp_reader *r, enum resp_shape shape);
/* How many bytes wait in the reader. */
size_t resp_waiting(const struct resp_reader *r);

/* An error reply, cut. */
struct resp_error {
    char text[RESP_ERROR_MAX];
    bool tells; /* the whole of it contained the secret */
};

/* `secret` may be NULL. */
void resp_error_keep(struct resp_error *e, const char *text, size_t len, const char *secret);
bool resp_error_is(const struct resp_error *e, const char *start);

/* Wipes and frees what held a secret. */
void resp_forget(char **secret, size_t size);

#endif
