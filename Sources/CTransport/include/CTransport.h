#pragma once
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

/* epoll's flags, whose C enum does not come through as integers. */
static inline uint32_t ctransport_epollin(void) { return EPOLLIN; }
static inline uint32_t ctransport_epollout(void) { return EPOLLOUT; }
static inline uint32_t ctransport_epollrdhup(void) { return EPOLLRDHUP; }
static inline uint32_t ctransport_epollhup(void) { return EPOLLHUP; }
static inline uint32_t ctransport_epollerr(void) { return EPOLLERR; }
static inline uint32_t ctransport_epollet(void) { return EPOLLET; }
static inline uint32_t ctransport_epollexclusive(void) { return EPOLLEXCLUSIVE; }

/* epoll_create1, closed on exec. */
int ctransport_epoll_create(void);
/* An eventfd that does not block and is closed on exec. */
int ctransport_eventfd(void);
/* accept4: the new socket does not block and is closed on exec. `peer` is a sockaddr_storage. */
int ctransport_accept(int listener, void *peer);
/* A stream socket that does not block and is closed on exec. */
int ctransport_socket(int family);

/* sendmsg of two pieces, without SIGPIPE. */
ssize_t ctransport_send(int fd, const void *first, size_t first_length,
                        const void *second, size_t second_length);

/* One pointer of the calling thread's own. */
void *ctransport_thread_slot(void);
void ctransport_set_thread_slot(void *value);

/* Names the calling thread for `top -H` and debuggers; at most 15 bytes count. */
void ctransport_name_thread(const char *name);

/* A file without a name in a directory, for its owner alone. -1 with errno set. */
int ctransport_spool(const char *directory);
/* The same on file systems that know no files without names: it has one for a moment. */
int ctransport_spool_by_name(const char *directory);
