import HTTP
import Testing

@testable import Gateway

@Suite struct RouterTests {
    private func head(
        _ target: String, _ method: HTTP.Method = .get, host: String? = "shop.example"
    ) -> RequestHead {
        var fields = Fields()
        if let host { fields.append(.host, host) }
        return RequestHead(method: method, target: Array(target.utf8)[...], fields: fields)
    }

    private func table(_ routes: [Route]) -> RoutingTable {
        RoutingTable(routes: routes, upstreams: [Upstream(name: "api", authority: "api")])
    }

    private func index(_ match: RoutingTable.Match) -> Int? {
        if case .route(let index, _) = match { index } else { nil }
    }

    @Test(arguments: [
        ("/", "/", true), ("/", "/a", false), ("/a", "/a", true), ("/a", "/a/", false),
        ("/a/", "/a/", true), ("/a", "/A", false), ("/a", "/b", false),
        ("/a/*", "/a/b", true), ("/a/*", "/a", false), ("/a/*", "/a/b/c", false),
        ("/a/*", "/a/", true), ("/a/*/c", "/a/b/c", true),
        ("/a/{id}", "/a/b", true), ("/a/{id}/c", "/a/b/d", false),
        ("/**", "/", true), ("/**", "/a/b/c", true), ("/**", "*", true),
        ("/a/**", "/a", true), ("/a/**", "/a/", true), ("/a/**", "/a/b/c", true),
        ("/a/**", "/ab", false), ("/a", "/a?b=c", true), ("/a/*", "/a?/b", false),
        // Percent-encoding is undone segment by segment.
        ("/a b", "/a%20b", true), ("/a%20b", "/a%20b", true), ("/caf\u{e9}", "/caf%C3%A9", true),
        ("/a/b", "/a%2Fb", false), ("/a/b", "/a%2fb", false), ("/*", "/a%2Fb", true),
        ("/a", "/%61", true),
        // Dot segments are resolved, encoded ones too.
        ("/b", "/a/../b", true), ("/b", "/a/%2e%2E/b", true), ("/b", "/./b", true),
        ("/b", "/../../b", true), ("/a/", "/a/b/..", true), ("/a/b/", "/a/b/.", true),
        ("/a/**", "/a/../b", false), ("/...", "/...", true), ("/a/..b", "/a/..b", true),
        // Empty segments count.
        ("/a/b", "//a/b", false), ("/a/*/b", "/a//b", true),
    ])
    func `a pattern matches the decoded path`(_ pattern: String, _ target: String, matches: Bool)
        throws
    {
        let table = table([Route(name: "r", path: try PathPattern(pattern))])
        #expect((index(table.match(head(target))) != nil) == matches)
    }

    @Test(arguments: ["/%", "/%4", "/%zz/a", "/a/%g0", "/%00", "/a%00b", "/a/%%41"])
    func `a path that cannot be decoded is malformed whatever the routes are`(_ target: String)
        throws
    {
        for pattern in ["/**", "/a/*", "/x"] {
            let table = table([Route(name: "r", path: try PathPattern(pattern))])
            guard case .malformed = table.match(head(target)) else {
                Issue.record("\(target) matched, or not, against \(pattern)")
                continue
            }
        }
    }

