//! Fields of the runtime's configuration, by what the process sees of them; and the options of the
//! command line by which container managers get hold of what they need.

use std::process::Stdio;

use box_harness::{Ran, oracle};
use serde_json::json;

use super::bx;
use super::oci::Bundle;

#[test]
fn the_process_gets_what_is_said_of_it() {
    let script = "cat /proc/self/limits | grep -E 'open files|core' ; cat /proc/self/personality; \
        chrt -p $$ 2>/dev/null | head -1; busybox ionice -p $$; busybox awk '{print $19}' /proc/self/stat; pwd; hostname; \
        cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward; \
        grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status";
    let Some(bundle) = Bundle::new("fields2", script) else { return };
    bundle.change(|config| {
        let process = &mut config["process"];
        process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        process["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
        process["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 5});
        process["cwd"] = "/made/here".into();
        let sets = json!(["CAP_KILL", "CAP_CHOWN"]);
        process["capabilities"] = json!({"bounding": sets, "effective": ["CAP_KILL"],
            "permitted": sets, "inheritable": sets, "ambient": ["CAP_CHOWN"]});
        config["root"]["readonly"] = false.into();
        config["hostname"] = "given".into();
        config["domainname"] = "example.org".into();
        config["linux"]["personality"] = json!({"domain": "LINUX32"});
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    });
    let out = bundle.run().succeeds().out();
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].contains("core") || lines[1].contains("core"), "{out}");
    assert!(out.contains("100                  200"), "{out}");
    for part in ["00000008\n", "idle", "\n5\n", "/made/here\ngiven\nexample.org\n1\n"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    // Root's program is given all that is permitted (capabilities(7)).
    for part in
        ["CapInh:\t0000000000000021", "CapBnd:\t0000000000000021", "CapPrm:\t0000000000000021"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn mounts_do_what_their_options_say() {
    let script = "touch /ro/x || echo ro; touch /deep/below/x || echo rro; ls -ln /mapped; \
        cat /up/kept; touch /up/new && echo written; test -e /masked/secret || echo hidden; \
        cat /masked-file; touch /still/x || echo still; mount | grep -c ' /still '";
    let Some(bundle) = Bundle::new("mounts", script) else { return };
    let rootfs = bundle.engine.rootfs();
    let source = bundle.engine.path("source");
    std::fs::create_dir_all(source.join("below")).unwrap();
    std::fs::write(source.join("file"), "").unwrap();
    for (name, text) in
        [("up/kept", "kept\n"), ("masked/secret", "s"), ("masked-file", "s"), ("still/y", "")]
    {
        std::fs::create_dir_all(rootfs.join(name).parent().unwrap()).unwrap();
        std::fs::write(rootfs.join(name), text).unwrap();
    }
    let map = json!([{"containerID": 0, "hostID": 4000, "size": 10}]);
    bundle.change(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        let bind = |at: &str, options: &[&str]| json!({"destination": at, "type": "bind", "source": source, "options": options});
        mounts.push(bind("/ro", &["bind", "ro"]));
        mounts.push(bind("/deep", &["rbind", "rro"]));
        let mut mapped = bind("/mapped", &["rbind", "ridmap"]);
        mapped["uidMappings"] = map.clone();
        mapped["gidMappings"] = map.clone();
        mounts.push(mapped);
        mounts.push(json!({"destination": "/up", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}));
        config["linux"]["maskedPaths"] = json!(["/masked", "/masked-file", "/absent"]);
        config["linux"]["readonlyPaths"] = json!(["/still", "/absent"]);
        config["root"]["readonly"] = false.into();
    });
    let out = bundle.run().succeeds().out();
    let parts = ["ro\nrro\n", " 4000     4000 ", "kept\nwritten\nhidden\nstill\n1\n"];
    for part in parts {
        assert!(out.contains(part), "{part:?}: {out}");
    }
}

#[test]
fn namespaces_are_made_and_joined() {
    let script = "readlink /proc/self/ns/user /proc/self/ns/time; cat /proc/self/uid_map; id -u; cat /proc/uptime";
    let Some(bundle) = Bundle::new("userns", script) else { return };
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.folder(), mode).unwrap();
    for name in ["proc", "sys", "dev"] {
        std::fs::create_dir(bundle.engine.rootfs().join(name)).unwrap();
    }
    bundle.change(|config| {
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map.clone();
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({"type": "user"}));
        if std::path::Path::new("/proc/self/ns/time").exists() {
            namespaces.push(json!({"type": "time"}));
            config["linux"]["timeOffsets"] =
                json!({"boottime": {"secs": 5_000_000, "nanosecs": 0}});
        }
    });
    let out = bundle.run().succeeds().out();
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert!(!out.contains(own.to_str().unwrap()), "{out}");
    assert!(out.contains("0     100000      65536\n0\n"), "{out}");
    if std::path::Path::new("/proc/self/ns/time").exists() {
        let uptime = out.lines().last().unwrap().split('.').next().unwrap();
        assert!(uptime.parse::<u64>().unwrap() >= 5_000_000, "{out}");
    }
    // A second container joins the namespaces of the first, the user's included; `exec` enters it.
    bundle.change(|config| config["process"]["args"] = json!(["sleep", "100"]));
    assert!(bundle.create(&[]));
    bundle.oci(["start", &bundle.id]).succeeds();
    bundle.oci(["exec", &bundle.id, "cat", "/proc/self/uid_map"]).succeeds().stdout_has("100000");
    let state: serde_json::Value =
        serde_json::from_str(&bundle.oci(["state", &bundle.id]).out()).unwrap();
    let pid = state["pid"].as_i64().unwrap();
    let first = bundle.folder().join("config.json");
    let kept = std::fs::read(&first).unwrap();
    bundle.change(|config| {
        config["process"]["args"] = json!(["sh", "-c", "cat /proc/self/uid_map; readlink /proc/self/ns/net; ls /proc | grep -c '^[0-9]'"]);
        let path = |kind: &str, file: &str| json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")});
        config["linux"]["namespaces"] = json!([path("user", "user"), path("network", "net"), path("ipc", "ipc"),
            {"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "cgroup"}]);
        for key in ["uidMappings", "gidMappings", "timeOffsets"] {
            config["linux"].as_object_mut().unwrap().remove(key);
        }
    });
    let other = format!("{}-b", bundle.id);
    let ran = bundle.oci(["run", "-b", bundle.folder().to_str().unwrap(), &other]).succeeds();
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert!(
        ran.out().contains("100000") && ran.out().contains(net.to_str().unwrap()),
        "{}",
        ran.out()
    );
    std::fs::write(first, kept).unwrap();
}

#[test]
fn what_is_unknown_is_named_with_its_place() {
    let Some(bundle) = Bundle::new("unknown", "true") else { return };
    let file = bundle.folder().join("config.json");
    let good = std::fs::read(&file).unwrap();
    let cases: [(&str, serde_json::Value, &str); 9] = [
        ("/process/capabilities/bounding", json!(["CAP_FOO"]), "process.capabilities.bounding[0]"),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}, {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]),
            "process.rlimits[1].type: named twice",
        ),
        ("/process/cwd", json!("relative"), "process.cwd"),
        ("/linux/namespaces/0/type", json!("nope"), "linux.namespaces[0].type"),
        ("/linux/rootfsPropagation", json!("odd"), "linux.rootfsPropagation"),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_FOO"}), "linux.seccomp.defaultAction"),
        ("/linux/devices", json!([{"type": "x", "path": "/dev/x"}]), "linux.devices[0].type"),
        ("/linux/personality", json!({"domain": "BSD"}), "linux.personality.domain"),
        ("/ociVersion", json!("2.0"), "ociVersion"),
    ];
    for (pointer, value, said) in cases {
        bundle.change(|config| {
            let (above, name) = pointer.rsplit_once('/').unwrap();
            let place = config.pointer_mut(above).unwrap();
            match place {
                serde_json::Value::Array(list) => {
                    list[name.parse::<usize>().unwrap()] = value.clone()
                }
                other => other[name] = value.clone(),
            }
        });
        bundle.run().fails(1).stderr_has(said);
        assert_eq!(bundle.status(), "", "{pointer}");
        std::fs::write(&file, &good).unwrap();
    }
    assert_eq!(super::cgroups(&bundle.id), Vec::<std::path::PathBuf>::new());
}

