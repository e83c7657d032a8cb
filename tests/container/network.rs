//! The bridge, in a network namespace of the test's own.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use box_harness::{Ran, oracle, wait_until};

use super::Engine;

/// A network namespace, kept by a process that sleeps in it.
struct Namespace(Child);

impl Namespace {
    fn new() -> Option<Namespace> {
        let unshare = oracle("unshare")?;
        let child = Command::new(unshare).args(["-n", "sleep", "1000"]).spawn().ok()?;
        let namespace = Namespace(child);
        let own = std::fs::read_link("/proc/self/ns/net").ok()?;
        let path = format!("/proc/{}/ns/net", namespace.0.id());
        wait_until("the namespace", 10, || std::fs::read_link(&path).is_ok_and(|link| link != own));
        Some(namespace)
    }

    fn enter<I: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = I>,
    ) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.0.id().to_string(), "-n"]).arg(program).args(args);
        command
    }

    fn run<I: AsRef<OsStr>>(&self, engine: &Engine, args: impl IntoIterator<Item = I>) -> Ran {
        let inner = engine.command(args);
        let mut command = self.enter(inner.get_program(), inner.get_args());
        command.stdin(Stdio::null());
        Ran::feed(command, "")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let inode = std::fs::metadata(format!("/proc/{}/ns/net", self.0.id()));
        drop(self.0.kill());
        drop(self.0.wait());
        if let Ok(inode) = inode {
            let inode = std::os::unix::fs::MetadataExt::ino(&inode);
            drop(std::fs::remove_file(format!("/run/box/container/networks/box0-{inode}.json")));
        }
    }
}

const SERVE: &str = "mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www";

#[test]
fn a_published_port_is_reached_from_everywhere_and_gone_afterwards() {
    let Some(engine) = Engine::new() else { return };
    let Some(namespace) = Namespace::new() else { return };
    let Some(curl) = oracle("curl") else { return };
    namespace.enter("ip", ["link", "set", "lo", "up"]).status().unwrap();
    let words = engine.words(
        &["run", "-d", "--name", "web", "-p", "8080:80", "-p", "127.0.0.1:8081:80"],
        &[],
        SERVE,
    );
    namespace.run(&engine, words).succeeds();
    let fetch = |url: &str| Ran::feed(namespace.enter(&curl, ["-sS", "-m", "5", url]), "").out();
    wait_until("the server", 10, || fetch("http://10.87.0.1:8080/") == "hello\n");
    assert_eq!(fetch("http://127.0.0.1:8080/"), "hello\n");
    assert_eq!(fetch("http://127.0.0.1:8081/"), "hello\n");
    assert_eq!(fetch("http://10.87.0.1:8081/"), "");
    namespace.run(&engine, ["port", "web", "80"]).stdout("0.0.0.0:8080\n127.0.0.1:8081\n");
    namespace
        .run(&engine, ["ps", "--format", "{{.Ports}}"])
        .stdout("0.0.0.0:8080->80/tcp, 127.0.0.1:8081->80/tcp\n");
    // The same port cannot be had twice.
    let again = engine.words(&["run", "-d", "--rm", "-p", "8080:80"], &[], SERVE);
    namespace.run(&engine, again).fails(125).stderr_has("port is already allocated");
    // From another container: directly, and by the machine's address.
    let address = engine.inspect("web", "{{.NetworkSettings.IPAddress}}");
    let script = format!(
        "for a in {address}:80 10.87.0.1:8080; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 ${{a%:*}} ${{a#*:}} | tail -1; done"
    );
    let words = engine.words(&["run", "--rm"], &[], &script);
    namespace.run(&engine, words).succeeds().stdout("hello\nhello\n");
    namespace.run(&engine, ["rm", "-f", "web"]).succeeds();
    assert_eq!(fetch("http://10.87.0.1:8080/"), "");
    let links = Ran::feed(namespace.enter("ip", ["-o", "link"]), "").out();
    assert!(!links.contains("bxv"), "{links}");
}

#[test]
fn what_leaves_has_the_machines_address() {
    let Some(engine) = Engine::new() else { return };
    let Some(namespace) = Namespace::new() else { return };
    // Another machine: a namespace at the end of a pair.
    let Some(other) = Namespace::new() else { return };
    let peer = other.0.id().to_string();
    for line in [
        format!("link add out0 type veth peer name in0 netns {peer}"),
        "addr add 192.0.2.1/24 dev out0".into(),
        "link set out0 up".into(),
        "link set lo up".into(),
    ] {
        assert!(namespace.enter("ip", line.split(' ')).status().unwrap().success(), "{line}");
    }
    for line in ["addr add 192.0.2.2/24 dev in0", "link set in0 up", "link set lo up"] {
        assert!(other.enter("ip", line.split(' ')).status().unwrap().success(), "{line}");
    }
    // It answers with the address it was called from.
    let mut server = other.enter("busybox", ["nc", "-ll", "-p", "7000", "-e", "/bin/sh", "-c", "echo from $(busybox netstat -tn | busybox grep -o '192.0.2.1:\\|10.87[^:]*:' | busybox head -1)"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the server", 10, || {
        let words =
            engine.words(&["run", "--rm"], &[], "busybox nc -w 3 192.0.2.2 7000 </dev/null");
        namespace.run(&engine, words).out() == "from 192.0.2.1:\n"
    });
    drop(server.kill());
    drop(server.wait());
}

#[test]
fn other_networks_are_what_they_say() {
    let Some(engine) = Engine::new() else { return };
    let Some(namespace) = Namespace::new() else { return };
    let addresses = "busybox ip -4 -o addr";
    let words = engine.words(&["run", "--rm", "--network", "none"], &[], addresses);
    let none = namespace.run(&engine, words).out();
    assert!(none.contains("127.0.0.1") && none.lines().count() == 1, "{none}");
    let words = engine.words(&["run", "-d", "--name", "first"], &[], "sleep 100");
    namespace.run(&engine, words).succeeds();
    let words = engine.words(&["run", "--rm", "--network", "container:first"], &[], addresses);
    let address = engine.inspect("first", "{{.NetworkSettings.IPAddress}}");
    namespace.run(&engine, words).succeeds().stdout_has(&address);
    let words = engine.words(&["run", "--rm", "--network", "host"], &[], addresses);
    namespace.run(&engine, words).succeeds().stdout_has("box0");
    let words = engine.words(&["run", "--rm", "--network", "nope"], &[], addresses);
    namespace.run(&engine, words).fails(125).stderr_has("network nope not found");
    namespace.run(&engine, ["rm", "-f", "first"]).succeeds();
}
