#include "ctl/list_slow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/round.h"

struct slow_listing {
    struct round round;
    struct message_slow message;
    size_t most;
    bool json;
    struct slow_row *rows; /* owned: of all workers that came back; at_ms is when, since 1970 */
    size_t count;
};

static int slower_first(const void *a, const void *b)
{
    const struct slow_row *one = a;
    const struct slow_row *two = b;
    return (one->took_us < two->took_us) - (one->took_us > two->took_us);
}

static void add_stamp(uint64_t unix_ms, struct text *out)
{
    time_t at = (time_t)(unix_ms / 1000);
    struct tm utc;
    char stamp[32];
    gmtime_r(&at, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    text_add(out, "%s.%03uZ", stamp, (unsigned)(unix_ms % 1000));
}

static void add_row(const struct control *c, const struct slow_row *row, struct text *out)
{
    const struct backend_config *b = &c->config->backends[row->backend];
    text_add(out, "time=");
    add_stamp(row->at_ms, out);
    text_add(out, " took_us=%u command=%s in=%" PRIu64 " out=%" PRIu64 " srv=%s/%s", row->took_us,
             row->name, row->request_bytes, row->reply_bytes, b->name,
             b->servers.items[row->server].name);
    text_add(out, " sess=0x%" PRIx64 "\n", row->session);
}

static void add_json_row(const struct control *c, const struct slow_row *row, struct text *out)
{
    const struct backend_config *b = &c->config->backends[row->backend];
    text_add(out, "{\"at\":\"");
    add_stamp(row->at_ms, out);
    text_add(out, "\",\"took_us\":%u,\"command\":", row->took_us);
    text_add_json(out, row->name);
    text_add(out,
             ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"backend\":", row->request_bytes,
             row->reply_bytes);
    text_add_json(out, b->name);
    text_add(out, ",\"server\":");
    text_add_json(out, b->servers.items[row->server].name);
    text_add(out, ",\"session\":\"0x%" PRIx64 "\"}", row->session);
}

static void add_all(struct slow_listing *l, struct text *out)
{
    qsort(l->rows, l->count, sizeof *l->rows, slower_first);
    text_add(out, "%s", l->json ? "[" : "");
    for (size_t i = 0; i < l->count && i < l->most; i++) {
        if (l->json) {
            text_add(out, "%s", i > 0 ? ",\n" : "");
            add_json_row(l->round.control, &l->rows[i], out);
        } else {
            add_row(l->round.control, &l->rows[i], out);
        }
    }
    text_add(out, "%s", l->json ? "]\n" : "");
}

static void finish(struct round *r)
{
    struct slow_listing *l = container_of(r, struct slow_listing, round);
    struct text out = {0};
    if (r->worker < r->control->worker_count) {
        command_answer_fail(r->ticket, "The router is ending");
    } else {
        if (!l->message.clear) {
            add_all(l, &out);
        }
        command_answer(r->ticket, &out);
    }
    free(l->rows);
    free(l);
}

static void on_told(struct message *m, void *control)
{
    (void)control;
    struct message_slow *back = container_of(m, struct message_slow, message);
    struct slow_listing *l = container_of(back, struct slow_listing, message);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (size_t i = 0; i < back->count; i++) {
        struct slow_row *row = &l->rows[l->count++];
        *row = back->rows[i];
        row->at_ms = now_ms - (back->now_ms - row->at_ms);
    }
    l->round.worker++;
    round_go_on(&l->round);
}

void list_slow(struct command_call *call, size_t most, bool json, bool clear)
{
    struct control *c = call->control;
    if (c->stopping || c->worker_count == 0) {
        command_fail(call, "The router is ending");
        return;
    }
    struct slow_listing *l = xcalloc(1, sizeof *l);
    l->round = (struct round){
        .control = c,
        .ticket = command_later(call),
        .message = &l->message.message,
        .run = c->tell->slow,
        .finish = finish,
    };
    l->message.on_told = on_told;
    l->message.clear = clear;
    l->most = most;
    l->json = json;
    l->rows = xcalloc((size_t)c->worker_count * SLOW_KEPT, sizeof *l->rows);
    round_begin(&l->round);
}
