/* Contexts: their life, what both kinds have in common, and a client's. */
#include "net/tls_context.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "net/tls_session.h"

/* Life -------------------------------------------------------------------------------------- */

struct tls_context *tls_context_begin(size_t count)
{
    static atomic_uint_fast64_t last;
    struct tls_context *c = xcalloc(1, sizeof *c);
    atomic_init(&c->refs, 1);
    c->id = atomic_fetch_add(&last, 1) + 1;
    c->ctx = xcalloc(count > 0 ? count : 1, sizeof(SSL_CTX *));
    c->certificates = xcalloc(count > 0 ? count : 1, sizeof *c->certificates);
    return c;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < c->ctx_count; i++) {
        SSL_CTX_free(c->ctx[i]);
    }
    for (size_t i = 0; i < c->count; i++) {
        free((char *)c->certificates[i].file);
    }
    tls_names_release(&c->names);
    free(c->ctx);
    free(c->certificates);
    free(c->alpn);
    free(c->name);
    free(c);
}

size_t tls_context_count(const struct tls_context *c)
{
    return c->count;
}

const struct tls_certificate *tls_context_certificate(const struct tls_context *c, size_t i)
{
    return &c->certificates[i];
}

bool tls_context_covers(const struct tls_context *c, const char *name)
{
    size_t index;
    return tls_names_find(&c->names, name, &index);
}

/* What both sides have in common ------------------------------------------------------------ */

int tls_context_explain(char why[TLS_WHY_MAX], const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    snprintf(why, TLS_WHY_MAX, "%s%s%s", what, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    ERR_clear_error();
    return UV_EINVAL;
}

SSL_CTX *tls_context_ctx(const SSL_METHOD *method, int min_version)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, min_version) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record is read from the conn by one call, not by two */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    return ctx;
}

int tls_context_trust(SSL_CTX *ctx, const struct stack_st_X509 *authorities)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(authorities, i)) != 1) {
            return UV_EINVAL;
        }
    }
    return 0;
}

static time_t time_of(const ASN1_TIME *at)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(at, &tm) == 1 ? timegm(&tm) : 0;
}

static void add_times(struct tls_certificate *facts, const X509 *certificate)
{
    time_t from = time_of(X509_get0_notBefore(certificate));
    time_t to = time_of(X509_get0_notAfter(certificate));
    facts->not_before = from > facts->not_before ? from : facts->not_before;
    facts->not_after = to < facts->not_after ? to : facts->not_after;
}

void tls_context_add_facts(struct tls_context *c, const struct tls_identity *id, const char *path,
                           bool server)
{
    struct tls_names names = {0};
    struct tls_certificate *facts = &c->certificates[c->count++];
    facts->file = xstrdup(path);
    tls_names_add(&names, id->leaf, 0);
    tls_names_print(&names, facts->names, sizeof facts->names);
    tls_names_release(&names);
    facts->not_before = time_of(X509_get0_notBefore(id->leaf));
    facts->not_after = time_of(X509_get0_notAfter(id->leaf));
    for (int i = 0; i < sk_X509_num(id->rest); i++) {
        add_times(facts, sk_X509_value(id->rest, i));
    }
    tls_identity_judge(id, server, facts->problem);
}

int tls_context_use(SSL_CTX *ctx, const struct tls_identity *id, const char *path,
                    char why[TLS_WHY_MAX])
{
    char what[TLS_WHY_MAX / 2];
    if (SSL_CTX_use_cert_and_key(ctx, id->leaf, id->key, id->rest, 1) == 1) {
        return 0;
    }
    snprintf(what, sizeof what, "cannot use the certificate in %s", path);
    return tls_context_explain(why, what);
}

/* A client ---------------------------------------------------------------------------------- */

/* OpenSSL gives a reference away if we say that we keep it. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of(ssl);
    if (t->slot == NULL) {
        return 0;
    }
    tls_resume_release(t->slot);
    *t->slot = (struct tls_resume){session, t->context->id};
    return 1;
}

/* HHHHHHHH.N, a hash and a number: how OpenSSL looks for a name (openssl-rehash(1)). */
static bool is_hashed(const char *name)
{
    size_t hash = strspn(name, "0123456789abcdef");
    return hash == 8 && name[8] == '.' && name[9] != '\0' &&
           strspn(name + 9, "0123456789") == strlen(name + 9);
}

static const char *place(const char *variable, const char *usual)
{
    const char *value = getenv(variable);
    return value != NULL ? value : usual;
}

static size_t trust_folder(SSL_CTX *ctx, const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char file[PATH_MAX];
        int len = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (is_hashed(entry->d_name) && len < (int)sizeof file) {
            count += SSL_CTX_load_verify_file(ctx, file) == 1;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

/* All at once: SSL_CTX_set_default_verify_paths(3) looks into the folder when a certificate is to
 * be verified, and a worker would wait for the disk. */
static int trust_system(SSL_CTX *ctx, char why[TLS_WHY_MAX])
{
    const char *file = place(X509_get_default_cert_file_env(), X509_get_default_cert_file());
    const char *folder = place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    size_t count = SSL_CTX_load_verify_file(ctx, file) == 1;
    count += trust_folder(ctx, folder);
    ERR_clear_error();
    if (count == 0) {
        snprintf(why, TLS_WHY_MAX, "the system has no certificates to trust in %.160s: name some",
                 folder);
        return UV_EINVAL;
    }
    return 0;
}

static int set_authorities(SSL_CTX *ctx, const char *ca, char why[TLS_WHY_MAX])
{
    if (ca == NULL) {
        return trust_system(ctx, why);
    }
    struct stack_st_X509 *authorities = tls_authorities_load(ca, why);
    if (authorities == NULL) {
        return UV_EINVAL;
    }
    int rc = tls_context_trust(ctx, authorities);
    sk_X509_pop_free(authorities, X509_free);
    return rc == 0 ? 0 : tls_context_explain(why, "cannot set up TLS");
}

static int set_identity(struct tls_context *c, const struct tls_client_setup *setup,
                        char why[TLS_WHY_MAX])
{
    struct tls_identity id;
    int rc = tls_identity_load(&id, setup->cert, setup->key, why);
    if (rc == 0) {
        rc = tls_context_use(c->ctx[0], &id, setup->cert, why);
        tls_context_add_facts(c, &id, setup->cert, false);
        tls_identity_release(&id);
    }
    return rc;
}

static int set_up_client(struct tls_context *c, const struct tls_client_setup *setup,
                         char why[TLS_WHY_MAX])
{
    SSL_CTX *ctx = tls_context_ctx(TLS_client_method(), TLS1_2_VERSION);
    if (ctx == NULL) {
        return tls_context_explain(why, "cannot set up TLS");
    }
    c->ctx[c->ctx_count++] = ctx;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    SSL_CTX_set_verify(ctx, setup->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    int rc = setup->verify ? set_authorities(ctx, setup->ca, why) : 0;
    return rc == 0 && setup->cert != NULL ? set_identity(c, setup, why) : rc;
}

int tls_client_context_new(struct tls_context **out, const struct tls_client_setup *setup,
                           char why[TLS_WHY_MAX])
{
    struct tls_context *c = tls_context_begin(1);
    ERR_clear_error();
    c->name = setup->name != NULL ? xstrdup(setup->name) : NULL;
    c->verify = setup->verify;
    int rc = set_up_client(c, setup, why);
    if (rc != 0) {
        tls_context_unref(c);
        c = NULL;
    }
    *out = c;
    return rc;
}
