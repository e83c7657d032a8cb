//! Histories of many clients on many workers: is there an order of the operations, each between its
//! call and its return, in which one server that did one thing at a time would have replied so?
//!
//! Keys are checked one by one, as they are independent (Herlihy and Wing, 1990); the search is Wing
//! and Gong's with the states that were seen remembered.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use box_harness::scratch;

use crate::support::{Client, Dice, Server};

/// What was asked for, and what came back.
#[derive(Clone, Debug)]
enum Kind {
    Set(i64),
    Get(Option<i64>),
    /// INCRBY or a script that does the same: the amount, the result.
    Add(i64, i64),
    /// GETSET
    Swap(i64, Option<i64>),
}

#[derive(Clone, Debug)]
struct Operation {
    kind: Kind,
    start: u64,
    end: u64,
}

/// The state after an operation, if the reply fits.
fn apply(state: Option<i64>, kind: &Kind) -> Option<Option<i64>> {
    match kind {
        Kind::Set(value) => Some(Some(*value)),
        Kind::Get(seen) => (*seen == state).then_some(state),
        Kind::Add(amount, result) => {
            let sum = state.unwrap_or(0) + amount;
            (sum == *result).then_some(Some(sum))
        }
        Kind::Swap(value, seen) => (*seen == state).then_some(Some(*value)),
    }
}

fn is_linearizable(history: &[Operation]) -> bool {
    assert!(history.len() <= 128);
    let mut seen: HashSet<(u128, Option<i64>)> = HashSet::new();
    let mut stack = vec![(0u128, None)];
    let all = if history.len() == 128 { u128::MAX } else { (1 << history.len()) - 1 };
    while let Some((done, state)) = stack.pop() {
        if done == all {
            return true;
        }
        if !seen.insert((done, state)) {
            continue;
        }
        let open = || history.iter().enumerate().filter(|(at, _)| done >> at & 1 == 0);
        // Whoever returned first must have been before all that were called later.
        let horizon = open().map(|(_, operation)| operation.end).min().unwrap_or(0);
        for (at, operation) in open().filter(|(_, operation)| operation.start <= horizon) {
            if let Some(next) = apply(state, &operation.kind) {
                stack.push((done | 1 << at, next));
            }
        }
    }
    false
}

#[test]
fn the_checker_knows_an_order_from_none() {
    let op = |kind, start, end| Operation { kind, start, end };
    let set = op(Kind::Set(1), 0, 5);
    assert!(is_linearizable(&[
        set.clone(),
        op(Kind::Get(None), 1, 2),
        op(Kind::Get(Some(1)), 3, 4)
    ]));
    assert!(!is_linearizable(&[
        set.clone(),
        op(Kind::Get(Some(1)), 1, 2),
        op(Kind::Get(None), 3, 4)
    ]));
    assert!(!is_linearizable(&[set, op(Kind::Get(None), 6, 7)]));
}

fn number(reply: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(reply).into_owned();
    let line = text.split("\r\n").find(|line| !line.starts_with('$') && !line.is_empty())?;
    line.trim_start_matches(':').parse().ok()
}

fn one(
    client: &mut Client,
    dice: &mut Dice,
    key: &str,
    value: i64,
    clock: &AtomicU64,
) -> Operation {
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let text = value.to_string();
    let start;
    let kind = match dice.below(6) {
        0 => {
            start = tick();
            client.call(&["SET", key, &text]);
            Kind::Set(value)
        }
        1 => {
            start = tick();
            let reply = client.call(&["INCRBY", key, "3"]);
            Kind::Add(3, number(&reply).expect("a number"))
        }
        2 => {
            start = tick();
            let script = "return redis.call('incrby', KEYS[1], 5)";
            let reply = client.call(&["EVAL", script, "1", key]);
            Kind::Add(5, number(&reply).expect("a number"))
        }
        3 => {
            start = tick();
            Kind::Swap(value, number(&client.call(&["GETSET", key, &text])))
        }
        _ => {
            start = tick();
            Kind::Get(number(&client.call(&["GET", key])))
        }
    };
    Operation { kind, start, end: tick() }
}

fn round(server: &Server, seed: u64) {
    const CLIENTS: usize = 6;
    const KEYS: usize = 3;
    let clock = Arc::new(AtomicU64::new(0));
    let begin = Arc::new(Barrier::new(CLIENTS));
    let threads: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (mut client, clock, begin) = (server.client(), clock.clone(), begin.clone());
            std::thread::spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(31).wrapping_add(number as u64), 0);
                begin.wait();
                (0..30)
                    .map(|count| {
                        let key = dice.below(KEYS);
                        let name = format!("{seed}:{key}");
                        let value = (number * 1000 + count) as i64;
                        (key, one(&mut client, &mut dice, &name, value, &clock))
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut histories = vec![Vec::new(); KEYS];
    for thread in threads {
        for (key, operation) in thread.join().expect("a client") {
            histories[key].push(operation);
        }
    }
    for mut history in histories {
        history.sort_by_key(|operation: &Operation| operation.start);
        assert!(is_linearizable(&history), "{history:#?}");
    }
}

#[test]
fn single_keys_are_linearizable_on_four_workers() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", "", "--threads", "4"]);
    (0..20).for_each(|seed| round(&server, seed));
}

/// The same for ten minutes.
#[test]
#[ignore = "takes ten minutes"]
fn single_keys_are_linearizable_for_ten_minutes() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", "", "--threads", "4"]);
    let start = Instant::now();
    let mut seed = 1000;
    while start.elapsed() < Duration::from_secs(600) {
        round(&server, seed);
        seed += 1;
    }
}

#[test]
fn transactions_and_scripts_are_atomic_on_four_workers() {
    let dir = scratch();
    let server = Arc::new(Server::ours(dir.path(), &["--save", "", "--threads", "4"]));
    let keys: Vec<String> = (0..4).map(|number| format!("part{number}")).collect();
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let (mut client, keys) = (server.client(), keys.clone());
            std::thread::spawn(move || {
                for _ in 0..300 {
                    let replies = match number % 3 {
                        0 => {
                            client.send(&["MULTI"]);
                            keys.iter().for_each(|key| client.send(&["INCR", key]));
                            client.send(&["EXEC"]);
                            (0..=keys.len()).for_each(|_| drop(client.reply()));
                            client.reply()
                        }
                        1 => {
                            // It declares one of the keys that it changes.
                            let script = "local t = {} for i = 0, 3 do t[i + 1] = redis.call('incr', 'part' .. i) end return t";
                            client.call(&["EVAL", script, "1", "part0"])
                        }
                        _ => {
                            let mut words = vec!["MGET"];
                            words.extend(keys.iter().map(String::as_str));
                            client.call(&words)
                        }
                    };
                    let parts: Vec<_> =
                        crate::support::elements(&replies).iter().map(|part| self::number(part)).collect();
                    assert!(parts.windows(2).all(|pair| pair[0] == pair[1]), "{parts:?}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a client"));
    assert_eq!(server.client().ask("GET part3"), "$4\r\n1200\r\n");
}
