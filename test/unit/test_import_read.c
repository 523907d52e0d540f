/* Promise: files and directories are read as HAProxy's -f takes them, and whatever is given instead
 * ends with an error, soon and in little memory. */
#include "source_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"

static char folder[] = "/tmp/router-import-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *data, size_t len)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
}

/* Reads these, to be freed; the errors with the folder left out. */
static int read_all(struct source *s, const char *const *names, size_t count, char **errors)
{
    const char *paths[8];
    char copies[8][256];
    struct text t = {0};
    for (size_t i = 0; i < count; i++) {
        snprintf(copies[i], sizeof copies[i], "%s",
                 names[i][0] == '/' ? names[i] : in_folder(names[i]));
        paths[i] = copies[i];
    }
    int rc = source_read(s, paths, count, &t);
    text_add(&t, "%s", "");
    struct text out = {0};
    const char *at = t.data;
    for (const char *found; (found = strstr(at, folder)) != NULL;) {
        text_add_bytes(&out, at, (size_t)(found - at));
        at = found + strlen(folder) + 1;
    }
    text_add(&out, "%s", at);
    text_free(&t);
    *errors = out.data;
    assert_int_equal(rc != 0, out.len > 0);
    return rc;
}

static void assert_errors(const char *const *names, size_t count, const char *expected)
{
    struct source s;
    char *errors;
    read_all(&s, names, count, &errors);
    assert_string_equal(errors, expected);
    free(errors);
    source_free(&s);
}

static void assert_error(const char *name, const char *expected)
{
    assert_errors(&name, 1, expected);
}

/* "file:number word" of all headers and lines. */
static void assert_read(const char *const *names, size_t count, const char *expected)
{
    struct source s;
    char *errors;
    read_all(&s, names, count, &errors);
    assert_string_equal(errors, "");
    struct text t = {0};
    for (size_t i = 0; i < s.section_count; i++) {
        const struct section *section = s.sections[i];
        const char *file = section->header->place.file + strlen(folder) + 1;
        text_add(&t, "%s:%zu %s %s %s\n", file, section->header->place.number,
                 section->header->words[0].text, section->name,
                 section->from != NULL ? section->from->name : "-");
        for (size_t j = 0; j < section->count; j++) {
            text_add(&t, " %zu %s\n", section->lines[j]->place.number,
                     section->lines[j]->words[0].text);
        }
    }
    text_add(&t, "%s", "");
    assert_string_equal(t.data, expected);
    text_free(&t);
    free(errors);
    source_free(&s);
}

static void several_files_are_one_configuration(void **state)
{
    (void)state;
    write_text("one.cfg", "global\n setenv A x\n.if 1\ndefaults d\n.endif\n");
    write_text("two", "backend b\n log-tag \"$A\"\n");
    assert_read((const char *const[]){"one.cfg", "two"}, 2,
                "one.cfg:1 global  -\n 2 setenv\none.cfg:4 defaults d -\n"
                "two:1 backend b d\n 2 log-tag\n");
    /* But a section ends with its file, and so does .if. */
    write_text("three", " maxconn 1\n.endif\n");
    assert_errors((const char *const[]){"one.cfg", "three"}, 2,
                  "three:1: unknown keyword 'maxconn' out of section\n"
                  "three:2: lone '.endif' with no matching '.if'\n");
    assert_errors((const char *const[]){"two", "two"}, 2,
                  "two:1: backend 'b' has the same name as backend 'b' declared at two:1\n");
}

static void a_directory_is_its_cfg_files_by_name(void **state)
{
    (void)state;
    make_folder("d");
    make_folder("d/e.cfg");
    write_text("d/e.cfg/in.cfg", "backend deeper\n");
    write_text("d/b.cfg", "backend b\n");
    write_text("d/B.cfg", "backend B\n");
    write_text("d/10.cfg", "backend ten\n");
    write_text("d/9.cfg", "backend nine\n");
    write_text("d/.hidden.cfg", "backend hidden\n");
    write_text("d/x.cfg.bak", "backend x\n");
    write_text("d/y.cfg.cfg", "backend y\n");
    write_text("d/cfg", "backend z\n");
    write_text("last", "backend last\n");
    assert_int_equal(symlink("9.cfg", in_folder("d/link.cfg")), 0);
    assert_int_equal(unlink(in_folder("d/9.cfg")), 0);
    write_text("d/9.cfg", "backend nine\n");
    static const char *const names[] = {"d", "last"};
    assert_errors(names, 2,
                  "d/link.cfg:1: backend 'nine' has the same name as backend 'nine' declared at "
                  "d/9.cfg:1\n");
    assert_int_equal(unlink(in_folder("d/link.cfg")), 0);
    assert_read(names, 2,
                "d/10.cfg:1 backend ten -\nd/9.cfg:1 backend nine -\nd/B.cfg:1 backend B -\n"
                "d/b.cfg:1 backend b -\nlast:1 backend last -\n");
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    assert_error("nothing", "nothing: cannot read: No such file or directory\n");
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    assert_error("loop", "loop: cannot read: Too many levels of symbolic links\n");
    make_folder("l");
    assert_int_equal(symlink("a.cfg", in_folder("l/a.cfg")), 0);
    assert_error("l", "l/a.cfg: cannot read: Too many levels of symbolic links\n");
    make_folder("up");
    assert_int_equal(symlink("..", in_folder("up/a.cfg")), 0);
    assert_error("up", "");
    assert_error("/dev/zero", "/dev/zero: more than 8388608 bytes in all files\n");
    assert_error("/dev/null", "");
}

