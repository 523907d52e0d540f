/* The load: GETs of one key over N connections, each in a closed loop, every byte of every reply
 * compared. Whatever is not the expected reply ends the run with status 1: a figure is only printed
 * for work that was done. With -t all of it goes through TLS, and each handshake must be full
 * (-H full) or resumed with the newest ticket (-H resumed), in the version (-t 1.2, -t 1.3) and
 * with the kind of key (-s ecdsa, -s rsa) that were asked for.
 *
 * It also reads the CPU clocks of the processes it is told to watch, at the moment the measured
 * part begins (after the warm-up) and ends, so that starting and stopping is not in the figure. And
 * it tells what half of all measured requests, and 99 of 100, took at most; of those sent at once
 * it times all.
 *
 * Modes:
 *   get    connections stay; each sends `depth` GETs at once and waits for all replies
 *   set    the other direction: each connection sets the key, in writes of 16 KiB; at the end all
 *          read it and compare
 *   cycle  connect, one GET, close, and again; with TLS close means close_notify and FIN, and to
 *          wait for the other side's end, so that all of it is measured
 *   idle   connect all, one GET each, print, then hold them until standard input ends
 * Prints one line of JSON, with how many handshakes of each kind there were. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One full handshake, whose ticket all connections begin with. */
static void prime(struct load *l)
{
    long wanted = l->wanted;
    long warmup = l->warmup;
    l->wanted = 1;
    l->warmup = 0;
    client_start(l, &l->clients[0]);
    serve(l);
    SSL_SESSION *ticket = l->clients[0].ticket;
    if (!ticket)
        refuse("there is no ticket to resume with");
    for (long i = 1; i < l->connections; i++) {
        l->clients[i].ticket = SSL_SESSION_dup(ticket); /* OpenSSL uses each once */
    }
    l->wanted = wanted;
    l->warmup = warmup;
    l->asked = l->done = l->full = 0;
    l->watch.took_count = 0;
}

static void run(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        die("epoll_create1");
    if (l->resume)
        prime(l);
    l->now = wall_ns();
    if (!l->warmup)
        watch_start(&l->watch);
    long at_once =
        l->mode == MODE_IDLE && l->connections > IDLE_AT_ONCE ? IDLE_AT_ONCE : l->connections;
    for (long i = 0; i < at_once; i++)
        client_start(l, &l->clients[i]);
    serve(l);
    watch_end(&l->watch);
}

static void report(struct load *l, long requests)
{
    size_t each = l->mode == MODE_SET ? l->value_len : l->reply_len / (size_t)l->depth;
    printf("{\"requests\": %ld, \"bytes\": %llu, \"full\": %ld, \"resumed\": %ld, ", requests,
           (unsigned long long)requests * each, l->full, l->resumed);
    watch_print(&l->watch);
    printf("}\n");
    fflush(stdout);
}

static char *allocate(size_t size)
{
    char *p = malloc(size);
    if (!p)
        die("malloc");
    return p;
}

/* `count` times `text`; owned by the caller. */
static char *repeat(const char *text, size_t len, long count)
{
    char *all = allocate(len * (size_t)count);
    for (long i = 0; i < count; i++)
        memcpy(all + len * (size_t)i, text, len);
    return all;
}

/* What is to be sent from now on, and what must come back. */
static void expect(struct load *l, const char *request, size_t request_len, const char *reply,
                   size_t reply_len)
{
    free(l->request);
    free(l->reply);
    l->request = repeat(request, request_len, l->depth);
    l->request_len = request_len * (size_t)l->depth;
    l->reply = repeat(reply, reply_len, l->depth);
    l->reply_len = reply_len * (size_t)l->depth;
}

/* What stands in Redis: the letter v, as lab.py stores it; what we set ourselves tells its place.
 */
static char value_byte(const struct load *l, size_t at)
{
    return l->mode == MODE_SET ? (char)('a' + (at / 16 + at / 4096) % 26) : 'v';
}

