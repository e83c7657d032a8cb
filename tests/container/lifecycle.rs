//! Containers over their life: detached, stopped, killed, removed, and what becomes of them when
//! those who watch die.

use std::path::Path;
use std::process::Stdio;

use box_harness::wait_until;

use super::{Engine, cgroups};

fn detached(engine: &Engine, name: &str, options: &[&str], script: &str) -> String {
    let first = ["run", "-d", "--network", "none", "--name", name];
    let ran = engine.run(engine.words(&first, options, script)).succeeds();
    ran.out().trim().to_owned()
}

#[test]
fn a_detached_container_is_listed_logged_and_stopped() {
    let Some(engine) = Engine::new() else { return };
    let id = detached(&engine, "web", &["-l", "a=b"], "echo out; echo err >&2; exec sleep 100");
    assert_eq!(id.len(), 64);
    engine.run(["ps"]).stdout_has("web").stdout_has("Up ");
    engine.run(["ps", "-q", "--filter", "label=a=b"]).stdout(format!("{}\n", &id[..12]));
    engine.run(["ps", "-q", "--filter", "name=other"]).stdout("");
    engine.run(["ps", "--format", "{{.Names}} {{.State}}"]).stdout("web running\n");
    wait_until("the log", 10, || engine.run(["logs", "web"]).err() == "err\n");
    engine.run(["logs", "web"]).stdout("out\n");
    engine.run(["logs", "-t", "--tail", "1", "web"]).succeeds();
    engine.run(["exec", "web", "sh", "-c", "exit 5"]).fails(5);
    engine.run(["exec", "web", "nope"]).fails(127);
    engine
        .run([
            "exec",
            "-e",
            "X=1",
            "-w",
            "/tmp",
            "-u",
            "ann",
            "web",
            "sh",
            "-c",
            "pwd; id -u; echo $X",
        ])
        .succeeds()
        .stdout("/tmp\n1000\n1\n");
    engine.run(["rm", "web"]).fails(1).stderr_has("cannot remove a running container");
    engine.run(["kill", "web"]).succeeds().stdout("web\n");
    engine.run(["wait", "web"]).stdout("137\n");
    engine.run(["ps", "-a"]).stdout_has("Exited (137)");
    engine.run(["start", "web"]).succeeds();
    engine.run(["ps", "-q"]).stdout(format!("{}\n", &id[..12]));
    engine.run(["rm", "-f", "web"]).succeeds();
    assert_eq!(cgroups(&id), Vec::<std::path::PathBuf>::new());
    assert_eq!(engine.ids(), Vec::<String>::new());
    engine.run(["inspect", "web"]).fails(1).stderr_has("No such object");
}

#[test]
fn names_are_unique_and_can_change() {
    let Some(engine) = Engine::new() else { return };
    detached(&engine, "first", &[], "sleep 100");
    let again = engine.words(&["run", "-d", "--name", "first", "--network", "none"], &[], "true");
    engine.run(again).fails(125).stderr_has("already in use");
    engine.run(["rename", "first", "second"]).succeeds();
    engine.run(["inspect", "-f", "{{.Name}}", "second"]).stdout("/second\n");
    engine.run(["inspect", "first"]).fails(1);
}

#[test]
fn a_container_outlives_the_client() {
    let Some(engine) = Engine::new() else { return };
    let words = engine.words(
        &["run", "--name", "long", "--network", "none"],
        &[],
        "echo up; exec sleep 100",
    );
    let mut client =
        engine.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the container runs", 10, || engine.run(["logs", "long"]).out() == "up\n");
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(engine.inspect("long", "{{.State.Status}}"), "running");
    engine.run(["exec", "long", "true"]).succeeds();
    engine.run(["stop", "-t", "0", "long"]).succeeds();
}

