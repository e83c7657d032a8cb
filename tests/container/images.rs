//! Images: import, load in every form, hostile layers.

use std::path::Path;
use std::process::Command;

use box_harness::{oracle, shared};

use super::Engine;

fn tar(engine: &Engine, name: &str, options: &str) -> std::path::PathBuf {
    let file = engine.path(name);
    let status = Command::new("tar")
        .arg("-C")
        .arg(engine.rootfs())
        .arg(options)
        .arg(&file)
        .arg(".")
        .status();
    assert!(status.expect("tar").success());
    file
}

#[test]
fn a_tarball_becomes_an_image() {
    let Some(engine) = Engine::new() else { return };
    let file = tar(&engine, "root.tar.gz", "-czf");
    let file = file.to_str().unwrap();
    let changes = ["-c", "CMD [\"echo\", \"by default\"]", "-c", "ENV A=1", "-c", "USER ann"];
    let last = [file, "small:1"];
    let words = ["import"].iter().chain(&changes).chain(&last);
    let id = engine.run(words).succeeds().out();
    assert!(id.starts_with("sha256:"));
    engine.run(["images"]).stdout_has("small").stdout_has(&id[7..19]);
    let run = ["run", "--rm", "--network", "none", "small:1"];
    engine.run(run).succeeds().stdout("by default\n");
    engine.run(run.iter().chain(&["sh", "-c", "id -u; echo $A"])).succeeds().stdout("1000\n1\n");
    engine.run(["tag", "small:1", "other"]).succeeds();
    engine.run(["rmi", "small:1"]).succeeds().stdout_has("Untagged: small:1");
    engine.run(["run", "--rm", "--network", "none", "other"]).succeeds();
    engine.run(["rmi", "other"]).succeeds().stdout_has("Deleted: sha256:");
    assert_eq!(std::fs::read_dir(engine.root().join("blobs/sha256")).unwrap().count(), 0);
    engine.run(["import", file, "Bad Name"]).fails(1).stderr_has("invalid reference format");
}

/// An OCI layout of two layers, the second of which hides and replaces files of the first. Written
/// with the machine's own tar, gzip and sha256sum.
fn layout(engine: &Engine) -> std::path::PathBuf {
    let script = r#"
set -e
cd "$1"; mkdir -p out/blobs/sha256 l2/dir l2/opq
put() { h=$(sha256sum "$1" | cut -d' ' -f1); cp "$1" out/blobs/sha256/$h; echo $h; }
echo 1 > rootfs/dir/a; echo 2 > rootfs/dir/b; mkdir rootfs/opq; echo 3 > rootfs/opq/c
tar -C rootfs -cf l1.tar .
: > l2/dir/.wh.a; : > l2/opq/.wh..wh..opq; echo 4 > l2/opq/d
tar -C l2 -cf l2.tar .
for n in 1 2; do
  d=$(sha256sum l$n.tar | cut -d' ' -f1); gzip -nk l$n.tar; b=$(put l$n.tar.gz); s=$(stat -c %s l$n.tar.gz)
  ids="$ids${ids:+,}\"sha256:$d\""
  ls="$ls${ls:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$b\",\"size\":$s}"
done
printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$ids" > c
c=$(put c)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' $c $(stat -c %s c) "$ls" > m
m=$(put m)
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"test/two:1"}}]}' $m $(stat -c %s m) > out/index.json
echo '{"imageLayoutVersion":"1.0.0"}' > out/oci-layout
"#;
    let folder = engine.folder.path();
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(folder).status();
    assert!(status.expect("sh").success());
    folder.join("out")
}

const LOOK: &str = "ls /dir /opq";
const SEEN: &str = "/dir:\nb\n\n/opq:\nd\n";

#[test]
fn layers_hide_what_is_below() {
    let Some(engine) = Engine::new() else { return };
    let folder = layout(&engine);
    let ran = engine.run(["load", "-i", folder.to_str().unwrap()]);
    ran.succeeds().stdout("Loaded image: test/two:1\n");
    let run = ["run", "--rm", "--network", "none", "test/two:1", "sh", "-c", LOOK];
    engine.run(run).succeeds().stdout(SEEN);
    // A blob that has been changed is not believed.
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    let at = index.find("sha256:").unwrap() + 7;
    let blob = engine.root().join("blobs/sha256").join(&index[at..at + 64]);
    std::fs::write(&blob, "{}").unwrap();
    engine.run(run).fails(125).stderr_has("is damaged");
}

#[test]
fn archives_of_skopeo_are_loaded() {
    let Some(engine) = Engine::new() else { return };
    let Some(skopeo) = oracle("skopeo") else { return };
    let from = format!("oci:{}", layout(&engine).display());
    for (kind, file) in [("docker-archive", "d.tar"), ("oci-archive", "o.tar")] {
        let path = engine.path(file);
        let to = format!("{kind}:{}:test/copy:{kind}", path.display());
        let copied = Command::new(&skopeo).args(["--insecure-policy", "copy", &from, &to]).output();
        assert!(copied.expect("skopeo").status.success());
        engine.run(["load", "-i", path.to_str().unwrap()]).succeeds().stdout_has("test/copy");
        let name = format!("test/copy:{kind}");
        let run = ["run", "--rm", "--network", "none", &name, "sh", "-c", LOOK];
        engine.run(run).succeeds().stdout(SEEN);
    }
    // From standard input, and compressed.
    let packed = Command::new("gzip").arg("-c").arg(engine.path("d.tar")).output().unwrap().stdout;
    box_harness::Ran::feed(engine.command(["load"]), packed).succeeds();
}

#[test]
fn an_export_holds_the_merged_files() {
    let Some(engine) = Engine::new() else { return };
    let folder = layout(&engine);
    engine.run(["load", "-i", folder.to_str().unwrap()]).succeeds();
    engine.run(["create", "--name", "one", "--network", "none", "test/two:1"]).succeeds();
    let ran = engine.run(["export", "-o", engine.path("e.tar").to_str().unwrap(), "one"]);
    ran.succeeds();
    let listed = Command::new("tar").arg("-tf").arg(engine.path("e.tar")).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let has = |name: &str| names.lines().any(|line| line == name);
    assert!(has("dir/b") && has("opq/d") && !has("dir/a") && !has("opq/c"), "{names}");
}

#[test]
fn hostile_layers_reach_nothing_outside() {
    let Some(engine) = Engine::new() else { return };
    let Some(tool) = shared("tools/container/evil_layers.py") else { return };
    let Some(python) = oracle("python3") else { return };
    let cases = engine.path("cases");
    assert!(Command::new(&python).arg(&tool).arg("make").arg(&cases).status().unwrap().success());
    let shown = |path: &Path| path.display().to_string();
    let base = format!("{} container --root {}", shown(super::bx().path()), shown(&engine.root()));
    let load = format!("{base} load -i {{layout}}");
    let archive = shown(&engine.path("x.tar"));
    let unpack = format!(
        "id=$({base} create {{name}}:t) && {base} export -o {archive} $id && {base} rm $id >/dev/null \
         && mkdir -p {{out}} && tar -C {{out}} -xf {archive}"
    );
    let ran =
        Command::new(&python).arg(&tool).arg("check").arg(&cases).args([load, unpack]).output();
    let text = String::from_utf8(ran.unwrap().stdout).unwrap();
    assert!(text.contains(" 0 failed"), "{text}");
}
