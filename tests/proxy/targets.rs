//! What a tunnel can lead to: sockets of the Unix domain, TLS, services that speak first.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixListener;

use box_harness::{oracle, scratch};

use crate::server::Server;
use crate::support::*;

#[test]
fn a_socket_of_the_unix_domain_is_served() {
    let home = scratch();
    let path = home.path().join("app.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Each thread of the proxy keeps a connection of its own.
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().expect("a handle");
                let mut reader = BufReader::new(stream);
                while let Some(request) = read_request(&mut reader) {
                    let _ = writer.write_all(&ok(request.target().as_bytes()));
                }
            });
        }
    });
    let to = format!("unix:{}", path.display());
    let mut proxy = Running::start(home.path(), &["run", "--listen", "127.0.0.1:0", "--to", &to]);
    let port = proxy.listening("http");
    for target in ["/one", "/two"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8_lossy(&exchange(port, request.as_bytes())).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with(target), "{text}");
    }
    std::fs::remove_file(&path).expect("removed");
    let _ = exchange(port, b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
}

/// A service with a certificate of an authority that nobody trusts: the local edge of a box.
fn https_origin(home: &std::path::Path) -> (Running, String, u16) {
    std::fs::write(home.join("secret.txt"), "behind TLS").expect("written");
    let args = ["file", ".", "--https-port", "0", "--http-port", "0", "--inspector-port", "0"];
    let mut origin = Running::start(home, &args);
    let (host, port) = origin.url();
    (origin, host, port)
}

#[test]
fn an_https_target_is_checked_unless_told_otherwise() {
    let (origin_home, home) = (scratch(), scratch());
    let (_origin, host, port) = https_origin(origin_home.path());
    let to = format!("https://localhost:{port}");
    let get = |more: &[&str]| {
        let mut args = vec!["run", "--listen", "127.0.0.1:0", "--to", &to];
        args.extend(more);
        let mut proxy = Running::start(home.path(), &args);
        let request =
            format!("GET /secret.txt HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        let answer = exchange(proxy.listening("http"), request.as_bytes());
        String::from_utf8_lossy(&answer).into_owned()
    };
    let refused = get(&[]);
    assert!(refused.starts_with("HTTP/1.1 502 "), "{refused}");
    assert!(refused.contains("ERR_BOX_203"), "{refused}");
    let passed = get(&["--upstream-tls-verify=false"]);
    // The connection is for localhost, the request for another name: the origin says so itself.
    assert!(passed.starts_with("HTTP/1.1 421 "), "{passed}");
}

#[test]
fn a_tls_tunnel_shows_the_certificate_of_the_origin() {
    if oracle("curl").is_none() {
        return;
    }
    let origin_home = scratch();
    let (_origin, host, port) = https_origin(origin_home.path());
    let server = Server::start();
    let token = server.token("ann");
    let home = scratch();
    let target = port.to_string();
    let mut agent = server.agent(home.path(), &token, &["tls", &target, "--domain", &host]);
    agent.line("msg=\"started tunnel\"");
    let get = |authority: &std::path::Path| {
        std::process::Command::new("curl")
            .args(["-sS", "--max-time", "20", "--cacert"])
            .arg(authority)
            .args(["--resolve", &format!("{host}:{}:127.0.0.1", server.https)])
            // The name of the certificate, the port of the origin: the Host must be the origin's.
            .args(["-H", &format!("Host: {host}")])
            .arg(format!("https://{host}:{}/secret.txt", server.https))
            .output()
            .expect("curl runs")
    };
    let output = get(&ca(origin_home.path()));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "behind TLS", "{errors}");
    let of_the_server = server.home.path().join("data/ca/ca.pem");
    assert_eq!(
        get(&of_the_server).status.code(),
        Some(60),
        "the server's authority signed nothing"
    );
}

#[test]
fn a_service_that_speaks_first_is_heard() {
    let port = origin(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-test\r\n");
        let _ = stream.read(&mut [0; 16]);
    });
    let server = Server::start();
    let token = server.token("ann");
    let home = scratch();
    let remote = server.tcp.to_string();
    let args = ["tcp", &port.to_string(), "--remote-port", &remote];
    let mut agent = server.agent(home.path(), &token, &args);
    agent.line("msg=\"started tunnel\"");
    let mut client = dial(server.tcp);
    let mut banner = [0; 14];
    client.read_exact(&mut banner).expect("the banner without a word of ours");
    assert_eq!(&banner, b"SSH-2.0-test\r\n");
}

#[test]
fn tokens_are_listed_without_their_secret() {
    let server = Server::start();
    let (ann, bob) = (server.token("ann"), server.token("bob"));
    let data = server.home.path().join("data").display().to_string();
    let list = bx().run(["proxy", "token", "list", "--data", &data]).succeeds().out();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.lines().next().is_some_and(|line| line.starts_with("ann ")), "{list}");
    assert!(!list.contains(&ann) && !list.contains(&bob), "{list}");
    let json = bx().run(["proxy", "token", "list", "--json", "--data", &data]).succeeds().out();
    for (line, (user, token)) in json.lines().zip([("ann", &ann), ("bob", &bob)]) {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(entry["user"], user);
        let hint = entry["hint"].as_str().expect("a hint");
        let secret = token.strip_prefix(&format!("box_{user}_")).expect("the user is in the token");
        assert!(secret.starts_with(hint) && hint.len() * 4 < secret.len(), "{line}");
    }
    bx().run(["proxy", "token", "revoke", "nobody", "--data", &data])
        .fails(1)
        .stderr("box: proxy: nobody: no such user or token\n");
}
