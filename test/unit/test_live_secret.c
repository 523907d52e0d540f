/* Promise: a password whose file is rotated, however that is done, is the new one at the next look;
 * one that cannot be read again keeps its old value, and that is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ctl/live_secret.h"

#define NOBODY 65534

struct place {
    char folder[32];
    char file[64];
    struct live_secret secret;
};

static const char *in_folder(const struct place *p, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", p->folder, name);
    return path;
}

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    snprintf(p->folder, sizeof(p->folder), "/tmp/router-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->file, sizeof(p->file), "%s/password", p->folder);
    write_file(p->file, "first\n");
    log_set_level(LOG_LEVEL_ERROR);
    live_secret_init(&p->secret, p->file, "first");
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"password",   "fresh",        "..data",
                                        "..data_tmp", "..1/password", "..2/password"};
    struct place *p = *state;
    live_secret_release(&p->secret);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *path = in_folder(p, names[i]);
        if (unlink(path) != 0) {
            rmdir(path); /* a test put a folder there */
        }
    }
    rmdir(in_folder(p, "..1"));
    rmdir(in_folder(p, "..2"));
    int left = rmdir(p->folder);
    free(p);
    return left;
}

static bool refresh(struct place *p)
{
    return live_secret_refresh(&p->secret, "backend=b");
}

static void expect(struct place *p, bool changed, const char *value)
{
    assert_int_equal(refresh(p), changed);
    assert_string_equal(p->secret.value, value);
}

static void replace(struct place *p, const char *content)
{
    char fresh[PATH_MAX];
    snprintf(fresh, sizeof(fresh), "%s", in_folder(p, "fresh"));
    write_file(fresh, content);
    assert_int_equal(rename(fresh, p->file), 0);
}

static void a_file_that_stays_as_it_is_changes_nothing(void **state)
{
    expect(*state, false, "first");
    expect(*state, false, "first");
}

static void a_file_that_is_renamed_over_it_counts(void **state)
{
    struct place *p = *state;
    expect(p, false, "first");
    replace(p, "second\n");
    expect(p, true, "second");
    expect(p, false, "second");
    replace(p, "third");
    expect(p, true, "third");
}

static void a_file_that_is_written_in_place_counts(void **state)
{
    struct place *p = *state;
    expect(p, false, "first");
    write_file(p->file, "other");
    expect(p, true, "other");
}

static void the_first_look_finds_what_changed_since_the_start(void **state)
{
    struct place *p = *state;
    write_file(p->file, "rotated\n");
    expect(p, true, "rotated");
}

/* ..data is a link to a folder with a version of all files, and is swapped by a rename; the file
 * itself is a link through it that never changes. */
static void kubernetes_swaps_a_link_above_the_file(void **state)
{
    struct place *p = *state;
    char tmp[PATH_MAX];
    char data[PATH_MAX];
    snprintf(tmp, sizeof(tmp), "%s", in_folder(p, "..data_tmp"));
    snprintf(data, sizeof(data), "%s", in_folder(p, "..data"));
    unlink(p->file);
    assert_int_equal(mkdir(in_folder(p, "..1"), 0700), 0);
    assert_int_equal(mkdir(in_folder(p, "..2"), 0700), 0);
    write_file(in_folder(p, "..1/password"), "first");
    write_file(in_folder(p, "..2/password"), "other"); /* as long, as old */
    assert_int_equal(symlink("..1", data), 0);
    assert_int_equal(symlink("..data/password", p->file), 0);
    expect(p, false, "first");
    assert_int_equal(symlink("..2", tmp), 0);
    assert_int_equal(rename(tmp, data), 0);
    expect(p, true, "other");
    expect(p, false, "other");
}

static void the_same_text_in_another_file_is_no_change(void **state)
{
    struct place *p = *state;
    expect(p, false, "first");
    const char *value = p->secret.value;
    replace(p, "first"); /* without its line end even */
    expect(p, false, "first");
    assert_ptr_equal(p->secret.value, value);
}

