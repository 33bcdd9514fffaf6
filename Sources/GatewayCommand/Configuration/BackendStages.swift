import JSON

extension Configuration.Idempotency {
    /// Checks what goes with stages that the upstream advances by itself.
    func checkBackendStages(_ cursor: Cursor, _ reading: inout Reading) {
        guard backendStages, let place = cursor.member("backend_stages") else { return }
        if mode == .shadow {
            reading.tell(
                "does not go with \"mode\": \"shadow\", where nothing is claimed", at: place)
        }
        if storeDown == .pass {
            reading.tell(
                "does not go with \"store_down\": \"pass\", where there is no record to advance",
                at: place)
        }
    }
}

extension Configuration {
    /// Backends reach their records by the admin listener.
    func checkBackendStages(_ cursor: Cursor, _ reading: inout Reading) {
        guard admin == nil else { return }
        for (route, place) in zip(routes, cursor.member("routes")?.elements ?? [])
        where route.idempotency?.backendStages == true {
            guard let place = place.member("idempotency")?.member("backend_stages") else {
                continue
            }
            reading.tell("needs the admin listener, and admin is null", at: place)
        }
    }
}
