#include "signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/text.h"
#include "ctl/apply.h"
#include "ctl/control.h"

static void on_end(struct signals *s, struct control *c, int number)
{
    if (s->ending) {
        log_warn("second signal: ending at once");
        _exit(1);
    }
    s->ending = true;
    log_info("%s: draining", number == SIGINT ? "SIGINT" : "SIGTERM");
    control_drain(c);
}

static void on_upgrade(struct control *c)
{
    struct text why = {0};
    if (upgrade_begin(c, &why) != 0) {
        log_error("SIGUSR2: %.*s", (int)strcspn(why.data, "\n"), why.data);
    }
    text_free(&why);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct control *c = container_of(handle->loop, struct control, loop.uv);
    switch (number) {
    case SIGUSR1:
        log_reopen();
        break;
    case SIGHUP:
        log_info("SIGHUP: reading the configuration again");
        control_reload_soon(c);
        break;
    case SIGUSR2:
        on_upgrade(c);
        break;
    default:
        on_end(handle->data, c, number);
    }
}

static const int numbers[SIGNALS_COUNT] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

void signals_watch(struct signals *s, struct control *c)
{
    *s = (struct signals){0};
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        uv_signal_init(&c->loop.uv, &s->handles[i]);
        s->handles[i].data = s;
        uv_signal_start(&s->handles[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&s->handles[i]);
    }
}

void signals_ignore(struct signals *s)
{
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        uv_close((uv_handle_t *)&s->handles[i], NULL);
        signal(numbers[i], SIG_IGN);
    }
}
