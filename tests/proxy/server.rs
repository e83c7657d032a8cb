//! `box proxy server` with agents in other processes.

use std::io::{Read, Write};
use std::path::Path;

use box_harness::{free_port, oracle, scratch};

use crate::support::*;

pub struct Server {
    running: Running,
    http: u16,
    pub https: u16,
    agents: u16,
    pub tcp: u16,
    pub home: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        let home = scratch();
        let (http, https, agents, tcp) = (free_port(), free_port(), free_port(), free_port());
        let running = Server::run(home.path(), http, https, agents, tcp);
        Server { running, http, https, agents, tcp, home }
    }

    fn run(home: &Path, http: u16, https: u16, agents: u16, tcp: u16) -> Running {
        let on = |port: u16| format!("127.0.0.1:{port}");
        let mut running = Running::start(
            home,
            &[
                "server",
                "--domain",
                "edge.test",
                "--listen-http",
                &on(http),
                "--listen-https",
                &on(https),
                "--listen-agent",
                &on(agents),
                "--data",
                "data",
                "--tcp-ports",
                &format!("{tcp}-{tcp}"),
            ],
        );
        running.line("for=agents");
        running
    }

    pub fn token(&self, user: &str) -> String {
        let mut command = bx().command(["proxy", "token", "add", user, "--data"]);
        command.arg(self.home.path().join("data"));
        let output = command.output().expect("box runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn agent(&self, home: &Path, token: &str, args: &[&str]) -> Running {
        let server = format!("127.0.0.1:{}", self.agents);
        let mut all = args.to_vec();
        all.extend(["--server", &server, "--token", token]);
        Running::start(home, &all)
    }

    fn get(&self, host: &str, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        String::from_utf8_lossy(&exchange(self.http, request.as_bytes())).into_owned()
    }
}

#[test]
fn a_tunnel_to_another_process_serves_http_and_https() {
    let server = Server::start();
    let token = server.token("ann");
    let port = http_origin(|request| ok(request.target().as_bytes()));
    let home = scratch();
    let mut agent = server.agent(home.path(), &token, &["http", &port.to_string(), "-s", "web"]);
    assert_eq!(agent.url(), ("web.edge.test".to_owned(), server.https));
    let answer = server.get("web.edge.test", "/over/there");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("/over/there"), "{answer}");
    if oracle("curl").is_some() {
        let ca = bx().run([
            "proxy".as_ref(),
            "cert".as_ref(),
            "ca".as_ref(),
            "--data".as_ref(),
            server.home.path().join("data").as_os_str(),
        ]);
        let ca = ca.succeeds().out();
        let more = ["--cacert", ca.trim(), "-k"];
        let more = &more[..2];
        let output = std::process::Command::new("curl")
            .args(["-sS"])
            .args(more)
            .args(["--resolve", &format!("web.edge.test:{}:127.0.0.1", server.https)])
            .arg(format!("https://web.edge.test:{}/tls", server.https))
            .output()
            .expect("curl runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/tls", "{errors}");
    }
    agent.signal(box_harness::Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
}

#[test]
fn a_wrong_or_revoked_token_is_refused() {
    let server = Server::start();
    let home = scratch();
    let mut agent = server.agent(home.path(), "box_ann_00", &["http", "3000", "-s", "web"]);
    agent.line("box: proxy: authentication failed: unknown token (ERR_BOX_101)");
    assert_eq!(agent.ended(), Some(1));
    let token = server.token("ann");
    let port = http_origin(|_| ok(b"mine"));
    let mut agent = server.agent(home.path(), &token, &["http", &port.to_string(), "-s", "web"]);
    agent.url();
    assert!(server.get("web.edge.test", "/").ends_with("mine"));
    let data = server.home.path().join("data");
    bx().run([
        "proxy".as_ref(),
        "token".as_ref(),
        "revoke".as_ref(),
        "ann".as_ref(),
        "--data".as_ref(),
        data.as_os_str(),
    ])
    .succeeds()
    .stdout("1 token revoked\n");
    agent.line("unknown token (ERR_BOX_101)");
    assert_eq!(agent.ended(), Some(1));
    box_harness::wait_until("the name to be gone", 15, || {
        server.get("web.edge.test", "/").starts_with("HTTP/1.1 404 ")
    });
}

