//! `box proxy run CONFIG`: routes, groups of servers, TLS, PROXY headers, reload.

use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use box_harness::{free_port, oracle, scratch, wait_until};

use crate::support::*;

/// A file in a home folder.
fn config(home: &Path, text: &str) -> PathBuf {
    let path = home.join("proxy.toml");
    std::fs::write(&path, text).expect("written");
    path
}

fn run(home: &Path, text: &str) -> (Running, u16) {
    let path = config(home, text).display().to_string();
    let mut proxy = Running::start(home, &["run", &path]);
    let port = proxy.listening("http");
    (proxy, port)
}

const LISTEN: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\n";

fn get(port: u16, host: &str, target: &str, more: &str) -> String {
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
    String::from_utf8_lossy(&exchange(port, request.as_bytes())).into_owned()
}

/// An origin that answers with its name; how often it was asked.
fn named(name: &'static str) -> (u16, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let port = http_origin(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        ok(name.as_bytes())
    });
    (port, count)
}

#[test]
fn a_file_is_checked_and_a_mistake_named_with_its_place() {
    let home = scratch();
    let route = "[[route]]\nhost = \"a.test\"\nto = \"3000\"\n";
    let good = config(home.path(), &format!("{LISTEN}{route}{route}{route}"));
    bx().run(["proxy", "check", &good.display().to_string()]).succeeds().stdout("ok: 3 routes\n");
    let bad = format!(
        "{LISTEN}{route}[[upstream]]\nname = \"app\"\nservers = [\"3000\"]\npolcy = \"random\"\n"
    );
    let bad = config(home.path(), &bad);
    let shown = bad.display();
    bx().run(["proxy", "check", &shown.to_string()]).fails(1).stdout("").stderr(format!(
        "box: proxy: {shown}:9:1: unknown key \"polcy\", did you mean \"policy\"?\n"
    ));
    bx().run(["proxy", "run", &shown.to_string()]).fails(1).stderr_has(":9:1: unknown key");
    bx().run(["proxy", "run"]).fails(2);
}

#[test]
fn requests_go_by_host_and_path() {
    let home = scratch();
    let [(app, _), (api, _), (wild, _), (rest, _)] = ["app", "api", "wild", "rest"].map(named);
    let (_proxy, port) = run(
        home.path(),
        &format!(
            "{LISTEN}\
         [[route]]\nto = \"{rest}\"\n\
         [[route]]\nhost = \"*.a.test\"\nto = \"{wild}\"\n\
         [[route]]\nhost = \"a.test\"\nto = \"{app}\"\n\
         [[route]]\nhost = \"A.test\"\npath = \"/api\"\nto = \"{api}\"\nresponse_header_add = [\"X-Mine: 1\"]\nbasic_auth = [\"u:p\"]\n"
        ),
    );
    for (host, path, expected) in [
        ("a.test", "/", "app"),
        ("A.TEST:80", "/x", "app"),
        ("a.test", "/apix", "app"),
        ("b.a.test", "/api", "wild"),
        ("c.b.a.test", "/", "rest"),
        ("z.test", "/api", "rest"),
    ] {
        let answer = get(port, host, path, "");
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{host}{path}: {answer}");
    }
    let refused = get(port, "a.test", "/api?x", "");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let passed = get(port, "a.test", "/api/x", "Authorization: Basic dTpw\r\n");
    assert!(passed.contains("X-Mine: 1") && passed.ends_with("api"), "{passed}");
}

#[test]
fn rounds_are_even_whatever_thread_serves() {
    let home = scratch();
    let servers = ["one", "two", "three"].map(named);
    let ports: Vec<String> = servers.iter().map(|(port, _)| format!("\"{port}\"")).collect();
    let (_proxy, port) = run(
        home.path(),
        &format!(
            "threads = 2\n{LISTEN}[[route]]\nto = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [{}]\n",
            ports.join(", ")
        ),
    );
    for _ in 0..30 {
        assert!(get(port, "a.test", "/", "").starts_with("HTTP/1.1 200 "));
    }
    for (_, count) in &servers {
        assert_eq!(count.load(Ordering::SeqCst), 10);
    }
}

