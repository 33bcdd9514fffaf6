/// A value that one task waits for and another one gives. Belongs to one event loop.
@safe final class Promise<Value> {
    private var value: Value?
    private var waiting: UnsafeContinuation<Void, Never>?

    /// Gives the value; only the first one counts.
    func give(_ value: Value) {
        guard self.value == nil else { return }
        self.value = value
        guard let continuation = unsafe waiting else { return }
        unsafe waiting = nil
        unsafe continuation.resume()
    }

    /// Waits for the value. One task may.
    func get() async -> Value {
        while true {
            if let value { return value }
            await unsafe withUnsafeContinuation { continuation in
                // Getting here may take a turn of the loop, in which it may have been given.
                guard value == nil else { return unsafe continuation.resume() }
                unsafe waiting = unsafe continuation
            }
        }
    }
}