#[test]
fn hooks_come_in_order_and_their_failure_counts() {
    let Some(bundle) = Bundle::new("order", "echo process >> /log/order") else { return };
    let folder = bundle.engine.path("log");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(bundle.engine.rootfs().join("log")).unwrap();
    let outside = folder.join("order").display().to_string();
    let hook = |name: &str, file: &str| {
        let script = format!(
            "s=$(cat); case $s in *\\\"pid\\\":[1-9]*) p=pid;; *) p=none;; esac; echo {name} $p >> {file}"
        );
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
    };
    let all = |config: &mut serde_json::Value| {
        config["hooks"] = json!({
            "prestart": hook("prestart", &outside), "createRuntime": hook("createRuntime", &outside),
            "createContainer": hook("createContainer", &outside),
            "startContainer": hook("startContainer", "/log/order"),
            "poststart": hook("poststart", &outside), "poststop": hook("poststop", &outside),
        });
        config["root"]["readonly"] = false.into();
        config["mounts"].as_array_mut().unwrap().push(
            json!({"destination": "/log", "type": "bind", "source": folder, "options": ["rbind"]}),
        );
    };
    bundle.change(all);
    bundle.run().succeeds();
    let said = std::fs::read_to_string(folder.join("order")).unwrap();
    let names: Vec<_> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let mut sorted = names.clone();
    // The process and the hook after its start run side by side.
    sorted.retain(|name| *name != "process" && *name != "poststart");
    assert_eq!(
        sorted,
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststop"],
        "{said}"
    );
    assert!(names.contains(&"process") && names.contains(&"poststart"));
    assert_eq!(said.matches(" none").count(), 1, "{said}");
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        bundle.change(|config| {
            config["hooks"] = json!({kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]});
        });
        bundle.run().fails(1).stderr_has(&format!("hook {kind}[0]"));
        assert_eq!(bundle.status(), "", "{kind}");
    }
    bundle.change(|config| {
        config["hooks"] = json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "while :; do :; done"], "timeout": 1}]});
    });
    bundle.run().fails(1).stderr_has("timed out");
    bundle.change(|config| config["hooks"] = json!({"poststop": [{"path": "/bin/false"}]}));
    bundle.run().succeeds().stderr_has("warning: hook poststop[0]");
}