#[test]
fn a_stalled_server_gets_nothing_more_from_least_conn() {
    let home = scratch();
    let (stalled, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (stop, counter) = (stalled.clone(), came.clone());
    let slow = http_origin(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        let end = Instant::now() + PATIENCE;
        while !stop.load(Ordering::SeqCst) && Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        ok(b"slow")
    });
    let (fast, _) = named("fast");
    let (_proxy, port) = run(
        home.path(),
        &format!(
            "{LISTEN}[[route]]\nto = \"app\"\n[[upstream]]\nname = \"app\"\npolicy = \"least_conn\"\nservers = [\"{slow}\", \"{fast}\"]\n"
        ),
    );
    // Until one of them hangs, each may be chosen.
    let mut hanging = Vec::new();
    while came.load(Ordering::SeqCst) == 0 {
        let mut client = dial(port);
        client.set_read_timeout(Some(std::time::Duration::from_millis(5))).expect("a time-out");
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("sent");
        // It hangs, or is answered.
        while came.load(Ordering::SeqCst) == 0 && client.read(&mut [0; 4096]).is_err() {}
        hanging.push(client);
    }
    for _ in 0..10 {
        assert!(get(port, "a.test", "/", "").ends_with("fast"));
    }
    assert_eq!(came.load(Ordering::SeqCst), 1);
    stalled.store(true, Ordering::SeqCst);
}

#[test]
fn a_key_keeps_its_server() {
    let home = scratch();
    let servers = ["one", "two", "three", "four"].map(named);
    let ports: Vec<String> = servers.iter().map(|(port, _)| format!("\"{port}\"")).collect();
    let (_proxy, port) = run(
        home.path(),
        &format!(
            "{LISTEN}[[route]]\nto = \"app\"\n[[upstream]]\nname = \"app\"\npolicy = \"hash:header=X-User\"\nservers = [{}]\n",
            ports.join(", ")
        ),
    );
    let of = |user: usize| get(port, "a.test", "/", &format!("X-User: {user}\r\n"));
    let first: Vec<String> = (0..16).map(of).collect();
    assert_eq!(first, (0..16).map(of).collect::<Vec<_>>());
    assert!(first.iter().any(|answer| *answer != first[0]), "all keys on one server");
}

#[test]
fn a_killed_server_loses_no_request_and_comes_back() {
    let home = scratch();
    let (steady, _) = named("steady");
    let frail = free_port();
    let start = |port: u16| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("free");
        origin_on(listener, |stream| {
            let mut writer = stream.try_clone().expect("a handle");
            let mut reader = BufReader::new(stream);
            while let Some(request) = read_request(&mut reader) {
                // Dies at this word without an answer.
                if request.target() == "/die" {
                    return;
                }
                let _ = writer.write_all(&ok(b"frail"));
            }
        });
    };
    let (mut proxy, port) = run(
        home.path(),
        &format!(
            "{LISTEN}[[route]]\nto = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [\"{steady}\", \"127.0.0.1:{frail}\"]\n\
         [upstream.health]\npath = \"/\"\ninterval = 0.1\n"
        ),
    );
    proxy.line(&format!("127.0.0.1:{frail} is down"));
    for _ in 0..10 {
        assert!(get(port, "a.test", "/", "").ends_with("steady"));
    }
    start(frail);
    proxy.line(&format!("127.0.0.1:{frail} is up"));
    wait_until("both to serve", 10, || get(port, "a.test", "/", "").ends_with("frail"));
    for _ in 0..10 {
        let answer = get(port, "a.test", "/die", "");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("steady"), "{answer}");
    }
}