    @Test(arguments: [
        ("a/b", "begins with"), ("", "begins with"), ("/**/a", "at the end"),
        ("/a*", "whole segment"), ("/a{id}", "whole segment"), ("/{id", "no capture"),
        ("/{}", "no capture"), ("/{1a}", "no capture"), ("/{a-b}", "no capture"),
        ("/{id}/{id}", "twice"), ("/a?b", "no \"?\""), ("/%4", "hexadecimal"),
        ("/a/../b", "never matches"), ("/./b", "never matches"), ("/%2e%2e", "never matches"),
    ])
    func `a pattern that makes no sense says why`(_ pattern: String, _ reason: String) {
        let error = #expect(throws: PatternError.self) { try PathPattern(pattern) }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test(arguments: [
        ("/carts/{id}/complete", "/carts/c%20%22/complete", #"{"id":"c \""}"#),
        ("/{a}/{b}/**", "/1/2/3", #"{"a":"1","b":"2"}"#),
        ("/carts/*", "/carts/1", "{}"), ("/**", "/a", "{}"),
        ("/{a}", "/x%2Fy", #"{"a":"x/y"}"#),
    ])
    func `captures become the text of a JSON object`(
        _ pattern: String, _ target: String, _ parameters: String
    ) throws {
        let route = Route(name: "r", path: try PathPattern(pattern))
        guard case .route(_, let path) = table([route]).match(head(target)) else {
            Issue.record("no match")
            return
        }
        #expect(route.parameters(of: path) == parameters)
    }

    @Test(arguments: [
        ("/v1/**", "/v2/**", "/v1/a/b?q=1", "/v2/a/b?q=1"),
        ("/v1/**", "/v2/**", "/v1", "/v2"),
        ("/carts/{id}", "/c/{id}/x", "/carts/a%20b", "/c/a%20b/x"),
        ("/{a}/{b}", "/{b}/{a}", "/1%2F/2", "/2/1%2F"),
        ("/x/**", "/**", "/x", "/"),
        ("/**", "/api/**", "/a/../b", "/api/b"),
    ])
    func `a rewrite makes the target anew`(
        _ pattern: String, _ rewrite: String, _ target: String, _ result: String
    ) throws {
        let path = try PathPattern(pattern)
        let route = Route(name: "r", path: path, rewrite: try PathRewrite(rewrite, for: path))
        let head = head(target)
        guard case .route(_, let decoded) = table([route]).match(head) else {
            Issue.record("no match")
            return
        }
        #expect(String(decoding: route.target(of: head, path: decoded), as: UTF8.self) == result)
    }

    @Test(arguments: [
        ("/a/{id}", "/b/{name}", "not in the route's path"), ("/a", "/b/**", "needs a \"**\""),
        ("/a/*", "/b/*", "no name"), ("/a", "b", "begins with"),
    ])
    func `a rewrite that makes no sense says why`(
        _ pattern: String, _ rewrite: String, _ reason: String
    ) throws {
        let path = try PathPattern(pattern)
        let error = #expect(throws: PatternError.self) { try PathRewrite(rewrite, for: path) }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test func `without a rewrite the target stays as it was received`() throws {
        let route = Route(name: "r", path: try PathPattern("/**"))
        let head = head("/a/../%62?x=%zz")
        #expect(route.target(of: head, path: nil) == head.target)
    }

    @Test(arguments: [
        ("api.example.com", "api.example.com", true), ("api.example.com", "API.Example.COM", true),
        ("API.example.com", "api.example.com:8080", true),
        ("api.example.com", "x.example.com", false),
        ("*.example.com", "a.example.com", true), ("*.example.com", "a.b.example.com:1", true),
        ("*.example.com", "example.com", false), ("*.example.com", ".example.com", false),
        ("*.example.com", "aexample.com", false), ("[::1]", "[::1]:80", true),
        ("[::1]", "[::1]", true),
        ("example.com", nil, false), ("example.com", "", false),
    ])
    func `a host is compared without case and port`(
        _ pattern: String, _ host: String?, matches: Bool
    ) throws {
        let route = Route(
            name: "r", host: try HostPattern(pattern), path: try PathPattern("/**"))
        #expect((index(table([route]).match(head("/", host: host))) != nil) == matches)
    }

    @Test(arguments: ["", "*.", "a*.com", "*.*.com", "http://a", "a/b", "a:80", "a b"])
    func `a host that makes no sense is refused`(_ pattern: String) {
        #expect(throws: PatternError.self) { try HostPattern(pattern) }
    }

    @Test func `the first route that takes host, path and method wins`() throws {
        let table = table([
            Route(
                name: "0", host: try HostPattern("a.example"), path: try PathPattern("/**")),
            Route(
                name: "1", path: try PathPattern("/carts/*"),
                methods: MethodSet([.post, .other("MKCOL")])),
            Route(name: "2", path: try PathPattern("/carts/{id}")),
        ])
        #expect(index(table.match(head("/carts/1", host: "a.example"))) == 0)
        #expect(index(table.match(head("/carts/1", .post))) == 1)
        #expect(index(table.match(head("/carts/1", .other("MKCOL")))) == 1)
        #expect(index(table.match(head("/carts/1", .other("mkcol")))) == 2)
        #expect(index(table.match(head("/carts/1", .get))) == 2)
        #expect(index(table.match(head("/orders"))) == nil)
    }
}
