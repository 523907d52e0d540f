#include "net/loop.h"

#include "base/macros.h"
#include "net/deadline.h"

static void on_tick(uv_timer_t *tick)
{
    struct loop *l = container_of(tick, struct loop, tick);
    LIST_EACH(it, &l->deadline_lists)
    {
        deadline_list_expire(container_of(it, struct deadline_list, node));
    }
}

int loop_init(struct loop *l, void *receiver)
{
    list_init(&l->deadline_lists);
    l->armed = 0;
    l->receiving = false;
    l->tls.why_of = NULL;
    l->thread = uv_thread_self();
    int rc = uv_loop_init(&l->uv);
    if (rc != 0) {
        return rc;
    }
    rc = mailbox_init(&l->mailbox, &l->uv, receiver);
    if (rc != 0) {
        uv_loop_close(&l->uv);
        return rc;
    }
    uv_timer_init(&l->uv, &l->tick);
    uv_prepare_init(&l->uv, &l->before);
    uv_check_init(&l->uv, &l->after);
    return 0;
}

static void before_sleep(uv_prepare_t *before)
{
    struct loop *l = container_of(before, struct loop, before);
    l->on_turn(l);
}

static void after_work(uv_check_t *after)
{
    struct loop *l = container_of(after, struct loop, after);
    l->on_turn(l);
}

void loop_at_turn(struct loop *l, void (*on_turn)(struct loop *l))
{
    l->on_turn = on_turn;
    uv_prepare_start(&l->before, before_sleep);
    uv_check_start(&l->after, after_work);
}

void loop_run(struct loop *l)
{
    l->thread = uv_thread_self();
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    loop_assert(l);
    mailbox_close(&l->mailbox);
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_close((uv_handle_t *)&l->before, NULL);
    uv_close((uv_handle_t *)&l->after, NULL);
}

int loop_release(struct loop *l)
{
    return uv_loop_close(&l->uv);
}

void loop_deadline_armed(struct loop *l)
{
    if (l->armed++ == 0 && !uv_is_closing((uv_handle_t *)&l->tick)) {
        uv_timer_start(&l->tick, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
    }
}

void loop_deadline_disarmed(struct loop *l)
{
    if (--l->armed == 0) {
        uv_timer_stop(&l->tick);
    }
}