#[test]
fn a_proxy_header_tells_the_client_both_ways() {
    let home = scratch();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let origin = origin(move |mut stream| {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap_or(0);
        seen.lock().expect("unpoisoned").push(bytes[..count].to_vec());
        let _ = stream.write_all(&ok(b"ok"));
    });
    let (_proxy, port) = run(
        home.path(),
        &format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\naccept_proxy = true\ntrusted_proxies = \"127.0.0.0/8\"\n\
         [[route]]\nto = \"app\"\n[[upstream]]\nname = \"app\"\nproxy_protocol = 1\nservers = [\"127.0.0.1:{origin}\"]\n"
        ),
    );
    let http = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let v1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 5555 80\r\n";
    let v2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x09\xc0\0\x02\x08\x15\xb3\0\x50\x04\0\0";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (header, client) in
        [(&v1[..], "192.0.2.7"), (&v2[..], "192.0.2.9"), (&local[..], "127.0.0.1")]
    {
        heads.lock().expect("unpoisoned").clear();
        // Byte by byte.
        let mut stream = dial(port);
        for byte in header.iter().chain(http) {
            stream.write_all(&[*byte]).expect("sent");
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.ends_with(b"ok"), "{}", String::from_utf8_lossy(&answer));
        let heads = heads.lock().expect("unpoisoned");
        let head = String::from_utf8_lossy(&heads.concat()).into_owned();
        assert!(head.starts_with(&format!("PROXY TCP4 {client} 127.0.0.1 ")), "{head}");
    }
    assert_eq!(exchange(port, http), b"", "no header, no service");
    let stranger = scratch();
    let (_proxy, port) = run(
        stranger.path(),
        &format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\naccept_proxy = true\ntrusted_proxies = \"10.0.0.0/8\"\n[[route]]\nto = \"127.0.0.1:{origin}\"\n"
        ),
    );
    assert_eq!(exchange(port, &[&v1[..], http].concat()), b"", "not everybody may say so");
}

/// A certificate for some names, signed by itself.
fn certificate(folder: &Path, name: &str, hosts: &[String]) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
    let done = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "9", "-subj", &format!("/CN={name}"), "-addext"])
        .arg(format!("subjectAltName={}", names.join(",")))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (cert, key)
}

#[test]
fn tls_is_local_or_from_files_that_may_change() {
    if oracle("openssl").is_none() || oracle("curl").is_none() {
        return;
    }
    let home = scratch();
    let (app, _) = named("app");
    let certs: String = (0..100)
        .map(|n| {
            let hosts = [format!("a{n}.test"), format!("b{n}.test")];
            let (cert, key) = certificate(home.path(), &format!("c{n}"), &hosts);
            // Names in the file come before those in the certificate.
            let names = if n == 75 { "names = [\"*.wild.test\"]" } else { "" };
            format!("[[listen.certs]]\ncert = {cert:?}\nkey = {key:?}\n{names}\n")
        })
        .collect();
    let path = config(
        home.path(),
        &format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = \"local\"\n\
         [[listen]]\naddress = \"127.0.0.2:0\"\n{certs}\n[[route]]\nto = \"{app}\"\n"
        ),
    );
    let mut proxy = Running::start(home.path(), &["run", &path.display().to_string()]);
    let local = proxy.listening("https");
    let line = proxy.line("addr=127.0.0.2:");
    let files: u16 =
        line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port");
    let output =
        curl(home.path(), "app.localhost", local, "/", &["--http2", "-w", "%{http_version}"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "app2", "{errors}");

    let shown = |host: &str| shown_at("127.0.0.2", files, host);
    assert_eq!(shown("b25.test"), "subject=CN=c25");
    assert_eq!(shown("a50.test"), "subject=CN=c50");
    assert_eq!(shown("x.wild.test"), "subject=CN=c75");
    assert_eq!(shown("unknown.test"), "subject=CN=c0");

    std::fs::write(home.path().join("c25.pem"), "garbage").expect("written");
    proxy_says(&mut proxy, &shown, "the old certificate stays");
    assert_eq!(shown("b25.test"), "subject=CN=c25");
    let hosts = ["a25.test".to_owned(), "b25.test".to_owned()];
    let (cert, key) = certificate(home.path(), "fresh", &hosts);
    std::fs::rename(key, home.path().join("c25.key")).expect("renamed");
    std::fs::rename(cert, home.path().join("c25.pem")).expect("renamed");
    wait_until("the new certificate", 10, || shown("b25.test") == "subject=CN=fresh");
}

