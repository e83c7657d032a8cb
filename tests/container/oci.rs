//! The runtime command line, as container managers use it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use box_harness::{Ran, oracle};
use serde_json::Value;

use super::{Engine, bx, cgroups};

pub struct Bundle {
    pub engine: Engine,
    pub id: String,
}

impl Bundle {
    pub fn new(id: &str, script: &str) -> Option<Bundle> {
        let engine = Engine::new()?;
        let id = format!("{id}-{}", std::process::id());
        let bundle = Bundle { engine, id };
        bundle.oci(["spec", "-b", bundle.folder().to_str().unwrap()]).succeeds();
        bundle.change(|config| {
            config["process"]["terminal"] = false.into();
            config["process"]["args"] = serde_json::json!(["sh", "-c", script]);
        });
        Some(bundle)
    }

    pub fn folder(&self) -> PathBuf {
        self.engine.folder.path().to_owned()
    }

    pub fn change(&self, with: impl FnOnce(&mut Value)) {
        let file = self.folder().join("config.json");
        let mut config = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        with(&mut config);
        std::fs::write(&file, config.to_string()).unwrap();
    }

    pub fn oci<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        let state = self.engine.path("state").display().to_string();
        let mut command = bx().command(["container", "oci", "--root", &state]);
        command.args(args);
        Ran::feed(command, "")
    }

    /// `create`, whose container keeps the streams it was given: they must not be the test's pipes.
    pub fn create(&self, options: &[&str]) -> bool {
        let state = self.engine.path("state").display().to_string();
        let folder = self.folder().display().to_string();
        let mut command =
            bx().command(["container", "oci", "--root", &state, "create", "-b", &folder]);
        command.args(options).arg(&self.id).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).status().unwrap().success()
    }

    pub fn run(&self) -> Ran {
        self.oci(["run", "-b", self.folder().to_str().unwrap(), &self.id])
    }

    pub fn status(&self) -> String {
        let state = self.oci(["state", &self.id]).out();
        let state: Value = serde_json::from_str(&state).unwrap_or_default();
        state["status"].as_str().unwrap_or("").to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        drop(self.oci(["delete", "-f", &self.id]));
    }
}

#[test]
fn a_bundle_is_run_to_its_exit_code() {
    let Some(bundle) = Bundle::new("run", "exit 42") else { return };
    bundle.run().fails(42);
    bundle.run().fails(42);
    assert_eq!(cgroups(&bundle.id), Vec::<PathBuf>::new());
    bundle.change(|config| config["process"]["args"] = serde_json::json!(["nope"]));
    bundle
        .run()
        .fails(1)
        .stderr("box: container: exec: \"nope\": executable file not found in $PATH\n");
    assert_eq!(bundle.status(), "");
}

#[test]
fn create_waits_for_start() {
    let Some(bundle) = Bundle::new("steps", "touch /tmp/started; sleep 100") else { return };
    bundle.change(|config| config["root"]["readonly"] = false.into());
    let (folder, id) = (bundle.folder().display().to_string(), bundle.id.clone());
    let pid_file = bundle.engine.path("pid").display().to_string();
    assert!(bundle.create(&["--pid-file", &pid_file]));
    assert_eq!(bundle.status(), "created");
    let started = Path::new(&folder).join("rootfs/tmp/started");
    assert!(!started.exists());
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert!(Path::new("/proc").join(&pid).exists());
    bundle.oci(["create", "-b", &folder, &id]).fails(1).stderr_has("already exists");
    bundle.oci(["start", &id]).succeeds();
    assert_eq!(bundle.status(), "running");
    box_harness::wait_until("the program", 10, || started.exists());
    bundle.oci(["start", &id]).fails(1).stderr_has("cannot start a running container");
    bundle.oci(["exec", &id, "sh", "-c", "exit 6"]).fails(6);
    bundle.oci(["pause", &id]).succeeds();
    assert_eq!(bundle.status(), "paused");
    bundle.oci(["exec", &id, "true"]).fails(1);
    bundle.oci(["resume", &id]).succeeds();
    bundle.oci(["list", "-q"]).stdout(format!("{id}\n"));
    bundle.oci(["delete", &id]).fails(1).stderr_has("cannot delete a running container");
    bundle.oci(["kill", &id, "SIGKILL"]).succeeds();
    box_harness::wait_until("its end", 10, || bundle.status() == "stopped");
    bundle.oci(["delete", &id]).succeeds();
    bundle.oci(["state", &id]).fails(1).stderr_has("container does not exist");
    assert_eq!(cgroups(&id), Vec::<PathBuf>::new());
}

#[test]
fn what_is_no_id_or_value_is_refused() {
    let Some(bundle) = Bundle::new("bad", "true") else { return };
    let folder = bundle.folder().display().to_string();
    for id in ["a/b", "..", ""] {
        bundle.oci(["create", "-b", &folder, id]).fails(1).stderr_has("invalid container id");
    }
    bundle.change(|config| config["process"]["rlimits"][0]["type"] = "RLIMIT_FOO".into());
    bundle.run().fails(1).stderr_has("process.rlimits[0].type: not a known value: \"RLIMIT_FOO\"");
    assert_eq!(cgroups(&bundle.id), Vec::<PathBuf>::new());
    let log = bundle.engine.path("log");
    bundle
        .oci(["--log", log.to_str().unwrap(), "--log-format", "json", "start", "absent"])
        .fails(1);
    let entry: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(
        (entry["level"].as_str(), entry["msg"].as_str()),
        (Some("error"), Some("absent: container does not exist"))
    );
}

