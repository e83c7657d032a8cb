//! Webhooks that their provider has signed.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use box_harness::{oracle, scratch};

use crate::support::*;

/// A tunnel with these flags, and the heads that its service has seen.
struct Guarded {
    _proxy: Running,
    host: String,
    http: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

fn guarded(home: &Path, flags: &[&str]) -> Guarded {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let remembered = seen.clone();
    let port = http_origin(move |request| {
        let answer = ok(&request.body);
        let copy = Request { head: request.head.clone(), body: request.body.clone() };
        remembered.lock().expect("unpoisoned").push(copy);
        answer
    });
    let target = port.to_string();
    let mut args =
        vec!["http", &target, "--https-port", "0", "--http-port", "0", "--inspector-port", "0"];
    args.extend(flags);
    let mut proxy = Running::start(home, &args);
    let ((host, _), http) = (proxy.url(), proxy.http_port());
    Guarded { _proxy: proxy, host, http, seen }
}

impl Guarded {
    fn ask(&self, fields: &str, body: &str) -> String {
        let request = format!(
            "POST /hook HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n{body}",
            self.host,
            body.len()
        );
        String::from_utf8_lossy(&exchange(self.http, request.as_bytes())).into_owned()
    }

    fn count(&self) -> usize {
        self.seen.lock().expect("unpoisoned").len()
    }
}

/// HMAC-SHA256 by openssl.
fn signature(secret: &str, data: &str) -> String {
    let ran = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$2\" | openssl dgst -sha256 -hmac \"$1\" -hex",
            "sh",
            secret,
            data,
        ])
        .output()
        .expect("sh runs");
    String::from_utf8_lossy(&ran.stdout).trim().rsplit(' ').next().expect("digits").to_owned()
}

#[test]
fn only_what_the_provider_has_signed_comes_through() {
    if oracle("openssl").is_none() {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let old = now - 301;
    let body = "{\"a\": 1}";
    let of = |data: &str| signature("s3cret", data);
    type Fields = Box<dyn Fn(&str, u64) -> String>;
    let github: Fields =
        Box::new(move |body, _| format!("X-Hub-Signature-256: sha256={}\r\n", of(body)));
    let stripe: Fields = Box::new(move |body, time| {
        let (good, other) = (of(&format!("{time}.{body}")), "0".repeat(64));
        format!("Stripe-Signature: t={time},v1={other},v1={good}\r\n")
    });
    let slack: Fields = Box::new(move |body, time| {
        let good = of(&format!("v0:{time}:{body}"));
        format!("X-Slack-Request-Timestamp: {time}\r\nX-Slack-Signature: v0={good}\r\n")
    });
    for (provider, fields, has_time) in
        [("github", github, false), ("stripe", stripe, true), ("slack", slack, true)]
    {
        let home = scratch();
        let flags = ["--verify-webhook", provider, "--verify-webhook-secret", "s3cret"];
        let tunnel = guarded(home.path(), &flags);
        let refused = |answer: String| {
            assert!(
                answer.starts_with("HTTP/1.1 403 ") && answer.contains("ERR_BOX_404"),
                "{answer}"
            );
        };
        refused(tunnel.ask("", body));
        refused(tunnel.ask(&fields(body, now), "{\"a\": 2}"));
        refused(tunnel.ask(&fields(body, now).replace(['a', 'b', 'c'], "d"), body));
        if has_time {
            refused(tunnel.ask(&fields(body, old), body));
        }
        assert_eq!(tunnel.count(), 0, "{provider}: the service has seen none of them");
        let passed = tunnel.ask(&fields(body, now), body);
        assert!(
            passed.starts_with("HTTP/1.1 200 ") && passed.ends_with(body),
            "{provider}: {passed}"
        );
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{}\r\n8\r\n{body}\r\n0\r\n\r\n",
            tunnel.host,
            fields(body, now)
        );
        let answer = exchange(tunnel.http, chunked.as_bytes());
        assert!(answer.ends_with(body.as_bytes()), "{}", String::from_utf8_lossy(&answer));
    }
}
