/* Promise: what is wrong with a certificate's file is said in words when it is read; each client is
 * shown the certificate for the name that it looks for. */
#include "tls_stage.h"

#include <sys/stat.h>

#include "net/tls_names.h"

static struct identity authority;
static struct identity plain; /* for a.example.com */

static int begin(void **state)
{
    (void)state;
    files_begin();
    authority = authority_new("authority", NULL);
    plain = identity_new("a", &(struct wanted){.names = "DNS:a.example.com"}, &authority);
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_end();
    identity_free(&plain);
    identity_free(&authority);
    return 0;
}

/* What is wrong ----------------------------------------------------------------------------- */

static void assert_server_refused(const char *cert, const char *key, const char *client_ca,
                                  const char *expected)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_context *c;
    struct tls_server_setup setup = {
        .certs = &cert,
        .keys = &key,
        .count = 1,
        .client_ca = client_ca,
        .min_version = TLS1_2_VERSION,
    };
    assert_int_equal(tls_server_context_new(&c, &setup, why), UV_EINVAL);
    assert_null(c);
    assert_string_equal(why, expected);
    assert_int_equal(ERR_peek_error(), 0);
}

static const char *in_words(const char *fmt, const char *path)
{
    static char words[TLS_WHY_MAX];
    snprintf(words, sizeof words, fmt, path);
    return words;
}

static void a_certificate_that_cannot_be_read_is_named(void **state)
{
    const char *key = chain_file(NULL, plain.key);
    const char *cut = text_file("-----BEGIN CERTIFICATE-----\nMIIB\n");
    const char *good = both_file(&plain);
    (void)state;
    assert_server_refused("/not/there", NULL, NULL,
                          "cannot read certificates from /not/there: no such file or directory");
    assert_server_refused("/dev/null", NULL, NULL,
                          "cannot read certificates from /dev/null: it is not a file");
    assert_server_refused(
        files_folder, NULL, NULL,
        in_words("cannot read certificates from %s: it is not a file", files_folder));
    assert_server_refused(key, NULL, NULL,
                          in_words("cannot read certificates from %s: there is none in it", key));
    assert_server_refused(cut, NULL, NULL,
                          in_words("cannot read certificates from %s: bad end line", cut));
    assert_server_refused(good, NULL, key,
                          in_words("cannot read certificates from %s: there is none in it", key));
}

static void a_key_that_cannot_be_used_is_named(void **state)
{
    const char *alone = cert_file(&plain);
    const char *other = chain_file(NULL, authority.key);
    const char *locked;
    char why[TLS_WHY_MAX];
    (void)state;
    FILE *file = file_new(&locked);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, plain.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    fclose(file);
    assert_server_refused(
        alone, NULL, NULL,
        in_words("cannot read the private key from %s: there is none in it", alone));
    assert_server_refused(alone, "/not/there", NULL,
                          "cannot read the private key from /not/there: no such file or directory");
    assert_server_refused(
        alone, locked, NULL,
        in_words("cannot read the private key from %s: it needs a passphrase", locked));
    snprintf(why, sizeof why, "the private key in %s is not that of the certificate in %s", other,
             alone);
    assert_server_refused(alone, other, NULL, why);
}

static void a_file_that_may_not_be_read_is_named(void **state)
{
    const char *file = both_file(&plain);
    (void)state;
    uid_t me = geteuid();
    assert_int_equal(chmod(file, 0), 0);
    assert_true(me != 0 || seteuid(65534) == 0); /* root reads everything */
    assert_server_refused(file, NULL, NULL,
                          in_words("cannot read certificates from %s: permission denied", file));
    assert_int_equal(seteuid(me), 0);
}