static void a_pipe_is_waited_for_but_not_for_ever(void **state)
{
    (void)state;
    int ends[2];
    char name[64];
    assert_int_equal(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(write(ends[1], "backend b\n", 10), 10);
    assert_int_equal(close(ends[1]), 0);
    struct source s;
    char *errors;
    const char *const names[] = {name};
    assert_int_equal(read_all(&s, names, 1, &errors), 0);
    assert_string_equal(s.sections[0]->name, "b");
    source_free(&s);
    free(errors);
    close(ends[0]);
    /* One that nobody writes to is given up. */
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    alarm(30);
    assert_error("fifo", "fifo: cannot read: Connection timed out\n");
    alarm(0);
}

static void junk_ends_with_an_error(void **state)
{
    (void)state;
    static const char stray[] = "global\n daemon\n a\0b\nfoo\n";
    assert_refused_bytes(stray, sizeof stray - 1, "h.cfg:3: stray NUL character at position 3\n");
    assert_refused("global", "h.cfg:1: missing LF on last line, file might have been truncated\n");
    assert_refused_bytes("\0", 1, "h.cfg:1: stray NUL character at position 1\n");
    /* The first 50 are told, and no more is read. */
    struct text t = {0};
    struct source s;
    char *errors;
    for (size_t i = 0; i < 200000; i++) {
        text_add(&t, "x\n");
    }
    read_bytes(&s, t.data, t.len, &errors);
    assert_int_equal(s.error_count, SOURCE_ERRORS_MAX);
    assert_true(s.arena.bytes < 1024 * 1024);
    source_free(&s);
    free(errors);
    text_free(&t);
}

static void a_line_may_be_very_long_but_not_a_file(void **state)
{
    (void)state;
    struct text t = {0};
    text_add(&t, "global\n x %08000000d\n", 0);
    struct source s = read_good(t.data);
    assert_int_equal(s.sections[0]->lines[0]->words[1].len, 8000000);
    source_free(&s);
    text_add(&t, " y %01000000d\n", 0);
    assert_refused(t.data, "h.cfg: more than 8388608 bytes in all files\n");
    write_bytes("long", t.data, t.len);
    assert_error("long", "long: more than 8388608 bytes in all files\n");
    write_bytes("half", t.data, 5000000);
    assert_errors((const char *const[]){"half", "half"}, 2,
                  "half:2: missing LF on last line, file might have been truncated\n"
                  "half: more than 8388608 bytes in all files\n");
    text_free(&t);
}

static void whatever_there_may_be_many_of_is_bounded(void **state)
{
    (void)state;
    make_folder("many");
    for (size_t i = 0; i < SOURCE_FILES_MAX; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/%03zu.cfg", i);
        write_text(name, "");
    }
    assert_error("many", "");
    write_text("many/x.cfg", "");
    assert_error("many", "many/x.cfg: more than 256 files\n");
    struct text t = {0};
    for (size_t i = 0; i < SOURCE_SECTIONS_MAX; i++) {
        text_add(&t, "backend b%zu\n", i);
    }
    struct source s = read_good(t.data);
    assert_int_equal(s.section_count, SOURCE_SECTIONS_MAX);
    source_free(&s);
    text_add(&t, "backend one-more\n x\n");
    assert_refused(t.data, "h.cfg:1025: more than 1024 sections\n");
    text_free(&t);
    text_add(&t, "backend b\n");
    for (size_t i = 0; i < SOURCE_SERVERS_MAX; i++) {
        text_add(&t, " server s%zu 10.0.0.1:1\n", i);
    }
    s = read_good(t.data);
    source_free(&s);
    text_add(&t, " server one-more 10.0.0.1:1\n x\n");
    assert_refused(t.data, "h.cfg:4098: more than 4096 servers\n");
    text_free(&t);
    text_add(&t, "global\n");
    for (size_t i = 0; i < 65536; i++) {
        text_add(&t, " x y z\n");
    }
    char *errors;
    read_bytes(&s, t.data, t.len, &errors);
    assert_string_equal(errors, "h.cfg:65537: too large, it is not read further\n");
    assert_true(s.arena.bytes < 300u * 1024 * 1024);
    source_free(&s);
    free(errors);
    text_free(&t);
}

static int setup(void **state)
{
    (void)state;
    set_variables();
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_files_are_one_configuration),
        cmocka_unit_test(a_directory_is_its_cfg_files_by_name),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(a_pipe_is_waited_for_but_not_for_ever),
        cmocka_unit_test(junk_ends_with_an_error),
        cmocka_unit_test(a_line_may_be_very_long_but_not_a_file),
        cmocka_unit_test(whatever_there_may_be_many_of_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
