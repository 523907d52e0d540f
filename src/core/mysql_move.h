/* Connections of pool_mode = transaction that go from one worker to another, because nobody can log
 * in for a session that waits there, and here one of its account is free: idle, or its session does
 * nothing. What TLS keeps of a connection is not moved, so those of a backend with tls stay.
 *
 * Each worker shows what it has of an account (model/account_shares.h) at the end of a turn in
 * which that has changed. One where somebody begins to wait asks those that have a free one
 * (struct message_ask); one where one becomes free looks whether somebody waits. Whichever is
 * later sees the other, so nothing needs to be asked again. Who waits here is served first, unless
 * others have waited for much longer.
 *
 * What is given goes by descriptor (struct message_gift): the TCP connection and its place at the
 * server stay what they are, and nothing is under way on it. It goes by way of the control thread,
 * which keeps it in order with all else that control says: before the giver has acknowledged a
 * topology, what it gave before is on its way to a worker that gets it behind the same topology, or
 * with it; and judges it by that, before a byte is sent. And nothing comes to a worker behind the
 * order to end. */
#ifndef ROUTER_CORE_MYSQL_MOVE_H
#define ROUTER_CORE_MYSQL_MOVE_H

#include <stdbool.h>

#include "base/message.h"

struct mysql_link;
struct mysql_user;
struct worker;

#define MYSQL_PATIENCE_MS 100 /* who has waited for so much longer elsewhere is served first */

/* Its connections may go to other workers. */
bool mysql_move_may(const struct mysql_user *a);
/* What others may see of it has changed. */
void mysql_move_touch(struct mysql_user *a);
/* At the end of a turn. */
void mysql_move_on_turn(struct worker *w);
/* Its last connection, of all workers, is lost. */
void mysql_move_lost(struct mysql_user *a);
/* Somebody waits elsewhere, and before those who wait here. */
bool mysql_move_is_due(const struct mysql_user *a);
/* It is nobody's: true if it went to another worker, and is no more. */
bool mysql_move_pass_on(struct mysql_link *l);

/* For core/worker.c: struct message_ask, struct message_gift. */
void mysql_move_asked(struct message *m, void *worker);
void mysql_move_given(struct message *m, void *worker);

#endif