static void the_key_may_stand_anywhere_in_the_file(void **state)
{
    const char *path;
    (void)state;
    FILE *file = file_new(&path);
    fputs("a comment\n", file);
    PEM_write_PrivateKey(file, plain.key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(file, plain.cert);
    PEM_write_X509(file, authority.cert);
    fclose(file);
    tls_context_unref(plain_server(path));
    tls_context_unref(NULL);
}

static void a_client_without_authorities_is_refused(void **state)
{
    char why[TLS_WHY_MAX];
    struct tls_context *c;
    struct tls_client_setup setup = {.verify = true, .ca = "/not/there"};
    (void)state;
    assert_int_equal(tls_client_context_new(&c, &setup, why), UV_EINVAL);
    assert_null(c);
    assert_string_equal(why, "cannot read certificates from /not/there: no such file or directory");
    setup.verify = false; /* then it is not asked for */
    assert_int_equal(tls_client_context_new(&c, &setup, why), 0);
    tls_context_unref(c);
    setup = (struct tls_client_setup){.cert = cert_file(&plain)};
    assert_int_equal(tls_client_context_new(&c, &setup, why), UV_EINVAL);
    assert_memory_equal(why, "cannot read the private key from ", 33);
}

/* Facts ------------------------------------------------------------------------------------- */

static void its_names_and_its_times_are_told(void **state)
{
    struct identity middle =
        identity_new("middle", &(struct wanted){.authority = true, .to = DAY / 2}, &authority);
    struct identity leaf = identity_new(
        "cn.example.com",
        &(struct wanted){.names = "DNS:B.Example.com,DNS:*.a.example.com,IP:10.0.0.1"}, &middle);
    const char *path = chain_file((const struct identity *[]){&leaf, &middle, NULL}, leaf.key);
    (void)state;
    time_t now = time(NULL);
    struct tls_context *c = plain_server(path);
    assert_int_equal(tls_context_count(c), 1);
    const struct tls_certificate *facts = tls_context_certificate(c, 0);
    assert_string_equal(facts->file, path);
    assert_string_equal(facts->names, "b.example.com *.a.example.com");
    assert_string_equal(facts->problem, "");
    assert_in_range(facts->not_after, now + DAY / 2 - 100, now + DAY / 2 + 100);
    assert_in_range(facts->not_before, now - DAY - 100, now - DAY + 100);
    tls_context_unref(c);
    identity_free(&leaf);
    identity_free(&middle);
}

static void assert_problem(const struct identity *const *chain, const char *expected)
{
    struct tls_context *c = plain_server(chain_file(chain, chain[0]->key));
    assert_string_equal(tls_context_certificate(c, 0)->problem, expected);
    tls_context_unref(c);
}

static void a_chain_that_no_client_can_follow_is_told(void **state)
{
    struct identity middle = authority_new("middle", &authority);
    struct identity leaf =
        identity_new("x", &(struct wanted){.names = "DNS:x.example.com"}, &middle);
    struct identity client = identity_new(
        "x", &(struct wanted){.names = "DNS:x.example.com", .usage = "clientAuth"}, &middle);
    (void)state;
    assert_problem((const struct identity *[]){&leaf, &middle, &authority, NULL}, "");
    assert_problem((const struct identity *[]){&leaf, NULL}, "");
    assert_problem((const struct identity *[]){&leaf, &authority, &middle, NULL},
                   "certificate 2 of the file is not the one that signed certificate 1");
    assert_problem((const struct identity *[]){&leaf, &middle, &plain, NULL},
                   "certificate 3 of the file is not the one that signed certificate 2");
    assert_problem((const struct identity *[]){&client, NULL},
                   "the certificate is not meant for a TLS server");
    identity_free(&client);
    identity_free(&leaf);
    identity_free(&middle);
}

static void many_names_are_told_in_part(void **state)
{
    char names[2000] = "DNS:0.example.com";
    (void)state;
    for (int i = 1; i < 60; i++) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, ",DNS:%d.example.com", i);
    }
    struct identity many = identity_new("x", &(struct wanted){.names = names}, &authority);
    struct tls_context *c = plain_server(both_file(&many));
    const char *told = tls_context_certificate(c, 0)->names;
    assert_in_range(strlen(told), TLS_NAMES_MAX - 20, TLS_NAMES_MAX - 1);
    assert_string_equal(told + strlen(told) - 12, ".example.com");
    assert_true(tls_context_covers(c, "59.example.com"));
    tls_context_unref(c);
    identity_free(&many);
}

/* By name ----------------------------------------------------------------------------------- */

#define HOSTS 6

static struct identity hosts[HOSTS];

static struct tls_context *many_hosts(void)
{
    static const struct wanted wanted[HOSTS] = {
        {.names = "DNS:first.example.com"},
        {.names = "DNS:*.example.com,DNS:example.com"},
        {.names = "DNS:hub.example.com"},
        {.names = NULL}, /* its CN counts */
        {.names = "DNS:first.example.com", .rsa = true},
        {.names = "IP:10.0.0.1"}, /* its CN does not */
    };
    const char *certs[HOSTS];
    for (size_t i = 0; i < HOSTS; i++) {
        hosts[i] =
            identity_new(i < 5 ? "cn.example.net" : "other.example.net", &wanted[i], &authority);
        certs[i] = both_file(&hosts[i]);
    }
    return server_context(&(struct tls_server_setup){
        .certs = certs,
        .keys = (const char *[HOSTS]){NULL},
        .count = HOSTS,
        .min_version = TLS1_2_VERSION,
    });
}