static void prepare(struct load *l, const char *key, bool set)
{
    size_t size = l->value_len + strlen(key) + 64;
    char *request = allocate(size);
    char *value = allocate(size);
    size_t n = (size_t)snprintf(value, size, "$%zu\r\n", l->value_len);
    for (size_t i = 0; i < l->value_len; i++)
        value[n++] = value_byte(l, i);
    memcpy(value + n, "\r\n", 2);
    n += 2;
    int head = snprintf(request, size, "*%d\r\n$3\r\n%s\r\n$%zu\r\n%s\r\n", set ? 3 : 2,
                        set ? "SET" : "GET", strlen(key), key);
    if (set) {
        memcpy(request + head, value, n);
        expect(l, request, (size_t)head + n, "+OK\r\n", 5);
    } else {
        expect(l, request, (size_t)head, value, n);
    }
    free(request);
    free(value);
}

/* After MODE_SET: whether Redis has what was sent. */
static void read_back(struct load *l, const char *key)
{
    prepare(l, key, false);
    l->watch.took_size = l->watch.took_count; /* this is not timed */
    for (long i = 0; i < l->connections; i++)
        client_ask(l, &l->clients[i]);
    serve(l);
}

static int by_name(const char *name, const char *const *names, const char *why)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    refuse(why);
    return 0;
}

static long number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 0)
        refuse("a number is no number");
    return n;
}

static bool parse_tls(struct load *l, int option, const char *value)
{
    static const char *const versions[] = {"1.2", "1.3", NULL};
    static const char *const keys[] = {"ecdsa", "rsa", NULL};
    static const char *const handshakes[] = {"full", "resumed", NULL};
    if (option == 't')
        l->asked_tls.version =
            by_name(value, versions, "-t takes 1.2 or 1.3") ? TLS1_3_VERSION : TLS1_2_VERSION;
    else if (option == 's')
        l->asked_tls.rsa = by_name(value, keys, "-s takes ecdsa or rsa");
    else if (option == 'H')
        l->resume = by_name(value, handshakes, "-H takes full or resumed");
    else
        return false;
    return true;
}

static void check(struct load *l)
{
    if (l->connections < 1 || l->depth < 1)
        refuse("at least one connection and one request");
    if (l->resume && (l->mode != MODE_CYCLE || !l->asked_tls.version))
        refuse("only cycles can resume, with TLS");
    if (l->mode == MODE_IDLE) {
        l->wanted = l->connections;
        l->warmup = 0;
    }
    l->clients = calloc((size_t)l->connections, sizeof(*l->clients));
    if (!l->clients)
        die("calloc");
    watch_prepare(&l->watch, (size_t)(l->wanted / l->depth + l->connections));
    if (!l->asked_tls.version)
        return;
    l->tls = secure_client(&l->asked_tls);
    load_tickets(l);
}

/* Returns the key. */
static const char *parse(struct load *l, int argc, char **argv)
{
    static const char *const modes[] = {"get", "set", "cycle", "idle", NULL};
    const char *key = "key";
    int option;
    while ((option = getopt(argc, argv, "a:p:m:c:n:w:d:k:l:W:t:s:H:")) != -1) {
        if (parse_tls(l, option, optarg))
            continue;
        if (option == 'a' && inet_pton(AF_INET, optarg, &l->to.sin_addr) != 1)
            refuse("-a takes an IPv4 address");
        else if (option == 'm')
            l->mode = (enum mode)by_name(optarg, modes, "the mode is get, set, cycle or idle");
        else if (option == 'k')
            key = optarg;
        else if (option == 'p')
            l->to.sin_port = htons((uint16_t)number(optarg));
        else if (option == 'c')
            l->connections = number(optarg);
        else if (option == 'n')
            l->wanted = number(optarg);
        else if (option == 'w')
            l->warmup = number(optarg);
        else if (option == 'd')
            l->depth = number(optarg);
        else if (option == 'l')
            l->value_len = (size_t)number(optarg);
        else if (option == 'W')
            watch_process(&l->watch, (pid_t)number(optarg));
        else if (option == '?')
            refuse("see the top of bench/load.c");
    }
    return key;
}

int main(int argc, char **argv)
{
    static struct load l = {.to = {.sin_family = AF_INET},
                            .connections = 50,
                            .depth = 1,
                            .wanted = 100000,
                            .value_len = 100};
    const char *key = parse(&l, argc, argv);
    check(&l);
    prepare(&l, key, l.mode == MODE_SET);
    run(&l);
    long requests = l.done - l.done_at_start;
    if (l.mode == MODE_SET)
        read_back(&l, key);
    report(&l, requests);
    char byte;
    while (l.mode == MODE_IDLE && read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