/// What a console socket gets: one terminal, and nothing else.
#[test]
fn the_console_socket_gets_the_terminal() {
    let Some(bundle) = Bundle::new("console", "test -t 0 && echo on; stty size") else { return };
    bundle.change(|config| {
        config["process"]["terminal"] = true.into();
        config["process"]["consoleSize"] = json!({"height": 30, "width": 90});
    });
    let socket = bundle.engine.path("console.sock").display().to_string();
    let Some(python) = oracle("python3") else { return };
    let folder = bundle.folder().display().to_string();
    bundle.oci(["create", "-b", &folder, &bundle.id]).fails(1).stderr_has("--console-socket");
    let mut receiver = std::process::Command::new(python);
    receiver.args(["-c", RECEIVER, &socket]).stdout(Stdio::piped());
    let receiver = receiver.spawn().unwrap();
    box_harness::wait_until("the socket", 10, || std::path::Path::new(&socket).exists());
    bundle.oci(["create", "-b", &folder, "--console-socket", &socket, &bundle.id]).succeeds();
    bundle.oci(["start", &bundle.id]).succeeds();
    let said = receiver.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&said), "1 descriptor\non\r\n30 90\r\n");
}

/// Takes what comes over a socket, and reads the terminal to its end, which is an error.
const RECEIVER: &str = "
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen()
stream, _ = listener.accept()
_, fds, _, _ = socket.recv_fds(stream, 64, 8)
print(len(fds), 'descriptor', flush=True)
try:
    while data := os.read(fds[0], 4096): os.write(1, data)
