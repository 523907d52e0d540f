#include "net/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

int descriptors_send(int sock, const char *text, size_t len, const int *fds, size_t count)
{
    alignas(struct cmsghdr) char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))] = {0};
    struct iovec part = {(void *)text, len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    assert(len > 0 && len <= DESCRIPTORS_TEXT_MAX && count <= DESCRIPTORS_MAX);
    if (count > 0) {
        m.msg_control = room;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(sock, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? 0 : -errno;
}

static void take_descriptors(struct msghdr *m, int fds[DESCRIPTORS_MAX], size_t *count)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(m); head != NULL; head = CMSG_NXTHDR(m, head)) {
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            *count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(head), *count * sizeof(int));
        }
    }
}

ssize_t descriptors_receive(int sock, char text[DESCRIPTORS_TEXT_MAX + 1], int fds[DESCRIPTORS_MAX],
                            size_t *count)
{
    alignas(struct cmsghdr) char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    struct iovec part = {text, DESCRIPTORS_TEXT_MAX};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    ssize_t got;
    *count = 0;
    do {
        got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -errno;
    }
    take_descriptors(&m, fds, count);
    text[got] = '\0';
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < *count; i++) {
            close(fds[i]);
        }
        *count = 0;
        return UV_EMSGSIZE;
    }
    return got;
}
