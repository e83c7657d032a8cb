//! The guided tour of `make demo`, with the binary under test.

use std::process::Command;

use box_harness::Ran;

use crate::bx;

#[test]
fn the_tour_goes_through_every_applet() {
    let whole = cfg!(all(
        feature = "proxy",
        feature = "cache",
        feature = "sql",
        feature = "sniff",
        feature = "container"
    ));
    if !whole || !box_harness::root() {
        return;
    }
    let home = box_harness::scratch();
    let mut tour = Command::new("bash");
    tour.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/demo/tour.sh")).arg(bx().path());
    tour.env("TMPDIR", home.path()).env("HOME", home.path());
    Ran::feed(tour, "")
        .succeeds()
        .stderr("")
        .stdout_has("hello from the cache\n")
        .stdout_has("│ /docs │ 1      │ 3.25 │\n")
        .stdout_has("Flags [S.], seq ")
        .stdout_has("inside a container|42\n")
        .stdout_has("<h1>hello from localhost</h1>\n");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "the tour left {left:?}");
}
