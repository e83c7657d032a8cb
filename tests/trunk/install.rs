//! `box --install DIR`.

use std::fs;

use toolbox::applets::APPLETS;

use crate::bx;

#[test]
fn links_are_made_and_work() {
    let folder = box_harness::scratch();
    let folder = folder.path().join("bin");
    bx().run(["--install".as_ref(), folder.as_os_str()]).succeeds().stderr("");
    for applet in APPLETS {
        for name in [applet.name.to_owned(), format!("box-{}", applet.name)] {
            assert!(fs::symlink_metadata(folder.join(&name)).unwrap().is_symlink(), "{name}");
        }
        for name in applet.imitates {
            assert!(!folder.join(name).exists(), "{name} needs --compat");
        }
    }
    let linked = box_harness::Bin::new(folder.join("box"));
    linked.run(["version"]).succeeds();
    // A second time there is nothing to do.
    bx().run(["--install".as_ref(), folder.as_os_str()]).succeeds().stderr("").stdout("");
    bx().run(["--install".as_ref(), folder.as_os_str(), "--compat".as_ref()]).succeeds();
    for name in APPLETS.iter().flat_map(|applet| applet.imitates) {
        assert!(folder.join(name).exists(), "{name}");
    }
}

#[test]
fn what_exists_is_named_and_the_others_are_made() {
    let folder = box_harness::scratch();
    let file = folder.path().join("sql");
    let link = folder.path().join("sniff");
    fs::write(&file, "a person's own script").unwrap();
    std::os::unix::fs::symlink("/bin/true", &link).unwrap();
    let install = |flags: &[&str]| {
        let mut command = bx().command(["--install"]);
        command.arg(folder.path()).args(flags);
        box_harness::Ran::feed(command, "")
    };
    let both = format!(
        "box: --install: {}: File exists\nbox: --install: {}: File exists\n",
        file.display(),
        link.display()
    );
    install(&[]).fails(1).stderr(both);
    assert!(folder.path().join("box-sql").exists());
    // Force replaces the link, but never the file.
    let one = format!("box: --install: {}: File exists\n", file.display());
    install(&["--force"]).fails(1).stderr(one);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a person's own script");
    assert_eq!(fs::read_link(&link).unwrap(), fs::canonicalize(bx().path()).unwrap());
}
