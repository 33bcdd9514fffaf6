private import Glibc

/// A thread for a store's blocking calls. It runs its work when it is woken, and sleeps in the
/// kernel otherwise.
///
/// The queue is the store's: it appends under its own lock, wakes the thread when the queue was
/// empty, and its work takes everything that has come by then. A wake-up during the work is not
/// lost: the work runs once more.
///
/// `@unchecked Sendable` because `isWoken`, `isStopping` and `thread` are touched only between
/// lock and unlock of `mutex`, or before the thread begins and after it has ended; `mutex` and
/// `condition` stay at their addresses until then.
@safe
package final class StoreThread: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let work: @Sendable () -> Void
    private var thread: pthread_t?
    private var isWoken = false
    private var isStopping = false

    /// Starts a thread.
    ///
    /// - Parameter work: What it does each time; it must not keep the thread's owner alive.
    package init(work: @escaping @Sendable () -> Void) throws(StoreError) {
        self.work = work
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
        var created = pthread_t()
        let result = unsafe pthread_create(
            &created, nil,
            { argument in
                let thread = unsafe Unmanaged<StoreThread>.fromOpaque(argument!)
                unsafe thread.takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        guard result == 0 else {
            unsafe Unmanaged.passUnretained(self).release()
            throw StoreError(.unavailable, "no thread for the store: errno \(result)")
        }
        thread = created
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Has the work run, soon.
    package func wake() {
        unsafe pthread_mutex_lock(mutex)
        isWoken = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Runs the work a last time and waits for the thread to end, unless called on it.
    package func stop() {
        unsafe pthread_mutex_lock(mutex)
        let ending = thread
        thread = nil
        isStopping = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
        guard let ending else { return }
        if pthread_equal(ending, pthread_self()) != 0 {
            pthread_detach(ending)
        } else {
            pthread_join(ending, nil)
        }
    }

    private func run() {
        while wait() { work() }
        work()
    }

    /// Sleeps until there is something to do; false when the thread is to end.
    private func wait() -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while !isWoken, !isStopping { unsafe pthread_cond_wait(condition, mutex) }
        guard isWoken else { return false }
        isWoken = false
        return true
    }
}
