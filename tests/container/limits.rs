//! Limits, as the kernel shows them in its own files, on either version of cgroups.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::oci::Bundle;
use super::{Engine, bx, cgroups};

/// The value of a group's file: the first name is version 1's, after its controller, the second
/// version 2's. `None` where neither version has the controller.
fn value(group: &str, v1: (&str, &str), v2: &str) -> Option<String> {
    let old = PathBuf::from("/sys/fs/cgroup").join(v1.0).join(group).join(v1.1);
    let new = PathBuf::from("/sys/fs/cgroup").join(group).join(v2);
    let text = std::fs::read_to_string(old).or_else(|_| std::fs::read_to_string(new));
    text.ok().map(|text| text.trim().to_owned())
}

fn is_v2() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

#[test]
fn limits_stand_in_the_kernels_files_and_can_be_changed() {
    let Some(bundle) = Bundle::new("limits", "sleep 100") else { return };
    bundle.change(|config| {
        config["linux"]["resources"]["memory"] =
            json!({"limit": 33554432, "reservation": 16777216});
        config["linux"]["resources"]["pids"] = json!({"limit": 77});
        config["linux"]["resources"]["cpu"] =
            json!({"shares": 512, "quota": 50000, "period": 100000});
    });
    assert!(bundle.create(&[]));
    let group = format!("box-{}", bundle.id);
    let memory = || value(&group, ("memory", "memory.limit_in_bytes"), "memory.max").unwrap();
    let pids = || value(&group, ("pids", "pids.max"), "pids.max").unwrap();
    let cpu = || value(&group, ("cpu", "cpu.cfs_quota_us"), "cpu.max").unwrap();
    assert_eq!((memory(), pids()), ("33554432".into(), "77".into()));
    assert_eq!(cpu(), if is_v2() { "50000 100000" } else { "50000" });
    let weight = value(&group, ("cpu", "cpu.shares"), "cpu.weight").unwrap();
    assert_eq!(weight, if is_v2() { "20" } else { "512" });
    let id = bundle.id.as_str();
    bundle
        .oci(["update", "--memory", "67108864", "--pids-limit", "88", "--cpu-quota", "20000", id])
        .succeeds();
    assert_eq!((memory(), pids()), ("67108864".into(), "88".into()));
    assert!(cpu().starts_with("20000"));
    let file = bundle.engine.path("resources.json");
    std::fs::write(
        &file,
        r#"{"pids":{"limit":-1},"memory":{"limit":4096,"checkBeforeUpdate":true}}"#,
    )
    .unwrap();
    // Less than what is in use, or nearly nothing: said, or taken, but never a crash.
    drop(bundle.oci(["update", "-r", file.to_str().unwrap(), id]));
    std::fs::write(&file, r#"{"pids":{"limit":-1}}"#).unwrap();
    bundle.oci(["update", "-r", file.to_str().unwrap(), id]).succeeds();
    assert_eq!(pids(), "max");
    bundle.oci(["delete", "-f", id]).succeeds();
    assert_eq!(cgroups(id), Vec::<PathBuf>::new());
}

#[test]
fn use_is_reported() {
    let Some(bundle) =
        Bundle::new("stats", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 100")
    else {
        return;
    };
    bundle.change(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 33554432});
        config["linux"]["resources"]["pids"] = json!({"limit": 9});
    });
    assert!(bundle.create(&[]));
    bundle.oci(["start", &bundle.id]).succeeds();
    let line = || -> Value {
        let ran = bundle.oci(["events", "--stats", &bundle.id]).succeeds();
        serde_json::from_str(&ran.out()).unwrap()
    };
    box_harness::wait_until("some use", 20, || {
        line()["data"]["cpu"]["usage"]["total"].as_u64() > Some(0)
    });
    let found = line();
    assert_eq!((&found["type"], &found["id"]), (&json!("stats"), &json!(bundle.id)));
    assert_eq!(found["data"]["memory"]["usage"]["limit"], 33554432);
    assert!(found["data"]["memory"]["usage"]["usage"].as_u64() > Some(0));
    assert_eq!(found["data"]["pids"]["limit"], 9);
    assert!(found["data"]["pids"]["current"].as_u64() >= Some(1));
    bundle.oci(["ps", "-f", "json", &bundle.id]).succeeds().stdout_has("[");
    bundle.oci(["ps", &bundle.id]).succeeds().stdout_has("PID");
}

/// `tail /dev/zero` keeps all it reads.
#[test]
fn want_of_memory_is_told() {
    let Some(bundle) = Bundle::new("oom", "sleep 2; exec tail /dev/zero") else { return };
    bundle.change(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 20971520, "swap": 20971520});
    });
    if !is_v2()
        && !std::path::Path::new("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes").exists()
    {
        bundle.change(|config| drop(config["linux"]["resources"]["memory"]["swap"].take()));
    }
    assert!(bundle.create(&[]));
    let state = bundle.engine.path("state").display().to_string();
    let words = ["container", "oci", "--root", &state, "events", "--interval", "100ms", &bundle.id];
    let mut events = bx().command(words);
    let events = events.stdout(Stdio::piped()).spawn().unwrap();
    bundle.oci(["start", &bundle.id]).succeeds();
    let out = events.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("\"type\":\"oom\""), "{text}");
}

#[test]
fn want_of_memory_is_in_the_engines_state() {
    let Some(engine) = Engine::new() else { return };
    let words = engine.words(
        &["run", "--name", "big", "--network", "none", "-m", "20m"],
        &[],
        "exec tail /dev/zero",
    );
    engine.run(words).fails(137);
    assert_eq!(engine.inspect("big", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
}

#[test]
fn a_device_that_is_not_given_cannot_be_used() {
    let Some(engine) = Engine::new() else { return };
    // /dev/mem: it may be made, but not opened.
    let script = "busybox mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem";
    engine.sh(&[], script).fails(1).stderr_has("Operation not permitted");
    engine
        .sh(&["--device", "/dev/zero:/dev/nought"], "head -c 3 /dev/nought")
        .succeeds()
        .stdout("\0\0\0");
}

#[test]
fn a_container_sees_its_own_groups_alone() {
    let Some(engine) = Engine::new() else { return };
    let seen = engine.sh(&[], "cat /proc/self/cgroup").succeeds().out();
    assert!(seen.lines().all(|line| line.ends_with(":/")), "{seen}");
    let script = "for f in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do \
        test -e $f && cat $f; done; true";
    engine.sh(&["-m", "20m"], script).succeeds().stdout("20971520\n");
    engine
        .sh(
            &[],
            "echo 1 > /sys/fs/cgroup/pids/cgroup.procs || echo 1 > /sys/fs/cgroup/cgroup.procs",
        )
        .fails(1);
}
