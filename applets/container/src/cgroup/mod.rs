//! Control groups of both versions, and of the hybrid layout with version 1 controllers beside an
//! empty version 2 hierarchy (cgroups(7)).
//!
//! [`Hierarchies`] is what the machine has mounted; [`Group`] is one container's directory in each
//! of them. A group is made before the container is, limits are written before the first process
//! joins, and the whole group is killed and removed through its directories, never by pid lists
//! alone where the kernel has `cgroup.kill`.

mod limits;
mod usage;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use box_kit::Failure;
use serde::{Deserialize, Serialize};

use crate::oci::spec::Resources;
pub use usage::Usage;

/// The mounted hierarchies.
#[derive(Clone, Debug, Default)]
pub struct Hierarchies {
    /// Version 1: the controllers of each (`["cpu", "cpuacct"]`, `["name=systemd"]`) and its mount.
    pub v1: Vec<(Vec<String>, PathBuf)>,
    /// Version 2.
    pub v2: Option<PathBuf>,
}

impl Hierarchies {
    /// Of this process's mount namespace.
    pub fn detect() -> Result<Hierarchies, Failure> {
        let path = Path::new("/proc/self/mountinfo");
        let text = box_sys::at::read_file(path).map_err(Failure::os(path.display()))?;
        Ok(Hierarchies::parse(&text))
    }

    /// Of the text of `/proc/self/mountinfo` (proc(5)).
    fn parse(mountinfo: &str) -> Hierarchies {
        let mounts: Vec<_> = mountinfo.lines().filter_map(Mounted::parse).collect();
        let mut found = Hierarchies::default();
        for mount in &mounts {
            // One that another mount hides is listed, but cannot be reached.
            if !mount.point.starts_with("/sys/fs/cgroup")
                || reached(&mounts, mount.point) != mount.id
            {
                continue;
            }
            match mount.kind {
                "cgroup2" => found.v2 = Some(mount.point.into()),
                "cgroup" if mount.root == "/" => {
                    let options = mount.options.split(',');
                    let controllers = options.filter(|option| *option != "rw" && *option != "ro");
                    found.v1.push((controllers.map(str::to_owned).collect(), mount.point.into()));
                }
                _ => {}
            }
        }
        found
    }

    /// Whether a group can limit swap.
    pub fn limits_swap(&self) -> bool {
        let memory = self.v1.iter().find(|(known, _)| known.iter().any(|name| name == "memory"));
        match memory {
            Some((_, mount)) => mount.join("memory.memsw.limit_in_bytes").exists(),
            None => fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1),
        }
    }
}

/// A line of mountinfo.
struct Mounted<'a> {
    id: &'a str,
    parent: &'a str,
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mounted<'a> {
    fn parse(line: &'a str) -> Option<Mounted<'a>> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ');
        let (id, parent) = (front.next()?, front.next()?);
        let (root, point) = (front.nth(1)?, front.next()?);
        let mut back = back.split(' ');
        let (kind, options) = (back.next()?, back.nth(1)?);
        Some(Mounted { id, parent, root, point, kind, options })
    }
}

/// The mount that a path leads to: from the root, mount by mount, always the one on top.
fn reached<'a>(mounts: &[Mounted<'a>], path: &str) -> &'a str {
    let known = |id: &str| mounts.iter().any(|mount| mount.id == id);
    let root = mounts.iter().find(|mount| mount.point == "/" && !known(mount.parent));
    let mut at = root.map_or("", |mount| mount.id);
    let ends = path.match_indices('/').skip(1).map(|(end, _)| end).chain([path.len()]);
    let prefixes = std::iter::once("/").chain(ends.filter_map(|end| path.get(..end)));
    for prefix in prefixes {
        while let Some(next) = mounts
            .iter()
            .find(|mount| mount.parent == at && mount.point == prefix && mount.id != at)
        {
            at = next.id;
        }
    }
    at
}

/// One container's directories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Version 1: controllers and directory.
    pub v1: Vec<(Vec<String>, PathBuf)>,
    /// Version 2.
    pub v2: Option<PathBuf>,
}

/// How long a group may stay busy after its last process has ended.
const BUSY_MAX: Duration = Duration::from_secs(5);

impl Group {
    /// Makes the directories of `path` (absolute from each hierarchy's root) and writes the limits.
    /// What was made is removed again when something fails.
    pub fn create(
        hierarchies: &Hierarchies,
        path: &str,
        resources: &Resources,
    ) -> Result<Group, Failure> {
        let below = safe_path(path)?;
        let mut group = Group::default();
        let made = group.make(hierarchies, &below).and_then(|()| group.limit(resources));
        if let Err(failure) = made {
            let _ = group.remove();
            return Err(failure);
        }
        Ok(group)
    }

