/* A look costs one stat(2) for each file. Files that are seen to have changed are looked at again
 * before they are read, so what is written meanwhile is another change. */
#include "ctl/certificates.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/sni.h"

#define DAY_S     86400
#define SOON_DAYS 14
#define SOON_PART 5 /* of its life: one that is made for a day is not always about to expire */
#define STAY      "what they held before stays in use"
#define NAMED_MAX 5 /* names that a line lists before it only counts */

/* A label that no certificate carries but as "*". */
#define ANY_LABEL "some-name-below"

/* Certificates ------------------------------------------------------------------------------ */

enum validity certificate_validity(const struct tls_certificate *certificate, time_t now)
{
    time_t left = certificate->not_after - now;
    if (left < 0) {
        return VALIDITY_EXPIRED;
    } else if (certificate->not_before > now) {
        return VALIDITY_FUTURE;
    }
    time_t life = certificate->not_after - certificate->not_before;
    return left < SOON_DAYS * DAY_S && left < life / SOON_PART ? VALIDITY_SOON : VALIDITY_GOOD;
}

long certificate_days_left(const struct tls_certificate *certificate, time_t now)
{
    time_t left = certificate->not_after - now;
    return left < 0 && left > -2 * DAY_S ? -1 : (long)(left / DAY_S);
}

/* "3 days", "1 hour", "20 minutes" */
static void print_span(time_t seconds, char *out, size_t size)
{
    static const struct {
        time_t seconds;
        const char *word;
    } units[] = {{DAY_S, "day"}, {3600, "hour"}, {60, "minute"}};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds) {
        i++;
    }
    long count = (long)(seconds / units[i].seconds);
    snprintf(out, size, "%ld %s%s", count, units[i].word, count == 1 ? "" : "s");
}

static void describe_validity(const struct tls_certificate *certificate, time_t now, char *out,
                              size_t size)
{
    char span[32];
    out[0] = '\0';
    switch (certificate_validity(certificate, now)) {
    case VALIDITY_GOOD:
        break;
    case VALIDITY_SOON:
        print_span(certificate->not_after - now, span, sizeof span);
        snprintf(out, size, "expires in %s", span);
        break;
    case VALIDITY_EXPIRED:
        print_span(now - certificate->not_after, span, sizeof span);
        snprintf(out, size, "expired %s ago", span);
        break;
    case VALIDITY_FUTURE:
        print_span(certificate->not_before - now, span, sizeof span);
        snprintf(out, size, "not valid yet, but in %s", span);
        break;
    }
}

void certificate_problem(const struct tls_certificate *certificate, time_t now,
                         char out[CERTIFICATE_PROBLEM_MAX])
{
    char time[64];
    describe_validity(certificate, now, time, sizeof time);
    snprintf(out, CERTIFICATE_PROBLEM_MAX, "%s%s%s", time,
             time[0] != '\0' && certificate->problem[0] != '\0' ? "; " : "", certificate->problem);
}

/* Words ------------------------------------------------------------------------------------- */

static const char *kind_of(const struct credential *c)
{
    return c->frontend != NULL ? "frontend" : "backend";
}

static const char *name_of(const struct credential *c)
{
    return c->frontend != NULL ? c->frontend->name : c->backend->name;
}

void credential_problem(const struct credential *c, char out[CREDENTIAL_PROBLEM_MAX])
{
    bool both = c->unread[0] != '\0' && c->uncovered[0] != '\0';
    snprintf(out, CREDENTIAL_PROBLEM_MAX, "%s%s%s%s", c->unread,
             c->unread[0] != '\0' ? ": " STAY : "", both ? "; " : "", c->uncovered);
}

/* "no certificate is for a.example.com, *.b.example.com and 3 more" */
static void find_uncovered(struct credential *c)
{
    struct text names = {0};
    size_t count = 0;
    for (size_t i = 0; c->frontend != NULL && i < c->frontend->sni.count; i++) {
        const struct sni_rule *rule = &c->frontend->sni.items[i];
        char host[sizeof ANY_LABEL + SNI_HOST_MAX + 1];
        snprintf(host, sizeof host, "%s%s", rule->wildcard ? ANY_LABEL "." : "", rule->host);
        if (tls_context_covers(c->context, host)) {
            continue;
        }
        if (count++ < NAMED_MAX) {
            text_add(&names, "%s%s%s", count > 1 ? ", " : "", rule->wildcard ? "*." : "",
                     rule->host);
        }
    }
    c->uncovered[0] = '\0';
    if (count > NAMED_MAX) {
        snprintf(c->uncovered, sizeof c->uncovered, "no certificate is for %.350s and %zu more",
                 names.data, count - NAMED_MAX);
    } else if (count > 0) {
        snprintf(c->uncovered, sizeof c->uncovered, "no certificate is for %s", names.data);
    }
    text_free(&names);
}

