import Gateway
import Transport

/// The spool files, as `Gateway` asks for them.
final class FileSpool: BodySpool {
    private let space: SpoolSpace

    init(_ space: SpoolSpace) { self.space = space }

    func open() throws(BodySpoolError) -> any SpooledBody {
        do throws(SpoolError) { return Body(file: try space.open()) } catch {
            throw BodySpoolError(error.description)
        }
    }

    private final class Body: SpooledBody {
        private let file: SpoolFile

        init(file: SpoolFile) { self.file = file }

        var count: Int { file.count }

        func append(_ bytes: ArraySlice<UInt8>) throws(BodySpoolError) {
            do throws(SpoolError) { try file.append(bytes) } catch {
                throw BodySpoolError(error.description)
            }
        }

        func read(at offset: Int, atMost limit: Int) throws(BodySpoolError) -> [UInt8] {
            do throws(SpoolError) { return try file.read(at: offset, atMost: limit) } catch {
                throw BodySpoolError(error.description)
            }
        }
    }
}
