// swift-tools-version: 6.2
import PackageDescription

// A program of somebody else's: it sees what the products offer and nothing more. `.ci/run` builds
// and runs it.
let package = Package(
    name: "stranger",
    // snippet: dependencies
    dependencies: [
        .package(name: "oncegate", path: "../..")
    ],
    targets: [
        .executableTarget(
            name: "Stranger",
            dependencies: [
                .product(name: "Idempotency", package: "oncegate"),
                .product(name: "IdempotencySQLite", package: "oncegate"),
            ]),
        // end
        // The repository's example, seen from outside.
        .executableTarget(
            name: "CartCompletion",
            dependencies: [
                .product(name: "Idempotency", package: "oncegate"),
                .product(name: "IdempotencySQLite", package: "oncegate"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
