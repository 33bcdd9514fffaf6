import FuzzReplay

/// Tries one input; a broken invariant traps.
///
/// Built with `-DFUZZING` there is no `main`: libFuzzer brings its own and calls this.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

#if !FUZZING
    /// Replays the directories and files that it is given, else the corpus.
    @main
    struct FuzzGateway {
        static func main() { replay(corpus: "Gateway", check) }
    }
#endif
