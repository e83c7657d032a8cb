//! From `argv` to an applet, and the words of `box` itself.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;

use box_harness::Ran;
use toolbox::applets::APPLETS;

use crate::bx;

const VERSION: &str = concat!("box ", env!("CARGO_PKG_VERSION"), "\n");

#[test]
fn an_unknown_applet_is_named_with_127() {
    bx().run(["nope"]).fails(127).stdout("").stderr("box: nope: no such applet\n");
    bx().run(["help", "nope"]).fails(127).stdout("").stderr("box: nope: no such applet\n");
    bx().run(["man", "nope"]).fails(127).stdout("").stderr("box: nope: no such applet\n");
}

#[test]
fn an_argument_that_is_not_utf8_never_panics() {
    let odd = OsStr::from_bytes(b"\xff\xfe");
    bx().run([odd]).fails(127).stderr_has("no such applet");
    bx().run([OsStr::new("help"), odd]).fails(2).stderr_has("box: ");
    for applet in APPLETS {
        let ran = bx().run([OsStr::new(applet.name), odd, OsStr::new("--help")]);
        let code = ran.output.status.code();
        assert!(code.is_some_and(|code| code != 101), "{}: {code:?}\n{}", applet.name, ran.err());
    }
}

#[test]
fn an_empty_or_foreign_argv0_behaves_as_box() {
    for argv0 in ["", "foreign", "/some/where/box", "box-0.1"] {
        let mut command = bx().command(["version"]);
        command.arg0(argv0);
        Ran::feed(command, "").succeeds().stdout(VERSION);
    }
}

#[test]
fn a_linked_name_calls_its_applet() {
    for applet in APPLETS {
        let expected = bx().run([applet.name, "--help"]).succeeds().out();
        for argv0 in [applet.name.to_owned(), format!("/usr/bin/box-{}", applet.name)] {
            let mut command = bx().command(["--help"]);
            command.arg0(&argv0);
            Ran::feed(command, "").succeeds().stdout(&expected);
        }
    }
}

#[test]
fn version_is_one_line_or_json() {
    bx().run(["version"]).succeeds().stdout(VERSION).stderr("");
    bx().run(["--version"]).succeeds().stdout(VERSION).stderr("");
    let json: serde_json::Value =
        serde_json::from_str(&bx().run(["version", "--json"]).succeeds().out()).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["target"], "x86_64-unknown-linux-gnu");
    assert_eq!(json["applets"].as_array().map(Vec::len), Some(APPLETS.len()));
}

#[test]
fn the_list_names_every_applet() {
    let names: String = APPLETS.iter().map(|applet| format!("{}\n", applet.name)).collect();
    bx().run(["--list"]).succeeds().stdout(names).stderr("");
    let json = bx().run(["--list", "--json"]).succeeds().out();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    for (row, applet) in rows.iter().zip(APPLETS) {
        assert_eq!(row["name"], applet.name);
        assert_eq!(row["about"], applet.about);
    }
    assert_eq!(rows.len(), APPLETS.len());
}

#[test]
fn help_is_the_applets_own() {
    for applet in APPLETS {
        let help = bx().run(["help", applet.name]).succeeds().stderr("").out();
        assert!(help.contains(&format!("Usage: box {}", applet.name)), "{help}");
    }
    let help = bx().run::<&str>([]).succeeds().stderr("").out();
    for applet in APPLETS {
        assert!(help.contains(applet.name) && help.contains(applet.about), "{help}");
    }
}

#[test]
fn misuse_is_2_with_the_usage_on_standard_error() {
    bx().run(["version", "--nope"])
        .fails(2)
        .stdout("")
        .stderr_has("box: unexpected argument '--nope' found\n")
        .stderr_has("Usage: box version");
    bx().run(["--json"]).fails(2).stdout("");
    bx().run(["--nope"]).fails(2).stdout("");
}

#[test]
fn man_pages_are_roff() {
    bx().run(["man"]).succeeds().stdout_has(".TH box 1");
    for applet in APPLETS {
        let page = bx().run(["man", applet.name]).succeeds().stderr("").out();
        assert!(page.contains(&format!(".TH box-{} 1", applet.name)), "{page}");
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn completions_know_the_applets() {
    for shell in ["bash", "zsh", "fish"] {
        let script = bx().run(["completion", shell]).succeeds().stderr("").out();
        for applet in APPLETS {
            assert!(script.contains(applet.name), "{shell} does not know {}", applet.name);
        }
    }
    // What bash would run must be a valid script.
    let script = bx().run(["completion", "bash"]).out();
    let mut bash = std::process::Command::new("bash");
    bash.arg("-n");
    Ran::feed(bash, script).succeeds().stderr("");
}

#[test]
fn a_closed_pipe_ends_a_filter_silently() {
    let shell = format!("'{}' help sql | true; echo ${{PIPESTATUS[0]}}", bx().path().display());
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", &shell]);
    let ran = Ran::feed(bash, "").succeeds().stderr("");
    // 0 when the text went into the pipe before its end was closed, else death by SIGPIPE.
    assert!(["0\n", "141\n"].contains(&ran.out().as_str()), "{}", ran.out());
}

#[test]
fn no_escape_byte_leaves_when_colour_is_not_wanted() {
    // `script` gives the program a terminal, so that only the variable decides.
    let Some(script) = box_harness::oracle("script") else { return };
    let help = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(&script);
        let line = format!("'{}' --help", bx().path().display());
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        Ran::feed(command, "").succeeds().out()
    };
    assert!(help(&[]).contains('\x1b'), "a terminal gets colour");
    assert!(!help(&[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!help(&[("TERM", "dumb")]).contains('\x1b'));
    assert!(!bx().run(["--help"]).out().contains('\x1b'), "a pipe gets none");
}
