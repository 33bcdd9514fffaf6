internal import Idempotency

/// The hash by which identities are found; its key is a secret of the database.
typealias IdentityHash = KeyedHash
