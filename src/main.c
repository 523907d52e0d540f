/* build/router: the command line on top of include/router.h. */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/privileges.h"
#include "base/text.h"
#include "import_command.h"
#include "model/config.h"
#include "router.h"

enum action { ACTION_RUN, ACTION_TEST, ACTION_PROBE, ACTION_DUMP };

static const char usage[] =
    "usage: router -c FILE [-t | --probe | --dump-config]\n"
    "       router -f FILE ... [--lenient] [-t | --probe | --dump-config]\n"
    "       router import FILE ...\n"
    "       router -v\n"
    "  -c FILE        the configuration, see router.ini(5)\n"
    "  -f FILE        HAProxy's configuration; more of them, and directories\n"
    "  --lenient      run although something in it has no equivalent\n"
    "  -t             check it and exit\n"
    "  --probe        ask every server once and say who would be primary\n"
    "  --dump-config  print every option with its value and source\n"
    "  -v             print versions\n";

static void print_version(void)
{
    printf("router %s\nlibuv %s\nhiredis %d.%d.%d\n%s\n", ROUTER_VERSION, uv_version_string(),
           HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH, OpenSSL_version(OPENSSL_VERSION));
}

/* Where this program is: the file there may be another one when SIGUSR2 comes. */
static const char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return len > 0 ? path : NULL;
}

static int run(struct config *config, char **arguments)
{
    privileges_gain_none();
    char why[512];
    struct router *r;
    const struct log_setup log = {config->router.log, config->router.log_format,
                                  config->router.log_level};
    int rc = log_configure(&log, why);
    rc = rc != 0 ? rc : router_start(&r, config, why, sizeof why);
    if (rc != 0) {
        log_close();
        fprintf(stderr, "router: %s\n", why);
        return 1;
    }
    router_allow_upgrade(r, own_path(), arguments);
    rc = router_run(r);
    router_free(r);
    log_close();
    if (rc != 0) {
        fprintf(stderr, "router: a handle was left open at the end: %s\n", uv_strerror(rc));
    }
    return rc == 0 ? 0 : 1;
}

static int test(const char *path, const struct config *config)
{
    char why[512];
    if (log_check(config->router.log, why) != 0 || router_check(config, why, sizeof why) != 0) {
        fprintf(stderr, "router: %s\n", why);
        return 1;
    }
    printf("%s: ok\n", path);
    return 0;
}

static int act(enum action action, const char *path, struct config *config, char **arguments)
{
    switch (action) {
    case ACTION_TEST:
        return test(path, config);
    case ACTION_DUMP:
        config_dump(config, stdout);
        return 0;
    case ACTION_PROBE:
        return router_probe(config);
    case ACTION_RUN:
        break;
    }
    return run(config, arguments);
}

/* What the command line asks for. */
struct command {
    const char *path;          /* of router.ini; NULL: there are files of HAProxy */
    struct import_files files; /* read again at each reload */
    enum action action;
};

enum parsed { PARSED_WELL, PARSED_BADLY, PARSED_DONE };

static enum parsed take_option(struct command *c, int opt)
{
    switch (opt) {
    case 'c':
        c->path = optarg;
        return PARSED_WELL;
    case 'f':
        c->files.paths[c->files.count] = optarg;
        return ++c->files.count < IMPORT_FILES_MAX ? PARSED_WELL : PARSED_BADLY;
    case 'l':
        c->files.lenient = true;
        return PARSED_WELL;
    case 't':
        c->action = ACTION_TEST;
        return PARSED_WELL;
    case 'p':
        c->action = ACTION_PROBE;
        return PARSED_WELL;
    case 'd':
        c->action = ACTION_DUMP;
        return PARSED_WELL;
    case 'v':
        print_version();
        return PARSED_DONE;
    case 'h':
        fputs(usage, stdout);
        return PARSED_DONE;
    default:
        return PARSED_BADLY;
    }
}

static enum parsed parse(struct command *c, int argc, char **argv)
{
    static const struct option longs[] = {
        {"probe", no_argument, NULL, 'p'},   {"dump-config", no_argument, NULL, 'd'},
        {"lenient", no_argument, NULL, 'l'}, {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},    {0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "c:f:tvh", longs, NULL)) != -1;) {
        enum parsed parsed = take_option(c, opt);
        if (parsed != PARSED_WELL) {
            return parsed;
        }
    }
    bool one = (c->path != NULL) != (c->files.count > 0);
    return one && optind == argc && (c->path == NULL || !c->files.lenient) ? PARSED_WELL
                                                                           : PARSED_BADLY;
}

/* 0, or the status to exit with: what is wrong has been said then. */
static int load(struct command *c, struct config **config)
{
    if (c->path == NULL) {
        return import_load(&c->files, config);
    }
    struct text errors = {0};
    if (config_load(c->path, config, &errors) != 0) {
        fputs(errors.data, stderr);
        text_free(&errors);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct command command; /* reloads come back to its files */
    if (argc > 1 && strcmp(argv[1], "import") == 0) {
        return import_command(argc - 1, argv + 1);
    }
    enum parsed parsed = parse(&command, argc, argv);
    if (parsed != PARSED_WELL) {
        fputs(parsed == PARSED_BADLY ? usage : "", stderr);
        return parsed == PARSED_BADLY ? 1 : 0;
    }
    struct config *config;
    int status = load(&command, &config);
    if (status != 0) {
        return status;
    }
    if (config_knows_secrets(config)) {
        privileges_hide_memory();
    }
    const char *name = command.path != NULL ? command.path : command.files.paths[0];
    status = act(command.action, name, config, argv);
    config_free(config);
    return status;
}
