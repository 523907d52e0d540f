/* What most tests of conns under TLS begin with: an authority, one certificate for ADDRESS and
 * NAME, a stage on which both sides speak one version, and bytes to send. begin() and end() are the
 * group's; one test at a time. */
#ifndef TEST_UNIT_TLS_USUAL_H
#define TEST_UNIT_TLS_USUAL_H

#include "tls_stage.h"

#define MANY 100000
#define BIG  (3 * 1024 * 1024)

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static struct identity authority;
static struct identity good; /* for ADDRESS and NAME */
static const char *ca;
static const char *good_file;
static char pattern[BIG];

static int begin(void **state)
{
    (void)state;
    files_begin();
    authority = authority_new("authority", NULL);
    good =
        identity_new("server", &(struct wanted){.names = "IP:" ADDRESS ",DNS:" NAME}, &authority);
    ca = cert_file(&authority);
    good_file = both_file(&good);
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (char)(i * 2654435761U >> 13);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_end();
    identity_free(&good);
    identity_free(&authority);
    return 0;
}

static struct stage *usual_stage(int version)
{
    struct stage *s = stage_new(plain_server(good_file), trusting_client(ca));
    only_version(s->client_context, version);
    return s;
}

static struct stage *ready_stage(int version)
{
    struct stage *s = usual_stage(version);
    stage_ready(s);
    return s;
}

static void stage_end(struct stage *s)
{
    stage_close(s);
    stage_free(s);
}

static void assert_got(const struct end *e, size_t len)
{
    assert_int_equal(e->len, len);
    assert_memory_equal(e->got, pattern, len);
}

#endif
