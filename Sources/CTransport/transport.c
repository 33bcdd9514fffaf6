#define _GNU_SOURCE 1
#include "CTransport.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int ctransport_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int ctransport_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int ctransport_accept(int listener, void *peer) {
    socklen_t length = sizeof(struct sockaddr_storage);
    return accept4(listener, peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int ctransport_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

ssize_t ctransport_send(int fd, const void *first, size_t first_length,
                        const void *second, size_t second_length) {
    if (second_length == 0) return send(fd, first, first_length, MSG_NOSIGNAL);
    struct iovec pieces[2] = {
        {.iov_base = (void *)first, .iov_len = first_length},
        {.iov_base = (void *)second, .iov_len = second_length},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static _Thread_local void *slot;

void *ctransport_thread_slot(void) { return slot; }

void ctransport_set_thread_slot(void *value) { slot = value; }

void ctransport_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int ctransport_spool(const char *directory) {
    int file = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    /* Some file systems have no files without names; old kernels take the flag for a directory. */
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return file;
    return ctransport_spool_by_name(directory);
}

int ctransport_spool_by_name(const char *directory) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/.oncegate-spool-XXXXXX", directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int file = mkostemp(path, O_CLOEXEC);
    if (file >= 0) unlink(path);
    return file;
}
