/// Appends bytes with all but the unreserved characters (RFC 3986 section 2.3) percent-encoded, and
/// those that `also` keeps.
func appendPercentEncoded(
    _ bytes: ArraySlice<UInt8>, to target: inout [UInt8], keeping also: (UInt8) -> Bool
) {
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in bytes {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: target.append(byte)
        case _ where also(byte): target.append(byte)
        default:
            target.append(UInt8(ascii: "%"))
            target.append(digits[Int(byte >> 4)])
            target.append(digits[Int(byte & 15)])
        }
    }
}
