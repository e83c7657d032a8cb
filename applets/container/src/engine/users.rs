//! Users as a container's own passwd and group files have them: read through its root, never the
//! machine's.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use box_kit::Failure;
use box_sys::accounts;
use box_sys::at::{self, Resolve};

/// Who runs the program.
#[derive(Debug, PartialEq, Eq)]
pub struct Who {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

/// A larger file is no account file.
const FILE_MAX_BYTES: u64 = 16 << 20;

fn read(root: BorrowedFd<'_>, path: &std::ffi::CStr) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = at::open(root, path, libc::O_RDONLY | libc::O_NONBLOCK, 0, Resolve::IN_ROOT) {
        // No file, or one that cannot be read: no users, as in an image from scratch.
        let _ = File::from(file).take(FILE_MAX_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Resolves `USER[:GROUP]`, each a name or a number, and the names of further groups.
pub fn resolve(root: BorrowedFd<'_>, text: &str, further: &[String]) -> Result<Who, Failure> {
    let passwd = read(root, c"etc/passwd");
    let group = read(root, c"etc/group");
    resolve_in(&passwd, &group, text, further)
}

/// Digits and nothing else: what is read loosely becomes somebody (CVE-2026-30892).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().filter(|id| *id != u32::MAX) } else { None }
}

fn resolve_in(passwd: &str, group: &str, text: &str, further: &[String]) -> Result<Who, Failure> {
    let users = accounts::parse_users(passwd);
    let groups = accounts::parse_groups(group);
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let absent = |kind: &str, name: &str, file: &str| {
        Failure::new(format!("no matching entries in {file} file"))
            .about(format!("unable to find {kind} {name}"))
    };
    let wanted = if user.is_empty() { "0" } else { user };
    let id = number(wanted);
    let found = users.iter().find(|known| known.name == wanted || id == Some(known.uid));
    let uid = found.map(|known| known.uid).or(id);
    let uid = uid.ok_or_else(|| absent("user", user, "passwd"))?;
    let group_id = |name: &str| {
        let id = number(name);
        let known = groups.iter().find(|known| known.name == name || id == Some(known.gid));
        known.map(|known| known.gid).or(id).ok_or_else(|| absent("group", name, "group"))
    };
    let gid = match group {
        Some(group) => group_id(group)?,
        None => found.map_or(0, |known| known.gid),
    };
    let mut supplementary = Vec::new();
    // Groups of a user are those of its name; who names a group asks for that one alone.
    if let (Some(found), None) = (found, group) {
        let member = |known: &&accounts::Group| known.members.contains(&found.name);
        supplementary.extend(groups.iter().filter(member).map(|known| known.gid));
    }
    for name in further {
        supplementary.push(group_id(name)?);
    }
    supplementary.retain(|id| *id != gid);
    supplementary.dedup();
    let home = found.map(|known| known.home.clone()).filter(|home| !home.is_empty());
    let home = home.unwrap_or_else(|| "/".into());
    Ok(Who { uid, gid, groups: supplementary, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:\n";
    const GROUP: &str = "adm:x:4:ann\nusers:x:100:\n";

    fn who(text: &str) -> Option<(u32, u32, Vec<u32>, String)> {
        let who = resolve_in(PASSWD, GROUP, text, &[]).ok()?;
        Some((who.uid, who.gid, who.groups, who.home))
    }

    #[test]
    fn users_are_named_or_numbered() {
        assert_eq!(who(""), Some((0, 0, vec![], "/root".into())));
        assert_eq!(who("ann"), Some((1000, 100, vec![4], "/home/ann".into())));
        assert_eq!(who("1000"), Some((1000, 100, vec![4], "/home/ann".into())));
        assert_eq!(who("7:8"), Some((7, 8, vec![], "/".into())));
        assert_eq!(who("ann:adm"), Some((1000, 4, vec![], "/home/ann".into())));
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for text in ["bob", "-1", "+0", "0x0", " 0", "1e3", "4294967295", "ann:nope", "99999999999"]
        {
            assert_eq!(who(text), None, "{text}");
        }
    }
}