/// The name in the certificate that is shown for a host.
fn shown_at(address: &str, port: u16, host: &str) -> String {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | openssl x509 -noout -subject"
        ))
        .output()
        .expect("sh runs");
    String::from_utf8_lossy(&output.stdout).trim().replace(' ', "")
}

/// Files are looked at when they are needed: asks until the word comes.
fn proxy_says(proxy: &mut Running, ask: &impl Fn(&str) -> String, part: &str) {
    wait_until(part, 10, || {
        ask("b25.test");
        proxy.has_said(part)
    });
}

#[test]
fn a_reload_changes_routes_and_listeners_and_leaves_connections_alone() {
    let home = scratch();
    let [(one, _), (two, _)] = ["one", "two"].map(named);
    let fixed = free_port();
    let with = |to: u16, more: &str| {
        format!("[[listen]]\naddress = \"127.0.0.1:{fixed}\"\n{more}[[route]]\nto = \"{to}\"\n")
    };
    let path = config(home.path(), &with(one, ""));
    let shown = path.display().to_string();
    let mut proxy = Running::start(home.path(), &["run", &shown]);
    proxy.listening("http");
    let reload = || {
        let mut command = bx().command(["proxy", "reload", &shown]);
        command.env("HOME", home.path()).env_remove("XDG_STATE_HOME").output().expect("box runs")
    };
    // A connection that stays open, and one that is in the middle of something.
    let mut open = dial(fixed);
    let mut ask = || {
        open.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("sent");
        let mut bytes = [0; 4096];
        let count = open.read(&mut bytes).expect("an answer");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert!(ask().ends_with("one"));
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut failed = 0;
                while !stop.load(Ordering::SeqCst) {
                    failed +=
                        usize::from(!get(fixed, "a.test", "/", "").starts_with("HTTP/1.1 200 "));
                }
                failed
            })
        })
        .collect();
    let other = free_port();
    std::fs::write(&path, with(two, &format!("[[listen]]\naddress = \"127.0.0.1:{other}\"\n")))
        .expect("written");
    let output = reload();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    proxy.line("configuration reloaded");
    wait_until("the new route", 5, || ask().ends_with("two"));
    assert!(get(other, "a.test", "/", "").ends_with("two"));

    std::fs::write(&path, with(one, "tsl = \"local\"\n")).expect("written");
    let output = reload();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("unknown key \"tsl\", did you mean \"tls\"?"), "{errors}");
    proxy.signal(box_harness::Signal::SIGHUP);
    proxy.line("the old configuration stays");
    assert!(ask().ends_with("two"));

    std::fs::write(&path, with(one, "")).expect("written");
    assert!(reload().status.success());
    wait_until("the listener to be gone", 5, || {
        std::net::TcpStream::connect(("127.0.0.1", other)).is_err()
    });
    wait_until("the old route", 5, || ask().ends_with("one"));
    stop.store(true, Ordering::SeqCst);
    let failed: usize = load.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(failed, 0, "requests failed during reloads");
    proxy.signal(box_harness::Signal::SIGTERM);
    assert_eq!(proxy.ended(), Some(0));
    let output = reload();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no proxy runs with this file"));
}

#[test]
fn the_unit_of_a_service_is_hardened_and_shown() {
    let home = scratch();
    let path = config(home.path(), &format!("{LISTEN}[[route]]\nto = \"3000\"\n"));
    let shown = path.display().to_string();
    let unit = bx().run(["proxy", "service", "install", "--dry-run", &shown]).succeeds().out();
    assert!(unit.contains(&format!("proxy run {shown}\n")), "{unit}");
    for line in
        ["DynamicUser=yes", "NoNewPrivileges=yes", "AmbientCapabilities=CAP_NET_BIND_SERVICE"]
    {
        assert!(unit.lines().any(|l| l == line), "{line}");
    }
}
