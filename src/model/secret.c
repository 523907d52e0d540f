#include "model/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "model/config_internal.h"

char *secret_read(const char *path, char why[SECRET_WHY_MAX])
{
    struct stat st;
    char *data;
    size_t len;
    if (stat(path, &st) != 0) {
        snprintf(why, SECRET_WHY_MAX, "%s", strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, SECRET_WHY_MAX, "%s",
                 S_ISDIR(st.st_mode) ? "it is a directory" : "it is no file");
        return NULL;
    }
    int rc = config_read_file(path, SECRET_BYTES_MAX, &data, &len);
    if (rc != 0) {
        snprintf(why, SECRET_WHY_MAX, "%s",
                 rc == -EFBIG ? "it has more than 4096 bytes" : strerror(-rc));
        return NULL;
    }
    len -= len > 0 && data[len - 1] == '\n';
    len -= len > 0 && data[len - 1] == '\r';
    data[len] = '\0';
    if (len > 0 && strlen(data) == len) {
        return data;
    }
    snprintf(why, SECRET_WHY_MAX, "%s", len == 0 ? "it is empty" : "it has a NUL byte");
    wipe(data, SECRET_BYTES_MAX);
    free(data);
    return NULL;
}

void secret_free(char *secret)
{
    if (secret != NULL) {
        wipe(secret, strlen(secret));
        free(secret);
    }
}
