//! The local certificate authority: made once per user (or per server), kept with its key readable
//! by the owner alone, and never put into a trust store before `box proxy trust`.
//!
//! Name constraints (RFC 5280 section 4.2.1.10) hold it to its own domain, so that even a stolen
//! key signs nothing for a bank.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use box_kit::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use rustls::sign::CertifiedKey;

use super::{provider, sha256_hex};
use crate::clock::Date;

/// Names for which certificates are kept in memory.
const MAX_LEAVES: usize = 1024;

/// An authority that signs certificates for names of its domain.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// The certificate file, for `curl --cacert`.
    pub file: PathBuf,
    domain: String,
    leaf_key: KeyPair,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.domain)
    }
}

impl Authority {
    /// Reads the authority in `folder`, or makes it.
    ///
    /// # Errors
    /// The folder cannot be read or written, or holds something else.
    pub fn open(folder: &Path, domain: &str) -> Result<Authority, Failure> {
        let (file, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
        let key = match fs::read_to_string(&key_file) {
            Ok(pem) => {
                KeyPair::from_pem(&pem).map_err(|e| Failure::new(e).about(key_file.display()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(folder, &file, &key_file, domain)?
            }
            Err(error) => return Err(Failure::os(key_file.display())(error)),
        };
        let certificate = CertificateDer::from_pem_file(&file)
            .map_err(|error| Failure::new(error).about(file.display()))?;
        let issuer = Issuer::new(authority_params(&key, domain)?, key);
        let leaf_key = KeyPair::generate().map_err(Failure::new)?;
        let leaves = Mutex::new(HashMap::new());
        Ok(Authority { issuer, certificate, file, domain: domain.to_owned(), leaf_key, leaves })
    }

    /// Whether `name` is the domain or below it.
    pub fn covers(&self, name: &str) -> bool {
        let name =
            name.strip_suffix(&self.domain).map(|rest| (rest.is_empty(), rest.ends_with('.')));
        matches!(name, Some((true, _) | (_, true)))
    }

    /// A certificate for `name`, made at the first request for it.
    pub fn leaf(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if !self.covers(name) {
            return None;
        }
        let mut leaves = self.leaves.lock().ok()?;
        if let Some(leaf) = leaves.get(name) {
            return Some(leaf.clone());
        }
        if leaves.len() >= MAX_LEAVES {
            leaves.clear();
        }
        let leaf = Arc::new(self.sign(name).ok()?);
        leaves.insert(name.to_owned(), leaf.clone());
        Some(leaf)
    }

    fn sign(&self, name: &str) -> Result<CertifiedKey, Failure> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(Failure::new)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, 90);
        let leaf = params.signed_by(&self.leaf_key, &self.issuer).map_err(Failure::new)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        certified(vec![leaf.der().clone(), self.certificate.clone()], key)
    }
}

/// From yesterday, for clocks that are late, to `days` from now.
fn valid_for(params: &mut CertificateParams, days: i64) {
    let (from, to) = (Date::today().plus_days(-1), Date::today().plus_days(days));
    params.not_before = rcgen::date_time_ymd(from.year, from.month, from.day);
    params.not_after = rcgen::date_time_ymd(to.year, to.month, to.day);
}

/// A chain with its key, ready to be served.
///
/// # Errors
/// The key is of no known kind, or not the one of the certificate.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Failure> {
    CertifiedKey::from_der(chain, key, &provider()).map_err(Failure::new)
}

/// Fixed but for the key: so that the issuer can be set up again without reading the certificate.
fn authority_params(key: &KeyPair, domain: &str) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(Vec::new()).map_err(Failure::new)?;
    let mark = sha256_hex(key.public_key_pem().as_bytes());
    let name = format!("box proxy local CA {}", mark.get(..8).unwrap_or_default());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn make(folder: &Path, file: &Path, key_file: &Path, domain: &str) -> Result<KeyPair, Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).map_err(Failure::os(folder.display()))?;
    let key = KeyPair::generate().map_err(Failure::new)?;
    let mut params = authority_params(&key, domain)?;
    valid_for(&mut params, 3650);
    let certificate = params.self_signed(&key).map_err(Failure::new)?;
    write_private(key_file, key.serialize_pem().as_bytes())?;
    write_private(file, certificate.pem().as_bytes())?;
    Ok(key)
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// The kernel's.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&fresh);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(Failure::os(path.display()))
}

/// A certificate of its own for the listener of agents: agents remember it, so it is kept.
///
/// # Errors
/// The folder cannot be read or written.
pub fn identity(folder: &Path, name: &str) -> Result<CertifiedKey, Failure> {
    let (file, key_file) = (folder.join("agents.pem"), folder.join("agents.key"));
    if !key_file.exists() {
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(Failure::os(folder.display()))?;
        let key = KeyPair::generate().map_err(Failure::new)?;
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(Failure::new)?;
        params.distinguished_name.push(DnType::CommonName, name);
        valid_for(&mut params, 3650);
        let certificate = params.self_signed(&key).map_err(Failure::new)?;
        write_private(&file, certificate.pem().as_bytes())?;
        write_private(&key_file, key.serialize_pem().as_bytes())?;
    }
    from_files(&file, &key_file)
}

/// A certificate that lives as long as the process.
///
/// # Errors
/// There is no randomness.
pub fn ephemeral(name: &str) -> Result<CertifiedKey, Failure> {
    let key = KeyPair::generate().map_err(Failure::new)?;
    let params = CertificateParams::new(vec![name.to_owned()]).map_err(Failure::new)?;
    let certificate = params.self_signed(&key).map_err(Failure::new)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    certified(vec![certificate.der().clone()], key)
}

/// A certificate chain and its key from PEM files.
///
/// # Errors
/// One of the files cannot be read, holds no PEM, or they do not belong together.
pub fn from_files(file: &Path, key_file: &Path) -> Result<CertifiedKey, Failure> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .map_err(|error| Failure::new(error).about(file.display()))?
        .collect();
    let chain = chain.map_err(|error| Failure::new(error).about(file.display()))?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| Failure::new(error).about(key_file.display()))?;
    certified(chain, key).map_err(|error| Failure::new(error).about(file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_authority_is_made_once_and_covers_its_domain_only() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let first = Authority::open(folder.path(), "localhost").expect("made");
        let second = Authority::open(folder.path(), "localhost").expect("read");
        assert_eq!(first.certificate, second.certificate);
        let mode = fs::metadata(folder.path().join("ca.key")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(first.leaf("brave-otter.localhost").is_some());
        assert!(first.leaf("example.com").is_none());
        assert!(first.leaf("evillocalhost").is_none());
    }
}
