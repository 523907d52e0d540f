#include "import_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/privileges.h"
#include "base/text.h"
#include "import/import.h"
#include "import_check.h"
#include "model/config.h"

#define STATUS_BAD  1
#define STATUS_LOST 3

static const char usage[] =
    "usage: router import [--report=text|json] [--check] FILE|DIRECTORY ...\n"
    "  writes router.ini for HAProxy's configuration to standard output, and what became of each\n"
    "  of its lines to standard error; exits 3 if something is lost, 1 if it cannot be read\n"
    "  --report=json  the same for programs\n"
    "  --check        probe the servers instead, and compare with HAProxy where it runs\n";

/* What the router makes of the result: an option that it does not take here, a file that is not
 * there. */
static bool is_accepted(const struct import *i)
{
    struct config *config;
    struct text errors = {0};
    const char *ini = import_text(i);
    bool accepted = config_load_text("router.ini", ini, strlen(ini), &config, &errors) == 0;
    if (!accepted) {
        fprintf(stderr, "router cannot run what is written:\n%s", errors.data);
    }
    config_free(config);
    text_free(&errors);
    return accepted;
}

static int write_out(const struct import *i, bool json)
{
    struct text report = {0};
    fputs(import_text(i), stdout);
    import_report(i, json, &report);
    fputs(report.data, stderr);
    text_free(&report);
    bool accepted = is_accepted(i);
    return import_lost(i) ? STATUS_LOST : accepted ? 0 : STATUS_BAD;
}

static int probe_and_compare(const struct import *i)
{
    struct config *config;
    struct text errors = {0};
    const char *ini = import_text(i);
    if (config_load_text("router.ini", ini, strlen(ini), &config, &errors) != 0) {
        fputs(errors.data, stderr);
        text_free(&errors);
        return STATUS_BAD;
    }
    if (config_knows_secrets(config)) {
        privileges_hide_memory();
    }
    int status = import_check(i, config);
    config_free(config);
    return status;
}

static int run(const char *const *paths, size_t count, bool json, bool check)
{
    struct import *i;
    struct text errors = {0};
    if (import_read(paths, count, &i, &errors) != 0) {
        fputs(errors.data, stderr);
        text_free(&errors);
        return STATUS_BAD;
    }
    int status = check ? probe_and_compare(i) : write_out(i, json);
    import_free(i);
    return status;
}

int import_command(int argc, char **argv)
{
    static const struct option longs[] = {
        {"report", required_argument, NULL, 'r'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool json = false;
    bool check = false;
    for (int opt; (opt = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (opt == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        bool known = opt == 'c' ||
                     (opt == 'r' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0));
        if (!known) {
            fputs(usage, stderr);
            return STATUS_BAD;
        }
        check = check || opt == 'c';
        json = opt == 'r' ? strcmp(optarg, "json") == 0 : json;
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return STATUS_BAD;
    }
    return run((const char *const *)argv + optind, (size_t)(argc - optind), json, check);
}

/* To be run ---------------------------------------------------------------------------------------
 */

struct made {
    struct config_maker maker;
    struct import_files *files;
};

/* Whether something is missing without which the router would not do what HAProxy did. */
static bool is_short(const struct import *i, struct text *errors)
{
    bool lost = import_lost(i);
    bool nobody =
        import_wants_account(i) && getenv(IMPORT_USER) == NULL && getenv(IMPORT_PASSWORD) == NULL;
    if (lost) {
        import_report_lost(i, errors);
    }
    if (nobody) {
        text_add(errors, "probes must log in, and HAProxy's checks did not: set %s and %s\n",
                 IMPORT_USER, IMPORT_PASSWORD);
    }
    return lost || nobody;
}

static int make(const struct config_maker *maker, struct config **out, struct text *errors)
{
    const struct import_files *files = container_of(maker, struct made, maker)->files;
    struct import *i;
    *out = NULL;
    int rc = import_read(files->paths, files->count, &i, errors);
    if (rc != 0) {
        return rc;
    }
    if (!files->lenient && is_short(i, errors)) {
        import_free(i);
        return -EDOM;
    }
    char name[512];
    snprintf(name, sizeof name, "%s as router.ini", files->paths[0]);
    const char *ini = import_text(i);
    rc = config_load_text(name, ini, strlen(ini), out, errors);
    import_free(i);
    if (rc == 0) {
        config_set_maker(*out, maker);
    }
    return rc;
}

int import_load(struct import_files *files, struct config **out)
{
    static struct made made; /* reloads come back to it */
    made = (struct made){.maker = {make, files->paths, files->count}, .files = files};
    struct text errors = {0};
    int rc = make(&made.maker, out, &errors);
    if (errors.len > 0) {
        fputs(errors.data, stderr);
    }
    if (rc == -EDOM) {
        fputs("router: without that it is not started; --lenient does\n", stderr);
    }
    text_free(&errors);
    return rc == 0 ? 0 : rc == -EDOM ? STATUS_LOST : STATUS_BAD;
}
