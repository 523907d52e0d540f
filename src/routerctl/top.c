#include "routerctl/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "routerctl/answer.h"
#include "routerctl/client.h"
#include "routerctl/screen.h"
#include "routerctl/top_frame.h"
#include "routerctl/views.h"

#define PERIOD_MS   1000
#define PATIENCE_MS 5000

struct top {
    const struct ctl *ctl; /* borrowed */
    struct client client;  /* while asking */
    bool asking;
    long asked_ms;
    struct text bytes; /* owned: what came so far */
    struct top_sample now;
    struct top_sample then;
    struct text trouble; /* owned; empty: none */
    char *only;          /* owned; NULL = all */
    enum top_sort sort;
    size_t first;
};

static void free_sample(struct top_sample *s)
{
    json_free(&s->j);
    text_free(&s->bytes);
}

/* Asking ------------------------------------------------------------------------------------ */

/* The numbers on the screen stay, with their age. */
static void note_trouble(struct top *t, const char *what)
{
    text_free(&t->trouble);
    text_add(&t->trouble, "%s; the numbers are from %ld s ago", what,
             (client_now_ms() - t->now.at_ms) / 1000);
}

static void stop_asking(struct top *t)
{
    if (t->asking) {
        client_close(&t->client);
        text_free(&t->bytes);
        t->asking = false;
    }
}

static void ask(struct top *t)
{
    struct text tried = {0};
    t->asked_ms = client_now_ms();
    int code = client_ask(&t->client, t->ctl->socket, "show json", PERIOD_MS / 2, &tried);
    if (code == 0) {
        t->asking = true;
    } else {
        text_add(&tried, ": %s", strerror(-code));
        note_trouble(t, tried.data);
    }
    text_free(&tried);
}

/* The words of a refusal, or of the document. */
static void keep(void *to, const char *words, size_t len, bool refusal)
{
    struct text *kept = to;
    text_add_bytes(&kept[refusal ? 1 : 0], words, len);
}

/* All of an answer is there. */
static void take_answer(struct top *t)
{
    struct text kept[2] = {{0}, {0}}; /* the document; a refusal */
    struct answer a = {.on_words = keep, .to = kept};
    struct top_sample fresh = {.at_ms = client_now_ms()};
    text_add(&kept[0], "%s", "");
    answer_feed(&a, t->bytes.data, t->bytes.len);
    bool whole = answer_end(&a);
    fresh.bytes = kept[0];
    if (kept[1].len > 0) {
        note_trouble(t, kept[1].data);
    } else if (!whole || json_parse(&fresh.j, fresh.bytes.data, fresh.bytes.len) != 0) {
        note_trouble(t, "what came is no whole answer");
    } else {
        free_sample(&t->then);
        t->then = t->now;
        t->now = fresh;
        fresh = (struct top_sample){0};
        text_free(&t->trouble);
    }
    free_sample(&fresh);
    text_free(&kept[1]);
    stop_asking(t);
}

/* What is there now, without waiting; true when the answer is over, good or bad. */
static bool take_bytes(struct top *t)
{
    char piece[16384];
    ssize_t n = 0;
    for (int i = 0; i < 64; i++) { /* then the keys, and the rest */
        n = client_read(&t->client, piece, sizeof(piece), 0);
        if (n <= 0) {
            break;
        }
        text_add_bytes(&t->bytes, piece, (size_t)n);
        if (t->bytes.len > CLIENT_ANSWER_MAX) {
            note_trouble(t, "the answer has no end");
            stop_asking(t);
            return true;
        }
    }
    if (n == 0) {
        take_answer(t);
        return true;
    } else if (n < 0 && n != -ETIMEDOUT) {
        note_trouble(t, strerror((int)-n));
        stop_asking(t);
        return true;
    }
    return false;
}