static void what_cannot_be_read_keeps_the_old_value(void **state)
{
    static const char *const bad[] = {"", "\n", "\r\n"};
    struct place *p = *state;
    replace(p, "second");
    expect(p, true, "second");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        replace(p, bad[i]);
        expect(p, false, "second");
    }
    unlink(p->file);
    expect(p, false, "second");
    assert_int_equal(mkdir(p->file, 0700), 0);
    expect(p, false, "second");
    rmdir(p->file);
    write_file(p->file, "third");
    expect(p, true, "third");
    assert_false(p->secret.unreadable);
}

/* What `refresh` writes to the log. */
static void logged(struct place *p, char *out, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    refresh(p);
    log_set_level(LOG_LEVEL_ERROR);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void the_log_tells_it_once_and_shows_no_password(void **state)
{
    struct place *p = *state;
    char line[512];
    logged(p, line, sizeof(line));
    assert_string_equal(line, "");
    replace(p, "hunter2");
    logged(p, line, sizeof(line));
    assert_non_null(strstr(line, " level=info "));
    assert_non_null(strstr(line, "backend=b the password in "));
    assert_non_null(strstr(line, "has changed"));
    assert_null(strstr(line, "hunter2"));
    replace(p, "");
    logged(p, line, sizeof(line));
    assert_non_null(strstr(line, " level=warn "));
    assert_non_null(strstr(line, "cannot be read again (it is empty): the old one stays in use"));
    unlink(p->file);
    logged(p, line, sizeof(line));
    assert_string_equal(line, ""); /* it is still not readable: that was told */
    write_file(p->file, "hunter2\n");
    logged(p, line, sizeof(line));
    assert_string_equal(line, ""); /* readable again, and the same */
    unlink(p->file);
    logged(p, line, sizeof(line));
    assert_non_null(strstr(line, "cannot be read again (No such file or directory)"));
}

/* Root reads everything, so it becomes somebody else for a while. */
static void a_file_whose_mode_forbids_it_is_read_when_it_is_allowed_again(void **state)
{
    struct place *p = *state;
    bool root = geteuid() == 0;
    expect(p, false, "first");
    if (root) {
        assert_int_equal(chown(p->folder, NOBODY, NOBODY), 0);
        assert_int_equal(seteuid(NOBODY), 0);
    }
    replace(p, "second");
    assert_int_equal(chmod(p->file, 0), 0);
    expect(p, false, "first");
    assert_true(p->secret.unreadable);
    assert_int_equal(chmod(p->file, 0600), 0); /* changes neither size nor time */
    expect(p, true, "second");
    assert_int_equal(root ? seteuid(0) : 0, 0);
}

static void without_a_file_nothing_ever_changes(void **state)
{
    struct live_secret s;
    (void)state;
    live_secret_init(&s, NULL, "given");
    assert_false(live_secret_refresh(&s, "backend=b"));
    assert_string_equal(s.value, "given");
    live_secret_release(&s);
    live_secret_init(&s, NULL, NULL);
    assert_false(live_secret_refresh(&s, "backend=b"));
    assert_null(s.value);
    live_secret_release(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_stays_as_it_is_changes_nothing),
        TEST(a_file_that_is_renamed_over_it_counts),
        TEST(a_file_that_is_written_in_place_counts),
        TEST(the_first_look_finds_what_changed_since_the_start),
        TEST(kubernetes_swaps_a_link_above_the_file),
        TEST(the_same_text_in_another_file_is_no_change),
        TEST(what_cannot_be_read_keeps_the_old_value),
        TEST(the_log_tells_it_once_and_shows_no_password),
        TEST(a_file_whose_mode_forbids_it_is_read_when_it_is_allowed_again),
        cmocka_unit_test(without_a_file_nothing_ever_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
