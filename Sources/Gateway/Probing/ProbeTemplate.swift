import HTTP

/// The request target by which an upstream is asked what became of a request:
/// `/orders?reference={key}`.
///
/// `{key}`, `{params.NAME}` (a capture of the route's path) and `{field.NAME}` (the first line of a
/// request's field) are filled in, with everything but the unreserved characters of RFC 3986
/// percent-encoded, so that no value can leave its place. The probe of a stage knows all words of
/// stages.
package struct ProbeTemplate: Sendable {
    private let template: Template

    /// The template as it was written.
    package var text: String { template.text }

    /// Compiles a template for the requests of a route with this path.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(
        _ text: String, for pattern: PathPattern, words: Template.Words = .ofProbe
    ) throws(PatternError) {
        template = try Template(path: text, for: pattern, words: words)
    }

    /// The target for a request; nil if something that belongs in there is missing.
    func target(
        key: ArraySlice<UInt8>, captures: [ArraySlice<UInt8>], fields: Fields
    ) -> String? {
        target(TemplateValues(key: key, captures: captures, fields: fields))
    }

    /// The target with these values; nil if something that belongs in there is missing.
    func target(_ values: TemplateValues) -> String? {
        (try? template.target(values)).map { String(decoding: $0, as: UTF8.self) }
    }
}
