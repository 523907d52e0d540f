/* build/routerctl: the control socket of a router, for people. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "router.h"
#include "routerctl/complete.h"
#include "routerctl/ctl.h"
#include "routerctl/term.h"
#include "routerctl/verbs.h"

static const char options_text[] =
    "  -s, --socket PATH   the control socket; else $ROUTER_SOCKET, /run/router.sock\n"
    "                      or /run/router/router.sock\n"
    "  -j, --json          answers as JSON\n"
    "  -t, --timeout SECS  how long an answer may take\n"
    "  -f, --follow        events: wait for more\n"
    "  -n, --lines N       events: the last N\n"
    "  -y, --yes           do not ask whether I am sure\n"
    "  -v, --version       print the version\n"
    "Everything else is passed on as it is: any command that HAProxy's socket knows,\n"
    "several with ';' between them. \"routerctl help\" asks the router what it knows.\n"
    "Status: 0 done, 1 the router refused, 2 wrong usage, 3 no (whole) answer.\n";

static void print_usage(FILE *file)
{
    fputs("usage: routerctl [-s SOCKET] [--json] COMMAND...\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        fprintf(file, "  %-28s  %s\n", verbs[i].usage, verbs[i].help);
    }
    fputs(options_text, file);
}

/* A whole number from 1 on; 0 if it is none. */
static unsigned read_number(const char *words, unsigned most)
{
    char *end;
    unsigned long value = strtoul(words, &end, 10);
    return words[0] >= '0' && words[0] <= '9' && *end == '\0' && value <= most ? (unsigned)value
                                                                               : 0;
}

/* One option; false: its value makes no sense, or there is no such option. */
static bool take_option(struct ctl *ctl, int option)
{
    switch (option) {
    case 's':
        ctl->socket = optarg;
        return true;
    case 'j':
        ctl->json = true;
        return true;
    case 'f':
        ctl->follow = true;
        return true;
    case 'y':
        ctl->yes = true;
        return true;
    case 'n':
        ctl->lines = read_number(optarg, 1000);
        return ctl->lines > 0;
    case 't':
        ctl->timeout_ms = (int)read_number(optarg, 86400) * 1000;
        return ctl->timeout_ms > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'},
        {"follow", no_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'n'},
        {"yes", no_argument, NULL, 'y'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct ctl ctl = {
        .colours = term_wants_colours(stdout),
        .terminal = isatty(STDOUT_FILENO),
    };
    if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
        complete(argc - 2, argv + 2);
        return EXIT_DONE;
    }
    int option;
    while ((option = getopt_long(argc, argv, "s:jt:fn:yvh", options, NULL)) != -1) {
        if (option == 'v') {
            printf("routerctl %s\n", ROUTER_VERSION);
            return EXIT_DONE;
        } else if (option == 'h') {
            print_usage(stdout);
            return EXIT_DONE;
        } else if (!take_option(&ctl, option)) {
            fputs("routerctl: see routerctl --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    return (int)verbs_run(&ctl, argc - optind, argv + optind);
}