/* Milliseconds until something is to be done without being told. */
static int patience(const struct top *t)
{
    long until = t->asked_ms + (t->asking ? PATIENCE_MS : PERIOD_MS) - client_now_ms();
    return until > 0 ? (int)until : 0;
}

static void on_timeout(struct top *t)
{
    if (t->asking) {
        note_trouble(t, "no answer");
        stop_asking(t);
    }
    ask(t);
    if (t->asking) {
        take_bytes(t); /* sends the question */
    }
}

/* Keys -------------------------------------------------------------------------------------- */

/* All, the first backend, the second, ..., all. */
static void next_backend(struct top *t)
{
    const struct json *j = &t->now.j;
    const struct json_node *b = view_list(j, "backends");
    bool found = t->only == NULL;
    while (b != NULL && !found) {
        found = strcmp(json_string(j, b, "name", ""), t->only) == 0;
        b = json_next(j, b);
    }
    const char *name = found ? json_string(j, b, "name", NULL) : NULL;
    free(t->only);
    t->only = name != NULL ? xstrdup(name) : NULL;
    t->first = 0;
}

/* False: that is the end. */
static bool on_key(struct top *t, int key, size_t page)
{
    size_t down = key == KEY_DOWN || key == 'j' ? 1 : key == KEY_PAGE_DOWN || key == ' ' ? page : 0;
    size_t up = key == KEY_UP || key == 'k' ? 1 : key == KEY_PAGE_UP ? page : 0;
    t->first += down;
    t->first -= up < t->first ? up : t->first;
    if (key == 's') {
        t->sort = (enum top_sort)((t->sort + 1) % TOP_SORTS);
    } else if (key == 'b') {
        next_backend(t);
    }
    return key != 'q' && key != 3; /* Ctrl-C where it is no signal */
}

static void draw(struct top *t)
{
    struct text out = {0};
    struct top_frame f = {
        .now = &t->now,
        .then = &t->then,
        .only = t->only,
        .trouble = t->trouble.len > 0 ? t->trouble.data : NULL,
        .sort = t->sort,
        .colours = t->ctl->colours,
        .first = t->first,
    };
    screen_size(&f.rows, &f.columns);
    top_draw(&f, &out);
    t->first = f.first;
    screen_show(out.data, out.len);
    text_free(&out);
}

/* Until q or a signal. */
static void turn(struct top *t)
{
    bool going = true;
    draw(t);
    while (going) {
        size_t rows;
        size_t columns;
        int key = 0;
        enum screen_event event = screen_wait(t->asking ? t->client.fd : -1, patience(t), &key);
        bool changed = true;
        screen_size(&rows, &columns);
        if (event == SCREEN_TIMEOUT) {
            on_timeout(t);
        } else if (event == SCREEN_READABLE) {
            changed = take_bytes(t);
        } else if (event == SCREEN_KEY) {
            going = on_key(t, key, rows > 4 ? rows - 4 : 1);
        }
        going = going && event != SCREEN_END;
        if (changed && going) {
            draw(t);
        }
    }
}

enum ctl_exit top(const struct ctl *ctl, const char *only)
{
    struct top t = {.ctl = ctl};
    if (ctl->json) {
        fputs("routerctl: top is for people; \"show json\" is for programs\n", stderr);
        return EXIT_USAGE;
    } else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("routerctl: top needs a terminal\n", stderr);
        return EXIT_USAGE;
    }
    enum ctl_exit result = ctl_ask_json(ctl, "show json", JSON_OBJECT, &t.now.j, &t.now.bytes);
    t.now.at_ms = client_now_ms();
    t.asked_ms = t.now.at_ms;
    if (result == EXIT_DONE && screen_open()) {
        t.only = only != NULL ? xstrdup(only) : NULL;
        turn(&t);
        screen_close();
    }
    stop_asking(&t);
    free_sample(&t.now);
    free_sample(&t.then);
    text_free(&t.trouble);
    free(t.only);
    return result;
}