except OSError: pass
";

#[test]
fn descriptors_are_handed_on_when_asked() {
    let Some(bundle) = Bundle::new("fds", "cat <&3; ls /proc/self/fd") else { return };
    let given = bundle.engine.path("given");
    std::fs::write(&given, "given\n").unwrap();
    let state = bundle.engine.path("state").display().to_string();
    let run = |count: &str| {
        let mut command = std::process::Command::new("sh");
        let script = format!(
            "exec {} container oci --root {state} run --preserve-fds {count} -b {} {} 3<{} 4</dev/null",
            bx().path().display(),
            bundle.folder().display(),
            bundle.id,
            given.display()
        );
        command.args(["-c", &script]);
        Ran::feed(command, "")
    };
    run("1").succeeds().stdout("given\n0\n1\n2\n3\n4\n");
    bundle.change(|config| config["process"]["args"] = json!(["sh", "-c", "ls /proc/self/fd"]));
    run("0").succeeds().stdout("0\n1\n2\n3\n");
    run("2").succeeds().stdout("0\n1\n2\n3\n4\n5\n");
}

#[test]
fn a_further_process_is_as_its_options_say() {
    let Some(bundle) = Bundle::new("exec", "sleep 100") else { return };
    bundle.change(|config| config["process"]["env"].as_array_mut().unwrap().push("A=1".into()));
    assert!(bundle.create(&[]));
    bundle.oci(["start", &bundle.id]).succeeds();
    let id = bundle.id.as_str();
    let script = "echo $A $B; pwd; id -u; id -g; grep CapEff /proc/self/status; exit 9";
    let options = [
        "exec",
        "-e",
        "A=2",
        "--env",
        "B=3",
        "--cwd",
        "/tmp",
        "-u",
        "0:7",
        "--cap",
        "CAP_SYS_TIME",
    ];
    let words: Vec<&str> = options.into_iter().chain([id, "sh", "-c", script]).collect();
    bundle.oci(words).fails(9).stdout("2 3\n/tmp\n0\n7\nCapEff:\t0000000022000420\n");
    for user in ["ann", "1x", "-1", "", "0x1", "99999999999"] {
        bundle.oci(["exec", &format!("--user={user}"), id, "true"]).fails(1);
    }
    let file = bundle.engine.path("process.json");
    let process = json!({"args": ["sh", "-c", "id -u; exit 4"], "cwd": "/", "user": {"uid": 12, "gid": 0}, "env": ["PATH=/bin"]});
    std::fs::write(&file, process.to_string()).unwrap();
    bundle.oci(["exec", "--process", file.to_str().unwrap(), id]).fails(4).stdout("12\n");
    let pid_file = bundle.engine.path("exec.pid");
    let mut detached = bx().command([
        "container",
        "oci",
        "--root",
        bundle.engine.path("state").to_str().unwrap(),
        "exec",
        "-d",
        "--pid-file",
        pid_file.to_str().unwrap(),
        id,
        "sleep",
        "50",
    ]);
    assert!(
        detached
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let pid: u32 = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name, "sleep\n");
    bundle.oci(["ps", "-f", "json", id]).stdout_has(&pid.to_string());
    bundle.oci(["pause", id]).succeeds();
    bundle.oci(["exec", id, "true"]).fails(1).stderr_has("paused");
    bundle.oci(["resume", id]).succeeds();
    bundle
        .oci(["exec", "--cgroup", "inner", id, "cat", "/proc/self/cgroup"])
        .succeeds()
        .stdout_has("/inner");
    bundle.oci(["kill", "-a", id, "KILL"]).succeeds();
    box_harness::wait_until("its end", 10, || bundle.status() == "stopped");
    bundle.oci(["exec", id, "true"]).fails(1).stderr_has("not running");
}

