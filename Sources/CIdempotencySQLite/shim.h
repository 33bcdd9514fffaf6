#pragma once
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Creates an empty file that only its owner can read. 0, or an `errno`; `EEXIST` if there is one.
static inline int cidempotencysqlite_create(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return errno;
    close(file);
    return 0;
}

static inline int cidempotencysqlite_eexist(void) { return EEXIST; }

/// Whether there is something at the path.
static inline int cidempotencysqlite_exists(const char *path) { return access(path, F_OK) == 0; }

/// Has what was written to a file, or a directory's entries, reach the disk. 0, or an `errno`.
static inline int cidempotencysqlite_sync(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno;
    int error = fsync(file) == 0 ? 0 : errno;
    close(file);
    return error;
}

/// Renames a file to a name that nobody bears yet. 0, or an `errno`; `EEXIST` if somebody does.
static inline int cidempotencysqlite_rename(const char *from, const char *to) {
    const unsigned no_replace = 1;
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, no_replace) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // A file system without that flag.
    if (link(from, to) != 0) return errno;
    return unlink(from) == 0 ? 0 : errno;
}

static inline void cidempotencysqlite_unlink(const char *path) { unlink(path); }

/// What an `errno` means.
static inline const char *cidempotencysqlite_message(int error) { return strerror(error); }

static inline int cidempotencysqlite_note_frames(void *frames, sqlite3 *db, const char *name,
                                                 int count) {
    (void)db;
    (void)name;
    *(int *)frames = count;
    return SQLITE_OK;
}

/// From now on `frames` is, after each commit, the number of pages in the write-ahead log, and
/// nothing is carried over into the file but on demand.
static inline void cidempotencysqlite_count_frames(sqlite3 *db, int *frames) {
    sqlite3_wal_hook(db, cidempotencysqlite_note_frames, frames);
}

/// Whether the database's file is no longer what its name leads to.
static inline int cidempotencysqlite_has_moved(sqlite3 *db) {
    int has_moved = 0;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return has_moved;
}

/// The number of the file that is the write-ahead log by its name; 0 if there is none.
static inline unsigned long long cidempotencysqlite_log_number(sqlite3 *db) {
    struct stat status;
    const char *path = sqlite3_filename_wal(sqlite3_db_filename(db, "main"));
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

static inline int cidempotencysqlite_is_own(const char *name) {
    return name != NULL && sqlite3_strnicmp(name, "idempotency_", 12) == 0;
}

/// What a caller's own statement may not do: write to the store's tables, end the transaction,
/// reach other files, or change how this one is kept.
static inline int cidempotencysqlite_authorize(void *none, int action, const char *first,
                                               const char *second, const char *database,
                                               const char *trigger) {
    (void)none;
    (void)database;
    (void)trigger;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_PRAGMA:
        return SQLITE_DENY;
    case SQLITE_READ:
    case SQLITE_SELECT:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    default:
        return cidempotencysqlite_is_own(first) || cidempotencysqlite_is_own(second) ? SQLITE_DENY
                                                                                    : SQLITE_OK;
    }
}

/// Confines the statements that are prepared from now on.
static inline void cidempotencysqlite_confine(sqlite3 *db) {
    sqlite3_set_authorizer(db, cidempotencysqlite_authorize, NULL);
}

/// Ends the confinement.
static inline void cidempotencysqlite_free(sqlite3 *db) { sqlite3_set_authorizer(db, NULL, NULL); }

/// Binds a copy of a text; no bytes are the empty text.
static inline int cidempotencysqlite_bind_text(sqlite3_stmt *statement, int index,
                                               const void *text, int length) {
    return sqlite3_bind_text(statement, index, text == NULL ? "" : (const char *)text, length,
                             SQLITE_TRANSIENT);
}

/// Binds a copy of bytes; none are the empty blob.
static inline int cidempotencysqlite_bind_blob(sqlite3_stmt *statement, int index,
                                               const void *bytes, int length) {
    if (length == 0) return sqlite3_bind_zeroblob(statement, index, 0);
    return sqlite3_bind_blob(statement, index, bytes, length, SQLITE_TRANSIENT);
}
