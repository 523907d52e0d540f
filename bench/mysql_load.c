/* The MySQL load: one query over N connections, each in a closed loop, every byte of every reply
 * compared with the first one's, which must be one row of one column. Whatever else comes, an error
 * above all, ends the run with status 1: a figure is only printed for work that was done. With -t
 * every connection asks for TLS, with a full handshake, as PHP's and most other clients do: 1.3,
 * AES-128-GCM, RSA-2048 and P-256, because MySQL knows no X25519 and would ask for a second hello.
 *
 * The login is that of PHP's mysqlnd: the proof that the greeting's plugin wants, with a database
 * and an attribute; and another proof if the server asks for one. caching_sha2_password must have
 * the account in its cache.
 *
 * Modes:
 *   cycle  connect, log in, the query, COM_QUIT, close, and again; timed is from the connect to the
 *          last byte of the reply
 *   query  connections stay; each asks again when it has its reply
 * Prints one line of JSON: see watch.h, and how many logins there were and how many of them were
 * asked for another proof (the warm-up's included). */
#include "mysql_load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { COM_QUERY = 3 };

static void run(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        die("epoll_create1");
    l->now = wall_ns();
    if (!l->warmup)
        watch_start(&l->watch);
    for (long i = 0; i < l->connections; i++)
        client_start(l, &l->clients[i]);
    serve(l);
    watch_end(&l->watch);
}

static void report(struct load *l)
{
    printf("{\"requests\": %ld, \"logins\": %ld, \"switched\": %ld, ", l->done - l->done_at_start,
           l->logins, l->switched);
    watch_print(&l->watch);
    printf("}\n");
}

static long number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 0)
        refuse("a number is no number");
    return n;
}

static void prepare_query(struct load *l, const char *text)
{
    size_t len = strlen(text) + 1;
    if (HEADER + len > ASKED_MAX)
        refuse("the query is too long");
    l->query[0] = (char)len;
    l->query[1] = (char)(len >> 8);
    l->query[HEADER] = COM_QUERY;
    memcpy(l->query + HEADER + 1, text, len - 1);
    l->query_len = HEADER + len;
}

static void prepare(struct load *l)
{
    if (l->connections < 1 || l->wanted + l->warmup < l->connections)
        refuse("at least one connection, and one query for each");
    l->clients = calloc((size_t)l->connections, sizeof(*l->clients));
    if (!l->clients)
        die("calloc");
    watch_prepare(&l->watch, (size_t)(l->wanted + l->connections));
    if (l->asked_tls.version)
        l->tls = secure_client(&l->asked_tls);
}

static void parse(struct load *l, int argc, char **argv)
{
    const char *user = "root";
    const char *password = "";
    const char *database = "test";
    const char *query = "SELECT 1";
    int option;
    while ((option = getopt(argc, argv, "a:p:m:c:n:w:u:P:D:q:tW:")) != -1) {
        if (option == 'a' && inet_pton(AF_INET, optarg, &l->to.sin_addr) != 1)
            refuse("-a takes an IPv4 address");
        else if (option == 'm')
            l->mode = strcmp(optarg, "query") == 0 ? MODE_QUERY : MODE_CYCLE;
        else if (option == 'p')
            l->to.sin_port = htons((uint16_t)number(optarg));
        else if (option == 'c')
            l->connections = number(optarg);
        else if (option == 'n')
            l->wanted = number(optarg);
        else if (option == 'w')
            l->warmup = number(optarg);
        else if (option == 'u')
            user = optarg;
        else if (option == 'P')
            password = optarg;
        else if (option == 'D')
            database = optarg;
        else if (option == 'q')
            query = optarg;
        else if (option == 't')
            l->asked_tls =
                (struct secure_asked){.version = TLS1_3_VERSION, .rsa = true, .nist = true};
        else if (option == 'W')
            watch_process(&l->watch, (pid_t)number(optarg));
        else if (option == '?')
            refuse("see the top of bench/mysql_load.c");
    }
    account_init(&l->account, user, password, database);
    prepare_query(l, query);
}

int main(int argc, char **argv)
{
    static struct load l = {
        .to = {.sin_family = AF_INET}, .connections = 16, .wanted = 10000, .warmup = 0};
    parse(&l, argc, argv);
    prepare(&l);
    run(&l);
    report(&l);
    return 0;
}