#[test]
fn the_process_is_as_configured() {
    let script = "id; cat /proc/self/oom_score_adj; umask; ulimit -n; grep NoNew /proc/self/status";
    let Some(bundle) = Bundle::new("fields", script) else { return };
    bundle.change(|config| {
        config["process"]["user"] =
            serde_json::json!({"uid": 5, "gid": 6, "umask": 7, "additionalGids": [8]});
        config["process"]["oomScoreAdj"] = 77.into();
    });
    bundle.run().succeeds().stdout("uid=5 gid=6 groups=8\n77\n0007\n1024\nNoNewPrivs:\t1\n");
}

#[test]
fn hooks_hear_the_state() {
    let Some(bundle) = Bundle::new("hooks", "true") else { return };
    let (out, folder) = (bundle.engine.path("hooks"), bundle.folder());
    let hook = |name: &str| {
        let script =
            format!("echo {name} $(busybox grep -o '\"status\":\"[a-z]*\"') >> {}", out.display());
        serde_json::json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
    };
    bundle.change(|config| {
        config["hooks"] =
            serde_json::json!({"createRuntime": hook("create"), "poststop": hook("stop")});
    });
    bundle.run().succeeds();
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        "create \"status\":\"creating\"\nstop \"status\":\"stopped\"\n"
    );
    bundle.change(|config| {
        config["hooks"] = serde_json::json!({"prestart": [{"path": "/bin/false"}]});
    });
    bundle.run().fails(1).stderr_has("hook prestart[0]");
    assert!(!folder.join("state").join(&bundle.id).exists());
}

#[test]
fn a_link_named_as_the_incumbent_takes_its_command_line() {
    let Some(bundle) = Bundle::new("link", "exit 4") else { return };
    let link = bundle.engine.path("runc");
    std::os::unix::fs::symlink(bx().path(), &link).unwrap();
    let mut command = std::process::Command::new(&link);
    command.arg("--root").arg(bundle.engine.path("state"));
    command.args(["run", "-b", bundle.folder().to_str().unwrap(), &bundle.id]);
    Ran::feed(command, "").fails(4);
}

/// The same configuration under crun and under box: what the program sees of its status must agree.
#[test]
fn crun_gives_the_process_the_same_standing() {
    let script = "grep -E '^(Uid|Gid|Groups|NoNewPrivs|Cap|Seccomp:|SigIgn|SigBlk)' /proc/self/status; \
        mount | grep -v cgroup | busybox awk '{print $3, $5}' | busybox sort -u | grep -E '^/(proc|dev|sys)?( |$)'; pwd; umask; env | busybox sort";
    let Some(bundle) = Bundle::new("crun", script) else { return };
    let Some(crun) = oracle("crun") else { return };
    let Some(views) = box_harness::shared("tools/container/with_cgroups.sh") else { return };
    let ours = bundle.run().succeeds().out();
    let mut command = std::process::Command::new("bash");
    command.arg(views).arg("v1").arg(crun).arg("--root").arg(bundle.engine.path("crun-state"));
    command.args(["run", "-b", bundle.folder().to_str().unwrap(), &bundle.id]);
    let theirs = Ran::feed(command, "").succeeds().out();
    let without_home = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("HOME="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_home(&ours), without_home(&theirs));
}

/// A container manager that knows nothing of box calls it by the incumbent's command line.
#[test]
fn podman_runs_containers_through_it() {
    let Some(engine) = Engine::new() else { return };
    let Some(podman) = oracle("podman") else { return };
    let link = engine.path("runc");
    std::os::unix::fs::symlink(bx().path(), &link).unwrap();
    let archive = engine.path("root.tar");
    let mut pack = std::process::Command::new("tar");
    pack.arg("-C").arg(engine.rootfs()).arg("-cf").arg(&archive).arg(".");
    assert!(pack.status().unwrap().success());
    let call = |args: &[&str]| {
        let mut command = std::process::Command::new(&podman);
        command.arg("--runtime").arg(&link).args(["--cgroup-manager", "cgroupfs"]);
        command.args(["--events-backend", "file"]);
        command.arg("--root").arg(engine.path("p-root")).arg("--runroot").arg(engine.path("p-run"));
        command.args(args);
        Ran::feed(command, "")
    };
    let options =
        ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=20000:20000", "--network", "none"];
    let run = |first: &[&str], last: &[&str]| call(&[first, &options, last].concat());
    call(&["import", archive.to_str().unwrap(), "bb"]).succeeds();
    run(&["run", "--rm"], &["bb", "echo", "hi"]).succeeds().stdout("hi\n");
    run(&["run", "--rm"], &["bb", "nope"]).fails(127);
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || echo 20971520";
    run(&["run", "--rm", "-m", "20m"], &["bb", "sh", "-c", limit]).succeeds().stdout("20971520\n");
    run(&["run", "-d", "--name", "one"], &["bb", "sleep", "100"]).succeeds();
    call(&["exec", "one", "sh", "-c", "exit 4"]).fails(4);
    call(&["stop", "-t", "0", "one"]).succeeds();
    call(&["rm", "one"]).succeeds();
    // podman leaves its graph folder mounted.
    drop(std::process::Command::new("umount").arg(engine.path("p-root/overlay")).output());
}
