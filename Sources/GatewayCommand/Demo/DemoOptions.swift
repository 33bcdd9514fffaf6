/// How large a storm `oncegate demo` raises.
struct DemoOptions {
    /// Requests in the storm, at least one per key.
    var requests = 200
    /// Idempotency keys that they share.
    var keys = 20
    /// Connections over which they are sent at the same time.
    var connections = 50
}
