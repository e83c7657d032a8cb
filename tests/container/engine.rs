//! `run`: what the options do, seen from inside.

use super::Engine;

#[test]
fn the_built_in_image_is_the_binary_itself() {
    let Some(engine) = Engine::new() else { return };
    engine
        .run(["run", "--rm", "--network", "none", "@box", "version"])
        .succeeds()
        .stdout_has("box ");
    let ran = engine.run([
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "/bin/container",
        "@box",
        "--help",
    ]);
    ran.succeeds().stdout_has("Usage: box container");
    engine.run(["images"]).succeeds().stdout_has("@box");
}

#[test]
fn the_container_sees_what_it_was_given() {
    let Some(engine) = Engine::new() else { return };
    let script = "hostname; pwd; echo $A:$HOME; id; cat /proc/1/cmdline | head -c 2";
    let options = ["-h", "tester", "-w", "/some/where", "-e", "A=b c", "-u", "ann"];
    engine.sh(&options, script).succeeds().stdout(
        "tester\n/some/where\nb c:/home/ann\nuid=1000(ann) gid=100(users) groups=4(adm)\nsh",
    );
}

#[test]
fn users_are_those_of_the_image() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&["-u", "7:8"], "id").succeeds().stdout("uid=7 gid=8\n");
    engine.sh(&["-u", "bob"], "id").fails(125).stderr_has("unable to find user bob");
    engine.sh(&["-u", "ann", "--group-add", "77"], "id -G").succeeds().stdout("100 4 77\n");
}

#[test]
fn every_namespace_is_its_own() {
    let Some(engine) = Engine::new() else { return };
    let ran = engine
        .sh(&[], "for n in mnt pid net ipc uts cgroup; do stat -L -c %i /proc/self/ns/$n; done");
    for (name, inside) in
        ["mnt", "pid", "net", "ipc", "uts", "cgroup"].iter().zip(ran.out().lines())
    {
        let outside = std::fs::metadata(format!("/proc/self/ns/{name}")).expect("a namespace");
        let outside = std::os::unix::fs::MetadataExt::ino(&outside).to_string();
        assert_ne!(inside, outside, "{name}");
    }
    engine.sh(&[], "echo /proc/[0-9]*").stdout("/proc/1\n");
}

#[test]
fn volumes_are_bound_read_only_where_asked() {
    let Some(engine) = Engine::new() else { return };
    let folder = engine.path("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("in"), "from outside\n").unwrap();
    let plain = format!("{}:/data", folder.display());
    engine
        .sh(&["-v", &plain], "cat /data/in; echo back > /data/out")
        .succeeds()
        .stdout("from outside\n");
    assert_eq!(std::fs::read_to_string(folder.join("out")).unwrap(), "back\n");
    let read_only = format!("{plain}:ro");
    engine
        .sh(&["-v", &read_only], "echo x > /data/out")
        .fails(1)
        .stderr_has("Read-only file system");
    let long = format!("type=bind,source={},target=/m,readonly", folder.display());
    engine.sh(&["--mount", &long], "cat /m/in; touch /m/x").fails(1).stdout("from outside\n");
    engine.sh(&["-v", "kept:/v"], "echo 1 > /v/f").succeeds();
    engine.sh(&["-v", "kept:/v"], "cat /v/f").succeeds().stdout("1\n");
    engine.sh(&["-v", "relative"], "true").fails(125).stderr_has("mount path must be absolute");
}

#[test]
fn the_root_is_an_overlay_that_can_be_read_only() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&[], "echo x > /new; cat /new").succeeds().stdout("x\n");
    assert!(!engine.rootfs().join("new").exists(), "written through");
    engine
        .sh(
            &["--read-only", "--tmpfs", "/tmp:size=1m"],
            "echo x > /tmp/f && cat /tmp/f; echo x > /new",
        )
        .fails(1)
        .stdout("x\n")
        .stderr_has("Read-only file system");
    let rootfs = format!("{}:rw", engine.rootfs().display());
    let words = ["run", "--rm", "--network", "none", "--rootfs", &rootfs, "touch", "/through"];
    engine.run(words).succeeds();
    assert!(engine.rootfs().join("through").exists());
}

