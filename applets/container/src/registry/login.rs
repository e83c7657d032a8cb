//! `login` and `logout`: what is proven once is kept in docker's file.

use box_kit::Failure;

use super::auth::{self, Credentials, Entry};
use super::{Client, Trust};
use crate::image::reference::Reference;

/// Asks the registry, and keeps what it has taken.
pub fn login(registry: &str, user: &str, password: &str, trust: &Trust) -> Result<(), Failure> {
    let credentials = Credentials { user: user.into(), password: password.into() };
    let reference = Reference {
        registry: registry.into(),
        path: String::new(),
        tag: String::new(),
        digest: None,
    };
    Client::with(&reference, trust, false, Some(credentials.clone()))?.ping()?;
    change(|file| {
        let key = auth::keys(registry).into_iter().next().unwrap_or_default();
        file.auths.insert(key, Entry::of(&credentials));
    })
}

/// Forgets it; whether there was anything.
pub fn logout(registry: &str) -> Result<bool, Failure> {
    let mut had = false;
    change(|file| {
        for key in auth::keys(registry) {
            had |= file.auths.remove(&key).is_some();
        }
    })?;
    Ok(had)
}

fn change(with: impl FnOnce(&mut auth::File)) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let path = auth::own_file();
    let mut file = auth::read(&path)?;
    with(&mut file);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Failure::os(folder.display()))?;
    }
    let text = serde_json::to_vec_pretty(&file).map_err(Failure::new)?;
    crate::files::replace(&path, &text, false)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
        .map_err(Failure::os(path.display()))
}
