#include "core/credential.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/worker.h"

static bool hash_of(struct worker *w, const char *password, size_t len,
                    unsigned char out[CREDENTIAL_HASH_BYTES])
{
    unsigned n = 0;
    return HMAC(EVP_sha256(), w->credential_key, sizeof w->credential_key,
                (const unsigned char *)password, len, out, &n) != NULL &&
           n == CREDENTIAL_HASH_BYTES;
}

/* No name is the user called default (ACL, "AUTH"). */
static void name_default(const char **user, size_t *len)
{
    if (*len == 7 && memcmp(*user, "default", 7) == 0) {
        *len = 0;
    }
}

static bool is(const struct credential *c, const char *user, size_t len, const unsigned char *hash)
{
    return c->user_len == len && memcmp(c->user, user, len) == 0 &&
           CRYPTO_memcmp(c->hash, hash, CREDENTIAL_HASH_BYTES) == 0;
}

struct credential *credential_get(struct worker *w, const char *user, size_t user_len,
                                  const char *password, size_t password_len)
{
    unsigned char hash[CREDENTIAL_HASH_BYTES];
    name_default(&user, &user_len);
    if (!hash_of(w, password, password_len, hash)) {
        return NULL;
    }
    LIST_EACH(it, &w->credentials)
    {
        struct credential *c = container_of(it, struct credential, node);
        if (is(c, user, user_len, hash)) {
            return credential_ref(c);
        }
    }
    struct credential *c = malloc(sizeof *c + user_len);
    if (c == NULL) {
        return NULL;
    }
    *c = (struct credential){.references = 1, .user_len = user_len};
    memcpy(c->hash, hash, sizeof hash);
    memcpy(c->user, user, user_len);
    list_append(&w->credentials, &c->node);
    return c;
}

struct credential *credential_ref(struct credential *c)
{
    if (c != NULL) {
        c->references++;
    }
    return c;
}

void credential_unref(struct credential *c)
{
    if (c != NULL && --c->references == 0) {
        list_remove(&c->node);
        free(c);
    }
}

bool credential_is_ours(struct worker *w, size_t backend, const struct credential *c)
{
    const struct backend_config *b = &w->config->backends[backend];
    const char *password = w->backends[backend]->password;
    if (c == NULL) {
        return true;
    }
    if (password == NULL) {
        return false;
    }
    unsigned char hash[CREDENTIAL_HASH_BYTES];
    const char *user = b->probe_user != NULL ? b->probe_user : "";
    size_t len = strlen(user);
    name_default(&user, &len);
    return hash_of(w, password, strlen(password), hash) && is(c, user, len, hash);
}
