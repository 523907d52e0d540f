#include "routerctl/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

static const char *const usual_places[] = {"/run/router.sock", "/run/router/router.sock"};

long client_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A full backlog makes connect() wait, as long as a send may. */
static int connect_to(const char *path, int timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    if (strncmp(path, "unix:", 5) == 0) {
        path += 5;
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        int code = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return code;
    }
    return fd;
}

static int connect_somewhere(const char *path, int timeout_ms, struct text *tried)
{
    const char *environment = getenv("ROUTER_SOCKET");
    if (path == NULL && environment != NULL && environment[0] != '\0') {
        path = environment;
    }
    if (path != NULL) {
        text_add(tried, "%s", path);
        return connect_to(path, timeout_ms);
    }
    int code = -ENOENT;
    for (size_t i = 0; i < ARRAY_LEN(usual_places); i++) {
        int fd = connect_to(usual_places[i], timeout_ms);
        if (fd >= 0) {
            return fd;
        }
        code = code == -ENOENT ? fd : code; /* the reason of one that is there */
        text_add(tried, "%s%s", i > 0 ? ", " : "", usual_places[i]);
    }
    return code;
}

int client_ask(struct client *c, const char *path, const char *command, int timeout_ms,
               struct text *tried)
{
    *c = (struct client){.fd = connect_somewhere(path, timeout_ms, tried)};
    if (c->fd < 0) {
        int code = c->fd;
        c->fd = -1;
        return code;
    }
    text_add(&c->question, "set severity-output number;%s\n", command);
    return 0;
}

static int wait_for(const struct client *c, short events, long deadline_ms)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    long left = deadline_ms - client_now_ms();
    int ready = poll(&p, 1, left > 0 ? (int)left : 0);
    if (ready < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    return ready > 0 ? 0 : -ETIMEDOUT;
}

/* One that answers without having read all of it is heard all the same: EPIPE is no end. */
static int send_rest(struct client *c, long deadline_ms)
{
    while (c->sent < c->question.len) {
        ssize_t n =
            send(c->fd, c->question.data + c->sent, c->question.len - c->sent, MSG_NOSIGNAL);
        if (n > 0) {
            c->sent += (size_t)n;
            continue;
        }
        if (errno == EPIPE) {
            c->sent = c->question.len;
        } else if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        int code = errno == EAGAIN ? wait_for(c, POLLOUT, deadline_ms) : 0;
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

ssize_t client_read(struct client *c, char *buffer, size_t size, int timeout_ms)
{
    long deadline_ms = client_now_ms() + timeout_ms;
    int code = send_rest(c, deadline_ms);
    while (code == 0) {
        ssize_t n = read(c->fd, buffer, size);
        if (n >= 0) {
            return n;
        } else if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        code = wait_for(c, POLLIN, deadline_ms);
    }
    return code;
}

int client_read_all(struct client *c, struct text *answer, int timeout_ms)
{
    char piece[16384];
    long deadline_ms = client_now_ms() + timeout_ms;
    ssize_t n = 1;
    while (n > 0) {
        long left = deadline_ms - client_now_ms();
        n = left > 0 ? client_read(c, piece, sizeof(piece), (int)left) : -ETIMEDOUT;
        if (n > 0) {
            text_add_bytes(answer, piece, (size_t)n);
        }
        if (answer->len > CLIENT_ANSWER_MAX) {
            return -E2BIG;
        }
    }
    return (int)n;
}

void client_close(struct client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    text_free(&c->question);
}
