#include "ctl/live_secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/secret.h"

void live_secret_init(struct live_secret *s, const char *path, const char *value)
{
    *s = (struct live_secret){.path = path, .value = value};
}

static void forget(char *secret)
{
    if (secret != NULL) {
        wipe(secret, strlen(secret));
        free(secret);
    }
}

void live_secret_release(struct live_secret *s)
{
    forget(s->read);
    *s = (struct live_secret){0};
}

void live_secret_adopt(struct live_secret *s, const char *path, const char *value)
{
    bool same = s->path != NULL && path != NULL && strcmp(s->path, path) == 0;
    if (same && s->read != NULL) {
        s->path = path;
    } else {
        live_secret_release(s);
        live_secret_init(s, path, value);
    }
}

static void tell_unreadable(struct live_secret *s, const char *whose, const char *why)
{
    if (!s->unreadable) {
        log_warn("%s the password in %s cannot be read again (%s): the old one stays in use", whose,
                 s->path, why);
    }
    s->unreadable = true;
}

static bool replace(struct live_secret *s, char *fresh)
{
    if (s->value != NULL && strcmp(s->value, fresh) == 0) {
        forget(fresh);
        return false;
    }
    forget(s->read);
    s->read = fresh;
    s->value = fresh;
    return true;
}

bool live_secret_refresh(struct live_secret *s, const char *whose)
{
    struct file_stamp now = {0};
    char why[SECRET_WHY_MAX];
    if (s->path == NULL ||
        (file_stamp_take(&now, s->path) == 0 && file_stamp_same(&now, &s->stamp))) {
        return false;
    }
    char *fresh = secret_read(s->path, why);
    if (fresh == NULL) {
        tell_unreadable(s, whose, why);
        return false;
    }
    /* Written while it was read, it is looked at again. */
    s->stamp = now;
    s->unreadable = false;
    bool changed = replace(s, fresh);
    if (changed) {
        log_info("%s the password in %s has changed", whose, s->path);
    }
    return changed;
}
