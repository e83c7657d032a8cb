//! A container's folder: what was asked for (`config.json`, written once) and how it stands
//! (`state.json`, written by whoever starts it and by its monitor).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;

use box_kit::Failure;
use box_sys::pidfd;
use serde::{Deserialize, Serialize};

use crate::cgroup::Group;
use crate::net::{Attachment, Port};
use crate::oci::spec::{CapabilityNames, Limit, Resources};
use crate::process::Identity;
use crate::store::Store;

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Config {
    pub id: String,
    pub name: String,
    pub created: String,
    /// The image as it was named, and its digest.
    pub image: String,
    pub image_id: String,
    /// Chain ids of the image's layers, lowest first.
    pub layers: Vec<String>,
    /// A folder in the place of an image, and whether it is written through.
    pub rootfs: Option<PathBuf>,
    pub rootfs_writable: bool,
    /// The built-in image.
    pub builtin: bool,
    pub args: Vec<String>,
    pub entrypoint_length: usize,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: String,
    pub groups: Vec<String>,
    pub hostname: String,
    pub domainname: String,
    pub tty: bool,
    pub open_stdin: bool,
    pub auto_remove: bool,
    pub init: bool,
    pub read_only: bool,
    pub privileged: bool,
    pub mounts: Vec<MountConfig>,
    pub network: String,
    pub ports: Vec<Port>,
    pub resources: Resources,
    pub capabilities: CapabilityNames,
    /// `unconfined`, the path of a profile, or empty for the default one.
    pub seccomp: String,
    pub no_new_privileges: bool,
    pub limits: Vec<Limit>,
    pub sysctl: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub restart: Restart,
    pub stop_signal: String,
    pub stop_timeout: u64,
    pub hosts: Vec<String>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub shm_bytes: u64,
    pub log: LogConfig,
    pub oom_score_adj: Option<i32>,
    pub host_pid: bool,
    pub host_ipc: bool,
    pub host_uts: bool,
}

/// A mount that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MountConfig {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    /// The volume's name, where it has one.
    pub name: String,
    pub source: String,
    pub destination: String,
    pub options: Vec<String>,
}

/// When it is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Restart {
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub policy: String,
    pub maximum: u32,
}

/// Where output goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogConfig {
    /// `json-file` or `none`.
    pub driver: String,
    pub max_bytes: Option<u64>,
    pub max_files: u32,
}

/// How it stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// `created`, `running` or `exited`.
    pub status: String,
    /// The container's first process.
    pub init: Identity,
    pub monitor: Identity,
    pub started_at: String,
    pub finished_at: String,
    pub exit_code: i32,
    pub oom_killed: bool,
    pub error: String,
    pub restarts: u32,
    pub group: Group,
    pub network: Option<Attachment>,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    pub folder: PathBuf,
    pub config: Config,
    pub state: State,
}

