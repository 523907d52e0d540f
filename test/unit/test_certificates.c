/* Promise: what is wrong with a certificate in time is known, and told once a day; files that were
 * replaced become a new context for those whom it concerns, once. What clients and servers see of
 * it is tested on the real binary (test/integration/test_certificates.py). */
#include "tls_identity.h"

#include <fcntl.h>
#include <time.h>

#include "base/file_stamp.h"
#include "base/log.h"
#include "ctl/certificates.h"

#define LOG_MAX 4096

/* Time ------------------------------------------------------------------------------------- */

#define NOW 1800000000

struct row {
    long from; /* seconds from now */
    long to;
    enum validity validity;
    long days;
    const char *problem;
};

static const struct row rows[] = {
    {-DAY, 89 * DAY, VALIDITY_GOOD, 89, ""},
    {-76 * DAY, 14 * DAY, VALIDITY_GOOD, 14, ""},
    {-76 * DAY, 14 * DAY - 1, VALIDITY_SOON, 13, "expires in 13 days"},
    {-89 * DAY, DAY, VALIDITY_SOON, 1, "expires in 1 day"},
    {-89 * DAY, 2 * 3600, VALIDITY_SOON, 0, "expires in 2 hours"},
    {-89 * DAY, 61, VALIDITY_SOON, 0, "expires in 1 minute"},
    {-89 * DAY, 0, VALIDITY_SOON, 0, "expires in 0 minutes"},
    {-89 * DAY, -1, VALIDITY_EXPIRED, -1, "expired 0 minutes ago"},
    {-89 * DAY, -DAY, VALIDITY_EXPIRED, -1, "expired 1 day ago"},
    {-89 * DAY, -3 * DAY - 7, VALIDITY_EXPIRED, -3, "expired 3 days ago"},
    {3600, 90 * DAY, VALIDITY_FUTURE, 90, "not valid yet, but in 1 hour"},
    /* One that is made for a day, and renewed in time, is not always about to expire. */
    {-12 * 3600, 12 * 3600, VALIDITY_GOOD, 0, ""},
    {-20 * 3600, 4 * 3600, VALIDITY_SOON, 0, "expires in 4 hours"},
};

static void how_a_certificate_stands_in_time_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_certificate c = {.not_before = NOW + rows[i].from,
                                    .not_after = NOW + rows[i].to};
        char problem[CERTIFICATE_PROBLEM_MAX];
        assert_int_equal(certificate_validity(&c, NOW), rows[i].validity);
        assert_int_equal(certificate_days_left(&c, NOW), rows[i].days);
        certificate_problem(&c, NOW, problem);
        assert_string_equal(problem, rows[i].problem);
    }
}

static void what_else_is_wrong_stands_beside_it(void **state)
{
    (void)state;
    struct tls_certificate c = {
        .not_before = NOW - DAY, .not_after = NOW + 90 * DAY, .problem = "not for servers"};
    char problem[CERTIFICATE_PROBLEM_MAX];
    certificate_problem(&c, NOW, problem);
    assert_string_equal(problem, "not for servers");
    c.not_after = NOW - 2 * DAY;
    certificate_problem(&c, NOW, problem);
    assert_string_equal(problem, "expired 2 days ago; not for servers");
}

/* Files ------------------------------------------------------------------------------------ */

/* A frontend, one backend whose sessions speak TLS, one of which only the probes do, one of which
 * only what asks the Sentinels does. */