/* Making contexts --------------------------------------------------------------------------- */

static int make_server_context(const struct frontend_config *f, struct tls_context **out,
                               char why[TLS_WHY_MAX])
{
    struct tls_server_setup setup = {
        .certs = (const char *const *)f->tls_certs.items,
        .count = f->tls_certs.count,
        .client_ca = f->tls_client_ca,
        .min_version = f->tls_min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION,
        .alpn = (const char *const *)f->tls_alpn.items,
        .alpn_count = f->tls_alpn.count,
    };
    const char **keys = xcalloc(f->tls_certs.count, sizeof *keys);
    for (size_t i = 0; i < f->tls_keys.count; i++) {
        keys[i] = f->tls_keys.items[i];
    }
    setup.keys = keys;
    int rc = tls_server_context_new(out, &setup, why);
    free(keys);
    return rc;
}

static int make_client_context(const struct backend_config *b, struct tls_context **out,
                               char why[TLS_WHY_MAX])
{
    struct tls_client_setup setup = {
        .verify = b->tls_verify,
        .ca = b->tls_ca,
        .name = b->tls_server_name,
        .cert = b->tls_cert,
        .key = b->tls_key,
    };
    return tls_client_context_new(out, &setup, why);
}

/* From the files as they are now. Replaces the current context, or leaves it. */
static int make_context(struct credential *c, char why[TLS_WHY_MAX])
{
    struct tls_context *fresh = NULL;
    int rc = c->frontend != NULL ? make_server_context(c->frontend, &fresh, why)
                                 : make_client_context(c->backend, &fresh, why);
    if (rc != 0) {
        return rc;
    }
    tls_context_unref(c->context);
    c->context = fresh;
    c->read_at = time(NULL);
    find_uncovered(c);
    return 0;
}

/* Files ------------------------------------------------------------------------------------- */

static void add_file(struct credential *c, const char *path)
{
    if (path != NULL) {
        c->files = xrealloc(c->files, (c->file_count + 1) * sizeof *c->files);
        c->files[c->file_count++] = (struct credential_file){.path = path};
    }
}

static void add_files(struct credential *c, const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        add_file(c, list->items[i]);
    }
}

/* True if sessions go by it; a context may be for probes only. */
static bool publish(struct certificates *all, const struct credential *c)
{
    if (c->frontend != NULL) {
        all->frontend_tls[c->frontend->index] = c->context;
        return true;
    }
    size_t i = c->backend->index;
    all->backend_tls[i] = c->backend->tls ? c->context : NULL;
    all->probe_tls[i] = c->backend->probe_tls == PROBE_TLS_YES ? c->context : NULL;
    all->word_tls[i] = c->backend->sentinel_tls || c->backend->patroni_tls ? c->context : NULL;
    return c->backend->tls;
}

static int init_credential(struct certificates *all, struct credential *c,
                           char why[CERTIFICATES_WHY_MAX])
{
    char cause[TLS_WHY_MAX];
    for (size_t i = 0; i < c->file_count; i++) {
        file_stamp_take(&c->files[i].stamp,
                        c->files[i].path); /* reading it will say what is wrong */
    }
    int rc = make_context(c, cause);
    if (rc != 0) {
        snprintf(why, CERTIFICATES_WHY_MAX, "%s %s: %s", kind_of(c), name_of(c), cause);
        return rc;
    }
    c->told = xcalloc(tls_context_count(c->context) + 1, sizeof *c->told);
    publish(all, c);
    return 0;
}

static int init_frontend(struct certificates *c, const struct frontend_config *f,
                         char why[CERTIFICATES_WHY_MAX])
{
    struct credential *own = &c->frontends[f->index];
    if (f->tls == TLS_MODE_NO) {
        return 0;
    }
    *own = (struct credential){.frontend = f};
    add_files(own, &f->tls_certs);
    add_files(own, &f->tls_keys);
    add_file(own, f->tls_client_ca);
    return init_credential(c, own, why);
}

