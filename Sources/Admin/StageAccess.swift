import HTTP
import Idempotency

/// Who changes a key.
enum KeyCaller {
    /// Somebody with the admin token.
    case administrator
    /// Somebody with the record's own token alone.
    case backend
}

extension KeyOperations {
    /// Whether a caller is let in.
    enum Admittance {
        case caller(KeyCaller)
        case refusal(AdminAnswer)
    }

    /// Lets those in that show the admin token, and to one record those that show its token.
    ///
    /// A token that is none of a record's gets the same answer whether or not there is such a
    /// record.
    func admit(_ head: borrowing RequestHead, to place: KeyPlace?) async throws -> Admittance {
        guard let refusal = access.refusal(of: head) else { return .caller(.administrator) }
        guard head.fields.contains(.idempotencyStageToken),
            let id = place?.openToBackends(head.method)
        else { return .refusal(refusal) }
        let token = try head.stageToken.get()
        let key =
            if let id = KeyID(id) { try await keys.retrieve(id) } else { nil as IdempotencyKey? }
        let isOwn = token.equalsInConstantTime(key?.lockToken ?? Self.nobody)
        return isOwn && key?.lockToken != nil
            ? .caller(.backend) : .refusal(AdminAnswer(.foreignToken))
    }

    /// A token that no record has, so that as much is compared where there is no record.
    private static let nobody = LockToken.random()
}

extension KeyPlace {
    /// The record that the resource belongs to, if its own token opens it for this method.
    fileprivate func openToBackends(_ method: Method) -> String? {
        switch self {
        case .key(let id) where methods.contains(method): id
        case .action(let id, .stages) where method == .post: id
        default: nil
        }
    }
}

extension RequestHead {
    /// The token in `Idempotency-Stage-Token`.
    var stageToken: Result<LockToken, AdminProblem> {
        guard let text = fields.text(.idempotencyStageToken) else {
            return .failure(
                .badRequest("Send Idempotency-Stage-Token with the lock_token of the record."))
        }
        guard fields.count(of: .idempotencyStageToken) == 1,
            let token = LockToken(hexadecimal: text)
        else {
            return .failure(.badRequest("Idempotency-Stage-Token is 32 hexadecimal digits."))
        }
        return .success(token)
    }
}

extension LockToken {
    /// Whether both are the same, in a time that depends on neither.
    fileprivate func equalsInConstantTime(_ other: LockToken) -> Bool {
        (words.0 ^ other.words.0) | (words.1 ^ other.words.1) == 0
    }
}

extension AdminProblem {
    fileprivate static let foreignToken = AdminProblem(
        "unauthorized", status: 401, title: "Unauthorized",
        detail: "The record, if there is one, is not worked on under this Idempotency-Stage-Token "
            + "any more. Whoever works under it is to stop.")
}