struct world {
    struct identity old;
    struct identity fresh;
    const char *paths[4]; /* of the frontend, of the backends */
    char *certs[1];
    struct frontend_config frontend;
    struct backend_config backends[3];
    struct config config;
    struct certificates own;
    struct tls_context *before[4];
    unsigned told; /* calls of on_new() */
    bool frontend_told;
    size_t index_told;
    char why[CERTIFICATES_WHY_MAX];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    static const char *const names[] = {"sessions", "probes", "sentinels"};
    log_set_level(LOG_LEVEL_ERROR);
    files_begin();
    w->old = identity_new("old", &(struct wanted){.names = "DNS:a.test", .to = 5 * DAY}, NULL);
    w->fresh = identity_new("new", &(struct wanted){.names = "DNS:a.test", .to = 90 * DAY}, NULL);
    for (size_t i = 0; i < 4; i++) {
        w->paths[i] = both_file(&w->old);
    }
    w->certs[0] = (char *)w->paths[0];
    w->frontend =
        (struct frontend_config){.name = "f", .tls = TLS_MODE_YES, .tls_certs = {w->certs, 1}};
    for (size_t i = 0; i < 3; i++) {
        w->backends[i] = (struct backend_config){.name = (char *)names[i],
                                                 .index = i,
                                                 .tls = i == 0,
                                                 .probe_tls = i < 2 ? PROBE_TLS_YES : PROBE_TLS_NO,
                                                 .sentinel_tls = i == 2,
                                                 .tls_cert = (char *)w->paths[i + 1]};
    }
    w->config = (struct config){.frontends = &w->frontend,
                                .frontend_count = 1,
                                .backends = w->backends,
                                .backend_count = 3};
    assert_int_equal(certificates_init(&w->own, &w->config, w->why), 0);
    w->before[0] = w->own.frontend_tls[0];
    w->before[1] = w->own.probe_tls[0];
    w->before[2] = w->own.probe_tls[1];
    w->before[3] = w->own.word_tls[2];
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    certificates_release(&w->own);
    identity_free(&w->old);
    identity_free(&w->fresh);
    files_end();
    memset(files_folder + strlen(files_folder) - 6, 'X', 6);
    free(w);
    return 0;
}

static void on_new(void *receiver, bool frontend, size_t index)
{
    struct world *w = receiver;
    w->told++;
    w->frontend_told = frontend;
    w->index_told = index;
}

static void look(struct world *w)
{
    w->told = 0;
    certificates_look(&w->own, time(NULL), on_new, w);
}

/* As a careful renewal does it. */
static void replace(const char *path, const struct identity *id)
{
    assert_int_equal(rename(both_file(id), path), 0);
}

static void contexts_go_to_whom_they_concern(void **state)
{
    struct world *w = *state;
    assert_non_null(w->own.frontend_tls[0]);
    assert_ptr_equal(w->own.backend_tls[0], w->own.probe_tls[0]);
    assert_non_null(w->own.backend_tls[0]);
    assert_null(w->own.backend_tls[1]); /* its sessions are in the clear */
    assert_non_null(w->own.probe_tls[1]);
    assert_null(w->own.word_tls[0]);
    assert_null(w->own.word_tls[1]);
    assert_null(w->own.backend_tls[2]); /* its servers are in the clear */
    assert_null(w->own.probe_tls[2]);
    assert_non_null(w->own.word_tls[2]);
}

static void files_that_stay_are_told_to_nobody(void **state)
{
    struct world *w = *state;
    look(w);
    look(w);
    assert_int_equal(w->told, 0);
    assert_ptr_equal(w->own.frontend_tls[0], w->before[0]);
}

static void a_replaced_file_is_a_new_context_once(void **state)
{
    struct world *w = *state;
    struct tls_context *kept = tls_context_ref(w->before[0]); /* as a session's, so not reused */
    replace(w->paths[0], &w->fresh);
    look(w);
    assert_int_equal(w->told, 1);
    assert_true(w->frontend_told);
    assert_int_equal(w->index_told, 0);
    assert_ptr_not_equal(w->own.frontend_tls[0], kept);
    look(w);
    assert_int_equal(w->told, 0);
    tls_context_unref(kept);
}

