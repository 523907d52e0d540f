/* The load: GETs of one key over N connections, each in a closed loop, every byte of every reply
 * compared. Whatever is not the expected reply ends the run with status 1: a figure is only printed
 * for work that was done.
 *
 * It also reads the CPU clocks of the processes it is told to watch, at the moment the measured
 * part begins (after the warm-up) and ends, so that starting and stopping is not in the figure. A
 * process's CPU clock counts nanoseconds over all its threads, past and present.
 *
 * Modes:
 *   get    connections stay; each sends `depth` GETs at once and waits for all replies
 *   cycle  connect, one GET, close, and again
 *   idle   connect all, one GET each, print, then hold them until standard input ends
 * Prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, EVENTS = 256, WATCHED = 8, SILENCE_MS = 10000, IDLE_AT_ONCE = 32 };

enum mode { MODE_GET, MODE_CYCLE, MODE_IDLE };

struct client {
    int fd;
    size_t seen; /* bytes of the expected replies */
};

struct load {
    enum mode mode;
    struct sockaddr_in to;
    int epoll;
    struct client *clients; /* owned */
    long connections;
    long depth;
    long warmup;
    long wanted;        /* requests to measure */
    long done;          /* replies, the warm-up's included */
    long done_at_start; /* of them, when measuring began */
    long begun;         /* connections made */
    char *request;      /* owned: depth GETs */
    size_t request_len;
    char *reply; /* owned: their replies */
    size_t reply_len;
    clockid_t watched[WATCHED];
    int watched_count;
    int64_t at_start[WATCHED + 1]; /* the watched, the wall */
    int64_t at_end[WATCHED + 1];
    char buffer[BUFFER];
};

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void refuse(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t))
        die("CPU clock of a watched process");
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void snapshot(const struct load *l, int64_t *into)
{
    for (int i = 0; i < l->watched_count; i++)
        into[i] = clock_ns(l->watched[i]);
    into[WATCHED] = clock_ns(CLOCK_MONOTONIC);
}

static void watch_process(struct load *l, pid_t pid)
{
    if (l->watched_count == WATCHED)
        refuse("too many processes to watch");
    if (clock_getcpuclockid(pid, &l->watched[l->watched_count++]))
        refuse("no such process to watch");
}

static void client_connect(struct load *l, struct client *c)
{
    int on = 1;
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (c->fd < 0)
        die("socket");
    if (connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)))
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event))
        die("epoll_ctl");
}

static void client_ask(const struct load *l, struct client *c)
{
    c->seen = 0;
    ssize_t n = send(c->fd, l->request, l->request_len, MSG_NOSIGNAL);
    if (n != (ssize_t)l->request_len)
        die("send");
}

static void client_start(struct load *l, struct client *c)
{
    l->begun++;
    client_connect(l, c);
    client_ask(l, c);
}

/* All replies of this client are there. */
static void client_served(struct load *l, struct client *c)
{
    long before = l->done;
    l->done += l->depth;
    if (before < l->warmup && l->done >= l->warmup) {
        l->done_at_start = l->done;
        snapshot(l, l->at_start);
    }
    if (l->mode == MODE_CYCLE)
        close(c->fd);
    if (l->mode == MODE_GET && l->done < l->warmup + l->wanted)
        client_ask(l, c);
    else if (l->mode == MODE_CYCLE && l->begun < l->warmup + l->wanted)
        client_start(l, c);
    else if (l->mode == MODE_IDLE && l->begun < l->connections)
        client_start(l, &l->clients[l->begun]);
}

