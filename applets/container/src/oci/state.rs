//! A container of the runtime between two calls of it: `ROOT/ID/state.json`, and `start.sock` for
//! as long as it waits to be started.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use box_kit::Failure;
use serde::{Deserialize, Serialize};

use crate::cgroup::Group;
use crate::oci::spec::{Hooks, Process, Seccomp};
use crate::process::Identity;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub id: String,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub annotations: BTreeMap<String, String>,
    pub created: String,
    pub init: Identity,
    pub group: Group,
    /// The configured process, from which `exec` takes what it is not told.
    pub process: Process,
    pub seccomp: Option<Seccomp>,
    pub hooks: Hooks,
}

/// A container's folder.
pub struct Container {
    pub id: String,
    pub folder: PathBuf,
}

impl Container {
    /// Of this id, which may be a new one.
    pub fn named(root: &Path, id: &str) -> Result<Container, Failure> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.bytes().all(fine) {
            return Err(Failure::new("invalid container id").about(format!("{id:?}")));
        }
        Ok(Container { id: id.to_owned(), folder: root.join(id) })
    }

    /// Makes the folder; that is what makes an id taken.
    pub fn claim(&self) -> Result<(), Failure> {
        if let Some(root) = self.folder.parent() {
            fs::create_dir_all(root).map_err(Failure::os(root.display()))?;
        }
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::new("container with given ID already exists").about(&self.id))
            }
            outcome => outcome.map_err(Failure::os(self.folder.display())),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("start.sock")
    }

    pub fn load(&self) -> Result<State, Failure> {
        let file = self.folder.join("state.json");
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::new("container does not exist").about(&self.id));
            }
            text => text.map_err(Failure::os(file.display()))?,
        };
        serde_json::from_str(&text).map_err(|error| Failure::new(error).about(file.display()))
    }

    pub fn save(&self, state: &State) -> Result<(), Failure> {
        let text = serde_json::to_vec(state).map_err(Failure::new)?;
        crate::files::replace(&self.folder.join("state.json"), &text, false)
    }

    /// Whether it waits for `start`.
    pub fn waits(&self) -> bool {
        self.socket().exists()
    }

    /// `created`, `running`, `paused` or `stopped`.
    pub fn status(&self, state: &State) -> &'static str {
        match state.init.is_alive() {
            false => "stopped",
            true if state.group.is_frozen() => "paused",
            true if self.waits() => "created",
            true => "running",
        }
    }

    pub fn remove(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).map_err(Failure::os(self.folder.display()))
    }

    /// The state as the specification has it (runtime.md, "State"), with runc's further fields.
    pub fn report(&self, state: &State) -> serde_json::Value {
        let status = self.status(state);
        let pid = if status == "stopped" { 0 } else { state.init.pid };
        serde_json::json!({
            "ociVersion": crate::oci::spec::VERSION,
            "id": self.id,
            "status": status,
            "pid": pid,
            "bundle": state.bundle,
            "rootfs": state.rootfs,
            "created": state.created,
            "owner": "root",
            "annotations": state.annotations,
        })
    }
}