/* Which of the hosts a client that looks for `name` is shown. `algorithms`: what it can verify. */
static size_t host_shown(struct stage *s, const char *name, const char *algorithms, int version)
{
    struct peer p = peer_new(&s->server, s->loop, TLS_client_method(), false);
    SSL_CTX_set_max_proto_version(p.ctx, version);
    assert_true(algorithms == NULL || SSL_CTX_set1_sigalgs_list(p.ctx, algorithms) == 1);
    peer_begin(&p);
    SSL_set_connect_state(p.ssl);
    assert_true(name == NULL || SSL_set_tlsext_host_name(p.ssl, name) == 1);
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_true(peer_shake(&p, s->loop));
    size_t i = 0;
    while (i < HOSTS && X509_cmp(hosts[i].cert, SSL_get0_peer_certificate(p.ssl)) != 0) {
        i++;
    }
    peer_free(&p);
    end_close(&s->server, s->loop);
    return i;
}

static void the_certificate_for_the_name_is_shown(void **state)
{
    static const struct {
        const char *name;
        size_t host;
    } cases[] = {
        {"first.example.com", 0},
        {"hub.example.com", 2},
        {"HUB.Example.COM", 2},
        {"www.example.com", 1},
        {"example.com", 1},
        {"a.b.example.com", 0},
        {"cn.example.net", 3},
        {"other.example.net", 0},
        {"nowhere.example.org", 0},
        {"com", 0},
        {NULL, 0},
    };
    struct stage *s = stage_new(many_hosts(), trusting_client(cert_file(&authority)));
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *name = cases[i].name;
        assert_int_equal(host_shown(s, name, NULL, TLS1_3_VERSION), cases[i].host);
        assert_int_equal(host_shown(s, name, NULL, TLS1_2_VERSION), cases[i].host);
    }
    /* the same name, but a key of the kind that the client can use */
    const char *rsa = "rsa_pss_rsae_sha256:RSA+SHA256";
    assert_int_equal(host_shown(s, "first.example.com", rsa, TLS1_3_VERSION), 4);
    assert_int_equal(host_shown(s, "first.example.com", rsa, TLS1_2_VERSION), 4);
    assert_int_equal(host_shown(s, NULL, rsa, TLS1_3_VERSION), 4);
    for (size_t i = 0; i < HOSTS; i++) {
        identity_free(&hosts[i]);
    }
    stage_free(s);
}

static void a_context_knows_which_hosts_it_is_for(void **state)
{
    struct tls_context *c = many_hosts();
    (void)state;
    assert_int_equal(tls_context_count(c), HOSTS);
    assert_true(tls_context_covers(c, "hub.example.com"));
    assert_true(tls_context_covers(c, "Any.Example.com."));
    assert_true(tls_context_covers(c, "cn.example.net"));
    assert_false(tls_context_covers(c, "a.b.example.com"));
    assert_false(tls_context_covers(c, ".example.com"));
    assert_false(tls_context_covers(c, "10.0.0.1"));
    assert_false(tls_context_covers(c, ""));
    assert_false(tls_context_covers(c, "."));
    char *longest = calloc(1, 400);
    memset(longest, 'a', 399);
    assert_false(tls_context_covers(c, longest));
    free(longest);
    tls_context_unref(c);
    for (size_t i = 0; i < HOSTS; i++) {
        identity_free(&hosts[i]);
    }
}

/* A context is for all threads: the last one who has it frees it. */
static void hold_and_drop(void *context)
{
    struct tls_context *c = context;
    for (int i = 0; i < 1000; i++) {
        struct tls *t = tls_accept(c, NULL);
        assert_non_null(t);
        tls_free(t);
    }
    tls_context_unref(c);
}

static void threads_share_a_context(void **state)
{
    uv_thread_t threads[3];
    struct tls_context *c = plain_server(both_file(&plain));
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(uv_thread_create(&threads[i], hold_and_drop, tls_context_ref(c)), 0);
    }
    tls_context_unref(c);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        uv_thread_join(&threads[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_cannot_be_read_is_named),
        cmocka_unit_test(a_key_that_cannot_be_used_is_named),
        cmocka_unit_test(a_file_that_may_not_be_read_is_named),
        cmocka_unit_test(the_key_may_stand_anywhere_in_the_file),
        cmocka_unit_test(a_client_without_authorities_is_refused),
        cmocka_unit_test(its_names_and_its_times_are_told),
        cmocka_unit_test(a_chain_that_no_client_can_follow_is_told),
        cmocka_unit_test(many_names_are_told_in_part),
        cmocka_unit_test(the_certificate_for_the_name_is_shown),
        cmocka_unit_test(a_context_knows_which_hosts_it_is_for),
        cmocka_unit_test(threads_share_a_context),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
