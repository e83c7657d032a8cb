//! `box doctor`: what the machine has, and what it lacks when a privilege is taken away.

use std::process::Command;

use box_harness::{Ran, oracle, root};

use crate::bx;

#[test]
fn every_serving_applet_has_its_lines_and_advice_where_something_lacks() {
    let ran = bx().run(["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    let rows = found.as_array().unwrap();
    for applet in ["proxy", "cache-server", "sql", "sniff", "container"] {
        assert!(rows.iter().any(|row| row["applet"] == applet), "{applet} says nothing");
    }
    for row in rows {
        let met = row["standing"] == "ok";
        assert_eq!(row["advice"].is_null(), met, "{row}");
    }
    let lacks = rows.iter().any(|row| row["standing"] == "missing");
    assert_eq!(ran.output.status.code(), Some(i32::from(lacks)));
    let shown = bx().run(["doctor"]).out();
    assert!(rows.iter().all(|row| shown.contains(row["detail"].as_str().unwrap())), "{shown}");
    bx().run(["doctor", "nope"]).fails(127).stderr("box: nope: no such applet\n");
}

#[test]
fn without_the_capability_sniff_cannot_do_its_job() {
    if !root() || oracle("setpriv").is_none() {
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]);
    command.arg(bx().path()).args(["doctor", "sniff"]);
    let ran = Ran::feed(command, "").fails(1);
    ran.stdout_has("missing  packet socket    Operation not permitted")
        .stdout_has("try: sudo setcap");
}
