import Glibc

/// A counting semaphore (POSIX), at zero. `post` is a system call only while somebody waits.
@safe final class Semaphore: Sendable {
    /// Never moves and never changes hands; the C library makes its operations safe to share.
    nonisolated(unsafe) private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe semaphore.initialize(to: sem_t())
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    /// Lets one waiter go on, now or later.
    func post() { unsafe sem_post(semaphore) }

    /// Waits for a `post`.
    func wait() {
        while unsafe sem_wait(semaphore) != 0, errno == EINTR {}
    }
}
