//! `--lru-test KEYS`: the hit ratio of a cache under a load in which 80 % of the requests go to
//! 20 % of the keys.

use std::time::{Duration, Instant};

use box_kit::Exit;
use box_sys::random;
use box_wire::resp::{Reply, push_request};

use super::connection::Connection;
use super::{Stop, show};

/// Requests that are sent before a reply is read.
const PIPELINE: usize = 250;

/// Sets and gets until it is stopped; a line a second.
///
/// # Errors
/// The connection is lost.
pub fn run(mut connection: Connection, keys: u64) -> Result<Exit, Stop> {
    let mut state = random::u64().unwrap_or(1) | 1;
    loop {
        let (mut hits, mut misses, begun) = (0u64, 0u64, Instant::now());
        while begun.elapsed() < Duration::from_secs(1) {
            let names: Vec<String> = (0..PIPELINE).map(|_| name(&mut state, keys)).collect();
            // What is missed is set at the end of a round, as a cache's user does.
            let replies = pipeline(&mut connection, &names, |key| vec!["GET".into(), key.into()])?;
            let missed: Vec<String> = names
                .into_iter()
                .zip(&replies)
                .filter(|(_, reply)| matches!(reply, Reply::Nil))
                .map(|(key, _)| key)
                .collect();
            misses += missed.len() as u64;
            hits += (PIPELINE - missed.len()) as u64;
            pipeline(&mut connection, &missed, |key| vec!["SET".into(), key.into(), "x".into()])?;
        }
        let total = (hits + misses).max(1) as f64;
        let rate = total / begun.elapsed().as_secs_f64();
        let line = format!(
            "{rate:.0} Gets/sec | Hits: {hits} ({:.2}%) | Misses: {misses} ({:.2}%)\n",
            hits as f64 * 100.0 / total,
            misses as f64 * 100.0 / total
        );
        show(line.as_bytes())?;
    }
}

fn pipeline(
    connection: &mut Connection,
    keys: &[String],
    request: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<Reply>, Stop> {
    let mut bytes = Vec::new();
    for key in keys {
        push_request(&mut bytes, request(key).iter());
    }
    connection.send_raw(&bytes)?;
    let mut replies = Vec::with_capacity(keys.len());
    for _ in keys {
        match connection.receive()? {
            Reply::Error(text) => return Err(Stop::said(String::from_utf8_lossy(&text))),
            reply => replies.push(reply),
        }
    }
    Ok(replies)
}

/// A key by a power law with which the first fifth of the keys gets four fifths of the requests.
fn name(state: &mut u64, keys: u64) -> String {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let uniform = (*state >> 11) as f64 / (1u64 << 53) as f64;
    // P(rank < s) = s^a, and 0.2^a = 0.8.
    let exponent = 0.2f64.ln() / 0.8f64.ln();
    format!("lru:{}", (keys as f64 * uniform.powf(exponent)) as u64)
}