#[test]
fn the_command_line_of_managers_is_taken() {
    let Some(bundle) = Bundle::new("args", "exit 3") else { return };
    bundle
        .oci(["--version"])
        .succeeds()
        .stdout_has("box version ")
        .stdout_has("\ncommit: ")
        .stdout_has("\nspec: 1.3.0\n");
    let features: serde_json::Value =
        serde_json::from_str(&bundle.oci(["features"]).out()).unwrap();
    assert_eq!(features["ociVersionMax"], "1.3.0");
    assert!(features["hooks"].as_array().unwrap().contains(&json!("startContainer")));
    let folder = bundle.folder().display().to_string();
    // Options may stand after the id.
    bundle.oci(["run", &bundle.id, "--bundle", &folder]).fails(3);
    bundle
        .oci([
            "--systemd-cgroup",
            "--rootless=auto",
            "--log-level",
            "debug",
            "run",
            "-b",
            &folder,
            &bundle.id,
        ])
        .fails(3);
    bundle
        .oci(["checkpoint", "--image-path", "x", &bundle.id])
        .fails(1)
        .stderr_has("not supported");
    bundle.change(|config| config["linux"]["cgroupsPath"] = "user.slice:box:unit".into());
    bundle.run().fails(3);
}

/// The profile under crun (libseccomp) and under box: every probed call must have the same answer.
#[test]
fn a_profile_gives_the_verdicts_of_libseccomp() {
    let probe = "busybox rm -rf /tmp/a; for call in 'mkdir /tmp/a' 'chmod 700 /tmp' 'busybox unshare -m true' 'busybox nice -n 1 true' \
        'mount -t tmpfs x /tmp' 'busybox setsid true' 'busybox ionice -c 3 true' 'busybox mknod /tmp/f p' 'busybox rm -f /tmp/f' \
        'busybox chroot / true' 'hostname x' 'busybox date -s 2000-01-01' 'busybox setarch i686 true'; do \
        $call >/dev/null 2>/tmp/err; echo \"$call: $? $(cat /tmp/err)\"; done";
    let Some(bundle) = Bundle::new("verdict", probe) else { return };
    let Some(crun) = oracle("crun") else { return };
    let Some(views) = box_harness::shared("tools/container/with_cgroups.sh") else { return };
    let profiles = [
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat", "chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 0x20000, "valueTwo": 0x20000, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 2, "value": 0, "op": "SCMP_CMP_GT"}]},
            {"names": ["setsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["ioprio_set"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_LE"}, {"index": 2, "value": 0x6000, "op": "SCMP_CMP_GE"}]},
        ]}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [
            {"names": ["mknod", "mknodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 1, "value": 4096, "op": "SCMP_CMP_LT"}]},
            {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30},
            {"names": ["chroot", "sethostname", "no_such_call"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["clock_settime", "settimeofday"], "action": "SCMP_ACT_LOG"},
        ]}),
    ];
    for profile in profiles {
        bundle.change(|config| {
            config["linux"]["seccomp"] = profile.clone();
            config["root"]["readonly"] = false.into();
            config["process"]["noNewPrivileges"] = true.into();
        });
        let ours = bundle.run().out();
        let mut command = std::process::Command::new("bash");
        command
            .arg(&views)
            .arg("v1")
            .arg(&crun)
            .arg("--root")
            .arg(bundle.engine.path("crun-state"));
        command.args(["run", "-b", bundle.folder().to_str().unwrap(), &bundle.id]);
        assert_eq!(ours, Ran::feed(command, "").out(), "{profile}");
    }
}
