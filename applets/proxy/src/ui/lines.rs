//! Events as lines: logfmt or JSON, one set of keys for both.

use serde_json::{Value, json};

use super::Event;
use crate::clock;
use crate::http1::Record;

type Pairs = Vec<(&'static str, Value)>;

/// One event as a line with its end.
pub fn line(event: &Event, as_json: bool) -> String {
    let (level, msg, rest) = pairs(event);
    let mut all = vec![("t", json!(clock::rfc3339())), ("lvl", json!(level)), ("msg", json!(msg))];
    all.extend(rest);
    if as_json {
        let object: serde_json::Map<String, Value> =
            all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        return format!("{}\n", Value::Object(object));
    }
    let words: Vec<String> =
        all.iter().map(|(key, value)| format!("{key}={}", logfmt(value))).collect();
    words.join(" ") + "\n"
}

fn logfmt(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            quoted(&items.join(","))
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\'));
    if plain { text.to_owned() } else { json!(text).to_string() }
}

fn pairs(event: &Event) -> (&'static str, &str, Pairs) {
    match event {
        Event::Forwarding { name, urls, target } => {
            let url = urls.first().map_or("", String::as_str);
            let pairs = vec![
                ("name", json!(name)),
                ("addr", json!(target)),
                ("url", json!(url)),
                ("urls", json!(urls)),
            ];
            ("info", "started tunnel", pairs)
        }
        Event::Online { server, user, rtt, lanes } => {
            let server = server.as_deref().unwrap_or("local");
            let rtt = millis(*rtt);
            let pairs = vec![
                ("server", json!(server)),
                ("user", json!(user)),
                ("rtt_ms", json!(rtt)),
                ("lanes", json!(lanes)),
            ];
            ("info", "session online", pairs)
        }
        Event::Reconnecting { attempt, delay, why } => {
            let pairs = vec![
                ("try", json!(attempt)),
                ("in_ms", json!(millis(*delay))),
                ("why", json!(why)),
            ];
            ("warn", "session reconnecting", pairs)
        }
        Event::Request(record) => {
            (if record.status >= 500 { "warn" } else { "info" }, "request", request(record))
        }
        Event::Connection { client, received, sent, error } => {
            let mut pairs = vec![
                ("client", json!(client.to_string())),
                ("in", json!(received)),
                ("out", json!(sent)),
            ];
            pairs.extend(error.as_ref().map(|error| ("err", json!(error))));
            ("info", "connection", pairs)
        }
        Event::Bound { user, urls } => {
            ("info", "tunnel bound", vec![("user", json!(user)), ("urls", json!(urls))])
        }
        Event::AgentGone { user, why } => {
            ("info", "agent gone", vec![("user", json!(user)), ("why", json!(why))])
        }
        Event::Listening { what, address } => {
            ("info", "listening", vec![("for", json!(what)), ("addr", json!(address))])
        }
        Event::Inspector(address) => ("info", "inspector", vec![("addr", json!(address))]),
        Event::Certificate(state) => ("info", "certificate", vec![("state", json!(state))]),
        Event::Notice(text) => ("info", text, Vec::new()),
        Event::End => ("info", "end", Vec::new()),
    }
}

fn request(record: &Record) -> Pairs {
    let mut pairs = vec![
        ("client", json!(record.client.to_string())),
        ("host", json!(record.host)),
        ("method", json!(record.method)),
        ("path", json!(record.target)),
        ("status", json!(record.status)),
        ("ms", json!(millis(record.total))),
        ("in", json!(record.received)),
        ("out", json!(record.sent)),
    ];
    pairs.extend(record.error.as_ref().map(|error| ("err", json!(error))));
    pairs
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_one_line_with_its_url() {
        let event = Event::Forwarding {
            name: "brave-otter".into(),
            urls: vec!["https://brave-otter.localhost:8443".into()],
            target: "http://localhost:3000".into(),
        };
        let text = line(&event, false);
        assert!(text.contains(" url=https://brave-otter.localhost:8443 "), "{text}");
        assert!(text.contains("msg=\"started tunnel\""), "{text}");
        let object: Value = serde_json::from_str(&line(&event, true)).expect("JSON");
        assert_eq!(object["url"], "https://brave-otter.localhost:8443");
    }

    #[test]
    fn control_bytes_do_not_reach_the_terminal() {
        assert_eq!(quoted("a\x1b[2Jb"), "\"a\\u001b[2Jb\"");
    }
}
