import Glibc

extension Metrics {
    /// Adds what is known of the process itself, under the names that Prometheus' client libraries
    /// share, and a build info. Call it at start-up: that is the start time it tells.
    package func observeProcess(version: String) {
        let start = currentTime()
        let startSeconds = Double(start.tv_sec) + Double(start.tv_nsec) / 1e9
        gauge(
            "oncegate_build_info", help: "Always 1; the labels tell the build.",
            labels: [("version", version)]
        ).set(1)
        observe("process_start_time_seconds", help: "Start time since the epoch.") { startSeconds }
        observe(
            "process_cpu_seconds_total", help: "User and system time used.", type: .counter,
            read: cpuSeconds)
        observe("process_resident_memory_bytes", help: "Resident memory.") { memoryBytes(field: 1) }
        observe("process_virtual_memory_bytes", help: "Virtual memory.") { memoryBytes(field: 0) }
        observe("process_open_fds", help: "Open file descriptors.") { Double(openDescriptors()) }
        observe("process_max_fds", help: "Limit of open file descriptors.", read: descriptorLimit)
    }

    /// Adds the number of lines that `log` lost.
    package func observe(_ log: Log) {
        observe(
            "oncegate_log_dropped_lines_total",
            help: "Log lines lost because an output was too slow or failed.", type: .counter
        ) { Double(log.droppedLines) }
    }
}

private func cpuSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// A field of `/proc/self/statm`, in bytes: 0 is all memory, 1 what is resident. NaN if unreadable.
private func memoryBytes(field: Int) -> Double {
    let fields = readFile("/proc/self/statm").split(separator: UInt8(ascii: " "))
    guard field < fields.count, let pages = Int(String(decoding: fields[field], as: UTF8.self))
    else { return .nan }
    return Double(pages * Int(getpagesize()))
}

/// The first bytes of a file; none if it cannot be read.
private func readFile(_ path: String) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    return unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        count = unsafe max(0, read(descriptor, buffer.baseAddress, buffer.count))
    }
}

/// How many descriptors are open. Kernels from 6.2 on tell it as the directory's size; before
/// that the directory has to be read.
private func openDescriptors() -> Int {
    var status = stat()
    if unsafe stat("/proc/self/fd", &status) == 0, status.st_size > 0 { return status.st_size }
    guard let directory = unsafe opendir("/proc/self/fd") else { return 0 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    let ownAndDots = 3
    return count - ownAndDots
}

private func descriptorLimit() -> Double {
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
}
