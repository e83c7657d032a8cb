//! Whom we trust when we dial: a pinned certificate (the edge, as with `ssh`'s known hosts), the
//! system's authorities, one authority from a file, or nobody's word.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use box_kit::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{provider, sha256_hex};

/// Trust in a server's certificate.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Exactly the certificate with this SHA-256.
    Pinned(String),
    /// The certificate this file remembers for this server; remembered at the first meeting.
    KnownServers(PathBuf, String),
    /// The authorities of the system.
    System,
    /// The authorities in a file.
    File(PathBuf),
    /// Any certificate at all.
    Anybody,
}

/// A configuration for dialling with this trust.
///
/// # Errors
/// The authorities cannot be read.
pub fn config(trust: Trust, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, Failure> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Failure::new)?;
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::System => authorities(&system_bundle()?)?,
        Trust::File(file) => authorities(&file)?,
        trust => Arc::new(Pin { trust }),
    };
    let mut config =
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<Arc<WebPkiServerVerifier>, Failure> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(|error| Failure::new(error).about(file.display()))?;
    // One that is not understood is no reason to trust none of the others.
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| Failure::new(error).about(file.display()))
}

/// The bundle of authorities, where the distributions keep it.
fn system_bundle() -> Result<PathBuf, Failure> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new("no authorities are installed on this system")
            .advise("try: apt install ca-certificates, or set SSL_CERT_FILE")
    })
}

/// Accepts a certificate by its digest. Its chain and names say nothing here.
#[derive(Debug)]
struct Pin {
    trust: Trust,
}

impl Pin {
    fn accepts(&self, digest: &str) -> Result<(), Error> {
        match &self.trust {
            Trust::Anybody => Ok(()),
            Trust::Pinned(expected) if expected == digest => Ok(()),
            Trust::Pinned(_) => Err(Error::General("the certificate is not the pinned one".into())),
            Trust::KnownServers(file, server) => known(file, server, digest),
            Trust::System | Trust::File(_) => Err(Error::General("not a pin".into())),
        }
    }
}

/// Compares with what `file` remembers of `server`; remembers it when there is nothing.
fn known(file: &Path, server: &str, digest: &str) -> Result<(), Error> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(server)?.strip_prefix(' '));
    match line {
        Some(known) if known == digest => Ok(()),
        Some(_) => Err(Error::General(format!(
            "the certificate of {server} has changed: if that is right, remove its line from {}",
            file.display()
        ))),
        None => {
            let _ = file.parent().map(fs::create_dir_all);
            super::ca::write_private(file, format!("{text}{server} {digest}\n").as_bytes())
                .map_err(|failure| Error::General(failure.to_string()))
        }
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.accepts(&sha256_hex(certificate))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_remembered_at_the_first_meeting_and_held_to_it() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("known_servers");
        assert!(known(&file, "a.test:7443", "11").is_ok());
        assert!(known(&file, "a.test:7443", "11").is_ok());
        assert!(known(&file, "b.test:7443", "22").is_ok());
        assert!(known(&file, "a.test:7443", "22").is_err());
    }
}
