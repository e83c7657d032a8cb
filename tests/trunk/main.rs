//! The trunk: dispatch, names, help, and the rules of the tree.

use box_harness::Bin;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

#[test]
fn an_unknown_applet_is_named_with_127() {
    bx().run(["nope"]).fails(127).stdout("").stderr("box: nope: no such applet\n");
}
