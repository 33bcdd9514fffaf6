#pragma once
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

/// Creates an empty file that only its owner can read. 0, or an `errno`; `EEXIST` if there is one.
static inline int cidempotencysqlite_create(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return errno;
    close(file);
    return 0;
}

static inline int cidempotencysqlite_eexist(void) { return EEXIST; }

/// What an `errno` means.
static inline const char *cidempotencysqlite_message(int error) { return strerror(error); }
