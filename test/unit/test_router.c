/* The router as a part of another program, by include/router.h: it starts, serves, drains when
 * another thread says so, and leaves nothing open; a start that fails says why and leaves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/text.h"
#include "model/config.h"
#include "router.h"

static struct config *configure(const char *path)
{
    char ini[512];
    struct text errors = {0};
    struct config *config;
    int len = snprintf(ini, sizeof ini,
                       "[router]\nworkers = 2\nadmin = off\n"
                       "[frontend f]\nbind = unix:%s\nbackend = b\n"
                       "[backend b]\nprotocol = tcp\nprobe = off\nserver = s unix:%s.server\n",
                       path, path);
    assert_int_equal(config_load_text("test.ini", ini, (size_t)len, &config, &errors), 0);
    text_free(&errors);
    return config;
}

static void drain_from_outside(void *router)
{
    router_drain(router);
}

static void test_another_thread_drains_it_and_nothing_is_left(void **state)
{
    (void)state;
    char path[64];
    char why[256];
    struct router *r;
    uv_thread_t thread;
    snprintf(path, sizeof path, "/tmp/router-unit-%d.sock", (int)getpid());
    struct config *config = configure(path);
    assert_int_equal(router_start(&r, config, why, sizeof why), 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(uv_thread_create(&thread, drain_from_outside, r), 0);
    assert_int_equal(router_run(r), 0);
    uv_thread_join(&thread);
    router_free(r);
    config_free(config);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_a_start_that_fails_says_why(void **state)
{
    (void)state;
    char why[256] = "";
    struct router *r;
    struct config *config = configure("/nonexistent/router.sock");
    assert_int_equal(router_start(&r, config, why, sizeof why), UV_ENOENT);
    assert_null(r);
    assert_non_null(strstr(why, "frontend f: cannot bind unix:/nonexistent/router.sock"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_thread_drains_it_and_nothing_is_left),
        cmocka_unit_test(test_a_start_that_fails_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
