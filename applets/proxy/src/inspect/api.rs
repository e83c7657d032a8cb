//! The page, and the agent API with ngrok's field names.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use box_wire::http1::{FieldName, RequestHead, authority};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use super::store::{Entry, Message, Store};
use crate::agent::{Service, TunnelSpec};
use crate::http1::{Answer, Record, Role, Route, Site, Visitor, phrase, serve};
use crate::io::{Buffer, Conn, Stream};
use crate::protocol::TunnelKind;

const PAGE: &str = include_str!("page.html");
/// Requests in a list, unless asked for otherwise.
const LISTED: usize = 50;

/// What the inspector knows.
pub struct Inspector {
    /// The recorded requests.
    pub store: Rc<RefCell<Store>>,
    /// The tunnels.
    pub tunnels: Vec<Rc<TunnelSpec>>,
}

/// Answers the inspector's requests.
pub struct InspectorSite(pub Rc<Inspector>);

impl InspectorSite {
    /// Serves the inspector on a listener until it is dropped.
    pub async fn run(self, listener: TcpListener) {
        let site = Rc::new(self);
        loop {
            let Ok((socket, client)) = listener.accept().await else {
                // Out of descriptors: they come back when others close theirs.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let conn = Conn::new(Stream::Tcp(socket), Buffer::default());
            let visitor = Visitor { client, tls: false, server_name: None, movable: false };
            tokio::task::spawn_local(serve(conn, visitor, site.clone(), Role::Edge));
        }
    }
}

impl Site for InspectorSite {
    fn route(&self, head: &RequestHead<'_>, _: &Visitor) -> Route {
        if let Some(why) = foreign(head) {
            return Route::Answer(Answer::text(403, format!("{why}\n")));
        }
        let target = std::str::from_utf8(head.target).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let inspector = &self.0;
        match (head.method, path.trim_end_matches('/')) {
            (b"GET", "") => Route::Answer(page()),
            (b"GET", "/api") => Route::Answer(object(
                200,
                &json!({
                    "uri": "/api", "tunnels": "/api/tunnels", "requests": "/api/requests/http",
                }),
            )),
            (b"GET", "/api/tunnels") => {
                let tunnels: Vec<Value> =
                    inspector.tunnels.iter().map(|tunnel| inspector.tunnel(tunnel)).collect();
                Route::Answer(object(200, &json!({"tunnels": tunnels, "uri": "/api/tunnels"})))
            }
            (b"GET", "/api/requests/http") => Route::Answer(inspector.list(query)),
            (b"DELETE", "/api/requests/http") => {
                inspector.store.borrow_mut().clear();
                Route::Answer(Answer::text(204, ""))
            }
            (b"POST", "/api/requests/http") => {
                let inspector = inspector.clone();
                Route::Read(Box::new(move |body| {
                    Box::pin(async move { replay(&inspector, &body).await })
                }))
            }
            (b"GET", path) => Route::Answer(inspector.one(path)),
            _ => Route::Answer(missing("no such resource")),
        }
    }

    fn finished(&self, _: &Record) {}

