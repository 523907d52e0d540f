/* Promise: with all that a client and its server said, in the order in which it was read, both are
 * understood: each reply ends where the server's next one begins, whatever the pieces.
 *
 *   test_mysql_dialogue FILE SEED ROUNDS
 *
 * plays what was recorded with a real server (test/integration/test_mysql_scan.py) so many times in
 * pieces as they come by chance, and tells what it saw, a line for each event. FILE is a sequence
 * of: 'N' and the capabilities (a dialogue begins), 'C' or 'S' and a length (what the client or the
 * server said, which follows); numbers are of four bytes, little-endian. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mysql_command.h"
#include "proto/mysql_reply.h"

#define AWAITED_MAX 4096

/* Where one dialogue stands. */
struct dialogue {
    uint32_t capabilities;
    uint8_t awaited[AWAITED_MAX]; /* of commands that are not answered: what they ask */
    size_t first;
    size_t last;
    bool answering; /* `reply` has begun */
    bool bad;
    size_t client; /* bytes of it */
    size_t server;
    struct mysql_command command;
    struct mysql_reply reply;
};

/* What is told. */
struct account {
    char *text; /* owned */
    size_t len;
    size_t size;
};

static void tell(struct account *a, const char *format, ...)
{
    va_list args;
    if (a->size - a->len < 8192) {
        a->size = 2 * a->size + 65536;
        a->text = realloc(a->text, a->size);
        assert_non_null(a->text);
    }
    va_start(args, format);
    a->len += (size_t)vsnprintf(a->text + a->len, a->size - a->len, format, args);
    va_end(args);
    assert_true(a->len < a->size);
}

static void tell_end(struct account *a, const struct dialogue *d)
{
    const struct mysql_reply *r = &d->reply;
    tell(a, "end %zu code=%u status=%u warnings=%u affected=%llu insert_id=%llu error=%d rows=%d",
         d->server, r->code, r->status, r->warnings, (unsigned long long)r->affected,
         (unsigned long long)r->insert_id, r->failed ? (int)r->error : -1, r->has_rows);
    tell(a, " cut=%d statement=%u state=", r->cut, r->statement);
    for (uint32_t i = 0; i < r->state_len; i++) {
        tell(a, "%02x", r->state[i]);
    }
    tell(a, "\n");
}

static void bad(struct account *a, struct dialogue *d, const char *who)
{
    tell(a, "bad %s\n", who);
    d->bad = true;
}

static void begin_reply(struct dialogue *d)
{
    if (!d->answering && d->first < d->last) {
        mysql_reply_begin(&d->reply, d->capabilities, d->awaited[d->first++]);
        d->answering = true;
    }
}

/* Returns how much of what the client said is done with. */
static size_t hear_client(struct account *a, struct dialogue *d, const char *data, size_t len)
{
    size_t at = 0;
    while (at < len && !d->bad) {
        size_t used = 0;
        enum mysql_command_event event =
            mysql_command_look(&d->command, data + at, len - at, &used);
        at += used;
        d->client += used;
        if (event == MYSQL_COMMAND_PART) {
            break;
        }
        if (event == MYSQL_COMMAND_BAD) {
            bad(a, d, "client");
        } else if (event == MYSQL_COMMAND_BEGIN) {
            tell(a, "command %zu code=%u\n", d->client, d->command.code);
            mysql_command_enter(&d->command);
            if (mysql_command_is_answered(d->command.code)) {
                assert_true(d->last < AWAITED_MAX);
                d->awaited[d->last++] = mysql_command_asks(&d->command);
            }
        }
    }
    return at;
}

static size_t hear_server(struct account *a, struct dialogue *d, const char *data, size_t len)
{
    size_t at = 0;
    begin_reply(d);
    while (at < len && !d->bad) {
        size_t used = 0;
        if (!d->answering) {
            bad(a, d, "server, unasked");
            break;
        }
        enum mysql_reply_event event = mysql_reply_look(&d->reply, data + at, len - at, &used);
        at += used;
        d->server += used;
        if (event == MYSQL_REPLY_BAD) {
            bad(a, d, "server");
        } else if (event == MYSQL_REPLY_FILE) {
            tell(a, "file %zu\n", d->server);
            mysql_command_file(&d->command);
        } else if (event == MYSQL_REPLY_END) {
            tell_end(a, d);
            d->answering = false;
            begin_reply(d);
        }
    }
    return len;
}

/* How many bytes come at once: usually few, or there would be little to see. */
static size_t piece(unsigned *seed, size_t len, size_t round)
{
    unsigned chance = (unsigned)rand_r(seed);
    size_t most = len > 100000 ? 50000 : chance % 3 == 0 ? 3 : chance % 3 == 1 ? 60 : 2000;
    size_t n = 1 + (size_t)rand_r(seed) % most;
    return round == 0 || n > len ? len : n;
}

