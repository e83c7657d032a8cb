//! Which certificate a visitor gets: by server name, from files or from the local authority.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use box_kit::Failure;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;

use super::ca::{Authority, from_files};
use super::provider;

/// Files are looked at this often, at most.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A certificate from files, read again when they change. What cannot be read leaves the old one.
pub struct FileCertificate {
    file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<(Instant, Option<SystemTime>, Option<SystemTime>)>,
}

impl std::fmt::Debug for FileCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileCertificate({})", self.file.display())
    }
}

impl FileCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`from_files`].
    pub fn open(file: PathBuf, key_file: PathBuf) -> Result<FileCertificate, Failure> {
        let current = RwLock::new(Arc::new(from_files(&file, &key_file)?));
        let seen = Mutex::new((Instant::now(), modified(&file), modified(&key_file)));
        Ok(FileCertificate { file, key_file, current, seen })
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.reload_if_changed();
        self.current.read().ok().map(|current| current.clone())
    }

    /// The certificate, if it is for this name.
    fn of_name(&self, names: &[String], name: &str) -> Option<Arc<CertifiedKey>> {
        if !names.is_empty() {
            return names.iter().any(|n| covers(n, name)).then(|| self.current()).flatten();
        }
        let current = self.current()?;
        let certificate = ParsedCertificate::try_from(current.cert.first()?).ok()?;
        let name = ServerName::try_from(name).ok()?;
        verify_server_name(&certificate, &name).ok().map(|()| current.clone())
    }

    fn reload_if_changed(&self) {
        let Ok(mut seen) = self.seen.lock() else { return };
        if seen.0.elapsed() < CHECK_EVERY {
            return;
        }
        let now = (Instant::now(), modified(&self.file), modified(&self.key_file));
        let changed = (seen.1, seen.2) != (now.1, now.2);
        *seen = now;
        drop(seen);
        if !changed {
            return;
        }
        match from_files(&self.file, &self.key_file) {
            Ok(fresh) => {
                if let Ok(mut current) = self.current.write() {
                    *current = Arc::new(fresh);
                }
            }
            Err(failure) => eprintln!("box: proxy: {failure}: the old certificate stays"),
        }
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Where certificates come from.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Files, with the names they are for (`*.x` covers one label; none: those in the certificate);
    /// the first one is the default.
    pub files: Vec<(Vec<String>, FileCertificate)>,
    /// The local authority.
    pub authority: Option<Arc<Authority>>,
    /// For clients that send no name.
    pub default_name: Option<String>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let name = name.as_deref().or(self.default_name.as_deref());
        if let Some(name) = name
            && let Some(key) = self.files.iter().find_map(|(names, file)| file.of_name(names, name))
        {
            return Some(key);
        }
        if let (Some(authority), Some(name)) = (&self.authority, name)
            && let Some(leaf) = authority.leaf(name)
        {
            return Some(leaf);
        }
        self.files.first().and_then(|(_, file)| file.current())
    }
}

/// Whether the name or wildcard `pattern` stands for `name` (RFC 6125 section 6.4.3).
pub fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}

/// The configuration of a listener: TLS 1.2 and 1.3, these protocols.
///
/// # Errors
/// The provider lacks a protocol version.
pub fn config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, Failure> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Failure::new)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// One certificate for everybody.
#[derive(Debug)]
pub struct Single(pub Arc<CertifiedKey>);

impl ResolvesServerCert for Single {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
