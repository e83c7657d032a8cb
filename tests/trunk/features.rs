//! One feature an applet: each builds alone and pulls nothing of the others.

use std::path::Path;
use std::process::Command;

use box_harness::Ran;

const APPLETS: &[&str] = &["proxy", "cache", "sql", "sniff", "container"];

#[test]
fn an_applet_alone_depends_on_no_other() {
    for applet in APPLETS {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--offline", "--no-default-features", "--features", applet]);
        cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        let tree = Ran::feed(cargo, "").succeeds().out();
        for other in APPLETS {
            let named = tree.lines().any(|line| line.starts_with(&format!("box-{other} ")));
            assert_eq!(named, other == applet, "--features {applet} and box-{other}\n{tree}");
        }
    }
}

#[test]
fn the_floors_hold() {
    // (crate, what of the project it may depend on)
    let floors: &[(&str, &[&str])] = &[
        ("box-wire", &[]),
        ("box-table", &[]),
        ("box-sys", &["box-wire"]),
        ("box-kit", &["box-sys", "box-wire"]),
    ];
    for (name, below) in floors {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--offline", "-p", name, "--edges", "normal", "--prefix", "none"]);
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        let tree = Ran::feed(cargo, "").succeeds().out();
        for line in tree.lines().skip(1).filter(|line| line.starts_with("box-")) {
            let found = line.split(' ').next().unwrap_or_default();
            assert!(below.contains(&found), "{name} depends on {found}");
        }
        assert!(!tree.contains("tokio"), "{name} knows tokio");
    }
}
