/* Commands that the router answers itself: because they are about the connection that the client
 * thinks it has, because what they belong to was lost, or because they waited too long. */
#include "core/pooled.h"
#include "core/session.h"

enum turn pooled_answer_reset(struct pooled *p)
{
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    if (p->request.argc != 1) {
        return pooled_answer_self(p, "-ERR wrong number of arguments for 'reset' command\r\n");
    }
    pooled_reset(p);
    return pooled_answer_self(p, "+RESET\r\n");
}

enum turn pooled_answer_quit(struct pooled *p)
{
    enum turn turn = pooled_answer_self(p, "+OK\r\n");
    if (turn == TURN_DONE) {
        p->ending = true;
    }
    return turn;
}

/* A transaction, or what was watched, went with its server: nothing of it is carried out. */
enum turn pooled_answer_void(struct pooled *p)
{
    bool watched = p->watch_lost && !p->multi_lost;
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    switch ((enum redis_kind)p->kind) {
    case REDIS_EXEC:
    case REDIS_DISCARD:
        p->multi_lost = p->multi_void = p->watch_lost = false;
        if (p->kind == REDIS_DISCARD) {
            return pooled_answer_self(p, "+OK\r\n");
        }
        if (watched) { /* as if a watched key had changed */
            return pooled_answer_self(p, p->identity.resp == 3 ? "_\r\n" : "*-1\r\n");
        }
        return pooled_answer_self(
            p, "-EXECABORT Transaction discarded because its server was lost\r\n");
    case REDIS_MULTI:
        p->multi_void = true;
        return pooled_answer_self(p, "+OK\r\n");
    case REDIS_WATCH:
        if (watched) { /* the next EXEC fails in any case */
            return pooled_answer_self(
                p, p->multi_void ? "-ERR WATCH inside MULTI is not allowed\r\n" : "+OK\r\n");
        }
        break;
    default:
        break;
    }
    return pooled_answer_self(
        p, watched ? "+QUEUED\r\n" : "-ERR router: the transaction was lost with its server\r\n");
}

/* What a command is any server has told. */
static bool judge_anywhere(struct pooled *p)
{
    const struct server_list *servers = &p->session->backend->servers;
    for (size_t i = 0; i < servers->count; i++) {
        if (p->worker->servers[servers->items[i].id]->catalog_ready) {
            pooled_judge(p, i);
            return true;
        }
    }
    return false;
}

bool pooled_has_lost(const struct pooled *p)
{
    return p->multi_lost || p->multi_void || p->watch_lost;
}

bool pooled_is_void(struct pooled *p)
{
    if (!judge_anywhere(p) || p->kind == REDIS_QUIT || p->kind == REDIS_RESET) {
        return false;
    }
    if (p->multi_lost || p->multi_void) {
        return true;
    }
    if (p->kind == REDIS_UNWATCH) {
        p->watch_lost = false;
    }
    return p->watch_lost && (p->kind == REDIS_MULTI || p->kind == REDIS_WATCH);
}

enum turn pooled_without_server(struct pooled *p)
{
    bool judged = judge_anywhere(p);
    if (judged && p->kind == REDIS_QUIT) {
        return pooled_answer_quit(p);
    }
    if (judged && p->kind == REDIS_RESET) {
        return pooled_answer_reset(p);
    }
    pooled_hold(p);
    return TURN_WAIT;
}

enum turn pooled_refuse_late(struct pooled *p)
{
    size_t backend = p->session->backend->index;
    if (p->flying > 0) {
        return TURN_WAIT;
    }
    if (p->multi_sent) { /* the rest of the transaction is not to be carried out without it */
        session_kill(p->session, END_QUEUE_TIMEOUT);
        return TURN_DONE;
    }
    metric_add(&p->worker->metrics.backends[backend]->at[BACKEND_COMMANDS_REFUSED], 1);
    return pooled_answer_self(p, pooled_server(p, REDIS_WRITES, false) < 0
                                     ? "-ERR router: no primary in time\r\n"
                                     : "-ERR router: no connection was free in time\r\n");
}
