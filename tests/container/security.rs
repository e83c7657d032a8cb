//! What keeps a container in: each published escape that has a guard here.

use super::Engine;

#[test]
fn the_usual_guards_stand() {
    let Some(engine) = Engine::new() else { return };
    let status = engine
        .sh(&[], "grep -E '^(CapEff|CapInh|CapAmb|CapBnd|Seccomp|NoNewPrivs):' /proc/self/status");
    let text = status.succeeds().out();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("the field");
        line.split_whitespace().nth(1).expect("a value").to_owned()
    };
    assert_eq!(field("CapEff"), "00000000a80425fb");
    assert_eq!(field("CapBnd"), "00000000a80425fb");
    assert_eq!(
        (field("CapInh"), field("CapAmb")),
        ("0000000000000000".into(), "0000000000000000".into())
    );
    assert_eq!(field("Seccomp"), "2");
    engine.sh(&[], "echo 1 > /proc/sys/kernel/printk").fails(1).stderr_has("Read-only file system");
    engine.sh(&[], "head -c 1 /proc/keys | grep -c .").stdout("0\n");
    engine.sh(&[], "ls /sys/firmware | grep -c .").stdout("0\n");
}

#[test]
fn capabilities_are_added_and_dropped() {
    let Some(engine) = Engine::new() else { return };
    let effective = |options: &[&str]| {
        engine
            .sh(options, "grep CapEff /proc/self/status")
            .out()
            .split_whitespace()
            .nth(1)
            .unwrap_or("")
            .to_owned()
    };
    assert_eq!(effective(&["--cap-drop", "ALL"]), "0000000000000000");
    assert_eq!(effective(&["--cap-drop", "all", "--cap-add", "chown"]), "0000000000000001");
    assert_eq!(effective(&["--cap-drop", "CAP_CHOWN"]), "00000000a80425fa");
    assert_eq!(effective(&["-u", "ann"]), "0000000000000000");
    engine.sh(&["--cap-add", "nope"], "true").fails(125).stderr_has("unknown capability");
    let new =
        engine.sh(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status");
    new.stdout("NoNewPrivs:\t1\n");
}

#[test]
fn the_filter_refuses_what_it_should() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&[], "busybox unshare -m true").fails(1).stderr_has("Operation not permitted");
    engine.sh(&[], "mount -t tmpfs x /tmp").fails(1);
    engine
        .sh(&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status")
        .stdout("Seccomp:\t0\n");
    let profile = engine.path("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":99}]}"#;
    std::fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    engine
        .sh(&["--security-opt", &option], "mkdir /tmp/x")
        .fails(1)
        .stderr_has("Cannot assign requested address");
}

/// CVE-2019-5736: the image's program is a link or a script that leads to the runtime's binary.
#[test]
fn the_runtimes_binary_cannot_be_had() {
    let Some(engine) = Engine::new() else { return };
    std::os::unix::fs::symlink("/proc/self/exe", engine.rootfs().join("bin/trap")).unwrap();
    std::fs::write(engine.rootfs().join("bin/script"), "#!/proc/self/exe\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(engine.rootfs().join("bin/script"), mode).unwrap();
    let rootfs = engine.rootfs().display().to_string();
    for program in ["trap", "script", "/proc/self/exe"] {
        let words = ["run", "--rm", "--network", "none", "--rootfs", &rootfs, program];
        engine.run(words).fails(126).stderr_has("Operation not permitted");
    }
    // As init the binary is there, but on a mount that nobody can write to.
    let script = "exec 3>>/proc/1/exe && echo writable";
    engine.sh(&["--init", "--privileged"], script).stdout("").fails(1);
    engine.run(["run", "--rm", "--network", "none", "@box", "version"]).succeeds();
}

/// CVE-2024-21626: a descriptor of the machine as working directory.
#[test]
fn no_descriptor_leaks_in() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&[], "ls /proc/self/fd").stdout("0\n1\n2\n3\n");
    for number in 3..12 {
        let folder = format!("/proc/self/fd/{number}");
        engine.sh(&["-w", &folder], "ls ../../..; cat /etc/shadow").fails(125);
    }
}

/// CVE-2019-16884, CVE-2025-52881: a mount over part of procfs.
#[test]
fn nothing_is_mounted_over_procfs() {
    let Some(engine) = Engine::new() else { return };
    engine.sh(&["-v", "/tmp:/proc/self/attr"], "true").fails(125).stderr_has("/proc/self/attr");
    engine.sh(&["--tmpfs", "/proc/sys"], "true").fails(125);
}

/// CVE-2026-41579: the image's `/dev` or `/proc` is a link.
#[test]
fn a_dev_that_is_a_link_is_refused() {
    for name in ["dev", "proc", "sys"] {
        let Some(engine) = Engine::new() else { return };
        std::os::unix::fs::symlink("tmp", engine.rootfs().join(name)).unwrap();
        engine.sh(&[], "true").fails(125).stderr_has("mount");
    }
}

/// CVE-2021-30465: a mount's target leads out by a link.
#[test]
fn a_target_that_is_a_link_stays_inside() {
    let Some(engine) = Engine::new() else { return };
    let outside = engine.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, engine.rootfs().join("link")).unwrap();
    let ran = engine.sh(&["--tmpfs", "/link/below"], "touch /link/below/x");
    drop(ran);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn an_exec_enters_with_the_same_guards() {
    let Some(engine) = Engine::new() else { return };
    let words =
        engine.words(&["run", "-d", "--name", "guard", "--network", "none"], &[], "sleep 100");
    engine.run(words).succeeds();
    let script = "grep -E 'CapEff|Seccomp:' /proc/self/status; ls /proc/self/fd";
    engine
        .run(["exec", "guard", "sh", "-c", script])
        .succeeds()
        .stdout("CapEff:\t00000000a80425fb\nSeccomp:\t2\n0\n1\n2\n3\n");
    engine.run(["exec", "guard", "/proc/self/exe"]).fails(126);
}

#[test]
fn the_store_is_its_owners_alone() {
    let Some(engine) = Engine::new() else { return };
    engine.run(["images"]).succeeds();
    let mode = std::fs::metadata(engine.root().join("blobs")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o77, 0);
}
