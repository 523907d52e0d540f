/* Servers, passwords and caps of each backend. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "model/config_internal.h"

static unsigned server_line(const struct config *c, const struct backend_config *b, size_t i)
{
    return origin_item_line(c->origin, SECTION_BACKEND, b->index, "server", i);
}

/* Two names for one server would give it twice its cap, and a primary two votes. */
static void check_server_pair(const struct config *c, const struct backend_config *b, size_t first,
                              size_t second, struct config_errors *errors)
{
    const struct server_config *one = &b->servers.items[first];
    const struct server_config *two = &b->servers.items[second];
    if (strcmp(one->name, two->name) == 0) {
        config_error(errors, server_line(c, b, second),
                     "there is another server \"%s\" in [backend %s], in line %u", two->name,
                     b->name, server_line(c, b, first));
    } else if (address_equal(&one->address, &two->address)) {
        config_error(errors, server_line(c, b, second),
                     "server \"%s\" has the address of server \"%s\" in line %u", two->name,
                     one->name, server_line(c, b, first));
    }
}

static void check_servers(const struct config *c, const struct backend_config *b,
                          struct config_errors *errors)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        for (size_t j = 0; j < i; j++) {
            check_server_pair(c, b, j, i, errors);
        }
    }
}

/* Passwords --------------------------------------------------------------------------------- */

static void bad_file(struct config_errors *errors, unsigned line, const char *path, const char *why)
{
    char shown[SHOWN_MAX];
    config_error(errors, line, "cannot read the password from %s: %s", config_shown(path, shown),
                 why);
}

/* NULL: the error was told. A pipe or a terminal would make the start wait for somebody. */
static char *read_secret(const char *path, unsigned line, struct config_errors *errors)
{
    struct stat st;
    char *data;
    size_t len;
    if (stat(path, &st) != 0) {
        bad_file(errors, line, path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        bad_file(errors, line, path, S_ISDIR(st.st_mode) ? "it is a directory" : "it is no file");
        return NULL;
    }
    int rc = config_read_file(path, SECRET_BYTES_MAX, &data, &len);
    if (rc != 0) {
        bad_file(errors, line, path, rc == -EFBIG ? "it has more than 4096 bytes" : strerror(-rc));
        return NULL;
    }
    len -= len > 0 && data[len - 1] == '\n';
    len -= len > 0 && data[len - 1] == '\r';
    data[len] = '\0';
    if (len > 0 && strlen(data) == len) {
        return data;
    }
    bad_file(errors, line, path, len == 0 ? "it is empty" : "it has a NUL byte");
    wipe(data, SECRET_BYTES_MAX);
    free(data);
    return NULL;
}

static void check_password(const struct config *c, struct backend_config *b,
                           struct config_errors *errors)
{
    const struct config_origin *o = c->origin;
    const struct origin_setting *file =
        origin_find(o, SECTION_BACKEND, b->index, "probe_password_file");
    const struct origin_setting *plain =
        origin_find(o, SECTION_BACKEND, b->index, "probe_password");
    const struct origin_setting *user = origin_find(o, SECTION_BACKEND, b->index, "probe_user");
    bool has_file = file != NULL && file->ok;
    if (has_file && plain != NULL && plain->ok) {
        config_error(errors, file->line,
                     "\"probe_password_file\" and \"probe_password\" (line %u) are both set",
                     plain->line);
    } else if (has_file) {
        b->probe_password = read_secret(b->probe_password_file, file->line, errors);
    } else if (user != NULL && user->ok && (plain == NULL || !plain->ok)) {
        config_error(errors, user->line,
                     "\"probe_user\" needs \"probe_password\" or \"probe_password_file\"");
    }
}

/* The whole --------------------------------------------------------------------------------- */

static void finish_servers(struct config *c, struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        struct server_config *s = &b->servers.items[i];
        s->id = c->server_count++;
        if (!s->own_max_connections) {
            s->max_connections = b->server_max_connections;
        }
    }
}

void config_check_backends(struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        struct backend_config *b = &c->backends[i];
        if (!origin_section(c->origin, SECTION_BACKEND, i)->repeated) {
            check_servers(c, b, errors);
            check_password(c, b, errors);
        }
        finish_servers(c, b);
    }
}
