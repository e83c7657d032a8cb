//! TLS in front of the protocol: rustls does the cryptography, the worker's loop the waiting.
//!
//! What the peer has sent may lie decrypted in the session while the socket is silent, and what we
//! have to say encrypted while the reply buffer is empty: [`TlsStream::has_more`] and
//! [`TlsStream::is_owing`] tell.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::config::Config;

/// Plain bytes that are encrypted at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the configuration says of TLS; `None` without a certificate.
///
/// # Errors
/// A file cannot be read, or does not hold what it should.
pub fn settings(config: &Config) -> Result<Option<Arc<ServerConfig>>, String> {
    let path = |name: &str| Path::new(config.get(name)).to_owned();
    if config.get("tls-cert-file").is_empty() {
        return Ok(None);
    }
    let (cert, key) = (path("tls-cert-file"), path("tls-key-file"));
    let certs = certificates(&cert)?;
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| format!("Failed to load private key: {}: {error}", key.display()))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let asks = config.get("tls-auth-clients");
    let builder = if asks == "no" {
        builder.with_no_client_auth()
    } else {
        let ca = path("tls-ca-cert-file");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&ca)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = if asks == "optional" { verifier.allow_unauthenticated() } else { verifier };
        builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
    };
    let settings = builder
        .with_single_cert(certs, key)
        .map_err(|error| format!("Failed to load certificate: {}: {error}", cert.display()))?;
    Ok(Some(Arc::new(settings)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("Failed to load certificate: {}: {error}", path.display()))
}

/// A connection that speaks TLS.
#[derive(Debug)]
pub struct TlsStream {
    /// The socket.
    pub socket: TcpStream,
    session: Mutex<ServerConnection>,
}

impl TlsStream {
    /// One whose handshake has not begun.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(socket: TcpStream, settings: Arc<ServerConfig>) -> io::Result<TlsStream> {
        let session = ServerConnection::new(settings).map_err(io::Error::other)?;
        Ok(TlsStream { socket, session: Mutex::new(session) })
    }

    fn session(&self) -> MutexGuard<'_, ServerConnection> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether decrypted bytes wait that no event will tell of.
    pub fn has_more(&self) -> bool {
        let mut session = self.session();
        session.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Whether encrypted bytes wait for the socket.
    pub fn is_owing(&self) -> bool {
        self.session().wants_write()
    }

    /// Reads what has been decrypted.
    ///
    /// # Errors
    /// The socket's, or the peer does not speak TLS.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session();
        loop {
            match session.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if session.read_tls(&mut &self.socket)? == 0 {
                return Ok(0);
            }
            let state = session.process_new_packets();
            // The handshake's answer, or the alert.
            let _ = self.send(&mut session);
            state.map_err(io::Error::other)?;
        }
    }

    fn send(&self, session: &mut ServerConnection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }

    /// Encrypts and sends; what the socket does not take is kept and owed.
    ///
    /// # Errors
    /// The socket's; `WouldBlock` while it owes.
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut session = self.session();
        self.send(&mut session)?;
        let count = session.writer().write(&buf[..buf.len().min(CHUNK_BYTES)])?;
        match self.send(&mut session) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    /// Sends what is owed.
    ///
    /// # Errors
    /// The socket's.
    pub fn settle(&self) -> io::Result<()> {
        let mut session = self.session();
        self.send(&mut session)
    }
}
