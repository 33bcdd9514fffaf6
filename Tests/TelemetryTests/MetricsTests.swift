import Testing

@testable import Telemetry

@Suite struct MetricsTests {
    private func text(_ metrics: Metrics) -> String {
        String(decoding: metrics.prometheusText(), as: UTF8.self)
    }

    @Test func `a family has its help and type once, before all its samples`() {
        let metrics = Metrics()
        let get = metrics.counter("requests_total", help: "Requests.", labels: [("method", "GET")])
        let depth = metrics.gauge("queue_depth", help: "Waiting.")
        let post = metrics.counter(
            "requests_total", help: "Requests.", labels: [("method", "POST")])
        get.increment()
        post.increment(by: 41)
        depth.set(7)
        depth.add(-9)
        #expect(
            text(metrics) == """
                # HELP requests_total Requests.
                # TYPE requests_total counter
                requests_total{method="GET"} 1
                requests_total{method="POST"} 41
                # HELP queue_depth Waiting.
                # TYPE queue_depth gauge
                queue_depth -2

                """)
    }

    @Test func `the same name and labels are the same instance`() {
        let metrics = Metrics()
        let first = metrics.counter("a_total", help: "A.", labels: [("x", "1")])
        #expect(metrics.counter("a_total", help: "A.", labels: [("x", "1")]) === first)
        #expect(metrics.counter("a_total", help: "A.", labels: [("x", "2")]) !== first)
        #expect(metrics.gauge("b", help: "B.") === metrics.gauge("b", help: "B."))
        #expect(metrics.histogram("c", help: "C.") === metrics.histogram("c", help: "C."))
    }

    @Test func `help and label values are escaped, each in its own way`() {
        let metrics = Metrics()
        let value = "back\\slash \"quote\" line\nbreak é"
        _ = metrics.counter("a_total", help: value, labels: [("route", value)])
        #expect(
            text(metrics) == #"""
                # HELP a_total back\\slash "quote" line\nbreak é
                # TYPE a_total counter
                a_total{route="back\\slash \"quote\" line\nbreak é"} 0

                """#)
    }

    @Test func `a histogram's buckets are cumulative and its count is the last of them`() {
        let metrics = Metrics()
        let seconds = metrics.histogram(
            "seconds", help: "Duration.", buckets: [0.001, 0.5, 2], labels: [("route", "a")])
        seconds.record(seconds: 0.001)
        seconds.record(seconds: 0.25)
        seconds.record(nanoseconds: 500_000_001)
        seconds.record(.seconds(8))
        seconds.record(seconds: .nan)
        #expect(
            text(metrics) == """
                # HELP seconds Duration.
                # TYPE seconds histogram
                seconds_bucket{route="a",le="0.001"} 1
                seconds_bucket{route="a",le="0.5"} 2
                seconds_bucket{route="a",le="2"} 3
                seconds_bucket{route="a",le="+Inf"} 4
                seconds_sum{route="a"} 8.751000001
                seconds_count{route="a"} 4

                """)
    }

    @Test(arguments: [
        (0.25, "0.25"), (-3, "-3"), (1e-7, "1e-07"), (1e300, "1e+300"), (0.1, "0.1"),
        (1_764_068_715.25, "1764068715.25"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        (.nan, "NaN"),
    ]) func `a number is written as scrapers read it`(_ value: Double, _ expected: String) {
        let metrics = Metrics()
        metrics.observe("x", help: "X.") { value }
        #expect(text(metrics) == "# HELP x X.\n# TYPE x gauge\nx \(expected)\n")
    }

    @Test func `a collector writes families out of one snapshot`() {
        let metrics = Metrics()
        metrics.collect { text in
            text.family("rows", help: "Rows.", type: .gauge)
            text.sample(labels: [("state", "finished")], 3)
            text.sample(labels: [("state", "unknown")], 0.5)
        }
        #expect(
            text(metrics) == """
                # HELP rows Rows.
                # TYPE rows gauge
                rows{state="finished"} 3
                rows{state="unknown"} 0.5

                """)
    }

    @Test func `nothing counted from several threads is lost`() async {
        let metrics = Metrics()
        let counter = metrics.counter("a_total", help: "A.")
        let histogram = metrics.histogram("b_seconds", help: "B.", buckets: [1])
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        histogram.record(nanoseconds: 1)
                    }
                }
            }
        }
        #expect(counter.value == 80_000)
        #expect(histogram.snapshot.counts == [80_000, 0])
    }
}
