#define _GNU_SOURCE 1
#include "FaultInjection.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// The control file's rules.

enum call { OPEN, READ, WRITE, SYNC, TRUNCATE, UNLINK, ACCEPT, SOCKET, CALLS };

static const char *const call_names[CALLS] = {
    "open", "read", "write", "sync", "truncate", "unlink", "accept", "socket",
};

static const struct {
    const char *name;
    int code;
} errors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
    {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EINTR", EINTR},
    {"ENOENT", ENOENT}, {"SHORT", -1},
};

struct rule {
    enum call call;
    char suffix[128];
    int error;
    const char *error_name;
    long after, count;
    double chance;
};

enum { RULES = 32, LOG_LINES = 10000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES];
static int rule_count;
static int uses[CALLS];
static struct stat seen;
static uint64_t random_state = 0x9E3779B97F4A7C15;
static int logged;

static double random_share(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / (double)(1ULL << 53);
}

static int parse_words(char *line, struct rule *rule) {
    char *rest = NULL;
    char *call = strtok_r(line, " \t", &rest);
    char *suffix = strtok_r(NULL, " \t", &rest);
    char *error = strtok_r(NULL, " \t", &rest);
    if (error == NULL) return 0;
    int index = 0;
    while (index < CALLS && strcmp(call_names[index], call) != 0) index++;
    if (index == CALLS || strlen(suffix) >= sizeof rule->suffix) return 0;
    rule->call = (enum call)index;
    strcpy(rule->suffix, suffix);
    rule->error = 0;
    for (size_t at = 0; at < sizeof errors / sizeof *errors; at++)
        if (strcmp(errors[at].name, error) == 0) {
            rule->error = errors[at].code;
            rule->error_name = errors[at].name;
        }
    rule->after = 0;
    rule->count = -1;
    rule->chance = 1;
    for (char *word; (word = strtok_r(NULL, " \t", &rest)) != NULL;) {
        if (strncmp(word, "after=", 6) == 0) rule->after = atol(word + 6);
        else if (strncmp(word, "count=", 6) == 0) rule->count = atol(word + 6);
        else if (strncmp(word, "chance=", 7) == 0) rule->chance = strtod(word + 7, NULL);
        else return 0;
    }
    return rule->error != 0;
}

static void parse_line(char *line) {
    char *comment = strchr(line, '#');
    if (comment != NULL) *comment = 0;
    unsigned long long seed;
    if (sscanf(line, " seed %llu", &seed) == 1) {
        random_state = seed ^ 0x9E3779B97F4A7C15;
        if (random_state == 0) random_state = 1;
        return;
    }
    if (strspn(line, " \t") == strlen(line)) return;
    char copy[512];
    snprintf(copy, sizeof copy, "%s", line);
    if (rule_count < RULES && parse_words(copy, &rules[rule_count])) {
        uses[rules[rule_count++].call]++;
    } else {
        dprintf(2, "fault injection: this rule makes no sense: %s\n", line);
        _exit(98);
    }
}

// Reads the control file if it is another than it was. Called under the lock.
static void refresh(const char *path) {
    struct stat now;
    memset(&now, 0, sizeof now);
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &now, 0) != 0) memset(&now, 0, sizeof now);
    if (now.st_ino == seen.st_ino && now.st_size == seen.st_size
        && now.st_mtim.tv_sec == seen.st_mtim.tv_sec
        && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    seen = now;
    rule_count = 0;
    memset(uses, 0, sizeof uses);
    char text[8192];
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    long length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    text[length > 0 ? length : 0] = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        parse_line(line);
}

static void log_fault(const char *control, const struct rule *rule, const char *path) {
    if (logged++ >= LOG_LINES) return;
    char name[4096], line[4600];
    snprintf(name, sizeof name, "%s.log", control);
    int length = snprintf(
        line, sizeof line, "%s %s %s\n", call_names[rule->call], path, rule->error_name);
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    int file = (int)syscall(SYS_openat, AT_FDCWD, name, flags, 0644);
    if (file < 0) return;
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

static int has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), tail = strlen(suffix);
    if (strcmp(suffix, "*") == 0) return 1;
    return length >= tail && strcmp(path + length - tail, suffix) == 0;
}

// The path of a descriptor; 0 for sockets, pipes and the like.
static int path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    static const char deleted[] = " (deleted)";
    if (has_suffix(path, deleted)) path[strlen(path) - strlen(deleted)] = 0;
    return 1;
}