static int init_backend(struct certificates *c, const struct backend_config *b,
                        char why[CERTIFICATES_WHY_MAX])
{
    struct credential *own = &c->backends[b->index];
    if (!b->tls && b->probe_tls != PROBE_TLS_YES && !b->sentinel_tls && !b->patroni_tls) {
        return 0;
    }
    *own = (struct credential){.backend = b};
    add_file(own, b->tls_verify ? b->tls_ca : NULL);
    add_file(own, b->tls_cert);
    add_file(own, b->tls_key);
    return init_credential(c, own, why);
}

int certificates_init(struct certificates *c, const struct config *config,
                      char why[CERTIFICATES_WHY_MAX])
{
    *c = (struct certificates){
        .frontend_count = config->frontend_count,
        .backend_count = config->backend_count,
        .frontend_tls = xcalloc(config->frontend_count + 1, sizeof(struct tls_context *)),
        .backend_tls = xcalloc(config->backend_count + 1, sizeof(struct tls_context *)),
        .probe_tls = xcalloc(config->backend_count + 1, sizeof(struct tls_context *)),
        .word_tls = xcalloc(config->backend_count + 1, sizeof(struct tls_context *)),
        .frontends = xcalloc(config->frontend_count + 1, sizeof *c->frontends),
        .backends = xcalloc(config->backend_count + 1, sizeof *c->backends),
    };
    int rc = 0;
    for (size_t i = 0; i < config->frontend_count && rc == 0; i++) {
        rc = init_frontend(c, &config->frontends[i], why);
    }
    for (size_t i = 0; i < config->backend_count && rc == 0; i++) {
        rc = init_backend(c, &config->backends[i], why);
    }
    return rc;
}

static void release_all(struct credential *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tls_context_unref(list[i].context);
        free(list[i].files);
        free(list[i].told);
    }
    free(list);
}

void certificates_adopt(struct certificates *c, const struct config *config)
{
    for (size_t i = 0; i < c->frontend_count; i++) {
        struct credential *own = &c->frontends[i];
        own->frontend = own->frontend != NULL ? &config->frontends[i] : NULL;
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        struct credential *own = &c->backends[i];
        own->backend = own->backend != NULL ? &config->backends[i] : NULL;
    }
}

void certificates_release(struct certificates *c)
{
    release_all(c->frontends, c->frontend_count);
    release_all(c->backends, c->backend_count);
    free(c->frontend_tls);
    free(c->backend_tls);
    free(c->probe_tls);
    free(c->word_tls);
    *c = (struct certificates){0};
}

/* Telling ----------------------------------------------------------------------------------- */

static void tell_validity(struct credential *c, size_t i, time_t now)
{
    const struct tls_certificate *certificate = tls_context_certificate(c->context, i);
    struct credential_told *told = &c->told[i];
    enum validity validity = certificate_validity(certificate, now);
    if (told->at != 0 && told->validity == validity && now - told->at < DAY_S) {
        return;
    }
    char problem[CERTIFICATE_PROBLEM_MAX];
    certificate_problem(certificate, now, problem);
    if (problem[0] != '\0') {
        log_warn("%s=%s certificate %s (%s): %s", kind_of(c), name_of(c), certificate->file,
                 certificate->names, problem);
    }
    *told = (struct credential_told){validity, now};
}

/* Such a name leads to the file that was opened, whatever takes its place in its folder. */
static void tell_pinned(const struct credential *c)
{
    static const char *const folders[] = {"/dev/", "/proc/"};
    for (size_t i = 0; i < c->file_count * ARRAY_LEN(folders); i++) {
        const char *path = c->files[i / ARRAY_LEN(folders)].path;
        const char *folder = folders[i % ARRAY_LEN(folders)];
        if (strncmp(path, folder, strlen(folder)) == 0) {
            log_warn("%s=%s %s is an open file: one that takes its place will not be read again",
                     kind_of(c), name_of(c), path);
        }
    }
}

static void tell_uncovered(const struct credential *c)
{
    if (c->uncovered[0] != '\0') {
        log_warn("%s=%s %s", kind_of(c), name_of(c), c->uncovered);
    }
}

static void tell_all(struct credential *list, size_t count, time_t now, bool first)
{
    for (size_t i = 0; i < count; i++) {
        struct credential *c = &list[i];
        if (c->context == NULL) {
            continue;
        }
        if (first) {
            tell_pinned(c);
            tell_uncovered(c);
        }
        for (size_t k = 0; k < tls_context_count(c->context); k++) {
            tell_validity(c, k, now);
        }
    }
}

