//! Which servers are believed: the system's authorities, those of `certs.d/HOST`, or, when asked
//! for, anybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use box_kit::Failure;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Where distributions keep the authorities.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where docker and podman look for a registry's own authorities.
const FOLDERS: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// What to believe of `host` (with its port, as in an image's name).
pub fn config(
    host: &str,
    folder: Option<&Path>,
    verify: bool,
) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Failure::new)?;
    let own = own_authorities(host, folder);
    let verifier = Verifier { known: authorities(&provider, &own)?, own, provider, verify };
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn own_authorities(host: &str, folder: Option<&Path>) -> Vec<CertificateDer<'static>> {
    let folders = match folder {
        Some(folder) => vec![folder.to_owned()],
        None => FOLDERS.map(|base| Path::new(base).join(host)).to_vec(),
    };
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let files = entries.flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "crt"));
    let certificates = files.filter_map(|path| CertificateDer::pem_file_iter(path).ok());
    certificates.flatten().filter_map(Result::ok).collect()
}

/// `None` where the system has none and the registry neither.
fn authorities(
    provider: &Arc<CryptoProvider>,
    own: &[CertificateDer<'static>],
) -> Result<Option<Arc<WebPkiServerVerifier>>, Failure> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut bundles = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    let mut roots = RootCertStore::empty();
    if let Some(bundle) = bundles.find(|path| path.is_file())
        && let Ok(certificates) = CertificateDer::pem_file_iter(&bundle)
    {
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    roots.add_parsable_certificates(own.iter().cloned());
    if roots.is_empty() {
        return Ok(None);
    }
    let provider = Arc::clone(provider);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map(Some).map_err(Failure::new)
}

#[derive(Debug)]
struct Verifier {
    known: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    verify: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.verify {
            return Ok(ServerCertVerified::assertion());
        }
        // A server may present the very certificate that was put into `certs.d`: one that signs
        // itself, which is no chain.
        if self.own.iter().any(|own| own == certificate) {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.known {
            Some(known) => known.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => Err(Error::General("no authorities are installed on this system".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
