//! What the client does beside commands: lists keys, sends a file, finds big keys, shows figures.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use box_kit::Exit;
use box_wire::resp::Reply;

use super::connection::Connection;
use super::options::{Format, Options};
use crate::text::{human_bytes, quoted};

fn text(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Bulk(text) | Reply::Status(text) | Reply::Verbatim(_, text) => text.clone(),
        Reply::Int(value) => value.to_string().into_bytes(),
        _ => Vec::new(),
    }
}

/// Shows all keys to `each`, a batch at a time.
fn each_batch(
    connection: &mut Connection,
    pattern: Option<&str>,
    mut each: impl FnMut(&mut Connection, &[Vec<u8>]) -> io::Result<()>,
) -> io::Result<()> {
    let mut cursor = b"0".to_vec();
    loop {
        let mut request = vec![b"SCAN".to_vec(), cursor];
        if let Some(pattern) = pattern {
            request.extend([b"MATCH".to_vec(), pattern.as_bytes().to_vec()]);
        }
        let reply = connection.call(&request)?;
        let Reply::Array(parts) = reply else {
            return Err(io::Error::other(String::from_utf8_lossy(&text(&reply)).into_owned()));
        };
        let [next, Reply::Array(keys)] = &parts[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let keys: Vec<Vec<u8>> = keys.iter().map(text).collect();
        each(connection, &keys)?;
        cursor = text(next);
        if cursor == b"0" {
            return Ok(());
        }
    }
}

/// `--scan`
pub fn scan(connection: &mut Connection, options: &Options) -> io::Result<Exit> {
    let quote = options.format == Format::Standard;
    each_batch(connection, options.pattern.as_deref(), |_, keys| {
        let mut out = io::stdout().lock();
        for key in keys {
            if quote {
                out.write_all(quoted(key).as_bytes())?;
            } else {
                out.write_all(key)?;
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    })?;
    Ok(Exit::DONE)
}

/// `--pipe`: requests as they come; an ECHO of a random word tells that all have been answered.
pub fn pipe(connection: &mut Connection, _: &Options) -> io::Result<Exit> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let word = format!("end-{:016x}", box_sys::random::u64()?);
    let (mut replies, mut errors) = (0u64, 0u64);
    // Half a request at the end would swallow the ECHO: the line ends close it.
    let mut pieces = input.chunks(64 * 1024);
    let mut finished = false;
    loop {
        match pieces.next() {
            Some(piece) => connection.write(piece)?,
            None if !finished => {
                println!("All data transferred. Waiting for the last reply...");
                connection.write(b"\r\n")?;
                connection.send(&["ECHO", &word])?;
                finished = true;
            }
            None => {}
        }
        if !finished {
            continue;
        }
        match connection.reply()? {
            Reply::Bulk(text) if text == word.as_bytes() => break,
            Reply::Error(text) => {
                eprintln!("{}", String::from_utf8_lossy(&text));
                errors += 1;
                replies += 1;
            }
            _ => replies += 1,
        }
    }
    println!("Last reply received from server.");
    println!("errors: {errors}, replies: {replies}");
    Ok(if errors > 0 { Exit::FAILED } else { Exit::DONE })
}

/// Command that tells the size of a type, and the size's unit.
const SIZES: &[(&str, &str, &str)] = &[
    ("string", "STRLEN", "bytes"),
    ("list", "LLEN", "items"),
    ("set", "SCARD", "members"),
    ("hash", "HLEN", "fields"),
    ("zset", "ZCARD", "members"),
    ("stream", "XLEN", "entries"),
];

#[derive(Default)]
struct Biggest {
    count: u64,
    total: i64,
    size: i64,
    key: Vec<u8>,
}

/// `--bigkeys`
pub fn big_keys(connection: &mut Connection, options: &Options) -> io::Result<Exit> {
    println!("\n# Scanning the entire keyspace to find biggest keys as well as");
    println!("# average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec");
    println!("# per 100 SCAN commands (not usually needed).\n");
    let total = match connection.call(&["DBSIZE"])? {
        Reply::Int(total) => total.max(1),
        _ => 1,
    };
    let mut found: BTreeMap<usize, Biggest> = BTreeMap::new();
    let (mut seen, mut bytes) = (0i64, 0usize);
    each_batch(connection, options.pattern.as_deref(), |connection, keys| {
        // Of the keys in front of this batch.
        let percent = seen as f64 * 100.0 / total as f64;
        for key in keys {
            seen += 1;
            bytes += key.len();
            let kind = text(&connection.call(&[b"TYPE", &key[..]])?);
            let number = SIZES.iter().position(|(name, ..)| name.as_bytes() == kind);
            let Some(number) = number else { continue };
            let (name, command, unit) = SIZES[number];
            let Reply::Int(size) = connection.call(&[command.as_bytes(), key])? else { continue };
            let biggest = found.entry(number).or_default();
            biggest.count += 1;
            biggest.total += size;
            if size > biggest.size {
                println!(
                    "[{percent:05.2}%] Biggest {name:<6} found so far '{}' with {size} {unit}",
                    quoted(key)
                );
                biggest.size = size;
                biggest.key.clone_from(key);
            }
        }
        Ok(())
    })?;
    println!("\n-------- summary -------\n");
    println!("Sampled {seen} keys in the keyspace!");
    let average = bytes as f64 / seen.max(1) as f64;
    println!("Total key length in bytes is {bytes} (avg len {average:.2})\n");
    for (number, biggest) in &found {
        let (name, _, unit) = SIZES[*number];
        let key = quoted(&biggest.key);
        println!("Biggest {name:>6} found '{key}' has {} {unit}", biggest.size);
    }
    println!();
    for (number, (name, _, unit)) in SIZES.iter().enumerate() {
        let none = Biggest::default();
        let biggest = found.get(&number).unwrap_or(&none);
        println!(
            "{} {name}s with {} {unit} ({:05.2}% of keys, avg size {:.2})",
            biggest.count,
            biggest.total,
            biggest.count as f64 * 100.0 / seen.max(1) as f64,
            biggest.total as f64 / biggest.count.max(1) as f64
        );
    }
    Ok(Exit::DONE)
}

fn field(info: &str, name: &str) -> i64 {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// `--stat`
pub fn stat(connection: &mut Connection, options: &Options) -> io::Result<Exit> {
    let pause =
        Duration::from_secs_f64(if options.interval > 0.0 { options.interval } else { 1.0 });
    let mut requests = 0;
    for line in 0u64.. {
        let info = String::from_utf8_lossy(&text(&connection.call(&["INFO"])?)).into_owned();
        if line % 20 == 0 {
            println!(
                "------- data ------ --------------------- load -------------------- - child -"
            );
            println!(
                "keys       mem      clients blocked requests            connections          "
            );
        }
        let keys: i64 = info
            .lines()
            .filter(|line| line.starts_with("db"))
            .filter_map(|line| line.split_once("keys=")?.1.split(',').next()?.parse::<i64>().ok())
            .sum();
        let now = field(&info, "total_commands_processed");
        let delta = if requests == 0 { 0 } else { now - requests };
        requests = now;
        println!(
            "{keys:<10} {:<8} {:<8}{:<8}{:<19} {:<12}",
            human_bytes(field(&info, "used_memory") as u64),
            field(&info, "connected_clients"),
            field(&info, "blocked_clients"),
            format!("{now} (+{delta})"),
            field(&info, "total_connections_received"),
        );
        std::thread::sleep(pause);
    }
    Ok(Exit::DONE)
}

/// `--latency`: for a second where output is no terminal, else until interrupted.
pub fn latency(connection: &mut Connection, _: &Options) -> io::Result<Exit> {
    let (mut least, mut most, mut total, mut count) = (f64::MAX, 0f64, 0f64, 0u64);
    let start = Instant::now();
    let terminal = std::io::IsTerminal::is_terminal(&io::stdout());
    loop {
        let sent = Instant::now();
        connection.call(&["PING"])?;
        let ms = sent.elapsed().as_secs_f64() * 1000.0;
        (least, most, total, count) = (least.min(ms), most.max(ms), total + ms, count + 1);
        if terminal {
            print!(
                "\x1b[0G\x1b[2Kmin: {least:.0}, max: {most:.0}, avg: {:.2} ({count} samples)",
                total / count as f64
            );
            io::stdout().flush()?;
        } else if start.elapsed() > Duration::from_secs(1) {
            println!("{least:.0} {most:.0} {:.2} {count}", total / count as f64);
            return Ok(Exit::DONE);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
