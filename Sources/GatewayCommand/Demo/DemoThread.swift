import Glibc

/// A thread of the demo, which may block.
struct DemoThread {
    private let handle: pthread_t

    /// Starts a thread that runs `body`; nil when the system has no room for one more.
    init?(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        var handle = pthread_t()
        let status = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            unsafe box.release()
            return nil
        }
        self.handle = handle
    }

    /// Waits until the thread has ended; once.
    func join() { pthread_join(handle, nil) }

    /// Lets the thread end by itself, or with the process.
    func detach() { pthread_detach(handle) }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
