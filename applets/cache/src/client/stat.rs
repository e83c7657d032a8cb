//! `--stat`: a line a second about memory, clients and requests.

use std::thread;
use std::time::Duration;

use box_kit::Exit;
use box_wire::resp::Reply;

use super::session::Session;
use super::{Stop, show, text_of};

/// The head is repeated after so many lines.
const HEAD_EVERY: usize = 20;

/// Prints until it is stopped; a server that goes away is waited for.
///
/// # Errors
/// Standard output is closed.
pub fn run(mut session: Session<'_>) -> Result<Exit, Stop> {
    let interval = session.options().interval;
    let interval = if interval.is_zero() { Duration::from_secs(1) } else { interval };
    let (mut lines, mut requests_before) = (0usize, None);
    loop {
        let Some(connection) = session.connection() else {
            session.try_connect()?;
            thread::sleep(interval);
            continue;
        };
        let reply = match connection.call(&["INFO"]) {
            Ok(Reply::Error(text)) => {
                return Err(Stop::said(format!("ERROR: {}", String::from_utf8_lossy(&text))));
            }
            Ok(reply) => reply,
            Err(_) => {
                session.try_connect()?;
                thread::sleep(interval);
                continue;
            }
        };
        let info = Info(String::from_utf8_lossy(text_of(&reply).unwrap_or_default()).into_owned());
        if lines % HEAD_EVERY == 0 {
            show(
                b"------- data ------ --------------------- load -------------------- - child -\n\
                  keys       mem      clients blocked requests            connections          \n",
            )?;
        }
        lines += 1;
        let requests = info.number("total_commands_processed");
        let more = requests_before.map_or(0, |before: i64| requests - before);
        requests_before = Some(requests);
        show(line(&info, requests, more).as_bytes())?;
        thread::sleep(interval);
    }
}

fn line(info: &Info, requests: i64, more: i64) -> String {
    let child = ["", "SAVE", "AOF", "SAVE+AOF"];
    let saving = usize::from(info.number("rdb_bgsave_in_progress") != 0)
        + 2 * usize::from(info.number("aof_rewrite_in_progress") != 0);
    let child = if info.number("loading") != 0 {
        "LOAD"
    } else {
        child.get(saving).copied().unwrap_or_default()
    };
    format!(
        "{:<11}{:<9}{:<8}{:<8}{:<20}{:<12}{child}\n",
        info.keys(),
        human(info.number("used_memory")),
        info.number("connected_clients"),
        info.number("blocked_clients"),
        format!("{requests} (+{more})"),
        info.number("total_connections_received"),
    )
}

/// The text of INFO.
struct Info(String);

impl Info {
    fn number(&self, name: &str) -> i64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map_or(0, super::options::leading_integer)
    }

    /// The keys of all databases: `db0:keys=3,expires=0,...`.
    fn keys(&self) -> i64 {
        let counts = self.0.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("db")?.split_once(":keys=")?;
            name.parse::<u32>().ok()?;
            Some(super::options::leading_integer(rest))
        });
        counts.sum()
    }
}

fn human(bytes: i64) -> String {
    let value = bytes as f64;
    match bytes {
        ..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.2}K", value / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.2}M", value / 1_048_576.0),
        _ => format!("{:.2}G", value / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_columns_of_its_head() {
        let info = Info(
            "used_memory:1908408\r\nconnected_clients:1\r\nblocked_clients:0\r\n\
             total_connections_received:382\r\ndb0:keys=250,expires=0\r\ndb3:keys=5\r\n"
                .into(),
        );
        let expected = "255        1.82M    1       0       4829 (+0)           382         \n";
        assert_eq!(line(&info, 4829, 0), expected);
    }
}
