//! Certificates: a local authority of one's own, files that are replaced while we run, and whom an
//! agent or an upstream connection trusts.

pub mod ca;
pub mod client;
pub mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one TLS provider of the house.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