#[test]
fn exit_codes_tell_what_happened() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&[], "exit 42").fails(42);
    let rootfs = engine.rootfs().display().to_string();
    let run =
        |word: &str| engine.run(["run", "--rm", "--network", "none", "--rootfs", &rootfs, word]);
    run("nope")
        .fails(127)
        .stderr("box: container: exec: \"nope\": executable file not found in $PATH\n");
    run("/nope").fails(127).stderr_has("no such file or directory");
    run("/etc").fails(126).stderr_has("permission denied");
    engine.sh(&["--nope"], "true").fails(125).stderr_has("--nope");
    engine.sh(&["--init"], "kill -TERM $$").fails(143);
    engine
        .run(["run", "--rm", "--pull", "never", "absent:latest"])
        .fails(125)
        .stderr_has("No such image");
    assert_eq!(engine.ids(), Vec::<String>::new());
}

#[test]
fn standard_input_goes_through_whole() {
    let Some(engine) = Engine::new() else { return };
    let bytes: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let words = engine.words(&["run", "-i", "--rm", "--network", "none"], &[], "cat");
    let ran = box_harness::Ran::feed(engine.command(words), &bytes);
    assert!(ran.output.status.success());
    assert!(ran.output.stdout == bytes, "{} bytes came back", ran.output.stdout.len());
    // Without -i there is nothing to read.
    engine.sh(&[], "cat").succeeds().stdout("");
}

#[test]
fn limits_stand_in_the_cgroup() {
    let Some(engine) = Engine::new() else { return };
    if !std::path::Path::new("/sys/fs/cgroup/memory").exists() {
        box_harness::skip("needs version 1 cgroups with a memory controller");
        return;
    }
    let options =
        ["-m", "64m", "--pids-limit", "33", "--cpus", "0.5", "--cpuset-cpus", "0", "-c", "512"];
    let script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max \
        cpu/cpu.cfs_quota_us cpuset/cpuset.cpus cpu/cpu.shares";
    engine.sh(&options, script).succeeds().stdout("67108864\n33\n50000\n0\n512\n");
    engine
        .sh(&["--pids-limit", "8"], "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done")
        .stderr_has("can't fork");
}

#[test]
fn memory_beyond_the_limit_ends_with_137_and_is_told() {
    let Some(engine) = Engine::new() else { return };
    // /dev/shm counts, and cannot be given back.
    let script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null";
    let words = engine.words(
        &["run", "--name", "hungry", "--network", "none", "-m", "20m"],
        &["--memory-swap", "20m"],
        &format!("exec {script}"),
    );
    engine.run(words).fails(137);
    assert_eq!(engine.inspect("hungry", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
}

#[test]
fn resource_limits_are_set_and_checked() {
    let Some(engine) = Engine::new() else { return };
    engine
        .sh(&["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn")
        .succeeds()
        .stdout("100\n200\n");
    engine.sh(&["--ulimit", "nofile=3:2"], "true").fails(125).stderr_has("soft limit is above");
}

#[test]
fn the_init_reaps_and_passes_signals_on() {
    let Some(engine) = Engine::new() else { return };
    // An orphan ends; without somebody who reaps it stays as a zombie.
    let script = "(sleep 0 & ) ; sleep 0.3; ps -o stat,args | grep -c ^Z";
    engine.sh(&["--init"], script).stdout("0\n");
    let trap = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    engine
        .run(engine.words(
            &["run", "-d", "--init", "--name", "trap", "--network", "none"],
            &[],
            trap,
        ))
        .succeeds();
    box_harness::wait_until("the trap is set", 10, || engine.run(["logs", "trap"]).out() == "up\n");
    engine.run(["stop", "-t", "10", "trap"]).succeeds();
    assert_eq!(engine.inspect("trap", "{{.State.ExitCode}}"), "9");
}
