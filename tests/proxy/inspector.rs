//! The inspector's API, with ngrok's field names, and what it refuses.

use std::path::Path;

use box_harness::{scratch, wait_until};
use serde_json::Value;

use crate::support::*;

pub struct Inspected {
    _proxy: Running,
    host: String,
    http: u16,
    pub inspector: u16,
}

pub fn start(home: &Path, target: u16) -> Inspected {
    let target = target.to_string();
    let args = ["http", &target, "--https-port", "0", "--http-port", "0", "--inspector-port", "0"];
    let mut proxy = Running::start(home, &args);
    let (host, _) = proxy.url();
    let line = proxy.line("msg=inspector");
    let inspector = line.rsplit(':').next().and_then(|p| p.trim().parse().ok()).expect("a port");
    let http = proxy.http_port();
    Inspected { _proxy: proxy, host, http, inspector }
}

impl Inspected {
    fn raw(&self, method: &str, path: &str, fields: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n{body}",
            body.len()
        );
        String::from_utf8_lossy(&exchange(self.inspector, request.as_bytes())).into_owned()
    }

    fn get(&self, path: &str) -> Value {
        let host = format!("Host: 127.0.0.1:{}\r\n", self.inspector);
        let text = self.raw("GET", path, &host, "");
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}"))
    }

    pub fn visit(&self, method: &str, path: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        let answer = exchange(self.http, request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn tunnels_and_requests_have_ngroks_fields_and_replay_sends_again() {
    let home = scratch();
    let (told, bodies) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let port = http_origin(move |request| {
        let _ = told.lock().expect("unpoisoned").send(request.body.clone());
        ok(b"<script>alert(1)</script>")
    });
    let inspected = start(home.path(), port);
    let tunnels = inspected.get("/api/tunnels");
    let tunnel = &tunnels["tunnels"][0];
    let url = tunnel["public_url"].as_str().expect("a URL");
    assert!(url.starts_with(&format!("https://{}", inspected.host)), "{url}");
    assert_eq!(tunnel["config"]["addr"], format!("http://localhost:{port}"));
    assert_eq!(tunnel["proto"], "https");
    inspected.visit("POST", "/a?<script>".replace('<', "%3C").as_str(), "payload");
    wait_until("the request to be listed", 10, || {
        inspected.get("/api/requests/http?limit=5")["requests"]
            .as_array()
            .is_some_and(|r| r.len() == 1)
    });
    let listed = inspected.get("/api/requests/http?limit=5");
    let request = &listed["requests"][0];
    assert_eq!(request["request"]["method"], "POST");
    assert_eq!(request["response"]["status_code"], 200);
    let id = request["id"].as_str().expect("an id");
    let one = inspected.get(&format!("/api/requests/http/{id}"));
    assert!(one["request"]["raw"].as_str().is_some_and(|raw| !raw.is_empty()));
    let metrics = &inspected.get("/api/tunnels")["tunnels"][0]["metrics"]["http"];
    assert_eq!(metrics["count"], 1);
    assert!(metrics["p50"].as_u64().is_some_and(|nanos| nanos > 0), "{metrics}");
    assert_eq!(bodies.recv_timeout(PATIENCE).as_deref(), Ok(&b"payload"[..]));
    let host = format!("Host: localhost:{}\r\n", inspected.inspector);
    let answer =
        inspected.raw("POST", "/api/requests/http", &host, &format!("{{\"id\":\"{id}\"}}"));
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(bodies.recv_timeout(PATIENCE).as_deref(), Ok(&b"payload"[..]));
    wait_until("the replay to be listed", 10, || {
        inspected.get("/api/requests/http")["requests"].as_array().is_some_and(|r| r.len() == 2)
    });
    let page = inspected.raw("GET", "/", &host, "");
    assert!(page.contains("<title>box proxy</title>"), "{page}");
}

#[test]
fn pages_of_other_sites_are_refused() {
    let home = scratch();
    let inspected = start(home.path(), http_origin(|_| ok(b"ok")));
    let evil = inspected.raw("GET", "/api/tunnels", "Host: evil.test\r\n", "");
    assert!(evil.starts_with("HTTP/1.1 403 "), "{evil}");
    let host = format!("Host: 127.0.0.1:{}\r\nOrigin: http://evil.test\r\n", inspected.inspector);
    let evil = inspected.raw("POST", "/api/requests/http", &host, "{\"id\":1}");
    assert!(evil.starts_with("HTTP/1.1 403 "), "{evil}");
}