    fn wants_records(&self) -> bool {
        false
    }
}

/// Why a request does not come from this computer's own pages or programs.
fn foreign(head: &RequestHead<'_>) -> Option<&'static str> {
    let local = |host: &str| {
        matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
    };
    if !head.host.and_then(authority).is_some_and(|(host, _)| local(host)) {
        return Some("the inspector answers to localhost only");
    }
    let origin = head.fields.named("origin");
    let own = origin.is_none_or(|origin| {
        origin.strip_prefix(b"http://").is_some_and(|rest| Some(rest) == head.host)
    });
    (!own).then_some("the request was sent by a page of another site")
}

fn page() -> Answer {
    let mut answer = Answer::text(200, PAGE)
        .field(
            "Content-Security-Policy",
            "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
        )
        .field("Cache-Control", "no-store")
        .field("X-Content-Type-Options", "nosniff");
    answer.media_type = "text/html; charset=utf-8";
    answer
}

fn object(status: u16, value: &Value) -> Answer {
    let mut answer = Answer::text(status, format!("{value}\n"));
    answer.media_type = "application/json";
    answer
}

fn missing(what: &str) -> Answer {
    object(404, &json!({"error_code": 100, "status_code": 404, "msg": what}))
}

impl Inspector {
    fn list(&self, query: &str) -> Answer {
        let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit=")?.parse().ok());
        let store = self.store.borrow();
        let entries = store.entries.iter().take(limit.unwrap_or(LISTED));
        let requests: Vec<Value> = entries.map(|entry| self.entry(entry, false)).collect();
        object(200, &json!({"uri": "/api/requests/http", "requests": requests}))
    }

    fn one(&self, path: &str) -> Answer {
        if let Some(name) = path.strip_prefix("/api/tunnels/") {
            let found = self.tunnels.iter().find(|tunnel| *tunnel.name.borrow() == name);
            return found
                .map_or_else(|| missing("no such tunnel"), |t| object(200, &self.tunnel(t)));
        }
        let id = path.strip_prefix("/api/requests/http/").and_then(|id| id.parse().ok());
        let found = id.and_then(|id| self.store.borrow().find(id));
        found.map_or_else(|| missing("no such request"), |e| object(200, &self.entry(&e, true)))
    }

    fn tunnel(&self, tunnel: &TunnelSpec) -> Value {
        let store = self.store.borrow();
        let name = tunnel.name.borrow().clone();
        let url = tunnel.urls.borrow().first().cloned().unwrap_or_default();
        let proto = match tunnel.kind {
            TunnelKind::Http => "https",
            TunnelKind::Tcp => "tcp",
            TunnelKind::Tls => "tls",
        };
        let p = store.percentiles(&[50, 90, 95, 99]);
        let metrics = json!({
            "count": store.count, "gauge": 0,
            "rate1": store.rate(1), "rate5": store.rate(5), "rate15": store.rate(15),
            "p50": p[0], "p90": p[1], "p95": p[2], "p99": p[3],
        });
        json!({
            "name": name, "ID": name, "uri": format!("/api/tunnels/{name}"),
            "public_url": url, "urls": *tunnel.urls.borrow(), "proto": proto,
            "config": {"addr": tunnel.shown_target, "inspect": true},
            "metrics": {"conns": metrics, "http": metrics},
        })
    }

    fn entry(&self, entry: &Entry, whole: bool) -> Value {
        let tunnel = self.tunnels.first().map(|t| t.name.borrow().clone()).unwrap_or_default();
        let mut request = message(&entry.request, whole);
        request.insert("method".into(), json!(entry.method));
        request.insert("uri".into(), json!(entry.uri));
        let mut response = message(&entry.response, whole);
        response.insert("status_code".into(), json!(entry.status));
        response
            .insert("status".into(), json!(format!("{} {}", entry.status, phrase(entry.status))));
        json!({
            "id": entry.id.to_string(), "uri": format!("/api/requests/http/{}", entry.id),
            "tunnel_name": tunnel, "remote_addr": entry.client, "start": entry.start,
            "duration": entry.duration.as_nanos() as u64, "error": entry.error,
            "request": request, "response": response,
        })
    }
}

/// A message as JSON; `whole` with its raw bytes.
fn message(message: &Message, whole: bool) -> Map<String, Value> {
    let mut headers: Map<String, Value> = Map::new();
    let head = String::from_utf8_lossy(&message.head);
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        let values = headers.entry(name.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(json!(value.trim()));
        }
    }
    let mut object = Map::new();
    object.insert("proto".into(), json!("HTTP/1.1"));
    object.insert("headers".into(), Value::Object(headers));
    object.insert("length".into(), json!(message.length));
    object.insert("truncated".into(), json!(message.is_truncated()));
    if whole {
        let raw = [&message.head[..], &message.body[..]].concat();
        object.insert("raw".into(), json!(STANDARD.encode(raw)));
    }
    object
}

/// Sends a recorded request to the service again; it is recorded as a new one.
async fn replay(inspector: &Inspector, body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = match &asked["id"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let entry = id.and_then(|id| inspector.store.borrow().find(id));
    let Some(entry) = entry else { return missing("no such request") };
    if entry.request.is_truncated() {
        let msg = "the body was not recorded whole";
        return object(400, &json!({"error_code": 101, "status_code": 400, "msg": msg}));
    }
    let site = inspector.tunnels.iter().find_map(|tunnel| match &tunnel.service {
        Service::Http(site) => Some(site.clone()),
        Service::Bytes(_) => None,
    });
    let (Some(site), Ok((ours, theirs))) = (site, UnixStream::pair()) else {
        return missing("no such tunnel");
    };
    let client = entry.client.parse().unwrap_or_else(|_| ([127, 0, 0, 1], 0).into());
    let visitor = Visitor { client, tls: false, server_name: None, movable: false };
    let conn = Conn::new(Stream::Unix(theirs), Buffer::default());
    let served = tokio::task::spawn_local(serve(conn, visitor, site, Role::Stream));
    let (mut reader, mut writer) = ours.into_split();
    let bytes = framed_by_length(&entry.request);
    let sent = tokio::task::spawn_local(async move {
        let _ = writer.write_all(&bytes).await;
        writer
    });
    let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
    let _ = reader.read(&mut [0]).await;
    drop(sent.await);
    let _ = served.await;
    Answer::text(204, "")
}

/// The request with the recorded body, whatever framed it when it came.
fn framed_by_length(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.head.len() + message.body.len() + 32);
    for line in message.head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let framing = matches!(
            FieldName::of(name),
            FieldName::ContentLength | FieldName::TransferEncoding | FieldName::Expect
        );
        if !framing && line != b"\r\n" {
            bytes.extend_from_slice(line);
        }
    }
    if !message.body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", message.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&message.body);
    bytes
}
