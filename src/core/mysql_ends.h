/* How pooled clients of MySQL end that are logged in and have not asked for it: what each can still
 * be told. As servers do it (measured on MariaDB 10.11 and MySQL 9.7): who asks nothing is told
 * nothing when a server ends; who breaks the protocol gets an ERR with the number 0. */
#ifndef ROUTER_CORE_MYSQL_ENDS_H
#define ROUTER_CORE_MYSQL_ENDS_H

#include "core/mysql_client.h"
#include "core/mysql_link.h"

#define MYSQL_REST_MS 1000

/* Its first answer that is under way has not begun, as far as its client knows. */
bool mysql_ends_is_fresh(const struct mysql_link *l);
/* What the server says is no answer: counted. True: the client was told, as it was `fresh`; else it
 * may see what there is, and judge. */
bool mysql_ends_nonsense(struct mysql_link *l, bool fresh);
/* What it had cannot be had where it is now. */
void mysql_ends_unrestored(struct session *s);
/* The router ends: in place of an answer it is told so, if it waits for one. */
void mysql_ends_shut_down(struct session *s);
/* The same is about to be: sessions of transaction mode that do nothing for MYSQL_REST_MS end, as
 * nothing of theirs is under way anywhere. */
void mysql_ends_drain(struct worker *w);
void mysql_ends_on_rest(struct deadline *d);
/* Where one of them waits that has nothing under way. */
struct deadline_list *mysql_ends_timer(const struct session *s);
/* It is told so in place of the answer to its command, where that can be, and ends. */
void mysql_ends_instead(struct session *s, uint16_t code, const char *state, const char *words);
/* The same, because what it says is no command: counted. */
void mysql_ends_broken(struct session *s, uint16_t code, const char *state, const char *words);
/* The packet that comes next is out of sequence. False: it is to be looked at again when others are
 * answered, as a server would do. NULL: it is parked. */
bool mysql_ends_disorder(struct session *s, const struct mysql_link *l);
/* The sessions that are parked at this server, of those that `is_meant`. */
struct session *mysql_ends_next_parked(struct worker *w, size_t server_id,
                                       bool (*is_meant)(const void *of, const struct session *s),
                                       const void *of);

#endif
