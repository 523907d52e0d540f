/* Descriptors travel beside text, whole messages or none, as many as fit; the other side's end is
 * told, and nothing is left open that nobody asked for. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/macros.h"
#include "net/descriptors.h"

static int pair[2];
static char text[DESCRIPTORS_TEXT_MAX + 1];
static int fds[DESCRIPTORS_MAX];
static size_t count;

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static ssize_t receive(void)
{
    return descriptors_receive(pair[1], text, fds, &count);
}

/* The lowest number that is free: what is left open shows. */
static int lowest(void)
{
    int fd = dup(pair[0]);
    close(fd);
    return fd;
}

static void a_descriptor_arrives_as_another_one_of_the_same(void **state)
{
    (void)state;
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(descriptors_send(pair[0], "socket x", 8, &pipes[0], 1), 0);
    assert_int_equal(receive(), 8);
    assert_string_equal(text, "socket x");
    assert_int_equal(count, 1);
    assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(pipes[1], "q", 1), 1);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(pipes[0]);
    close(pipes[1]);
}

static void as_many_as_there_may_be(void **state)
{
    (void)state;
    int many[DESCRIPTORS_MAX];
    char *full = malloc(DESCRIPTORS_TEXT_MAX);
    int before = lowest();
    memset(full, 'x', DESCRIPTORS_TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = STDIN_FILENO;
    }
    assert_int_equal(descriptors_send(pair[0], full, DESCRIPTORS_TEXT_MAX, many, DESCRIPTORS_MAX),
                     0);
    assert_int_equal(receive(), DESCRIPTORS_TEXT_MAX);
    assert_int_equal(strlen(text), DESCRIPTORS_TEXT_MAX);
    assert_int_equal(count, DESCRIPTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    assert_int_equal(lowest(), before);
    free(full);
}

static void send_raw(size_t len, size_t fd_count)
{
    static char bytes[DESCRIPTORS_TEXT_MAX + 100];
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(2 * DESCRIPTORS_MAX * sizeof(int))] = {0};
    struct iovec part = {bytes, len};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = room,
                       .msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    assert_int_equal(sendmsg(pair[0], &m, 0), len); /* all of them are standard input */
}

static void what_is_too_much_is_refused_and_closed(void **state)
{
    (void)state;
    int before = lowest();
    send_raw(10, 2 * DESCRIPTORS_MAX);
    assert_int_equal(receive(), UV_EMSGSIZE);
    assert_int_equal(count, 0);
    send_raw(DESCRIPTORS_TEXT_MAX + 1, 3);
    assert_int_equal(receive(), UV_EMSGSIZE);
    assert_int_equal(count, 0);
    assert_int_equal(lowest(), before);
    assert_int_equal(descriptors_send(pair[0], "on", 2, NULL, 0), 0);
    assert_int_equal(receive(), 2);
    assert_string_equal(text, "on");
}

static void a_full_channel_takes_nothing_and_says_so(void **state)
{
    (void)state;
    char bytes[4096] = "0";
    int fd = STDIN_FILENO;
    unsigned sent = 0;
    int rc;
    while ((rc = descriptors_send(pair[0], bytes, sizeof bytes, &fd, 1)) == 0 && sent < 100000) {
        sent++;
    }
    assert_int_equal(rc, UV_EAGAIN);
    for (unsigned i = 0; i < sent; i++) {
        assert_int_equal(receive(), sizeof bytes);
        assert_int_equal(count, 1);
        close(fds[0]);
    }
    assert_int_equal(receive(), UV_EAGAIN);
    assert_int_equal(count, 0);
}

static void the_other_side_s_end_is_told_after_what_it_said(void **state)
{
    (void)state;
    assert_int_equal(descriptors_send(pair[0], "last", 4, NULL, 0), 0);
    close(pair[0]);
    assert_int_equal(receive(), 4);
    assert_int_equal(receive(), 0);
    assert_int_equal(count, 0);
    assert_int_equal(descriptors_send(pair[1], "x", 1, NULL, 0), UV_EPIPE);
    pair[0] = -1;
}

static void what_is_no_descriptor_is_refused(void **state)
{
    (void)state;
    int closed = lowest();
    assert_int_equal(descriptors_send(pair[0], "x", 1, &closed, 1), UV_EBADF);
    assert_int_equal(receive(), UV_EAGAIN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_descriptor_arrives_as_another_one_of_the_same),
        TEST(as_many_as_there_may_be),
        TEST(what_is_too_much_is_refused_and_closed),
        TEST(a_full_channel_takes_nothing_and_says_so),
        TEST(the_other_side_s_end_is_told_after_what_it_said),
        TEST(what_is_no_descriptor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
