#pragma once
// A library for LD_PRELOAD that makes system calls on files fail, in a process that knows nothing
// of it. Tests and the torture command load it into the real binary.
//
// The environment variable ONCEGATE_FAULTS names the control file. It is read again whenever it
// was replaced or changed, which switches faults on and off while the process runs; one that is
// missing or empty means that nothing fails. Replace it by rename(2), so that nobody reads half.
//
// Each line is a rule; the first one that matches a call decides. `#` begins a comment.
//
//     CALL SUFFIX ERROR [after=N] [count=N] [chance=P]
//
// CALL    open      open, openat
//         read      read, pread
//         write     write, pwrite, writev, pwritev
//         sync      fsync, fdatasync
//         truncate  ftruncate
//         unlink    unlink, rename (by its first path)
//         accept    accept, accept4; their SUFFIX is *
//         socket    socket; its SUFFIX is *
// SUFFIX  how the file's path ends, as in `oncegate.db`, `-wal`, `.conclusions`; `*` is any
//         regular file or device. Sockets and pipes are left alone but by accept and socket.
// ERROR   EIO, ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENFILE, EINTR or ENOENT, with which the call
//         fails and does nothing; or SHORT: a write, or a read, of half of its bytes.
// after=  so many matching calls go well first (0)
// count=  then so many fail, and all others go well (no limit)
// chance= each fails with this probability, from 0 to 1 (1)
//
// A line `seed N` seeds the chances; the same seed and order of calls give the same faults.
// Counting begins anew when the file is read. Each fault adds a line `CALL PATH ERROR` to the file
// of the same name with `.log` at its end, up to 10 000 in a process.