static void a_servers_side_is_told_by_its_own_index(void **state)
{
    struct world *w = *state;
    struct tls_context *kept = tls_context_ref(w->before[1]);
    replace(w->paths[1], &w->fresh);
    look(w);
    assert_int_equal(w->told, 1);
    assert_false(w->frontend_told);
    assert_int_equal(w->index_told, 0);
    assert_ptr_not_equal(w->own.backend_tls[0], kept);
    assert_ptr_equal(w->own.backend_tls[0], w->own.probe_tls[0]);
    tls_context_unref(kept);
}

static void what_only_probes_use_is_not_told_to_workers(void **state)
{
    struct world *w = *state;
    struct tls_context *kept = tls_context_ref(w->before[2]);
    replace(w->paths[2], &w->fresh);
    look(w);
    assert_int_equal(w->told, 0);
    assert_ptr_not_equal(w->own.probe_tls[1], kept);
    assert_null(w->own.backend_tls[1]);
    tls_context_unref(kept);
}

static void what_only_sentinels_are_asked_with_is_not_told_to_workers(void **state)
{
    struct world *w = *state;
    struct tls_context *kept = tls_context_ref(w->before[3]);
    replace(w->paths[3], &w->fresh);
    look(w);
    assert_int_equal(w->told, 0);
    assert_non_null(w->own.word_tls[2]);
    assert_ptr_not_equal(w->own.word_tls[2], kept);
    tls_context_unref(kept);
}

static void a_broken_file_changes_nothing_and_is_tried_again(void **state)
{
    struct world *w = *state;
    char problem[CREDENTIAL_PROBLEM_MAX];
    assert_int_equal(rename(text_file("junk"), w->paths[0]), 0);
    look(w);
    look(w);
    assert_int_equal(w->told, 0);
    assert_ptr_equal(w->own.frontend_tls[0], w->before[0]);
    credential_problem(&w->own.frontends[0], problem);
    assert_non_null(strstr(problem, w->paths[0]));
    replace(w->paths[0], &w->fresh);
    look(w);
    assert_int_equal(w->told, 1);
    credential_problem(&w->own.frontends[0], problem);
    assert_string_equal(problem, "");
}

/* Telling ---------------------------------------------------------------------------------- */

/* How many lines are logged by certificates_tell() at this time. */
static unsigned lines_at(struct world *w, time_t now)
{
    char log[LOG_MAX];
    FILE *file = tmpfile();
    assert_non_null(file);
    int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    log_set_level(LOG_LEVEL_WARN);
    certificates_tell(&w->own, now, false);
    log_set_level(LOG_LEVEL_ERROR);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t len = fread(log, 1, sizeof log - 1, file);
    fclose(file);
    log[len] = '\0';
    unsigned lines = 0;
    for (const char *at = log; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    return lines;
}

static void a_certificate_that_ends_is_told_once_a_day_and_when_it_has_ended(void **state)
{
    struct world *w = *state;
    for (size_t i = 1; i < 4; i++) {
        replace(w->paths[i], &w->fresh);
    }
    certificates_look(&w->own, time(NULL), on_new, w);
    time_t end = tls_context_certificate(w->own.frontend_tls[0], 0)->not_after;
    unsigned told = 0;
    for (time_t now = end - 12 * 3600; now < end + 3 * DAY; now += 60) {
        unsigned lines = lines_at(w, now);
        assert_true(lines <= 1);
        told += lines;
    }
    assert_int_equal(told, 4); /* half a day before, and from its end on each day */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_a_certificate_stands_in_time_is_known),
        cmocka_unit_test(what_else_is_wrong_stands_beside_it),
        cmocka_unit_test_setup_teardown(contexts_go_to_whom_they_concern, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_stay_are_told_to_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replaced_file_is_a_new_context_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_servers_side_is_told_by_its_own_index, setup, teardown),
        cmocka_unit_test_setup_teardown(what_only_probes_use_is_not_told_to_workers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_only_sentinels_are_asked_with_is_not_told_to_workers,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_file_changes_nothing_and_is_tried_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_certificate_that_ends_is_told_once_a_day_and_when_it_has_ended, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
