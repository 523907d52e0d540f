/* Limits of control groups: those of the group and of each around it, in both versions. */
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

#include "base/limits.h"

static char root[] = "/tmp/router-limits-XXXXXX";

/* Makes the folders on the way, too. */
static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    int rc = system(command);
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return rc;
}

static void nothing_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(limits_group_memory(root), 0);
    put("proc/self/cgroup", "0::/\n");
    assert_int_equal(limits_group_memory(root), 0);
    put("sys/fs/cgroup/memory.max", "max\n");
    put("sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(limits_group_memory(root), 0);
    assert_int_equal(limits_group_cpus(root), 0);
}

static void a_container_sees_its_own_group_at_the_top(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory.max", "33554432\n");
    put("sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(limits_group_memory(root), 33554432);
    assert_int_equal(limits_group_cpus(root), 2);
    put("proc/self/cgroup", "0::/../../elsewhere\n"); /* and its path may not be mounted */
    assert_int_equal(limits_group_memory(root), 33554432);
}

static void the_least_of_all_groups_around_counts(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/system.slice/router.service\n");
    put("sys/fs/cgroup/system.slice/router.service/memory.max", "100\n");
    put("sys/fs/cgroup/system.slice/memory.max", "max\n");
    put("sys/fs/cgroup/memory.max", "70\n");
    assert_int_equal(limits_group_memory(root), 70);
    put("sys/fs/cgroup/system.slice/memory.max", "50\n");
    assert_int_equal(limits_group_memory(root), 50);
    put("sys/fs/cgroup/system.slice/router.service/memory.max", "20\n");
    assert_int_equal(limits_group_memory(root), 20);
    put("sys/fs/cgroup/system.slice/cpu.max", "400000 100000\n");
    assert_int_equal(limits_group_cpus(root), 4);
}

static void version_1_has_a_folder_for_each_controller(void **state)
{
    (void)state;
    put("proc/self/cgroup", "7:cpu,cpuacct:/a\n5:memory:/docker/b\n1:name=systemd:/c\n0::/d\n");
    put("sys/fs/cgroup/memory/docker/b/memory.limit_in_bytes", "1000\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory.max", "2000\n");
    assert_int_equal(limits_group_memory(root), 1000);
}

static void odd_files_are_no_limit(void **state)
{
    static const char *const odd[] = {"", "\n", "0", "0:", "0:::", "::", "nonsense\n", "0::\n"};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        put("proc/self/cgroup", odd[i]);
        assert_int_equal(limits_group_memory(root), 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_no_limit),
        TEST(a_container_sees_its_own_group_at_the_top),
        TEST(the_least_of_all_groups_around_counts),
        TEST(version_1_has_a_folder_for_each_controller),
        TEST(odd_files_are_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
