//! What containers change, use and do: diff, commit, cp, volumes, stats, top, update, events.

use std::process::Command;

use box_harness::Ran;

use super::Engine;

fn image(engine: &Engine) {
    let archive = engine.path("root.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(engine.rootfs()).arg("-cf").arg(&archive).arg(".");
    assert!(pack.status().unwrap().success());
    engine.run(["import", archive.to_str().unwrap(), "base"]).succeeds();
}

#[test]
fn changes_are_listed_and_become_an_image() {
    let Some(engine) = Engine::new() else { return };
    std::fs::write(engine.rootfs().join("dir/old"), "old").unwrap();
    std::fs::write(engine.rootfs().join("etc/gone"), "x").unwrap();
    image(&engine);
    let script =
        "echo new > /dir/new; echo changed > /dir/old; busybox rm /etc/gone; chmod 4755 /dir/new";
    engine
        .run(["run", "--network", "none", "--name", "one", "base", "sh", "-c", script])
        .succeeds();
    let out = engine.run(["diff", "one"]).succeeds().out();
    let mut lines: Vec<_> = out.lines().collect();
    lines.retain(|line| !line.ends_with(" /etc"));
    assert_eq!(lines, ["C /dir", "A /dir/new", "C /dir/old", "D /etc/gone"], "{out}");
    engine
        .run([
            "commit",
            "-m",
            "why",
            "-c",
            "ENV A=b",
            "-c",
            "CMD [\"cat\",\"/dir/new\"]",
            "one",
            "next:2",
        ])
        .succeeds()
        .stdout_has("sha256:");
    engine.run(["run", "--rm", "--network", "none", "next:2"]).succeeds().stdout("new\n");
    let script = "cat /dir/old; test -e /etc/gone || echo gone; stat -c %a /dir/new; echo $A";
    engine
        .run(["run", "--rm", "--network", "none", "next:2", "sh", "-c", script])
        .succeeds()
        .stdout("changed\ngone\n4755\nb\n");
    engine.run(["history", "next:2"]).stdout_has("why");
}

#[test]
fn files_are_copied_in_and_out() {
    let Some(engine) = Engine::new() else { return };
    let words =
        engine.words(&["run", "-d", "--network", "none", "--name", "one"], &[], "exec sleep 100");
    engine.run(words).succeeds();
    let here = engine.path("here");
    std::fs::create_dir_all(here.join("sub")).unwrap();
    std::fs::write(here.join("sub/file"), "content").unwrap();
    let at = here.display().to_string();
    engine.run(["cp", &at, "one:/tmp"]).succeeds();
    engine.run(["exec", "one", "cat", "/tmp/here/sub/file"]).stdout("content");
    engine.run(["cp", &format!("{at}/sub/."), "one:/made"]).succeeds();
    engine.run(["exec", "one", "cat", "/made/file"]).stdout("content");
    engine.run(["cp", &format!("{at}/sub/file"), "one:/tmp/renamed"]).succeeds();
    engine.run(["cp", "one:/tmp/renamed", &format!("{at}/back")]).succeeds();
    assert_eq!(std::fs::read_to_string(here.join("back")).unwrap(), "content");
    let tar = Ran::feed(engine.command(["cp", "one:/tmp/here", "-"]), "").succeeds();
    assert!(tar.output.stdout.windows(14).any(|part| part == b"here/sub/file\0"));
    let back = Ran::feed(engine.command(["cp", "-", "one:/dir"]), &tar.output.stdout);
    back.succeeds();
    engine.run(["exec", "one", "cat", "/dir/here/sub/file"]).stdout("content");
    // A link in the container leads nowhere else (CVE-2019-14271 and its like).
    let outside = engine.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let script = format!("busybox ln -s {} /trap", outside.display());
    engine.run(["exec", "one", "sh", "-c", &script]).succeeds();
    drop(engine.run(["cp", &format!("{at}/sub/file"), "one:/trap/file"]));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    engine.run(["cp", "one:/absent", &at]).fails(1).stderr_has("Could not find the file");
    engine.run(["rm", "-f", "one"]).succeeds();
}

#[test]
fn volumes_are_objects_and_get_what_the_image_has() {
    let Some(engine) = Engine::new() else { return };
    std::fs::write(engine.rootfs().join("dir/kept"), "kept\n").unwrap();
    engine.run(["volume", "create", "--label", "a=b", "data"]).succeeds().stdout("data\n");
    engine.sh(&["-v", "data:/dir"], "cat /dir/kept; echo more > /dir/more").stdout("kept\n");
    engine.sh(&["-v", "data:/x"], "cat /x/more").stdout("more\n");
    engine.sh(&["-v", "plain:/dir:nocopy"], "ls /dir").stdout("");
    engine.run(["volume", "ls", "-q"]).stdout("data\nplain\n");
    engine.run(["volume", "ls", "-q", "-f", "label=a"]).stdout("data\n");
    engine.run(["volume", "inspect", "-f", "{{.Labels.a}}", "data"]).stdout("b\n");
    let words = engine.words(&["create", "--name", "user"], &["-v", "plain:/p"], "true");
    engine.run(words).succeeds();
    engine.run(["volume", "rm", "plain"]).fails(1).stderr_has("is used");
    engine.run(["volume", "prune", "-f"]).succeeds().stdout_has("data\n");
    engine.run(["rm", "user"]).succeeds();
    engine.run(["volume", "rm", "plain", "absent"]).fails(1).stderr_has("No such volume");
    engine.run(["volume", "ls", "-q"]).stdout("");
}

#[test]
fn a_running_container_is_watched_and_changed() {
    let Some(engine) = Engine::new() else { return };
    let options = ["run", "-d", "--network", "none", "--name", "one", "-m", "64m"];
    engine.run(engine.words(&options, &[], "exec sleep 100")).succeeds();
    let ran = engine.run(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}"]);
    ran.succeeds().stdout_has("one 1 ").stdout_has("64MiB");
    engine.run(["top", "one"]).succeeds().stdout_has("sleep 100");
    engine.run(["update", "-m", "32m", "--memory-swap=-1", "--pids-limit", "50", "one"]).succeeds();
    engine.run(["stats", "--no-stream"]).stdout_has("32MiB");
    engine.run(["pause", "one"]).succeeds();
    engine.run(["unpause", "one"]).succeeds();
    engine.run(["restart", "-t", "0", "one"]).succeeds();
    engine.run(["ps", "--format", "{{.State}}"]).stdout("running\n");
    engine.run(["rm", "-f", "one"]).succeeds();
    let ran = engine.run(["events", "--since", "0", "--until", "0s", "--format", "{{.Action}}"]);
    let out = ran.succeeds().out();
    let said: Vec<_> = out.lines().collect();
    let expected = ["create", "start", "update", "pause", "unpause", "die", "start", "restart"];
    assert_eq!(said.get(..expected.len()), Some(&expected[..]), "{out}");
    assert_eq!(said.last(), Some(&"destroy"));
    engine.run(["info", "-f", "{{.Containers}}"]).stdout("0\n");
}