    fn make(&mut self, hierarchies: &Hierarchies, below: &Path) -> Result<(), Failure> {
        for (controllers, mount) in &hierarchies.v1 {
            let cpuset = controllers.iter().any(|name| name == "cpuset");
            let directory = make_below(mount, below, |parent, child| {
                if cpuset { inherit_cpuset(parent, child) } else { Ok(()) }
            })?;
            self.v1.push((controllers.clone(), directory));
        }
        if let Some(mount) = &hierarchies.v2 {
            // Beside version 1, which has the controllers, it is asked for them only when needed.
            let alone = self.v1.is_empty();
            let directory =
                make_below(
                    mount,
                    below,
                    |parent, _| {
                        if alone { enable_controllers(parent) } else { Ok(()) }
                    },
                )?;
            self.v2 = Some(directory);
        }
        Ok(())
    }

    /// Writes limits: at the start, and again for `update`.
    pub fn limit(&self, resources: &Resources) -> Result<(), Failure> {
        limits::apply(self, resources)
    }

    /// The version 1 directory of a controller.
    pub fn v1_of(&self, controller: &str) -> Option<&Path> {
        let named =
            |(known, _): &&(Vec<String>, PathBuf)| known.iter().any(|name| name == controller);
        self.v1.iter().find(named).map(|(_, directory)| directory.as_path())
    }

    /// The version 2 directory, opened, for a clone into it.
    pub fn handle(&self) -> Result<Option<OwnedFd>, Failure> {
        let open =
            |path: &PathBuf| box_sys::at::open_dir(path).map_err(Failure::os(path.display()));
        self.v2.as_ref().map(open).transpose()
    }

    /// Moves a process into the version 1 groups, and with `everywhere` into the version 2 one.
    pub fn join(&self, pid: i32, everywhere: bool) -> Result<(), Failure> {
        let v1 = self.v1.iter().map(|(_, directory)| directory);
        let v2 = self.v2.iter().filter(|_| everywhere);
        for directory in v1.chain(v2) {
            let file = directory.join("cgroup.procs");
            box_sys::at::write_file(&file, &[pid.to_string()])
                .map_err(Failure::os(file.display()))?;
        }
        Ok(())
    }

    /// A group below this one, which is made where it is not there.
    pub fn below(&self, path: &str) -> Result<Group, Failure> {
        let below = safe_path(path)?;
        let mut v1 = Vec::new();
        for (controllers, directory) in &self.v1 {
            let cpuset = controllers.iter().any(|name| name == "cpuset");
            let made = make_below(directory, &below, |parent, child| {
                if cpuset { inherit_cpuset(parent, child) } else { Ok(()) }
            })?;
            v1.push((controllers.clone(), made));
        }
        let v2 = self.v2.as_ref().map(|directory| make_below(directory, &below, |_, _| Ok(())));
        Ok(Group { v1, v2: v2.transpose()? })
    }

    /// The processes in the group, groups below it included.
    pub fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        if let Some(directory) = self.v1_of("pids").or(self.v1_of("freezer")).or(self.v2.as_deref())
        {
            collect_pids(directory, &mut pids);
        }
        pids
    }

    /// Stops or resumes every process of the group.
    pub fn freeze(&self, frozen: bool) -> Result<(), Failure> {
        if let Some(directory) = self.v1_of("freezer") {
            return freeze_v1(directory, frozen);
        }
        let directory = self.v2.as_ref().ok_or_else(|| Failure::new("no freezer is mounted"))?;
        let file = directory.join("cgroup.freeze");
        let value = if frozen { "1" } else { "0" };
        fs::write(&file, value).map_err(Failure::os(file.display()))?;
        let events = directory.join("cgroup.events");
        let wanted = if frozen { "frozen 1" } else { "frozen 0" };
        settle("the group to freeze", || {
            Ok(fs::read_to_string(&events)?.lines().any(|line| line == wanted))
        })
    }

    /// Whether the group is frozen.
    pub fn is_frozen(&self) -> bool {
        if let Some(directory) = self.v1_of("freezer") {
            let state =
                box_sys::at::read_file(&directory.join("freezer.state")).unwrap_or_default();
            return state.trim() == "FROZEN" || state.trim() == "FREEZING";
        }
        let read = |directory: &PathBuf| box_sys::at::read_file(&directory.join("cgroup.freeze"));
        self.v2
            .as_ref()
            .is_some_and(|directory| read(directory).is_ok_and(|text| text.trim() == "1"))
    }

    /// Kills every process of the group. A frozen process cannot die, so it is thawed before and
    /// after.
    pub fn kill(&self) {
        if self.is_frozen() {
            // A group that does not thaw keeps its processes; the kill below still marks them.
            let _ = self.freeze(false);
        }
        let at_once = self.v2.as_ref().is_some_and(|directory| {
            box_sys::at::write_file(&directory.join("cgroup.kill"), &["1"]).is_ok()
        });
        if !at_once {
            for pid in self.pids() {
                if let Ok(process) = box_sys::pidfd::open(pid) {
                    // It may have ended meanwhile: that is what is wanted.
                    let _ = box_sys::pidfd::send_signal(process_ref(&process), libc::SIGKILL);
                }
            }
        }
    }

    /// Removes the directories; groups below them, which the container may have made, too. The
    /// kernel takes some milliseconds to let go of a process that has ended.
    pub fn remove(&self) -> Result<(), Failure> {
        let end = Instant::now() + BUSY_MAX;
        let v1 = self.v1.iter().map(|(_, directory)| directory);
        for directory in v1.chain(&self.v2) {
            while let Err(error) = remove_tree(directory) {
                if error.raw_os_error() != Some(libc::EBUSY) || Instant::now() > end {
                    return Err(Failure::os(directory.display())(error));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// How often the kernel has killed a process of the group for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = match self.v1_of("memory") {
            Some(directory) => directory.join("memory.oom_control"),
            None => match &self.v2 {
                Some(directory) => directory.join("memory.events"),
                None => return 0,
            },
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut counts = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
        counts.next().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }
}

fn process_ref(process: &OwnedFd) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(process)
}

/// `path` without a leading slash; refuses one that would leave the hierarchy.
fn safe_path(path: &str) -> Result<PathBuf, Failure> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(Failure::new("not a path below the root of the cgroups").about(path));
    }
    Ok(parts.iter().collect())
}

