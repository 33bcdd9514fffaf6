// swift-tools-version: 6.2
import PackageDescription

/// The settings that all rooms share.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
]

/// What lives on one event loop's thread is not checked for exclusive access in release builds: that
/// takes a tenth of a forwarded request's instructions. Debug builds, which the tests use, check it.
/// The rooms that are offered to other packages may have no flags of their own.
let loopSettings: [SwiftSetting] =
    settings + [
        .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
    ]

/// Tests name whole sentences and reach into rooms with `@testable`.
let testSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

func room(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: settings)
}

func loopRoom(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: loopSettings)
}

func tests(_ name: String, _ imports: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: imports, swiftSettings: testSettings)
}

func fuzzer(_ name: String, _ imports: [Target.Dependency]) -> Target {
    .executableTarget(
        name: "Fuzz" + name, dependencies: imports + ["FuzzReplay"],
        path: "Tests/Fuzzing/" + name, exclude: ["Corpus"],
        swiftSettings: testSettings + [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
    name: "oncegate",
    products: [
        .executable(name: "oncegate", targets: ["GatewayCommand"]),
        .library(name: "Idempotency", targets: ["Idempotency"]),
        .library(name: "IdempotencySQLite", targets: ["IdempotencySQLite"]),
        // For LD_PRELOAD in tests.
        .library(name: "FaultInjection", type: .dynamic, targets: ["FaultInjection"]),
    ],
    targets: [
        room("Idempotency"),
        loopRoom("HTTP"),
        room("JSON"),
        room("Telemetry", ["JSON"]),
        room("Compression", ["CCompression"]),
        room("Crypto", ["CCrypto"]),
        loopRoom("Transport", ["CTransport", "Telemetry"]),
        room("IdempotencySQLite", ["Idempotency", "CIdempotencySQLite"]),
        loopRoom("Gateway", ["Idempotency", "HTTP", "JSON", "Compression", "Crypto", "Telemetry"]),
        loopRoom("HTTPServer", ["HTTP", "Transport", "Telemetry"]),
        loopRoom("CurlUpstream", ["HTTP", "Transport", "Telemetry", "CCurlUpstream"]),
        room("Admin", ["Idempotency", "HTTP", "JSON", "Telemetry"]),
        .executableTarget(
            name: "GatewayCommand",
            dependencies: [
                "Idempotency", "HTTP", "JSON", "Telemetry", "Compression", "Crypto", "Transport",
                "IdempotencySQLite", "Gateway", "HTTPServer", "CurlUpstream", "Admin",
            ],
            swiftSettings: settings),
        .target(name: "CTransport"),
        .systemLibrary(name: "CCompression"),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto"),
        .systemLibrary(name: "CCurlUpstream", pkgConfig: "libcurl"),
        .systemLibrary(name: "CIdempotencySQLite", pkgConfig: "sqlite3"),

        .executableTarget(
            name: "SwiftBackend", path: "Examples/swift-backend", exclude: ["gateway.json"],
            swiftSettings: [.defaultIsolation(MainActor.self)]),

        .target(
            name: "TestSupport", dependencies: ["Idempotency", "HTTP", "Gateway"],
            path: "Tests/TestSupport", swiftSettings: testSettings),
        .target(name: "FaultInjection", path: "Tests/FaultInjection"),
        tests("AdminTests", ["Admin", "Idempotency", "HTTP", "JSON", "Telemetry", "TestSupport"]),
        tests("CompressionTests", ["Compression", "TestSupport"]),
        tests("CryptoTests", ["Crypto", "TestSupport"]),
        tests(
            "EndToEndTests", ["CartCompletion", "GatewayCommand", "SwiftBackend", "TestSupport"]),
        tests(
            "GatewayCommandTests",
            ["GatewayCommand", "Gateway", "Idempotency", "HTTP", "JSON", "TestSupport"]),
        tests(
            "GatewayTests",
            [
                "Gateway", "Idempotency", "HTTP", "JSON", "Telemetry", "Compression", "Crypto",
                "TestSupport",
            ]),
        tests("HTTPServerTests", ["HTTPServer", "HTTP", "Transport", "TestSupport"]),
        tests("CurlUpstreamTests", ["CurlUpstream", "HTTP", "Transport"]),
        tests("HTTPTests", ["HTTP"]),
        tests("HouseTests", []),
        tests("JSONTests", ["JSON", "TestSupport"]),
        tests(
            "SimulationTests",
            ["Gateway", "Idempotency", "HTTP", "JSON", "Telemetry", "TestSupport"]),
        tests("TelemetryTests", ["Telemetry", "JSON"]),
        tests("TransportTests", ["Transport", "TestSupport"]),
        .target(
            name: "FuzzReplay", path: "Tests/Fuzzing/Replay", swiftSettings: testSettings),
        fuzzer("HTTP1", ["HTTP"]),
        fuzzer("Journal", ["Idempotency"]),
        fuzzer("Fingerprint", ["Compression", "Crypto", "Gateway", "JSON"]),
        fuzzer("Gateway", ["Crypto", "Gateway", "HTTP", "Idempotency"]),
        // Depends on what is offered to other packages, and on nothing else.
        .executableTarget(
            name: "CartCompletion", dependencies: ["Idempotency", "IdempotencySQLite"],
            path: "Examples/CartCompletion", swiftSettings: testSettings),
        .executableTarget(
            name: "Benchmarks", dependencies: ["JSON", "Idempotency", "IdempotencySQLite"],
            path: "Tests/Benchmarks",
            swiftSettings: testSettings),
        tests("IdempotencyTests", ["Idempotency", "TestSupport"]),
        tests("IdempotencySQLiteTests", ["Idempotency", "IdempotencySQLite", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6]
)

// Where every change is checked, a warning is an error.
if Context.environment["CI"] != nil {
    for target in package.targets where target.type != .system {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
        target.cSettings = (target.cSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
}