#[test]
fn a_name_belongs_to_its_first_token_also_while_the_agent_is_away() {
    let server = Server::start();
    let (ann, bob) = (server.token("ann"), server.token("bob"));
    let home = scratch();
    let mut agent = server.agent(home.path(), &ann, &["http", "3000", "-s", "web"]);
    agent.url();
    drop(agent);
    let mut thief = server.agent(home.path(), &bob, &["http", "3000", "-s", "web"]);
    thief.line("name \"web\" belongs to another token (ERR_BOX_110)");
    assert_eq!(thief.ended(), Some(1));
    let mut admin = server.agent(home.path(), &bob, &["http", "3000", "-s", "admin"]);
    admin.line("name \"admin\" is reserved (ERR_BOX_113)");
}

#[test]
fn a_tcp_port_carries_bytes_both_ways_with_half_close() {
    let server = Server::start();
    let token = server.token("ann");
    // Answers only after the client has ended its direction.
    let port = origin(|mut stream| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes.reverse();
        let _ = stream.write_all(&bytes);
    });
    let home = scratch();
    let remote = server.tcp.to_string();
    let mut agent =
        server.agent(home.path(), &token, &["tcp", &port.to_string(), "--remote-port", &remote]);
    agent.line(&format!("url=tcp://edge.test:{remote}"));
    let sent: Vec<u8> = (0..5_000_000u32).map(|n| (n * 7) as u8).collect();
    let mut client = dial(server.tcp);
    let mut writer = client.try_clone().expect("a handle");
    let copy = sent.clone();
    let feeder = std::thread::spawn(move || {
        writer.write_all(&copy).expect("sent");
        writer.shutdown(std::net::Shutdown::Write).expect("half-closed");
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("an answer");
    feeder.join().expect("sent");
    assert_eq!(got.len(), sent.len());
    assert!(got.iter().rev().eq(sent.iter()));
    let mut other = server.agent(home.path(), &token, &["tcp", "22", "--remote-port", "1"]);
    other.line("port 1 is outside of");
}

#[test]
fn the_agent_comes_back_after_the_server_was_killed() {
    let mut server = Server::start();
    let token = server.token("ann");
    let port = http_origin(|_| ok(b"mine"));
    let home = scratch();
    let mut agent = server.agent(home.path(), &token, &["http", &port.to_string(), "-s", "web"]);
    agent.url();
    assert!(server.get("web.edge.test", "/").ends_with("mine"));
    server.running.signal(box_harness::Signal::SIGKILL);
    server.running.ended();
    agent.line("session reconnecting");
    server.running =
        Server::run(server.home.path(), server.http, server.https, server.agents, server.tcp);
    box_harness::wait_until("the agent to come back", 15, || {
        server.get("web.edge.test", "/").ends_with("mine")
    });
}

#[test]
fn a_killed_agent_gives_its_name_to_its_successor_at_once() {
    let server = Server::start();
    let token = server.token("ann");
    let home = scratch();
    let port = http_origin(|_| ok(b"mine"));
    let args = ["http", &port.to_string(), "-s", "web"];
    let mut first = server.agent(home.path(), &token, &args);
    first.url();
    first.signal(box_harness::Signal::SIGSTOP); // frozen: its connection still stands
    let mut second = server.agent(home.path(), &token, &args);
    second.url();
    assert!(server.get("web.edge.test", "/").ends_with("mine"));
    first.signal(box_harness::Signal::SIGCONT);
}

#[test]
fn an_offline_tunnel_answers_502_after_a_moment() {
    let server = Server::start();
    let token = server.token("ann");
    let home = scratch();
    let mut agent = server.agent(home.path(), &token, &["http", "3000", "-s", "web"]);
    agent.url();
    agent.signal(box_harness::Signal::SIGKILL);
    agent.ended();
    let answer = server.get("web.edge.test", "/");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("the agent of web.edge.test is offline"), "{answer}");
}

#[test]
fn the_servers_certificate_is_remembered_and_a_changed_one_refused() {
    let server = Server::start();
    let token = server.token("ann");
    let home = scratch();
    server.agent(home.path(), &token, &["http", "3000", "-s", "web"]).url();
    let known = home.path().join(".config/box/proxy/known_servers");
    let line = std::fs::read_to_string(&known).expect("remembered");
    let other = line.replace(line.trim().split(' ').nth(1).expect("a digest"), &"0".repeat(64));
    std::fs::write(&known, other).expect("changed");
    let mut agent = server.agent(home.path(), &token, &["http", "3000", "-s", "web"]);
    agent.line("has changed");
    assert_eq!(agent.ended(), Some(1));
}
