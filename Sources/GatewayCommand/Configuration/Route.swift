import Gateway
import HTTP

extension Configuration {
    /// Which requests go where, and how they are treated.
    struct Route: Section {
        /// Nil only while the file is read; then the path, if nothing else is given.
        var name: String?
        /// Nil for any.
        var host: String?
        var path = ""
        /// Nil for all.
        var methods: [String]?
        /// The name of an upstream.
        var upstream = ""
        /// What the path becomes; nil to forward it as it was received.
        var rewrite: String?
        var requestFields = FieldRules()
        var responseFields = FieldRules()
        /// Who may read the gateway's own problems from other origins; nil for nobody.
        var cors: CORS?
        var limits = Limits()
        /// Nil makes a plain, streaming reverse proxy.
        var idempotency: Idempotency?

        /// The limits of one route.
        struct Limits: Section {
            /// Bytes; nil for none beside the server's own.
            var body: Int? = 10 << 20

            static var members: [Member<Limits>] {
                [Member("body", \.body, .or("none", .size(0...(1 << 50))))]
            }
        }

        static var members: [Member<Route>] {
            [
                Member("name", \.name, .orNull(.plain("a name"))),
                Member("host", \.host, .orNull(.host)),
                .required("path", \.path, .path),
                Member("methods", \.methods, .orNull(.list(.method, count: 1...100))),
                .required("upstream", \.upstream, .plain("the name of an upstream")),
                Member("rewrite", \.rewrite, .orNull(.path)),
                Member("request_fields", \.requestFields, .object),
                Member("response_fields", \.responseFields, .object),
                Member("cors", \.cors, .orNull(.object)),
                Member("limits", \.limits, .object),
                Member("idempotency", \.idempotency, .orNull(.object)),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            checkProbe(cursor, &reading)
            checkStages(cursor, &reading)
            checkFieldRules(cursor, &reading)
            guard let rewrite, !path.isEmpty, let place = cursor.member("rewrite") else { return }
            do {
                try PathShape.check(rewrite: rewrite, of: path)
            } catch {
                reading.tell(error, at: place)
            }
        }

        private func checkProbe(_ cursor: Cursor, _ reading: inout Reading) {
            guard let probe = idempotency?.probe, let pattern = try? PathPattern(path),
                let place = cursor.member("idempotency")?.member("probe")?.member("path"),
                !reading.isFlawed(place.path)
            else { return }
            do {
                _ = try ProbeTemplate(probe.path, for: pattern)
            } catch {
                reading.tell(error.reason, at: place)
            }
        }
    }
}
