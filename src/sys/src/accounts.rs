//! Users and groups, read from the passwd and group files of a root directory.
//!
//! The C library's `getpwnam` and its kin load NSS modules, which a static binary cannot do; and a
//! container asks about the users of *its* root, not of the machine. See passwd(5) and group(5).

use std::io;
use std::path::Path;

/// A line of `etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of `etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Numeric group id.
    pub gid: u32,
    /// Names of the users who have it as a supplementary group.
    pub members: Vec<String>,
}

/// A larger file than this is not an account file: reading stops there.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// The users of `root` (`/` for the machine). No file means no users.
///
/// # Errors
/// The file is there but cannot be read.
pub fn users(root: &Path) -> io::Result<Vec<User>> {
    Ok(parse_users(&read(&root.join("etc/passwd"))?))
}

/// The groups of `root`. No file means no groups.
///
/// # Errors
/// The file is there but cannot be read.
pub fn groups(root: &Path) -> io::Result<Vec<Group>> {
    Ok(parse_groups(&read(&root.join("etc/group"))?))
}

/// The users in the text of a passwd file; damaged lines are passed over, as the C library does.
pub fn parse_users(text: &str) -> Vec<User> {
    text.lines().filter_map(user).collect()
}

/// The groups in the text of a group file; damaged lines are passed over.
pub fn parse_groups(text: &str) -> Vec<Group> {
    text.lines().filter_map(group).collect()
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = named(fields.next()?)?;
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let _gecos = fields.next()?;
    let home = fields.next()?.to_owned();
    let shell = fields.next().unwrap_or_default().to_owned();
    Some(User { name, uid, gid, home, shell })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = named(fields.next()?)?;
    let _password = fields.next()?;
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next().unwrap_or_default();
    let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Group { name, gid, members })
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned())
}

fn read(path: &Path) -> io::Result<String> {
    use io::Read;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_and_damaged_lines_passed_over() {
        let users = parse_users(
            "root:x:0:0:root:/root:/bin/sh\n#x:x:1:1::/:\nbad:x:y:0::/:\nann:x:1000:100:,,,:/home/ann\n",
        );
        let short: Vec<_> = users.iter().map(|u| (u.name.as_str(), u.uid, u.gid)).collect();
        assert_eq!(short, [("root", 0, 0), ("ann", 1000, 100)]);
        assert_eq!(users[1].home, "/home/ann");
    }

    #[test]
    fn groups_have_members() {
        let groups = parse_groups("adm:x:4:ann,bob\nempty:x:5:\n");
        assert_eq!(groups[0].members, ["ann", "bob"]);
        assert!(groups[1].members.is_empty());
    }
}
