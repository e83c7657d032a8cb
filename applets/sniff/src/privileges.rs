//! What is given up once everything is open: the user, all capabilities, files, system calls.
//!
//! Sockets, rings, filters and outputs are opened first. From then on hostile bytes are read, and
//! the process that reads them can read no file, make no connection and gain nothing. Files of a
//! rotation are opened by [`opener`](crate::opener), which is made before.

use std::path::{Path, PathBuf};

use box_kit::Failure;
use box_sys::credentials::{self, CapabilitySets};
use box_sys::{accounts, process, sandbox};

use crate::arguments::Settings;

/// The user that is taken for captures where the system has one of this name.
const DEFAULT_USER: &str = "tcpdump";

/// Tables that names are looked up in while packets are printed or filters of later files compiled.
const TABLES: [&str; 7] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/networks",
    "/etc/ethers",
];

/// A user to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// User and group.
    pub ids: (u32, u32),
    groups: Vec<u32>,
    /// Asked for by `-Z`, so that a failure is one.
    wanted: bool,
}

/// Whom to become: the user of `-Z`, or for a capture the one that exists for it. `None` for one
/// who is not root, who has nothing to give up.
///
/// # Errors
/// The user of `-Z` is not known.
pub fn identity(settings: &Settings) -> Result<Option<Identity>, Failure> {
    if !process::is_root() {
        return Ok(None);
    }
    let root = Path::new("/");
    let (name, wanted) = match &settings.user {
        Some(name) if name == "root" => return Ok(None),
        Some(name) => (name.as_str(), true),
        None if settings.reads => return Ok(None),
        None => (DEFAULT_USER, false),
    };
    let users = accounts::users(root).map_err(Failure::os("/etc/passwd"))?;
    let Some(user) = users.into_iter().find(|user| user.name == name) else {
        if wanted {
            return Err(Failure::new(format!("Couldn't find user '{name}'")));
        }
        return Ok(None);
    };
    let all = accounts::groups(root).map_err(Failure::os("/etc/group"))?;
    let member = |group: &accounts::Group| group.members.iter().any(|one| one == name);
    let mut groups: Vec<u32> = all.iter().filter(|group| member(group)).map(|g| g.gid).collect();
    groups.push(user.gid);
    Ok(Some(Identity { name: user.name, ids: (user.uid, user.gid), groups, wanted }))
}

/// Becomes the user, drops all capabilities and enters the sandbox. No other thread may run yet.
///
/// # Errors
/// The user of `-Z` cannot be taken, or the kernel refuses the sandbox.
pub fn relinquish(settings: &Settings, identity: Option<&Identity>) -> Result<(), Failure> {
    if let Some(identity) = identity {
        become_user(identity)?;
    }
    credentials::set_capabilities(&CapabilitySets::default())
        .map_err(Failure::os("capabilities"))?;
    sandbox::enter(&allowance(settings)).map_err(Failure::os("sandbox"))
}

fn become_user(identity: &Identity) -> Result<(), Failure> {
    let (uid, gid) = identity.ids;
    let outcome =
        credentials::set_groups(&identity.groups).and_then(|()| credentials::set_ids(uid, gid));
    match outcome {
        Ok(()) => eprintln!("dropped privs to {}", identity.name),
        // In a namespace that does not map the user there is no harm in staying.
        Err(_) if !identity.wanted => {}
        Err(error) => {
            let words = box_kit::exit::kernel_words(&error);
            let name = &identity.name;
            let text = format!("Couldn't change to '{name}' uid={uid} gid={gid}: {words}");
            return Err(Failure::new(text));
        }
    }
    Ok(())
}

fn allowance(settings: &Settings) -> sandbox::Allowance {
    let names = settings.prints() && settings.numeric == 0;
    let mut readable: Vec<PathBuf> = Vec::new();
    if settings.read.len() > 1 {
        readable.extend(settings.read.iter().map(PathBuf::from));
    }
    if names || settings.read.len() > 1 {
        readable.extend(TABLES.iter().map(PathBuf::from));
    }
    sandbox::Allowance { network: names || !readable.is_empty(), readable }
}