// What a call is to do: 0 to go on, an errno, or -1 for half of it.
static int fault(enum call call, const char *path, int descriptor) {
    const char *control = getenv("ONCEGATE_FAULTS");
    if (control == NULL) return 0;
    int kept = errno, result = 0;
    char name[4096];
    pthread_mutex_lock(&lock);
    refresh(control);
    if (uses[call] > 0
        && (path != NULL || (path_of(descriptor, name, sizeof name) && (path = name)))) {
        for (int index = 0; index < rule_count && result == 0; index++) {
            struct rule *rule = &rules[index];
            if (rule->call != call || !has_suffix(path, rule->suffix)) continue;
            if (rule->after > 0) {
                rule->after--;
                break;
            }
            if (rule->count == 0) continue;
            if (rule->chance < 1 && random_share() >= rule->chance) break;
            if (rule->count > 0) rule->count--;
            result = rule->error;
            log_fault(control, rule, path);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

// The calls. Each asks for its fault and goes on to the C library's own.

#define NEXT(type, name, ...)                                                                      \
    static type (*next)(__VA_ARGS__);                                                              \
    if (next == NULL) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL_IF(fault_code)                                                                        \
    do {                                                                                           \
        int failure = (fault_code);                                                                 \
        if (failure > 0) {                                                                         \
            errno = failure;                                                                       \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

static int mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
}

#define OPEN_LIKE(function)                                                                        \
    int function(const char *path, int flags, ...) {                                               \
        NEXT(int, #function, const char *, int, ...);                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        int mode = mode_of(flags, arguments);                                                      \
        va_end(arguments);                                                                         \
        FAIL_IF(fault(OPEN, path, -1));                                                            \
        return next(path, flags, mode);                                                            \
    }

OPEN_LIKE(open)
OPEN_LIKE(open64)

#define OPENAT_LIKE(function)                                                                      \
    int function(int directory, const char *path, int flags, ...) {                                \
        NEXT(int, #function, int, const char *, int, ...);                                         \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        int mode = mode_of(flags, arguments);                                                      \
        va_end(arguments);                                                                         \
        FAIL_IF(fault(OPEN, path, -1));                                                            \
        return next(directory, path, flags, mode);                                                 \
    }

OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

static size_t part(int code, size_t count) { return code < 0 && count > 1 ? count / 2 : count; }

ssize_t read(int descriptor, void *bytes, size_t count) {
    NEXT(ssize_t, "read", int, void *, size_t);
    int code = fault(READ, NULL, descriptor);
    FAIL_IF(code);
    return next(descriptor, bytes, part(code, count));
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    int code = fault(WRITE, NULL, descriptor);
    FAIL_IF(code);
    return next(descriptor, bytes, part(code, count));
}

#define AT_OFFSET(function, kind, pointer)                                                         \
    ssize_t function(int descriptor, pointer bytes, size_t count, off_t offset) {                  \
        NEXT(ssize_t, #function, int, pointer, size_t, off_t);                                     \
        int code = fault(kind, NULL, descriptor);                                                  \
        FAIL_IF(code);                                                                             \
        return next(descriptor, bytes, part(code, count), offset);                                 \
    }

AT_OFFSET(pread, READ, void *)
AT_OFFSET(pread64, READ, void *)
AT_OFFSET(pwrite, WRITE, const void *)
AT_OFFSET(pwrite64, WRITE, const void *)

// Half of a vector is its first piece.
static int pieces(int code, int count) { return code < 0 && count > 1 ? 1 : count; }

ssize_t writev(int descriptor, const struct iovec *vector, int count) {
    NEXT(ssize_t, "writev", int, const struct iovec *, int);
    int code = fault(WRITE, NULL, descriptor);
    FAIL_IF(code);
    return next(descriptor, vector, pieces(code, count));
}

ssize_t pwritev(int descriptor, const struct iovec *vector, int count, off_t offset) {
    NEXT(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    int code = fault(WRITE, NULL, descriptor);
    FAIL_IF(code);
    return next(descriptor, vector, pieces(code, count), offset);
}

#define ON_DESCRIPTOR(function, kind)                                                              \
    int function(int descriptor) {                                                                 \
        NEXT(int, #function, int);                                                                 \
        FAIL_IF(fault(kind, NULL, descriptor));                                                    \
        return next(descriptor);                                                                   \
    }

ON_DESCRIPTOR(fsync, SYNC)
ON_DESCRIPTOR(fdatasync, SYNC)

#define TRUNCATE_LIKE(function)                                                                    \
    int function(int descriptor, off_t length) {                                                   \
        NEXT(int, #function, int, off_t);                                                          \
        FAIL_IF(fault(TRUNCATE, NULL, descriptor));                                                \
        return next(descriptor, length);                                                           \
    }

TRUNCATE_LIKE(ftruncate)
TRUNCATE_LIKE(ftruncate64)

int unlink(const char *path) {
    NEXT(int, "unlink", const char *);
    FAIL_IF(fault(UNLINK, path, -1));
    return next(path);
}

int rename(const char *from, const char *to) {
    NEXT(int, "rename", const char *, const char *);
    FAIL_IF(fault(UNLINK, from, -1));
    return next(from, to);
}

int socket(int domain, int type, int protocol) {
    NEXT(int, "socket", int, int, int);
    FAIL_IF(fault(SOCKET, "*", -1));
    return next(domain, type, protocol);
}

int accept(int listener, struct sockaddr *peer, socklen_t *length) {
    NEXT(int, "accept", int, struct sockaddr *, socklen_t *);
    FAIL_IF(fault(ACCEPT, "*", -1));
    return next(listener, peer, length);
}

int accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags) {
    NEXT(int, "accept4", int, struct sockaddr *, socklen_t *, int);
    FAIL_IF(fault(ACCEPT, "*", -1));
    return next(listener, peer, length, flags);
}
