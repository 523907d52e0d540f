#include "routerctl/ctl.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "routerctl/answer.h"
#include "routerctl/client.h"
#include "routerctl/term.h"

#define PATIENCE_MS 10000
#define PREFACE_MAX 65536 /* what may come before the answer */

static int patience(const struct ctl *ctl, int timeout_ms)
{
    int wanted = timeout_ms > 0 ? timeout_ms : PATIENCE_MS;
    return ctl->timeout_ms > 0 ? ctl->timeout_ms : wanted;
}

static enum ctl_exit no_answer(int code)
{
    if (code == -E2BIG) {
        fputs("routerctl: the answer has no end\n", stderr);
    } else if (code == -ETIMEDOUT) {
        fputs("routerctl: no answer in time\n", stderr);
    } else {
        fprintf(stderr, "routerctl: the answer broke off: %s\n", strerror(-code));
    }
    return EXIT_NO_ANSWER;
}

static enum ctl_exit ask(const struct ctl *ctl, struct client *c, const char *command,
                         int timeout_ms)
{
    struct text tried = {0};
    int code = client_ask(c, ctl->socket, command, timeout_ms, &tried);
    if (code != 0) {
        fprintf(stderr, "routerctl: cannot connect to %s: %s\n", tried.data, strerror(-code));
    }
    text_free(&tried);
    return code == 0 ? EXIT_DONE : EXIT_NO_ANSWER;
}

/* Answers that are kept, and what was refused on standard error. */
static void keep(void *to, const char *words, size_t len, bool refusal)
{
    struct text clean = {0};
    if (!refusal) {
        text_add_bytes(to, words, len);
        return;
    }
    term_clean(&clean, words, len, true);
    fwrite(clean.data, 1, clean.len, stderr);
    text_free(&clean);
}

static void print(void *to, const char *words, size_t len, bool refusal)
{
    const struct ctl *ctl = to;
    if (refusal || ctl->terminal) {
        struct text clean = {0};
        term_clean(&clean, words, len, true);
        fwrite(clean.data, 1, clean.len, refusal ? stderr : stdout);
        text_free(&clean);
    } else {
        fwrite(words, 1, len, stdout);
    }
}

static enum ctl_exit end(struct answer *a, ssize_t code)
{
    bool refused = a->refused;
    bool whole = answer_end(a);
    if (code != 0) {
        return no_answer((int)code);
    } else if (!whole) {
        fputs("routerctl: the answer was cut short\n", stderr);
        return EXIT_NO_ANSWER;
    }
    return refused ? EXIT_REFUSED : EXIT_DONE;
}

enum ctl_exit ctl_ask(const struct ctl *ctl, const char *command, int timeout_ms,
                      struct text *answer)
{
    struct client c;
    struct text bytes = {0};
    struct answer a = {.on_words = keep, .to = answer};
    timeout_ms = patience(ctl, timeout_ms);
    enum ctl_exit result = ask(ctl, &c, command, timeout_ms);
    if (result == EXIT_DONE) {
        int code = client_read_all(&c, &bytes, timeout_ms);
        text_add(answer, "%s", "");
        answer_feed(&a, bytes.data, bytes.len);
        result = end(&a, code);
    }
    text_free(&bytes);
    client_close(&c);
    return result;
}

enum ctl_exit ctl_pass(const struct ctl *ctl, const char *command, int timeout_ms)
{
    struct client c;
    char bytes[16384];
    struct answer a = {.on_words = print, .to = (void *)(uintptr_t)ctl};
    timeout_ms = patience(ctl, timeout_ms);
    enum ctl_exit result = ask(ctl, &c, command, timeout_ms);
    if (result == EXIT_DONE) {
        ssize_t n;
        size_t taken = 0;
        while ((n = client_read(&c, bytes, sizeof(bytes), timeout_ms)) > 0 && !ferror(stdout)) {
            answer_feed(&a, bytes, (size_t)n);
            taken += a.skipped ? 0 : (size_t)n;
            if (taken > PREFACE_MAX) {
                break;
            }
        }
        result = end(&a, taken > PREFACE_MAX ? -E2BIG : n > 0 ? -EPIPE : n);
    }
    client_close(&c);
    return fflush(stdout) == 0 ? result : EXIT_NO_ANSWER;
}

enum ctl_exit ctl_ask_json(const struct ctl *ctl, const char *command, enum json_kind kind,
                           struct json *j, struct text *text)
{
    *j = (struct json){0};
    enum ctl_exit result = ctl_ask(ctl, command, 0, text);
    if (result != EXIT_DONE) {
        return result;
    }
    if (json_parse(j, text->data, text->len) != 0 || json_root(j)->kind != kind) {
        fprintf(stderr, "routerctl: the answer is no JSON, from byte %zu on\n", j->wrong_at);
        return EXIT_NO_ANSWER;
    }
    return EXIT_DONE;
}

enum ctl_exit ctl_print(const struct text *out)
{
    if (out->len > 0) {
        fwrite(out->data, 1, out->len, stdout);
    }
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return EXIT_DONE;
    }
    fprintf(stderr, "routerctl: standard output: %s\n", strerror(errno));
    return EXIT_NO_ANSWER;
}

enum ctl_exit ctl_print_words(const struct ctl *ctl, const struct text *words)
{
    if (!ctl->terminal) {
        return ctl_print(words);
    }
    struct text clean = {0};
    term_clean(&clean, words->data, words->len, true);
    enum ctl_exit result = ctl_print(&clean);
    text_free(&clean);
    return result;
}