/// Makes `below` in the hierarchy, calling `each(parent, child)` at every level.
fn make_below(
    mount: &Path,
    below: &Path,
    each: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<PathBuf, Failure> {
    let mut directory = mount.to_owned();
    for part in below {
        let parent = directory.clone();
        directory.push(part);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::os(directory.display())(error)),
            Ok(()) => each(&parent, &directory).map_err(Failure::os(directory.display()))?,
        }
    }
    Ok(directory)
}

/// A new version 1 cpuset has no processors and no memory nodes: nothing can join it before it is
/// given its parent's.
fn inherit_cpuset(parent: &Path, child: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let given = box_sys::at::read_file(&parent.join(file))?;
        box_sys::at::write_file(&child.join(file), &[given.trim()])?;
    }
    Ok(())
}

/// Version 2: what the parent does not hand on, its children do not have.
fn enable_controllers(parent: &Path) -> io::Result<()> {
    let available = box_sys::at::read_file(&parent.join("cgroup.controllers"))?;
    let enabled = box_sys::at::read_file(&parent.join("cgroup.subtree_control"))?;
    for controller in available.split_whitespace() {
        if !enabled.split_whitespace().any(|known| known == controller) {
            // A controller that cannot be handed on is missed only by who sets a limit of it.
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    Ok(())
}

fn collect_pids(directory: &Path, pids: &mut Vec<i32>) {
    let text = box_sys::at::read_file(&directory.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in child_directories(directory) {
        collect_pids(&child, pids);
    }
}

fn child_directories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        outcome => return outcome,
    }
    for child in child_directories(directory) {
        remove_tree(&child)?;
    }
    fs::remove_dir(directory)
}

fn freeze_v1(directory: &Path, frozen: bool) -> Result<(), Failure> {
    let file = directory.join("freezer.state");
    let wanted = if frozen { "FROZEN" } else { "THAWED" };
    settle("the group to freeze", || {
        // The kernel may need to be asked more than once while processes fork.
        fs::write(&file, wanted)?;
        Ok(fs::read_to_string(&file)?.trim() == wanted)
    })
}

fn settle(what: &str, mut holds: impl FnMut() -> io::Result<bool>) -> Result<(), Failure> {
    let end = Instant::now() + BUSY_MAX;
    while !holds().map_err(Failure::os(what))? {
        if Instant::now() > end {
            return Err(Failure::new(format!("waited {} s for {what}", BUSY_MAX.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_machine_has_both_versions() {
        let found = Hierarchies::parse(
            "28 1 8:1 / / rw - ext4 a rw\n\
             29 28 0:24 / /sys rw - sysfs sysfs rw\n\
             30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             31 29 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             32 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        assert_eq!(found.v1[0].0, ["cpu", "cpuacct"]);
        assert_eq!(found.v1[1].0, ["name=systemd"]);
        assert_eq!(found.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
    }

    #[test]
    fn a_version_2_mount_over_the_folder_hides_version_1() {
        let found = Hierarchies::parse(
            "29 1 8:1 / / rw - ext4 a rw\n\
             30 29 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             32 29 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        );
        assert!(found.v1.is_empty());
        assert!(found.v2.is_some());
    }

    #[test]
    fn a_path_that_leaves_the_hierarchy_is_refused() {
        assert!(safe_path("/box/../x").is_err());
        assert!(safe_path("/").is_err());
        assert_eq!(safe_path("/box//a/./b").unwrap(), Path::new("box/a/b"));
    }
}
