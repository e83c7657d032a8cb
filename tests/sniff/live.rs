//! Live capture in network namespaces of the tests' own: loopback, a pair of Ethernet devices, tags.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use box_harness::{oracle, root, scratch};

/// A namespace of its own, held by a sleeping process.
struct Namespace {
    holder: Child,
}

impl Namespace {
    fn new() -> Option<Namespace> {
        if !root() {
            return None;
        }
        oracle("ip")?;
        oracle("unshare")?;
        oracle("nsenter")?;
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a namespace");
        let mut ready = [0; 6];
        let outcome = holder.stdout.as_mut().expect("piped").read_exact(&mut ready);
        if outcome.is_err() {
            holder.wait().expect("a child");
            box_harness::skip("needs network namespaces");
            return None;
        }
        Some(Namespace { holder })
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "-t", &self.holder.id().to_string(), program]).args(args);
        command
    }

    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) {
        let output = self.command(program, args).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {text}");
    }

    /// Sends datagrams to a port.
    fn send(&self, to: &str, port: u16, count: u32) {
        let script = format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             for i in range({count}): s.sendto(b'x%d' % i, ('{to}', {port}))"
        );
        self.run("python3", &["-c", &script]);
    }

    /// Starts a capture and waits until it listens.
    fn capture(&self, args: &[&str]) -> Capture {
        let mut words = vec!["sniff"];
        words.extend(args);
        let mut child = self
            .command(env!("CARGO_BIN_EXE_box"), &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut errors = child.stderr.take().expect("piped");
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b" bytes\n") {
            match errors.read(&mut byte) {
                Ok(1) => said.push(byte[0]),
                _ => panic!("did not listen: {}", String::from_utf8_lossy(&said)),
            }
        }
        Capture { child, errors, said }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

struct Capture {
    child: Child,
    errors: std::process::ChildStderr,
    said: Vec<u8>,
}

impl Capture {
    /// Interrupts it, as a person does.
    fn interrupt(&self) {
        box_harness::signal(self.child.id(), box_harness::Signal::SIGINT);
    }

    /// Standard output, standard error and the exit code.
    fn end(mut self) -> (String, String, Option<i32>) {
        let mut out = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        self.errors.read_to_end(&mut self.said).expect("text");
        let status = self.child.wait().expect("it ends");
        (out, String::from_utf8_lossy(&self.said).into_owned(), status.code())
    }
}

#[test]
fn loopback_shows_each_datagram_once_and_counts_at_the_end() {
    let Some(namespace) = Namespace::new() else { return };
    let capture = namespace.capture(&["-i", "lo", "-n", "-t", "-c", "3", "udp port 9"]);
    namespace.send("127.0.0.1", 10, 2);
    namespace.send("127.0.0.1", 9, 3);
    let (out, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(out.lines().count(), 3, "{out}");
    for line in out.lines() {
        assert!(line.starts_with("IP 127.0.0.1.") && line.contains(" > 127.0.0.1.9: UDP, length "));
    }
    assert!(
        errors.contains("listening on lo, link-type EN10MB (Ethernet), snapshot length 262144")
    );
    assert!(errors.contains("3 packets captured\n"), "{errors}");
    assert!(errors.ends_with("0 packets dropped by kernel\n"), "{errors}");
}

#[test]
fn an_interrupt_writes_out_everything() {
    let Some(namespace) = Namespace::new() else { return };
    let folder = scratch();
    let path = folder.path().join("out.pcap");
    let capture = namespace.capture(&["-i", "lo", "-w", path.to_str().unwrap(), "udp"]);
    namespace.send("127.0.0.1", 9, 50);
    // The ring hands a block over within its time; wait until the kernel has counted all of them.
    std::thread::sleep(Duration::from_millis(150));
    capture.interrupt();
    let (out, errors, code) = capture.end();
    assert_eq!((out.as_str(), code), ("", Some(0)), "{errors}");
    assert!(errors.contains("50 packets captured\n"), "{errors}");
    let read = crate::bx().run(["sniff", "-r", path.to_str().unwrap(), "--count"]).succeeds();
    assert_eq!(read.out(), "50 packets\n");
}

#[test]
fn a_line_comes_within_a_tenth_of_a_second_through_a_pipe() {
    let Some(namespace) = Namespace::new() else { return };
    let mut capture = namespace.capture(&["-i", "lo", "-n", "-l", "udp port 9"]);
    namespace.send("127.0.0.1", 9, 1);
    let sent = Instant::now();
    let mut byte = [0];
    let mut line = Vec::new();
    let mut stdout = capture.child.stdout.take().expect("piped");
    while !line.ends_with(b"\n") {
        stdout.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    eprintln!("the line came after {:?}", sent.elapsed());
    capture.child.stdout = Some(stdout);
    capture.interrupt();
    let (_, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn all_interfaces_are_captured_with_cooked_headers() {
    let Some(namespace) = Namespace::new() else { return };
    let folder = scratch();
    let path = folder.path().join("any.pcap");
    let capture =
        namespace.capture(&["-i", "any", "-c", "2", "-w", path.to_str().unwrap(), "udp port 9"]);
    namespace.send("127.0.0.1", 9, 2);
    let (_, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("link-type LINUX_SLL2 (Linux cooked v2)"), "{errors}");
    let Some(tcpdump) = oracle("tcpdump") else { return };
    let output = Command::new(tcpdump)
        .args(["-nt", "-r", path.to_str().unwrap(), "udp dst port 9"])
        .output()
        .expect("tcpdump runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().all(|line| line.contains("In  IP 127.0.0.1.")), "{text}");
}

/// A pair of Ethernet devices between two namespaces.
fn pair() -> Option<(Namespace, Namespace)> {
    let (left, right) = (Namespace::new()?, Namespace::new()?);
    let peer = right.holder.id().to_string();
    left.run("ip", &["link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", &peer]);
    left.run("ip", &["addr", "add", "10.9.0.1/24", "dev", "v0"]);
    right.run("ip", &["addr", "add", "10.9.0.2/24", "dev", "v1"]);
    left.run("ip", &["link", "set", "v0", "up"]);
    right.run("ip", &["link", "set", "v1", "up"]);
    Some((left, right))
}

#[test]
fn both_directions_of_a_pair_are_seen_and_told_apart() {
    let Some((left, right)) = pair() else { return };
    let both = right.capture(&["-i", "v1", "-nt", "-c", "4", "udp port 9"]);
    let inwards = right.capture(&["-i", "v1", "-nt", "-Q", "in", "-c", "2", "udp port 9"]);
    right.send("10.9.0.1", 9, 2);
    left.send("10.9.0.2", 9, 2);
    let (out, errors, code) = inwards.end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.lines().all(|line| line.starts_with("IP 10.9.0.1.")), "{out}");
    let (out, errors, code) = both.end();
    assert_eq!((out.lines().count(), code), (4, Some(0)), "{out}{errors}");
}

#[test]
fn a_tag_that_the_card_takes_off_is_put_back() {
    let Some((left, right)) = pair() else { return };
    let capture = right.capture(&["-i", "v1", "-nte", "-c", "2", "vlan 7 and udp port 9"]);
    // Two frames with a tag of their own: the receiving side takes it off before it shows them.
    let script = "import socket\n\
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
        s.bind(('v0', 0))\n\
        head = b'\\xff' * 6 + b'\\x02\\0\\0\\0\\0\\x01' + b'\\x81\\0\\0\\x07\\x08\\0'\n\
        ip = bytes([0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 8, 0, 1, 10, 8, 0, 2])\n\
        udp = bytes([0, 10, 0, 9, 0, 10, 0, 0]) + b'hi'\n\
        for i in range(2): s.send(head + ip + udp)";
    left.run("python3", &["-c", script]);
    let (out, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
    for line in out.lines() {
        assert!(
            line.contains("ethertype 802.1Q (0x8100), length 48: vlan 7, p 0, ethertype IPv4"),
            "{line}"
        );
    }
}

#[test]
fn an_interface_that_goes_away_ends_the_capture_with_its_counters() {
    let Some((left, right)) = pair() else { return };
    let capture = right.capture(&["-i", "v1", "-n"]);
    left.run("ip", &["link", "del", "v0"]);
    let (_, errors, code) = capture.end();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("pcap_loop: The interface disappeared\n"), "{errors}");
    assert!(errors.contains("dropped by kernel\n"), "{errors}");
}

#[test]
fn a_capture_that_listens_has_no_privileges_left() {
    let Some(namespace) = Namespace::new() else { return };
    let capture = namespace.capture(&["-i", "lo", "-n", "-Z", "nobody"]);
    // nsenter has become the capture itself: its process is the child's.
    let status = std::fs::read_to_string(format!("/proc/{}/status", capture.child.id()));
    let status = status.expect("a status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect(name);
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!((&*field("NoNewPrivs:"), &*field("Seccomp:")), ("1", "2"));
    assert_ne!(field("Uid:"), "0");
    namespace.send("127.0.0.1", 9, 1);
    capture.interrupt();
    let (_, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn user_signals_show_the_counters_and_write_out_the_file() {
    let Some(namespace) = Namespace::new() else { return };
    let folder = scratch();
    let path = folder.path().join("out.pcap");
    let capture = namespace.capture(&["-i", "lo", "-w", path.to_str().unwrap(), "udp port 9"]);
    namespace.send("127.0.0.1", 9, 2);
    let id = capture.child.id().to_string();
    // The packets may still be in the ring when the signal comes.
    box_harness::wait_until("the packets to be written out", 10, || {
        assert!(Command::new("kill").args(["-USR2", &id]).status().expect("kill").success());
        std::fs::metadata(&path).expect("the file").len() > 24
    });
    assert!(Command::new("kill").args(["-USR1", &id]).status().expect("kill").success());
    assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill").success());
    let (_, errors, code) = capture.end();
    assert_eq!(code, Some(0), "{errors}");
    let last = errors.lines().last().unwrap_or_default();
    assert_eq!(last, "0 packets dropped by kernel", "{errors}");
}
