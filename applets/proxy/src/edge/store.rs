//! Tokens and names on disk. Tokens are stored as digests: 256 random bits need no salt.
//!
//! The server looks at the files' times when it needs them, so that `box proxy token` takes effect
//! without a word between the two processes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use box_kit::Failure;
use serde::{Deserialize, Serialize};

use crate::tls::{ca::write_private, sha256_hex};

/// Names that nobody gets: they would pass for the edge itself.
const RESERVED: [&str; 14] = [
    "www",
    "api",
    "admin",
    "app",
    "mail",
    "ns",
    "ns1",
    "ns2",
    "smtp",
    "imap",
    "autodiscover",
    "wpad",
    "localhost",
    "status",
];

/// A token as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Whose it is.
    pub user: String,
    /// SHA-256 of the token.
    pub digest: String,
    /// Its first characters, to tell tokens of one user apart.
    pub hint: String,
    /// Seconds since 1970.
    pub created: u64,
}

/// The folder of a server.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Of this folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Store, Failure> {
        fs::create_dir_all(folder).map_err(Failure::os(folder.display()))?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// All tokens.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tokens(&self) -> Result<Vec<TokenEntry>, Failure> {
        self.read("tokens.json")
    }

    /// Makes a token for `user`; the only time it is seen.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add_token(&self, user: &str) -> Result<String, Failure> {
        let mut bytes = [0; 32];
        box_sys::random::fill(&mut bytes)?;
        let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("box_{user}_{secret}");
        let hint: String = secret.chars().take(6).collect();
        let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let digest = sha256_hex(token.as_bytes());
        let mut tokens = self.tokens()?;
        tokens.push(TokenEntry { user: user.to_owned(), digest, hint, created: age.as_secs() });
        self.write("tokens.json", &tokens)?;
        Ok(token)
    }

    /// Removes the tokens of a user, or the one with this hint; returns how many.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revoke(&self, which: &str) -> Result<usize, Failure> {
        let mut tokens = self.tokens()?;
        let before = tokens.len();
        tokens.retain(|token| token.user != which && token.hint != which);
        let removed = before - tokens.len();
        if removed > 0 {
            self.write("tokens.json", &tokens)?;
        }
        Ok(removed)
    }

    /// Whose token this is. All entries are compared whole, whichever matches.
    pub fn user_of(&self, token: &str) -> Option<TokenEntry> {
        let digest = sha256_hex(token.as_bytes());
        let mut found = None;
        for entry in self.tokens().ok()? {
            let differs = entry
                .digest
                .bytes()
                .zip(digest.bytes())
                .fold(entry.digest.len() ^ digest.len(), |d, (a, b)| d | usize::from(a ^ b));
            if differs == 0 {
                found = Some(entry);
            }
        }
        found
    }

    /// Gives `name` to `user` if nobody else has it.
    ///
    /// # Errors
    /// Somebody else has it, it is reserved, or the file cannot be written.
    pub fn claim(&self, name: &str, user: &str) -> Result<(), Claim> {
        if RESERVED.contains(&name) {
            return Err(Claim::Reserved);
        }
        let mut names: BTreeMap<String, String> = self.read("names.json").map_err(Claim::Failed)?;
        match names.get(name) {
            Some(owner) if owner == user => Ok(()),
            Some(_) => Err(Claim::Taken),
            None => {
                names.insert(name.to_owned(), user.to_owned());
                self.write("names.json", &names).map_err(Claim::Failed)
            }
        }
    }

    fn read<T: Default + for<'a> Deserialize<'a>>(&self, file: &str) -> Result<T, Failure> {
        let path = self.folder.join(file);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Failure::new(error).about(path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(Failure::os(path.display())(error)),
        }
    }

    fn write<T: Serialize>(&self, file: &str, value: &T) -> Result<(), Failure> {
        let bytes = serde_json::to_vec_pretty(value).map_err(Failure::new)?;
        write_private(&self.folder.join(file), &bytes)
    }
}

/// Why a name was not given.
#[derive(Debug)]
pub enum Claim {
    /// It belongs to somebody else.
    Taken,
    /// Nobody gets it.
    Reserved,
    /// It could not be written down.
    Failed(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_until_it_is_revoked_and_never_stored_in_clear() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let store = Store::open(folder.path()).expect("made");
        let token = store.add_token("ann").expect("added");
        assert_eq!(store.user_of(&token).map(|entry| entry.user).as_deref(), Some("ann"));
        assert!(store.user_of("box_ann_00").is_none());
        let file = fs::read_to_string(folder.path().join("tokens.json")).expect("there");
        assert!(!file.contains(&token[9..]));
        assert_eq!(store.revoke("ann").expect("revoked"), 1);
        assert!(store.user_of(&token).is_none());
    }

    #[test]
    fn a_name_belongs_to_whom_it_was_given_first() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let store = Store::open(folder.path()).expect("made");
        assert!(store.claim("web", "ann").is_ok());
        assert!(store.claim("web", "ann").is_ok());
        assert!(matches!(store.claim("web", "bob"), Err(Claim::Taken)));
        assert!(matches!(store.claim("admin", "ann"), Err(Claim::Reserved)));
    }
}