/* What one side says. What is not done with comes again, with more behind it. */
static void hear(struct account *a, struct dialogue *d, char who, const char *data, size_t len,
                 unsigned *seed, size_t round)
{
    size_t done = 0;
    size_t there = 0;
    while (there < len && !d->bad) {
        there += piece(seed, len - there, round);
        char *copy = malloc(there - done);
        assert_non_null(copy);
        memcpy(copy, data + done, there - done);
        done += who == 'C' ? hear_client(a, d, copy, there - done)
                           : hear_server(a, d, copy, there - done);
        free(copy);
    }
    assert_true(d->bad || done == len); /* nobody leaves a header half said */
}

static void tell_over(struct account *a, const struct dialogue *d)
{
    if (d->bad) { /* where, depends on the pieces */
        tell(a, "over\n");
        return;
    }
    tell(a, "over client=%zu server=%zu outstanding=%zu%s%s\n", d->client, d->server,
         d->last - d->first + (d->answering ? 1 : 0),
         mysql_command_is_whole(&d->command) ? "" : " in a command",
         d->answering && d->reply.endless ? " endless" : "");
}

static uint32_t number(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct account play(const unsigned char *file, size_t len, unsigned seed, size_t round)
{
    struct account a = {0};
    struct dialogue *d = NULL;
    for (size_t at = 0; at < len;) {
        assert_true(len - at >= 5);
        char kind = (char)file[at];
        uint32_t n = number(file + at + 1);
        at += 5;
        if (kind == 'N') {
            if (d != NULL) {
                tell_over(&a, d);
            }
            free(d);
            d = calloc(1, sizeof *d);
            assert_non_null(d);
            d->capabilities = n;
            continue;
        }
        assert_true(d != NULL && n <= len - at);
        hear(&a, d, kind, (const char *)file + at, n, &seed, round);
        at += n;
    }
    if (d != NULL) {
        tell_over(&a, d);
    }
    free(d);
    return a;
}

/* A file's or a text's; the first account is that of all as it was recorded. */
static char *play_rounds(const unsigned char *file, size_t len, unsigned seed, size_t rounds)
{
    struct account first = play(file, len, seed, 0);
    for (size_t round = 1; round < rounds; round++) {
        struct account again = play(file, len, seed + (unsigned)round, round);
        assert_string_equal(again.text, first.text);
        free(again.text);
    }
    return first.text;
}

static void a_dialogue_is_understood(void **state)
{
    (void)state;
    static const char file[] = "N\0\0\0\1"                                   /* DEPRECATE_EOF */
                               "C\x09\0\0\0\5\0\0\0\3SELE"                   /* a query */
                               "S\x0b\0\0\0\7\0\0\1\0\0\0\2\0\0\0"           /* OK */
                               "C\x0e\0\0\0\5\0\0\0\x19\1\0\0\0\1\0\0\0\x0e" /* CLOSE and PING */
                               "N\0\0\0\0"                                   /* another */
                               "C\x05\0\0\0\1\0\0\0\x0e"                     /* PING */
                               "S\x0d\0\0\0\x09\0\0\1\xff\x28\x04#42000";    /* ERR */
    char *told = play_rounds((const unsigned char *)file, sizeof file - 1, 1, 50);
    assert_string_equal(
        told, "command 0 code=3\n"
              "end 11 code=3 status=2 warnings=0 affected=0 insert_id=0 error=-1 rows=0 cut=0 "
              "statement=0 state=\n"
              "command 9 code=25\ncommand 18 code=14\n"
              "over client=23 server=11 outstanding=1\n"
              "command 0 code=14\n"
              "end 13 code=14 status=0 warnings=0 affected=0 insert_id=0 error=1064 rows=0 cut=0 "
              "statement=0 state=\n"
              "over client=5 server=13 outstanding=0\n");
    free(told);
}

static void a_file_is_understood(void **state)
{
    char **arguments = *state;
    FILE *file = fopen(arguments[0], "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(file);
    unsigned char *data = malloc(len);
    assert_non_null(data);
    rewind(file);
    assert_int_equal(fread(data, 1, len, file), len);
    fclose(file);
    char *told = play_rounds(data, len, (unsigned)atoi(arguments[1]), (size_t)atoi(arguments[2]));
    fputs(told, stdout);
    free(told);
    free(data);
}

int main(int argc, char **argv)
{
    struct CMUnitTest own[] = {cmocka_unit_test(a_dialogue_is_understood)};
    struct CMUnitTest given[] = {cmocka_unit_test_prestate(a_file_is_understood, argv + 1)};
    return argc == 4 ? cmocka_run_group_tests(given, NULL, NULL)
                     : cmocka_run_group_tests(own, NULL, NULL);
}
