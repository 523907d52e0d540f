/* Which sockets there are: an address that stays keeps its own, and what another process still
 * listens on is neither closed nor removed before it is ours. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/mem.h"
#include "ctl/sockets.h"

#define WORKERS 2

static char directory[] = "/tmp/router-sockets-XXXXXX";
static char why[SOCKETS_WHY_MAX];

struct place {
    struct config config;
    struct backend_config backend;
    struct frontend_config frontend;
    struct bind_config binds[2];
    char paths[2][64];
};

/* One frontend, listening on these files of the folder. */
static void make(struct place *p, const char *first, const char *second)
{
    const char *names[] = {first, second};
    *p = (struct place){0};
    size_t count = second != NULL ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        char text[80];
        snprintf(p->paths[i], sizeof p->paths[i], "%s/%s", directory, names[i]);
        snprintf(text, sizeof text, "unix:%s", p->paths[i]);
        assert_int_equal(address_parse(&p->binds[i].address, text), 0);
        p->binds[i].text = p->paths[i];
    }
    p->frontend = (struct frontend_config){.name = "f", .binds = {p->binds, count}};
    p->config = (struct config){.frontends = &p->frontend,
                                .frontend_count = 1,
                                .backends = &p->backend,
                                .backend_count = 1};
}

static bool exists(const char *name)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return lstat(path, &st) == 0;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static struct sockets bound_to(const char *first, const char *second)
{
    struct place p;
    struct sockets none = {.workers = WORKERS};
    struct sockets out;
    make(&p, first, second);
    assert_int_equal(sockets_follow(&none, &p.config, &out, why), 0);
    return out;
}

static void what_stays_keeps_its_sockets_and_what_goes_is_removed(void **state)
{
    (void)state;
    struct place p;
    struct sockets now = bound_to("a", "b");
    struct sockets next;
    int stays = sockets_number(&now.items[1], 0);
    int goes = sockets_number(&now.items[0], 1);
    make(&p, "b", "c");
    assert_int_equal(sockets_follow(&now, &p.config, &next, why), 0);
    assert_true(exists("a") && exists("b") && exists("c"));
    sockets_replace(&now, &next);
    assert_false(exists("a"));
    assert_false(is_open(goes));
    assert_int_equal(sockets_number(&now.items[0], 0), stays);
    assert_true(is_open(stays));
    sockets_release(&now);
    assert_false(exists("b") || exists("c") || is_open(stays));
}

static void a_worker_takes_each_once(void **state)
{
    (void)state;
    struct sockets now = bound_to("a", NULL);
    int fd = sockets_take(&now.items[0], 0);
    assert_true(is_open(fd));
    assert_int_equal(sockets_take(&now.items[0], 0), -1);
    assert_int_equal(sockets_number(&now.items[0], 0), fd);
    sockets_release(&now);
    assert_true(is_open(fd)); /* it is the worker's */
    close(fd);
}

static void what_cannot_be_followed_leaves_nothing_and_changes_nothing(void **state)
{
    (void)state;
    struct place p;
    struct sockets now = bound_to("a", NULL);
    struct sockets next;
    int own = sockets_take(&now.items[0], 0);
    int other = sockets_take(&now.items[0], 1);
    make(&p, "fresh", "no-such-folder/x");
    assert_int_not_equal(sockets_follow(&now, &p.config, &next, why), 0);
    assert_non_null(strstr(why, "no-such-folder"));
    assert_false(exists("fresh"));
    assert_true(exists("a") && is_open(own));
    close(own);
    close(other);
    sockets_release(&now);
}

static void what_another_process_listens_on_is_not_removed_before_it_is_ours(void **state)
{
    (void)state;
    struct place p;
    struct sockets theirs = bound_to("a", "b");
    struct sockets out;
    int wanted = sockets_number(&theirs.items[1], 0);
    int rest = sockets_number(&theirs.items[0], 0);
    make(&p, "b", "c");
    assert_int_equal(sockets_inherit(&theirs, &p.config, &out, why), 0);
    assert_int_equal(sockets_number(&out.items[0], 0), wanted);
    assert_int_equal(theirs.count, 1);
    assert_true(exists("a") && is_open(rest));
    sockets_release(&theirs); /* our turn */
    assert_false(exists("a") || is_open(rest));
    assert_int_equal(sockets_take(&out.items[0], 0), wanted);
    close(wanted);
    sockets_release(&out);
}

static void what_cannot_be_inherited_is_still_theirs(void **state)
{
    (void)state;
    struct place p;
    struct sockets theirs = bound_to("a", "b");
    struct sockets out;
    int fd = sockets_number(&theirs.items[0], 0);
    make(&p, "a", "no-such-folder/x");
    assert_int_not_equal(sockets_inherit(&theirs, &p.config, &out, why), 0);
    assert_int_equal(theirs.count, 2);
    assert_true(exists("a") && exists("b") && is_open(fd));
    sockets_disown(&theirs);
    sockets_release(&theirs);
    assert_true(exists("a") && exists("b"));
    assert_false(is_open(fd));
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char path[64];
    for (const char *name = "abc"; *name != '\0'; name++) {
        snprintf(path, sizeof path, "%s/%c", directory, *name);
        unlink(path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_keeps_its_sockets_and_what_goes_is_removed),
        cmocka_unit_test(a_worker_takes_each_once),
        cmocka_unit_test(what_cannot_be_followed_leaves_nothing_and_changes_nothing),
        cmocka_unit_test(what_another_process_listens_on_is_not_removed_before_it_is_ours),
        cmocka_unit_test(what_cannot_be_inherited_is_still_theirs),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