impl Container {
    /// Makes the folder and takes the name.
    pub fn create(store: &Store, config: Config) -> Result<Container, Failure> {
        let folder = store.root.join("containers").join(&config.id);
        let name = store.root.join("names").join(&config.name);
        if let Err(error) = symlink(&config.id, &name) {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let reason = "the container name is already in use";
                return Err(Failure::new(reason)
                    .about(format!("{:?}", config.name))
                    .advise("try: box container rm, or another --name"));
            }
            return Err(Failure::os(name.display())(error));
        }
        let state = State { status: "created".into(), ..State::default() };
        let container = Container { folder, config, state };
        let made = container.write_new();
        if made.is_err() {
            container.discard(store)?;
        }
        made.map(|()| container)
    }

    fn write_new(&self) -> Result<(), Failure> {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o711);
        builder.create(&self.folder).map_err(Failure::os(self.folder.display()))?;
        for name in ["upper", "work", "rootfs"] {
            let path = self.folder.join(name);
            fs::create_dir(&path).map_err(Failure::os(path.display()))?;
        }
        self.save_config()?;
        self.save()
    }

    /// Writes what was asked for.
    pub fn save_config(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec(&self.config).map_err(Failure::new)?;
        crate::files::replace(&self.folder.join("config.json"), &text, false)
    }

    /// Writes the state.
    pub fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec(&self.state).map_err(Failure::new)?;
        crate::files::replace(&self.folder.join("state.json"), &text, false)
    }

    /// Reads the state again.
    pub fn reload(&mut self) -> Result<(), Failure> {
        self.state = read_json(&self.folder.join("state.json"))?;
        Ok(())
    }

    /// Removes folder and name.
    pub fn discard(&self, store: &Store) -> Result<(), Failure> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::os(self.folder.display())(error));
            }
            _ => {}
        }
        let name = store.root.join("names").join(&self.config.name);
        match fs::read_link(&name) {
            Ok(id) if id.as_os_str() == self.config.id.as_str() => {
                fs::remove_file(&name).map_err(Failure::os(name.display()))
            }
            _ => Ok(()),
        }
    }

    /// `created`, `running`, `paused` or `exited`, as of now.
    pub fn status(&self) -> &'static str {
        match self.state.status.as_str() {
            "created" => "created",
            "running" if self.state.monitor.is_alive() => {
                if self.state.group.is_frozen() {
                    "paused"
                } else {
                    "running"
                }
            }
            _ => "exited",
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.status(), "running" | "paused")
    }

    /// The monitor's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("attach.sock")
    }

    /// The mark that it was stopped on purpose: no policy starts it again.
    pub fn stopped_mark(&self) -> PathBuf {
        self.folder.join("stopped")
    }

    /// A container whose monitor is gone without a word (killed, or the machine has been restarted)
    /// is ended and cleaned up, and its state says so. Its exit code is unknown, and not 0.
    pub fn reconcile(&mut self) -> Result<(), Failure> {
        if self.state.status != "running" || self.state.monitor.is_alive() {
            return Ok(());
        }
        // Between the two reads the monitor may have finished its work.
        self.reload()?;
        if self.state.status != "running" {
            return Ok(());
        }
        if let Some(init) = self.state.init.open() {
            let _ = pidfd::send_signal(init.as_fd(), libc::SIGKILL);
            pidfd::await_end(init.as_fd(), 5000)?;
        }
        self.release()?;
        self.state.status = "exited".into();
        self.state.exit_code = 137;
        self.state.error = "its monitor is gone".into();
        self.state.finished_at = crate::time::rfc3339(crate::time::now());
        self.save()
    }

    /// Gives back groups and network.
    pub fn release(&mut self) -> Result<(), Failure> {
        let group = std::mem::take(&mut self.state.group);
        group.kill();
        group.remove()?;
        if let Some(network) = self.state.network.take() {
            crate::net::disconnect(&network, &self.config.id)?;
        }
        Ok(())
    }

    /// Whether the folder is still there.
    pub fn exists(&self) -> bool {
        self.folder.join("config.json").exists()
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T, Failure> {
    let text = fs::read(path).map_err(Failure::os(path.display()))?;
    serde_json::from_slice(&text).map_err(|error| Failure::new(error).about(path.display()))
}

fn load(store: &Store, id: &str) -> Result<Container, Failure> {
    let folder = store.root.join("containers").join(id);
    let config = read_json(&folder.join("config.json"))?;
    let state = read_json(&folder.join("state.json"))?;
    Ok(Container { folder, config, state })
}

/// Every container, newest first. One that is just being removed is passed over.
pub fn all(store: &Store) -> Result<Vec<Container>, Failure> {
    let path = store.root.join("containers");
    let entries = fs::read_dir(&path).map_err(Failure::os(path.display()))?;
    let mut found: Vec<Container> = entries
        .flatten()
        .filter_map(|entry| load(store, &entry.file_name().to_string_lossy()).ok())
        .collect();
    found.sort_by(|a, b| b.config.created.cmp(&a.config.created));
    Ok(found)
}

/// Finds a container by name, id, or the start of its id.
pub fn find(store: &Store, text: &str) -> Result<Container, Failure> {
    let absent = || Failure::new("No such container").about(text);
    if text.is_empty() || text.contains('/') || text.starts_with('.') {
        return Err(absent());
    }
    let id = match fs::read_link(store.root.join("names").join(text)) {
        Ok(id) => id.to_string_lossy().into_owned(),
        Err(_) => by_prefix(store, text)?.ok_or_else(absent)?,
    };
    let mut container = load(store, &id).map_err(|_| absent())?;
    container.reconcile()?;
    Ok(container)
}

fn by_prefix(store: &Store, text: &str) -> Result<Option<String>, Failure> {
    let path = store.root.join("containers");
    let entries = fs::read_dir(&path).map_err(Failure::os(path.display()))?;
    let ids = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let found: Vec<String> = ids.filter(|id| id.starts_with(text)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(id.clone())),
        _ => Err(Failure::new("more than one container's id starts so").about(text)),
    }
}
