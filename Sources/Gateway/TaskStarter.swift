/// Starts tasks on the event loop that a handler belongs to.
///
/// A task that is started otherwise runs on the loop too, but each time that it is resumed it
/// takes a detour through the global pool.
package protocol TaskStarter: AnyObject {
    /// Starts `body` on the loop, soon. Nothing cancels it.
    func start(_ body: @escaping () async -> Void)
}