static void client_readable(struct load *l, struct client *c)
{
    ssize_t n = recv(c->fd, l->buffer, BUFFER, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die("recv");
    if (n == 0)
        refuse("a connection was closed on us");
    if ((size_t)n > l->reply_len - c->seen ||
        memcmp(l->buffer, l->reply + c->seen, (size_t)n) != 0) {
        fprintf(stderr, "load: unexpected reply: %.*s\n", (int)(n < 100 ? n : 100), l->buffer);
        exit(1);
    }
    c->seen += (size_t)n;
    if (c->seen == l->reply_len)
        client_served(l, c);
}

static void run(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        die("epoll_create1");
    if (!l->warmup)
        snapshot(l, l->at_start);
    long at_once =
        l->mode == MODE_IDLE && l->connections > IDLE_AT_ONCE ? IDLE_AT_ONCE : l->connections;
    for (long i = 0; i < at_once; i++)
        client_start(l, &l->clients[i]);
    while (l->done < l->warmup + l->wanted) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, SILENCE_MS);
        if (n == 0)
            refuse("no reply for 10 s");
        for (int i = 0; i < n; i++)
            client_readable(l, events[i].data.ptr);
    }
    snapshot(l, l->at_end);
}

static void report(const struct load *l)
{
    long counted = l->done - l->done_at_start;
    printf("{\"requests\": %ld, \"bytes\": %llu, \"wall_ns\": %lld, \"cpu_ns\": [", counted,
           (unsigned long long)counted * (l->reply_len / (size_t)l->depth),
           (long long)(l->at_end[WATCHED] - l->at_start[WATCHED]));
    for (int i = 0; i < l->watched_count; i++)
        printf("%s%lld", i ? ", " : "", (long long)(l->at_end[i] - l->at_start[i]));
    printf("]}\n");
    fflush(stdout);
}

/* `count` times `text`; owned by the caller. */
static char *repeat(const char *text, size_t len, long count)
{
    char *all = malloc(len * (size_t)count);
    if (!all)
        die("malloc");
    for (long i = 0; i < count; i++)
        memcpy(all + len * (size_t)i, text, len);
    return all;
}

/* The value is `len` times the letter v, as run.py stores it. */
static void prepare(struct load *l, const char *key, size_t len)
{
    size_t size = len + strlen(key) + 64;
    char *text = malloc(size);
    l->clients = calloc((size_t)l->connections, sizeof(*l->clients));
    if (!text || !l->clients)
        die("malloc");
    size_t n = (size_t)snprintf(text, size, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
    l->request = repeat(text, n, l->depth);
    l->request_len = n * (size_t)l->depth;
    n = (size_t)snprintf(text, size, "$%zu\r\n", len);
    memset(text + n, 'v', len);
    memcpy(text + n + len, "\r\n", 2);
    n += len + 2;
    l->reply = repeat(text, n, l->depth);
    l->reply_len = n * (size_t)l->depth;
    free(text);
}

static enum mode mode_by_name(const char *name)
{
    static const char *const names[] = {"get", "cycle", "idle"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum mode)i;
    }
    refuse("the mode is get, cycle or idle");
    return MODE_GET;
}

static long number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 0)
        refuse("a number is no number");
    return n;
}

static void parse(struct load *l, int argc, char **argv)
{
    const char *key = "key";
    long len = 100;
    int option;
    while ((option = getopt(argc, argv, "a:p:m:c:n:w:d:k:l:W:")) != -1) {
        if (option == 'a' && inet_pton(AF_INET, optarg, &l->to.sin_addr) != 1)
            refuse("-a takes an IPv4 address");
        else if (option == 'm')
            l->mode = mode_by_name(optarg);
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
            len = number(optarg);
        else if (option == 'W')
            watch_process(l, (pid_t)number(optarg));
        else if (option == '?')
            refuse("see the top of bench/load.c");
    }
    if (l->connections < 1 || l->depth < 1)
        refuse("at least one connection and one request");
    if (l->mode == MODE_IDLE) {
        l->wanted = l->connections;
        l->warmup = 0;
    }
    prepare(l, key, (size_t)len);
}

int main(int argc, char **argv)
{
    static struct load l = {
        .to = {.sin_family = AF_INET}, .connections = 50, .depth = 1, .wanted = 100000};
    parse(&l, argc, argv);
    run(&l);
    report(&l);
    char byte;
    while (l.mode == MODE_IDLE && read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
