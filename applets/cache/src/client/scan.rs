//! `--scan`: the keys, one a line.

use box_kit::Exit;
use box_wire::resp::Reply;

use super::connection::Connection;
use super::options::Options;
use super::render::{self, Output};
use super::{Stop, ask, show};

/// Goes through the keyspace in the steps that SCAN makes.
pub struct Walk {
    cursor: Vec<u8>,
    pattern: Option<Vec<u8>>,
    begun: bool,
}

impl Walk {
    /// Of the keys that match `pattern`.
    pub fn new(pattern: Option<&[u8]>) -> Walk {
        Walk { cursor: b"0".to_vec(), pattern: pattern.map(<[u8]>::to_vec), begun: false }
    }

    /// The keys of the next step; `None` behind the last.
    ///
    /// # Errors
    /// The server refuses, or its answer is none of SCAN.
    pub fn step(&mut self, connection: &mut Connection) -> Result<Option<Vec<Vec<u8>>>, Stop> {
        if self.begun && self.cursor == b"0" {
            return Ok(None);
        }
        self.begun = true;
        let mut args: Vec<&[u8]> = vec![b"SCAN", &self.cursor];
        if let Some(pattern) = &self.pattern {
            args.extend([&b"MATCH"[..], pattern]);
        }
        let reply = ask(connection, &args)?;
        let Some((cursor, keys)) = cursor_and_keys(reply) else {
            return Err(Stop::said("Invalid response from SCAN"));
        };
        self.cursor = cursor;
        Ok(Some(keys))
    }
}

fn cursor_and_keys(reply: Reply) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Reply::Array(mut parts) = reply else { return None };
    let (Some(Reply::Array(keys)), Some(Reply::Bulk(cursor)), None) =
        (parts.pop(), parts.pop(), parts.pop())
    else {
        return None;
    };
    let keys = keys.into_iter().map(|key| match key {
        Reply::Bulk(key) | Reply::Status(key) => Some(key),
        _ => None,
    });
    Some((cursor, keys.collect::<Option<_>>()?))
}

/// Lists the keys.
///
/// # Errors
/// The server refuses.
pub fn run(mut connection: Connection, options: &Options) -> Result<Exit, Stop> {
    let mut walk = Walk::new(options.pattern.as_deref());
    while let Some(keys) = walk.step(&mut connection)? {
        let mut out = Vec::new();
        for key in keys {
            if options.output == Output::Standard {
                render::quote(&key, &mut out);
            } else {
                out.extend_from_slice(&key);
            }
            out.push(b'\n');
        }
        show(&out)?;
        std::thread::sleep(options.interval);
    }
    Ok(Exit::DONE)
}
