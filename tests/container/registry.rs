//! Registries: Debian's docker-registry, plain and with TLS, and skopeo as the other client.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use box_harness::{Ran, free_port, oracle, wait_until};

use super::Engine;

/// A registry that ends with the test.
struct Registry {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Registry {
    fn start(engine: &Engine, tls: bool, password: bool) -> Option<Registry> {
        let program = oracle("docker-registry")?;
        let folder = engine.path("registry");
        std::fs::create_dir_all(folder.join("certs")).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let at = folder.display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http:\n  addr: {address}\n"
        );
        if tls {
            let openssl = oracle("openssl")?;
            let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
                -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
            let mut command = Command::new(openssl);
            command.args(words.split_whitespace()).arg("-keyout").arg(folder.join("key.pem"));
            command.arg("-out").arg(folder.join("certs/ca.crt"));
            assert!(command.output().unwrap().status.success());
            config += &format!("  tls: {{certificate: {at}/certs/ca.crt, key: {at}/key.pem}}\n");
        }
        if password {
            // bcrypt of "p".
            let line = "u:$2y$05$abcdefghijklmnopqrstuuqwWMzKt5N8p.u2GX5MuH1t19BMWuLOW\n";
            std::fs::write(folder.join("htpasswd"), line).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: r, path: {at}/htpasswd}}}}\n");
        }
        std::fs::write(folder.join("config.yml"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(folder.join("config.yml"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let registry = Registry { child, address, folder };
        wait_until("the registry", 20, || std::net::TcpStream::connect(&registry.address).is_ok());
        Some(registry)
    }

    fn blobs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.join("data/docker/registry/v2/blobs/sha256")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Imports the test's root file system under a name.
fn import(engine: &Engine, name: &str) {
    let archive = engine.path("root.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(engine.rootfs()).arg("-czf").arg(&archive).arg(".");
    assert!(pack.status().unwrap().success());
    engine.run(["import", archive.to_str().unwrap(), name]).succeeds();
}

#[test]
fn an_image_goes_there_and_comes_back() {
    let Some(engine) = Engine::new() else { return };
    let Some(registry) = Registry::start(&engine, false, false) else { return };
    let name = format!("{}/me/small:1", registry.address);
    import(&engine, &name);
    let id = engine.run(["images", "-q", "--no-trunc", &name[..name.len() - 2]]).out();
    engine.run(["push", &name]).succeeds().stdout_has("Pushed").stdout_has("1: digest: sha256:");
    engine.run(["push", &name]).succeeds().stdout_has("Layer already exists");
    engine.run(["rmi", &name]).succeeds();
    engine.run(["run", "--rm", "--network", "none", "--pull", "never", &name, "true"]).fails(125);
    engine.run(["pull", &name]).succeeds().stdout_has("Downloaded newer image");
    assert_eq!(engine.run(["images", "-q", "--no-trunc", &name[..name.len() - 2]]).out(), id);
    engine.run(["pull", "-q", &name]).succeeds();
    engine.run(["pull", &name]).stdout_has("Image is up to date");
    engine.run(["rmi", &name]).succeeds();
    // `run` gets what is missing.
    let ran = engine.run(["run", "--rm", "--network", "none", &name, "echo", "hi"]);
    ran.succeeds().stdout("hi\n").stderr_has("Unable to find image");
    engine
        .run(["pull", &format!("{}/me/absent", registry.address)])
        .fails(1)
        .stderr_has("manifest unknown");
    if let Some(skopeo) = oracle("skopeo") {
        let mut command = Command::new(skopeo);
        command.args(["inspect", "--tls-verify=false", "--config", &format!("docker://{name}")]);
        Ran::feed(command, "").succeeds().stdout_has("diff_ids");
    }
}

#[test]
fn a_blob_that_is_not_what_it_should_be_is_refused() {
    let Some(engine) = Engine::new() else { return };
    let Some(registry) = Registry::start(&engine, false, false) else { return };
    let name = format!("{}/small:1", registry.address);
    import(&engine, &name);
    engine.run(["push", "-q", &name]).succeeds();
    engine.run(["rmi", &name]).succeeds();
    let blobs = registry.blobs();
    let largest = blobs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(largest, bytes).unwrap();
    engine.run(["pull", &name]).fails(1).stderr_has("has digest");
    engine.run(["images", "-q", &name]).stdout("");
}

#[test]
fn a_server_must_be_known_and_we_to_it() {
    let Some(engine) = Engine::new() else { return };
    let Some(registry) = Registry::start(&engine, true, true) else { return };
    let name = format!("{}/small:1", registry.address);
    import(&engine, &name);
    let call = |args: &[&str]| {
        let mut command = engine.command(args);
        command.env("REGISTRY_AUTH_FILE", engine.path("auth.json"));
        command.env_remove("XDG_RUNTIME_DIR").env("HOME", engine.path("home"));
        Ran::feed(command, "p\n")
    };
    call(&["push", &name]).fails(1).stderr_has("certificate");
    let folder = registry.folder.join("certs").display().to_string();
    let known = ["--cert-dir", folder.as_str()];
    call(&[&["push"], &known[..], &[&name]].concat()).fails(1).stderr_has("login");
    call(&[&["login", "-u", "u", "-p", "wrong"], &known[..], &[&registry.address]].concat())
        .fails(1);
    let ran = call(
        &[&["login", "-u", "u", "--password-stdin"], &known[..], &[&registry.address]].concat(),
    );
    ran.succeeds().stdout("Login Succeeded\n");
    call(&[&["push", "-q"], &known[..], &[&name]].concat()).succeeds();
    call(&["rmi", &name]).succeeds();
    call(&["pull", "-q", "--tls-verify=false", &name]).succeeds();
    call(&["logout", &registry.address]).succeeds().stdout_has("Removing login credentials");
    call(&[&["pull"], &known[..], &[&name]].concat()).fails(1);
}

#[test]
fn what_is_saved_is_loaded_by_everybody() {
    let Some(engine) = Engine::new() else { return };
    import(&engine, "me/small:1");
    let id = engine.run(["images", "-q", "--no-trunc", "me/small"]).out();
    let archive = engine.path("saved.tar").display().to_string();
    engine.run(["save", "-o", &archive, "me/small:1"]).succeeds();
    let first = std::fs::read(&archive).unwrap();
    engine.run(["save", "-o", &archive, "me/small:1"]).succeeds();
    assert!(first == std::fs::read(&archive).unwrap(), "the same image makes the same bytes");
    engine.run(["history", "me/small:1"]).succeeds().stdout_has("Imported from");
    engine.run(["rmi", "me/small:1"]).succeeds();
    engine.run(["load", "-i", &archive]).succeeds().stdout("Loaded image: me/small:1\n");
    assert_eq!(engine.run(["images", "-q", "--no-trunc", "me/small"]).out(), id);
    let Some(skopeo) = oracle("skopeo") else { return };
    for kind in ["docker-archive", "oci-archive"] {
        let mut command = Command::new(&skopeo);
        let layout = engine.path(kind).display().to_string();
        command.args(["copy", &format!("{kind}:{archive}"), &format!("oci:{layout}:x")]);
        Ran::feed(command, "").succeeds();
    }
}

#[test]
fn zstd_layers_are_unpacked() {
    let Some(engine) = Engine::new() else { return };
    let Some(skopeo) = oracle("skopeo") else { return };
    import(&engine, "me/small:1");
    let archive = engine.path("saved.tar").display().to_string();
    engine.run(["save", "-o", &archive, "me/small:1"]).succeeds();
    let layout = engine.path("zstd").display().to_string();
    let mut command = Command::new(skopeo);
    command.args(["copy", "--dest-compress-format", "zstd", "--dest-force-compress-format"]);
    command.args([&format!("oci-archive:{archive}"), &format!("oci:{layout}:x")]);
    if !command.output().unwrap().status.success() {
        // An old skopeo knows only the first of the two options.
        let mut command = Command::new(oracle("skopeo").unwrap());
        command.args(["copy", "--dest-compress-format", "zstd", "--dest-decompress"]);
        command.args([&format!("oci-archive:{archive}"), &format!("oci:{layout}:x")]);
        drop(command.output());
    }
    engine.run(["load", "-i", &layout]).succeeds();
}

#[test]
fn damage_is_named_and_repaired() {
    let Some(engine) = Engine::new() else { return };
    import(&engine, "me/small:1");
    engine.run(["system", "check"]).succeeds().stdout_has("whole");
    engine.run(["system", "df"]).succeeds().stdout_has("Images").stdout_has("RECLAIMABLE");
    let blobs = std::fs::read_dir(engine.root().join("blobs/sha256")).unwrap().flatten();
    let largest = blobs.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().path();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&largest, bytes).unwrap();
    let name = largest.file_name().unwrap().to_string_lossy().into_owned();
    engine.run(["system", "check"]).fails(1).stdout_has(&name).stdout_has("me/small:1");
    engine.run(["system", "check", "--repair"]).succeeds().stdout_has("Removed: me/small:1");
    engine.run(["system", "check"]).succeeds();
    assert!(!largest.exists());
}

#[test]
fn pruning_takes_what_nobody_uses() {
    let Some(engine) = Engine::new() else { return };
    import(&engine, "me/small:1");
    engine.run(["run", "--network", "none", "--name", "one", "me/small:1", "true"]).succeeds();
    engine.run(["image", "prune", "-f", "-a"]).succeeds();
    engine.run(["images", "-q", "me/small"]).stdout_has("\n");
    engine.run(["system", "prune", "-f", "-a", "--filter", "until=1h"]).succeeds();
    engine.run(["images", "-q", "me/small"]).stdout_has("\n");
    engine.run(["system", "prune", "-a"]).fails(1).stderr_has("--force");
    engine.run(["system", "prune", "-f", "-a"]).succeeds().stdout_has("Total reclaimed space");
    engine.run(["images", "-q", "me/small"]).stdout("");
    assert_eq!(std::fs::read_dir(engine.root().join("blobs/sha256")).unwrap().count(), 0);
}
