/* HAProxy itself is asked what it makes of a file. It is 2.6; the importer goes by 3.2. */
#ifndef TEST_HAPROXY_FIXTURE_H
#define TEST_HAPROXY_FIXTURE_H

#include "source_fixture.h"

#include <stdio.h>
#include <unistd.h>

/* The file that is asked about. */
static char path[] = "/tmp/router-haproxy-XXXXXX";

static inline void write_file(const char *data, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* What HAProxy says of a file, to be freed; *rc is how it ended. */
static inline struct text haproxy_says(int *rc)
{
    char command[256];
    snprintf(command, sizeof command, "/usr/sbin/haproxy -c -f %s 2>&1", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    struct text said = {0};
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, f)) > 0) {
        text_add_bytes(&said, part, n);
    }
    *rc = pclose(f);
    text_add(&said, "%s", "");
    return said;
}

static inline int haproxy_setup(void **state)
{
    (void)state;
    set_variables();
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static inline int haproxy_teardown(void **state)
{
    (void)state;
    return unlink(path);
}

#endif