#[test]
fn a_container_does_not_outlive_its_monitor() {
    let Some(engine) = Engine::new() else { return };
    let id = detached(&engine, "orphan", &[], "exec sleep 100");
    let monitor = engine.inspect("orphan", "{{.State.MonitorPid}}");
    let init = engine.inspect("orphan", "{{.State.Pid}}");
    box_harness::signal(monitor.parse().unwrap(), box_harness::Signal::SIGKILL);
    wait_until("the container's end", 10, || {
        !Path::new("/proc").join(&init).join("root/bin").exists()
    });
    let state = engine.inspect("orphan", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}");
    assert_eq!(state, "exited 137 its monitor is gone");
    assert_eq!(cgroups(&id), Vec::<std::path::PathBuf>::new());
    engine.run(["rm", "orphan"]).succeeds();
}

#[test]
fn a_policy_starts_it_again_so_often_and_no_more() {
    let Some(engine) = Engine::new() else { return };
    detached(&engine, "flaky", &["--restart", "on-failure:2"], "echo run; exit 3");
    wait_until("the last end", 20, || engine.inspect("flaky", "{{.State.Status}}") == "exited");
    engine.run(["logs", "flaky"]).stdout("run\nrun\nrun\n");
    assert_eq!(engine.inspect("flaky", "{{.RestartCount}} {{.State.ExitCode}}"), "2 3");
}

#[test]
fn a_pause_stops_everything() {
    let Some(engine) = Engine::new() else { return };
    detached(&engine, "still", &[], "while :; do echo tick; sleep 0.01; done");
    engine.run(["pause", "still"]).succeeds();
    assert_eq!(engine.inspect("still", "{{.State.Status}}"), "paused");
    let before = engine.run(["logs", "still"]).out();
    engine.run(["exec", "still", "true"]).fails(1).stderr_has("paused");
    assert_eq!(engine.run(["logs", "still"]).out(), before);
    engine.run(["unpause", "still"]).succeeds();
    wait_until("more ticks", 10, || engine.run(["logs", "still"]).out().len() > before.len());
    engine.run(["pause", "still"]).succeeds();
    engine.run(["rm", "-f", "still"]).succeeds();
}

#[test]
fn logs_are_rotated_in_order() {
    let Some(engine) = Engine::new() else { return };
    let options = ["--log-opt", "max-size=20k", "--log-opt", "max-file=3"];
    let words = engine.words(
        &["run", "--name", "chatty", "--network", "none"],
        &options,
        "for i in $(busybox seq 1 3000); do echo line $i; done",
    );
    let ran = engine.run(words).succeeds();
    assert_eq!(ran.out().lines().count(), 3000);
    let logs = engine.run(["logs", "chatty"]).out();
    let kept: Vec<u32> = logs.lines().map(|line| line[5..].parse().unwrap()).collect();
    assert_eq!(kept.last(), Some(&3000));
    assert!(kept.len() < 3000 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn attach_shows_what_comes_and_its_end() {
    let Some(engine) = Engine::new() else { return };
    detached(&engine, "talk", &["-i"], "read line; echo got $line; exit 4");
    let ran = box_harness::Ran::feed(engine.command(["attach", "talk"]), "hello\n");
    ran.fails(4).stdout("got hello\n");
}

#[test]
fn create_and_start_are_run_in_two_steps() {
    let Some(engine) = Engine::new() else { return };
    let words = engine.words(&["create", "--name", "later", "--network", "none"], &[], "echo now");
    engine.run(words).succeeds();
    engine.run(["ps", "-a", "--format", "{{.Status}}"]).stdout("Created\n");
    engine.run(["start", "-a", "later"]).succeeds().stdout("now\n");
    engine.run(["rm", "later"]).succeeds();
}

#[test]
fn many_at_once_leave_nothing_behind() {
    let Some(engine) = Engine::new() else { return };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    engine.sh(&[], "exit 7").fails(7);
                }
            });
        }
    });
    assert_eq!(engine.ids(), Vec::<String>::new());
    let folders = std::fs::read_dir(engine.root().join("containers")).unwrap().count();
    assert_eq!(folders, 0);
}
