/* Files are read whole and not by OpenSSL: so the errors are the system's words, a key does not
 * stay in the buffer of a stdio file, and what is no file cannot make us wait. */
#include "net/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/macros.h"
#include "base/mem.h"

#define FILE_MAX (8 * 1024 * 1024) /* all authorities of the world take 200 KiB */

struct file {
    char *data; /* owned: wiped at release */
    size_t len;
};

static int complain(char why[TLS_WHY_MAX], const char *what, const char *path, const char *cause)
{
    snprintf(why, TLS_WHY_MAX, "cannot read %s from %s%s%s", what, path,
             cause[0] != '\0' ? ": " : "", cause);
    ERR_clear_error();
    return UV_EINVAL;
}

/* What OpenSSL thinks is wrong; it may have no words. */
static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "";
}

static void file_release(struct file *f)
{
    if (f->data != NULL) {
        wipe(f->data, f->len);
        free(f->data);
    }
    *f = (struct file){0};
}

static ssize_t read_all(int fd, struct file *f)
{
    size_t got = 0;
    while (got < f->len) {
        ssize_t n = read(fd, f->data + got, f->len - got);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)got;
}

/* False: it cannot be read, for the cause. */
static bool file_read(struct file *f, const char *path, const char **cause)
{
    struct stat st;
    *f = (struct file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *cause = uv_strerror(-errno);
        return false;
    }
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!regular || st.st_size > FILE_MAX) {
        close(fd);
        *cause = regular ? "it is too long" : "it is not a file";
        return false;
    }
    f->len = (size_t)st.st_size;
    f->data = xcalloc(1, f->len + 1);
    ssize_t got = read_all(fd, f);
    close(fd);
    if (got < 0) {
        file_release(f);
        *cause = uv_strerror((int)got);
        return false;
    }
    f->len = (size_t)got;
    return true;
}

/* Nobody is there to be asked. */
static int on_passphrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* Certificates ------------------------------------------------------------------------------ */

static struct stack_st_X509 *parse_certificates(const struct file *f)
{
    struct stack_st_X509 *all = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
    bool asked = false;
    X509 *one;
    while ((one = PEM_read_bio_X509_AUX(bio, NULL, on_passphrase, &asked)) != NULL) {
        sk_X509_push(all, one);
    }
    BIO_free(bio);
    return all;
}

/* A file of which only the beginning can be read is refused: the rest was meant, too. */
static bool is_end(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static struct stack_st_X509 *certificates_of(const struct file *f, const char *path,
                                             char why[TLS_WHY_MAX])
{
    ERR_clear_error();
    struct stack_st_X509 *all = parse_certificates(f);
    if (!is_end(ERR_peek_last_error())) {
        complain(why, "certificates", path, last_reason());
    } else if (sk_X509_num(all) == 0) {
        complain(why, "certificates", path, "there is none in it");
    } else {
        ERR_clear_error();
        return all;
    }
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

struct stack_st_X509 *tls_authorities_load(const char *path, char why[TLS_WHY_MAX])
{
    struct file f;
    const char *cause;
    if (!file_read(&f, path, &cause)) {
        complain(why, "certificates", path, cause);
        return NULL;
    }
    struct stack_st_X509 *all = certificates_of(&f, path, why);
    file_release(&f);
    return all;
}

/* Keys -------------------------------------------------------------------------------------- */

static EVP_PKEY *key_of(const struct file *f, const char *path, char why[TLS_WHY_MAX])
{
    bool asked = false;
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &asked);
    BIO_free(bio);
    if (key != NULL) {
        ERR_clear_error(); /* what was tried before */
    } else if (asked) {
        complain(why, "the private key", path, "it needs a passphrase");
    } else if (memmem(f->data, f->len, "PRIVATE KEY-----", 16) == NULL) {
        complain(why, "the private key", path, "there is none in it");
    } else {
        complain(why, "the private key", path, last_reason());
    }
    return key;
}

static int load_key(struct tls_identity *id, const char *path, char why[TLS_WHY_MAX])
{
    struct file f;
    const char *cause;
    if (!file_read(&f, path, &cause)) {
        return complain(why, "the private key", path, cause);
    }
    id->key = key_of(&f, path, why);
    file_release(&f);
    return id->key != NULL ? 0 : UV_EINVAL;
}

/* Both ------------------------------------------------------------------------------------- */

int tls_identity_load(struct tls_identity *id, const char *path, const char *key_path,
                      char why[TLS_WHY_MAX])
{
    *id = (struct tls_identity){.rest = tls_authorities_load(path, why)};
    if (id->rest == NULL) {
        return UV_EINVAL;
    }
    id->leaf = sk_X509_shift(id->rest);
    const char *of = key_path != NULL ? key_path : path;
    int rc = load_key(id, of, why);
    if (rc == 0 && X509_check_private_key(id->leaf, id->key) != 1) {
        ERR_clear_error();
        snprintf(why, TLS_WHY_MAX, "the private key in %s is not that of the certificate in %s", of,
                 path);
        rc = UV_EINVAL;
    }
    if (rc != 0) {
        tls_identity_release(id);
    }
    return rc;
}

void tls_identity_release(struct tls_identity *id)
{
    X509_free(id->leaf);
    sk_X509_pop_free(id->rest, X509_free);
    EVP_PKEY_free(id->key);
    *id = (struct tls_identity){0};
}

void tls_identity_judge(const struct tls_identity *id, bool server, char problem[TLS_WHY_MAX])
{
    const X509 *below = id->leaf;
    problem[0] = '\0';
    for (int i = 0; i < sk_X509_num(id->rest); i++) {
        X509 *above = sk_X509_value(id->rest, i);
        if (X509_check_issued(above, (X509 *)below) != X509_V_OK) {
            snprintf(problem, TLS_WHY_MAX,
                     "certificate %d of the file is not the one that signed certificate %d", i + 2,
                     i + 1);
            break;
        }
        below = above;
    }
    int purpose = server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    if (problem[0] == '\0' && X509_check_purpose(id->leaf, purpose, 0) != 1) {
        snprintf(problem, TLS_WHY_MAX, "the certificate is not meant for a TLS %s",
                 server ? "server" : "client");
    }
    ERR_clear_error();
}
