/* build/router: the command line on top of include/router.h. */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/privileges.h"
#include "base/text.h"
#include "model/config.h"
#include "router.h"

enum action { ACTION_RUN, ACTION_TEST, ACTION_PROBE, ACTION_DUMP };

static const char usage[] = "usage: router -c FILE [-t | --probe | --dump-config]\n"
                            "       router -v\n"
                            "  -c FILE        the configuration, see router.ini(5)\n"
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

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"probe", no_argument, NULL, 'p'},
        {"dump-config", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *path = NULL;
    enum action action = ACTION_RUN;
    for (int opt; (opt = getopt_long(argc, argv, "c:tvh", longs, NULL)) != -1;) {
        switch (opt) {
        case 'c':
            path = optarg;
            break;
        case 't':
            action = ACTION_TEST;
            break;
        case 'p':
            action = ACTION_PROBE;
            break;
        case 'd':
            action = ACTION_DUMP;
            break;
        case 'v':
            print_version();
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 1;
        }
    }
    if (path == NULL || optind != argc) {
        fputs(usage, stderr);
        return 1;
    }
    struct config *config;
    struct text errors = {0};
    if (config_load(path, &config, &errors) != 0) {
        fputs(errors.data, stderr);
        text_free(&errors);
        return 1;
    }
    if (config_knows_secrets(config)) {
        privileges_hide_memory();
    }
    int status = act(action, path, config, argv);
    config_free(config);
    return status;
}