void certificates_tell(struct certificates *c, time_t now, bool first)
{
    tell_all(c->frontends, c->frontend_count, now, first);
    tell_all(c->backends, c->backend_count, now, first);
}

/* What is new: each certificate with its days. */
static void tell_read(const struct credential *c)
{
    struct text line = {0};
    for (size_t i = 0; i < tls_context_count(c->context); i++) {
        const struct tls_certificate *certificate = tls_context_certificate(c->context, i);
        char left[64];
        char words[80];
        print_span(certificate->not_after - c->read_at, left, sizeof left);
        snprintf(words, sizeof words, "%s left", left);
        if (certificate_validity(certificate, c->read_at) != VALIDITY_GOOD) {
            describe_validity(certificate, c->read_at, words, sizeof words);
        }
        text_add(&line, "%s%s (%s; %s)", i > 0 ? ", " : ": ", certificate->file, certificate->names,
                 words);
    }
    log_info("%s=%s its TLS files were read again%s", kind_of(c), name_of(c),
             line.data != NULL ? line.data : "");
    text_free(&line);
}

/* Looking again ----------------------------------------------------------------------------- */

/* The stamps of now into `now`; a negative errno if one of the files is not there. */
static int stamp_now(const struct credential *c, struct file_stamp *now, char why[TLS_WHY_MAX])
{
    for (size_t i = 0; i < c->file_count; i++) {
        int rc = file_stamp_take(&now[i], c->files[i].path);
        if (rc != 0) {
            snprintf(why, TLS_WHY_MAX, "%.180s: %s", c->files[i].path, uv_strerror(rc));
            return rc;
        }
    }
    return 0;
}

static bool has_changed(const struct credential *c, const struct file_stamp *now)
{
    for (size_t i = 0; i < c->file_count; i++) {
        if (!file_stamp_same(&c->files[i].stamp, &now[i])) {
            return true;
        }
    }
    return false;
}

static void tell_unread(struct credential *c, const char *why)
{
    char unread[sizeof c->unread];
    snprintf(unread, sizeof unread, "its TLS files cannot be used as they are now (%s)", why);
    if (strcmp(c->unread, unread) != 0) {
        snprintf(c->unread, sizeof c->unread, "%s", unread);
        log_warn("%s=%s %s: " STAY, kind_of(c), name_of(c), unread);
    }
}

/* True if there is a new context. */
static bool look(struct credential *c, struct file_stamp *now)
{
    char why[TLS_WHY_MAX];
    char uncovered[sizeof c->uncovered];
    memcpy(uncovered, c->uncovered, sizeof uncovered);
    int rc = stamp_now(c, now, why);
    bool changed = rc == 0 && has_changed(c, now);
    rc = changed ? make_context(c, why) : rc;
    if (rc != 0) {
        tell_unread(c, why);
        return false;
    }
    bool back = !changed && c->unread[0] != '\0';
    c->unread[0] = '\0';
    if (changed) {
        for (size_t i = 0; i < c->file_count; i++) {
            c->files[i].stamp = now[i];
        }
        tell_read(c);
        if (strcmp(uncovered, c->uncovered) != 0) {
            tell_uncovered(c);
        }
    } else if (back) {
        log_info("%s=%s its TLS files are the old ones again", kind_of(c), name_of(c));
    }
    return changed;
}

static void look_at_all(struct certificates *all, struct credential *list, size_t count,
                        void (*on_new)(void *receiver, bool frontend, size_t index), void *receiver)
{
    for (size_t i = 0; i < count; i++) {
        struct credential *c = &list[i];
        if (c->file_count == 0) {
            continue;
        }
        struct file_stamp *now = xcalloc(c->file_count, sizeof *now);
        if (look(c, now) && publish(all, c)) {
            on_new(receiver, c->frontend != NULL, i);
        }
        free(now);
    }
}

void certificates_look(struct certificates *c, time_t now,
                       void (*on_new)(void *receiver, bool frontend, size_t index), void *receiver)
{
    look_at_all(c, c->frontends, c->frontend_count, on_new, receiver);
    look_at_all(c, c->backends, c->backend_count, on_new, receiver);
    certificates_tell(c, now, false);
}
