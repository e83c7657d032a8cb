//! The same streams of random commands to us and to the incumbent: replies must be equal to the
//! byte, and so must what is in the databases afterwards, dumped and restored across.

use box_harness::scratch;

use crate::support::{Client, Dice, Server, elements};

mod shapes;

/// How many differences are shown; those behind the first may follow from it.
const DIFFERENCES_SHOWN: usize = 8;

/// Replies whose elements come in no order.
const UNORDERED: &[&str] = &[
    "SMEMBERS",
    "SINTER",
    "SUNION",
    "SDIFF",
    "HKEYS",
    "HVALS",
    "KEYS",
    "SPOP",
    "SRANDMEMBER",
    "ZRANDMEMBER",
    "COMMAND",
];

fn value(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => b"".to_vec(),
        1 => dice.below(100_000).to_string().into_bytes(),
        2 => b"3.25".to_vec(),
        3 => vec![b'x'; dice.below(100)],
        4 => vec![b'y'; 60 + dice.below(200)],
        5 => (0..dice.below(20)).map(|n| (n * 37) as u8).collect(),
        6 => b"12345678901234567890".to_vec(),
        7 => b"-17".to_vec(),
        8 => b"ohmytext".to_vec(),
        9 => b"mynewtext".to_vec(),
        10 => b" 1".to_vec(),
        _ => format!("v{}", dice.below(50)).into_bytes(),
    }
}

fn word(dice: &mut Dice, kind: &str) -> Vec<u8> {
    let text = match kind {
        "K" => format!("k{}", dice.below(9)),
        // By name a range is defined only where all scores are equal.
        "X" => format!("x{}", dice.below(2)),
        "V" => return value(dice),
        "M" => match dice.below(10) {
            0 => return value(dice),
            1..=3 => dice.below(20).to_string(),
            _ => format!("m{}", dice.below(12)),
        },
        "I" => match dice.below(12) {
            0 => "9223372036854775807".into(),
            1 => "-9223372036854775808".into(),
            2 => "abc".into(),
            n => ((dice.below(14) as i64) - if n % 2 == 0 { 6 } else { 0 }).to_string(),
        },
        "F" => dice
            .pick(&[
                "1",
                "2.5",
                "-3",
                "0",
                "0.1",
                "1e10",
                "inf",
                "-inf",
                "3.14",
                "nan",
                "x",
                "100",
                "-0",
                "1e-7",
                "17.000001",
            ])
            .into(),
        "S" => dice.pick(&["-inf", "+inf", "(1", "2.5", "0", "(3", "100", "x", "-3", "10"]).into(),
        "L" => dice.pick(&["-", "+", "[m3", "(m3", "[m7", "[a", "(z", "x", "[9"]).into(),
        "C" => dice.pick(&["0", "1", "2", "5", "10", "100", "-1"]).into(),
        "T" => dice.pick(&["4102444800", "4102444800123", "1", "0", "-5", "x"]).into(),
        "B" => dice.pick(&["0", "7", "8", "100", "1000", "#2", "-1", "x", "23"]).into(),
        "Y" => format!("y{}", dice.below(2)),
        "P" => format!("p{}", dice.below(2)),
        "E" => format!("e{}", dice.below(3)),
        "D" => match dice.below(20) {
            0 => dice.pick(&["x", "-", "+", "5", "(5-0", "1-2-3", "0-0", "99-*", ""]).into(),
            _ => format!("{}-{}", dice.below(40), dice.below(3)),
        },
        "N" | "N-*" => {
            let ms = dice.1;
            dice.1 += dice.below(2) as u64;
            if kind == "N" { format!("{}-{}", ms / 4, ms % 4 + 1) } else { format!("{}-*", ms / 4) }
        }
        "O" => format!("{:.4}", dice.below(360_0000) as f64 / 1e4 - 180.0),
        "A" => format!("{:.4}", dice.below(170_0000) as f64 / 1e4 - 85.0),
        "R" => dice.pick(&["100", "500", "3000", "10000", "0", "1.5", "-1", "x"]).into(),
        "Q" => dice.below(100_000).to_string(),
        other => dice.pick(&other.split('|').collect::<Vec<_>>()).into(),
    };
    text.into_bytes()
}

fn command(dice: &mut Dice, families: &[&[&str]]) -> Vec<Vec<u8>> {
    let family = families[dice.below(families.len())];
    let shape = family[dice.below(family.len())];
    let mut args = Vec::new();
    // How deep in options we are, and from which depth on they are left out.
    let (mut depth, mut left_out) = (0usize, usize::MAX);
    for token in shape.split(' ') {
        let inner = token.trim_start_matches('[');
        for _ in 0..token.len() - inner.len() {
            depth += 1;
            if left_out == usize::MAX && dice.below(2) == 0 {
                left_out = depth;
            }
        }
        let kind = inner.trim_end_matches(']');
        if left_out == usize::MAX {
            match kind.strip_suffix('*').filter(|kind| ["K", "M"].contains(kind)) {
                Some(kind) => (0..=dice.below(4)).for_each(|_| args.push(word(dice, kind))),
                None => args.push(word(dice, kind)),
            }
        }
        depth -= inner.len() - kind.len();
        if depth < left_out {
            left_out = usize::MAX;
        }
    }
    // Now and then a request that is wrong.
    match dice.below(60) {
        0 if args.len() > 1 => drop(args.pop()),
        1 => args.push(b"extra".to_vec()),
        2 => args[0] = args[0].to_ascii_lowercase(),
        _ => {}
    }
    args
}

/// A reply in a form in which two that mean the same are equal.
fn comparable(args: &[Vec<u8>], reply: &[u8]) -> Vec<Vec<u8>> {
    let name = String::from_utf8_lossy(&args[0]).to_uppercase();
    let sorted = |mut list: Vec<Vec<u8>>| {
        list.sort();
        list
    };
    match name.as_str() {
        "XINFO" | "XPENDING" | "XREADGROUP" => vec![without_times(&name, reply)],
        name if UNORDERED.contains(&name) && reply[0] != b'-' => sorted(elements(reply)),
        "HGETALL" | "HRANDFIELD" | "CONFIG" if reply[0] == b'*' => {
            let flat = elements(reply);
            let nested = flat.first().is_some_and(|first| first[0] == b'*');
            let pairs = name == "HGETALL" || name == "CONFIG" || (args.len() == 4 && !nested);
            sorted(flat.chunks(if pairs { 2 } else { 1 }).map(<[Vec<u8>]>::concat).collect())
        }
        "HGETALL" if reply[0] == b'%' => {
            sorted(elements(reply).chunks(2).map(<[Vec<u8>]>::concat).collect())
        }
        "HRANDFIELD" | "CONFIG" if reply[0] != b'-' => sorted(elements(reply)),
        "SCAN" | "SSCAN" | "HSCAN" | "ZSCAN" if reply[0] == b'*' => {
            let parts = elements(reply);
            let inner = elements(&parts[1]);
            let group = if name == "HSCAN" || name == "ZSCAN" { 2 } else { 1 };
            sorted(inner.chunks(group).map(<[Vec<u8>]>::concat).collect())
        }
        // The footer differs by nothing, but tables are dumped in their own order.
        // What is compressed may be so in another way, and lists be divided into other nodes.
        "DUMP"
            if reply.len() > 32 || matches!(reply.get(5..7), Some([2 | 4 | 18, _] | [_, 0xc3])) =>
        {
            vec![]
        }
        "SORT" if args.iter().any(|a| a.eq_ignore_ascii_case(b"nosort") || *a == b"w_*") => {
            sorted(elements(reply))
        }
        "EXEC" => {
            let mut list = Vec::new();
            for element in elements(reply) {
                list.push(sorted(elements(&element)).concat());
                if elements(&element).is_empty() {
                    list.push(element);
                }
            }
            list
        }
        _ => vec![reply.to_vec()],
    }
}

/// A reply without moments and how long ago something was, which differ.
fn without_times(name: &str, reply: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = reply.split(|byte| *byte == b'\n').collect();
    let mut idle = false;
    for at in 0..lines.len() {
        let number = lines[at].first() == Some(&b':');
        let moment = number && lines[at].len() == 15;
        // XPENDING tells the idle time behind the consumer's name, XINFO behind its own.
        let since = number
            && match name {
                "XPENDING" => at > 1 && lines[at - 1].first() == Some(&b'c'),
                _ => idle,
            };
        idle = lines[at] == b"idle\r";
        if moment || since {
            lines[at] = b":T\r";
        }
    }
    lines.join(&b'\n')
}

fn shown(args: &[Vec<u8>]) -> String {
    args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect::<Vec<_>>().join(" ")
}

fn compare(
    ours: &mut Client,
    theirs: &mut Client,
    seed: u64,
    (count, families): (usize, &[&[&str]]),
    resp3: bool,
) {
    let mut dice = Dice(seed, 4);
    if resp3 {
        ours.call(&["HELLO", "3"]);
        theirs.call(&["HELLO", "3"]);
    }
    let mut history: Vec<String> = Vec::new();
    let mut differences = Vec::new();
    let mut in_multi = false;
    for step in 0..count {
        let args = command(&mut dice, families);
        let name = String::from_utf8_lossy(&args[0]).to_uppercase();
        in_multi = match name.as_str() {
            "MULTI" => true,
            "EXEC" | "DISCARD" => false,
            _ => in_multi,
        };
        // Inside a transaction only what comes in one order is comparable.
        if in_multi
            && (UNORDERED.contains(&&*name)
                || name.starts_with('B')
                || [
                    "DUMP",
                    "HGETALL",
                    "HRANDFIELD",
                    "SCAN",
                    "SSCAN",
                    "HSCAN",
                    "ZSCAN",
                    "SORT",
                    "CONFIG",
                    "MULTI",
                    "WATCH",
                ]
                .contains(&&*name)
                    && name != "MULTI")
        {
            continue;
        }
        let (a, b) = (ours.call(&args), theirs.call(&args));
        history.push(shown(&args));
        if comparable(&args, &a) != comparable(&args, &b) {
            let about = args.get(1).map(|key| String::from_utf8_lossy(key).into_owned());
            let related = |line: &&String| about.as_ref().is_some_and(|key| line.contains(key));
            let mut before: Vec<&String> = history.iter().rev().filter(related).take(9).collect();
            before.reverse();
            differences.push(format!(
                "seed {seed} step {step}: {}\nours:   {}\ntheirs: {}\nbefore: {before:#?}",
                shown(&args),
                a.escape_ascii(),
                b.escape_ascii(),
            ));
            if differences.len() == DIFFERENCES_SHOWN {
                break;
            }
        }
    }
    for client in [ours, theirs] {
        client.send(&["DISCARD"]);
        client.reply();
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// What a listener has heard since it was asked last.
fn heard(listener: &mut Client) -> Vec<String> {
    listener.send(&["PING"]);
    let mut heard = Vec::new();
    loop {
        let message = String::from_utf8_lossy(&listener.reply()).into_owned();
        if message.starts_with("*2\r\n$4\r\npong") {
            return heard;
        }
        // Channel and text of *4 pmessage pattern channel text.
        let words: Vec<&str> = message.split("\r\n").skip(6).step_by(2).collect();
        heard.push(words.join(" "));
    }
}

/// Runs random commands and compares the events about keys that they give rise to.
fn compare_events(seed: u64, count: usize, families: &[&[&str]]) -> Vec<String> {
    let (dir_a, dir_b) = (scratch(), scratch());
    let args = ["--save", "", "--notify-keyspace-events", "EAmn"];
    let Some(theirs) = Server::theirs(dir_b.path(), &args) else { return Vec::new() };
    let ours = Server::ours(dir_a.path(), &args);
    let mut listeners = [ours.client(), theirs.client()];
    for listener in &mut listeners {
        listener.call(&["PSUBSCRIBE", "__keyevent*"]);
    }
    let (mut a, mut b) = (ours.client(), theirs.client());
    let mut dice = Dice(seed, 4);
    let mut history = Vec::new();
    let mut differences = Vec::new();
    for _ in 0..count {
        let args = command(&mut dice, families);
        // These publish, or move on while they wait.
        if ["PUBLISH", "CONFIG", "SPOP"].contains(&&*String::from_utf8_lossy(&args[0])) {
            continue;
        }
        a.call(&args);
        b.call(&args);
        history.push(shown(&args));
        let [one, other] = listeners.each_mut().map(heard);
        if one != other {
            let before = history[history.len().saturating_sub(3)..].to_vec();
            differences.push(format!("{before:?}\nours:   {one:?}\ntheirs: {other:?}"));
            if differences.len() == DIFFERENCES_SHOWN {
                break;
            }
        }
    }
    differences
}

/// All keys of a database with their dumps taken apart into comparable pieces.
pub fn content(client: &mut Client) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    content_of(client, true)
}

/// As [`content`]; without encodings, which a restored key has anew.
fn content_of(client: &mut Client, encodings: bool) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    for db in ["0", "1"] {
        client.call(&["SELECT", db]);
        let mut keys = elements(&client.call(&["KEYS", "*"]));
        keys.sort();
        for key in keys {
            let key = bulk(&key);
            let kind = client.call(&[&b"TYPE"[..], &key]);
            let read: Vec<&[u8]> = match &kind[1..kind.len() - 2] {
                b"string" => vec![b"GET", &key],
                b"list" => vec![b"LRANGE", &key, b"0", b"-1"],
                b"set" => vec![b"SMEMBERS", &key],
                b"hash" => vec![b"HGETALL", &key],
                b"stream" => vec![b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"],
                _ => vec![b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"],
            };
            let args: Vec<Vec<u8>> = read.iter().map(|arg| arg.to_vec()).collect();
            let mut value = comparable(&args, &client.call(&args));
            value.push(client.call(&[&b"PEXPIRETIME"[..], &key]));
            // Whether a short string was changed in place is not part of its dump.
            if encodings && !kind.starts_with(b"+string") {
                value.push(client.call(&[&b"OBJECT"[..], b"ENCODING", &key]));
            }
            all.push(([db.as_bytes(), &key].concat(), value));
        }
    }
    client.call(&["SELECT", "0"]);
    all
}

/// Content without when consumers were last seen, which a log does not tell.
pub fn settled(content: Vec<(Vec<u8>, Vec<Vec<u8>>)>) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let settle = |value: Vec<Vec<u8>>| value.iter().map(|v| without_times("XINFO", v)).collect();
    content.into_iter().map(|(key, value)| (key, settle(value))).collect()
}

fn bulk(reply: &[u8]) -> Vec<u8> {
    let start = reply.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
    reply[start..reply.len() - 2].to_vec()
}

/// Every key of `from` is dumped there and restored into `to`.
fn dump_across(from: &mut Client, to: &mut Client) {
    to.call(&["FLUSHALL"]);
    for db in ["0", "1"] {
        from.call(&["SELECT", db]);
        to.call(&["SELECT", db]);
        for key in elements(&from.call(&["KEYS", "*"])) {
            let key = bulk(&key);
            let payload = bulk(&from.call(&[&b"DUMP"[..], &key]));
            let at = from.call(&[&b"PEXPIRETIME"[..], &key]);
            let at = String::from_utf8_lossy(&at[1..at.len() - 2]).into_owned();
            let at = if at == "-1" { "0".to_owned() } else { at };
            let reply = to.call(&[&b"RESTORE"[..], &key, at.as_bytes(), &payload, b"ABSTTL"]);
            assert_eq!(reply, b"+OK\r\n", "{}", key.escape_ascii());
        }
    }
    from.call(&["SELECT", "0"]);
    to.call(&["SELECT", "0"]);
}

fn run(seeds: std::ops::Range<u64>, count: usize, resp3: bool, families: &[&[&str]]) {
    let (dir_a, dir_b) = (scratch(), scratch());
    let Some(theirs) = Server::theirs(dir_b.path(), &["--save", ""]) else { return };
    let ours = Server::ours(dir_a.path(), &["--save", ""]);
    for seed in seeds {
        let (mut a, mut b) = (ours.client(), theirs.client());
        for client in [&mut a, &mut b] {
            client.call(&["FLUSHALL"]);
            for setting in [
                "hash-max-listpack-entries 512",
                "zset-max-listpack-entries 128",
                "set-max-intset-entries 512",
                "list-max-listpack-size -2",
                "stream-node-max-entries 100",
                "stream-node-max-bytes 4096",
                "hll-sparse-max-bytes 3000",
            ] {
                client.ask(&format!("CONFIG SET {setting}"));
            }
        }
        compare(&mut a, &mut b, seed, (count, families), resp3);
        let (mut a, mut b) = (ours.client(), theirs.client());
        let expected = content(&mut b);
        assert_eq!(content(&mut a), expected, "seed {seed}");
        let expected = content_of(&mut b, false);
        dump_across(&mut b, &mut a);
        assert_eq!(content_of(&mut a, false), expected, "seed {seed}: dumped there, restored here");
        dump_across(&mut a, &mut b);
        assert_eq!(content_of(&mut b, false), expected, "seed {seed}: dumped here, restored there");
    }
}

fn rounds() -> u64 {
    std::env::var("BOX_CACHE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// Every family by itself, so that its commands meet values of its type, and all together.
fn all_families(first_seed: u64, resp3: bool) {
    use shapes::{GENERAL, HASHES, LISTS, PLACES, SETS, SKETCHES, SORTED_SETS, STREAMS, STRINGS};
    for (number, family) in [STREAMS, PLACES, SKETCHES].into_iter().enumerate() {
        let seed = first_seed + 10_000 * (number as u64 + 1);
        run(seed..seed + rounds(), 1500, resp3, &[family]);
    }
    let all = [GENERAL, STRINGS, LISTS, HASHES, SETS, SORTED_SETS, STREAMS, PLACES, SKETCHES];
    run(first_seed..first_seed + rounds(), 3000, resp3, &all);
}

#[test]
fn random_commands_are_answered_as_the_incumbent_does() {
    all_families(1, false);
}

#[test]
fn random_commands_in_resp3_are_answered_as_the_incumbent_does() {
    all_families(1000, true);
}

#[test]
fn random_commands_give_rise_to_the_incumbents_events() {
    use shapes::{GENERAL, HASHES, LISTS, PLACES, SETS, SKETCHES, SORTED_SETS, STREAMS, STRINGS};
    let all = [GENERAL, STRINGS, LISTS, HASHES, SETS, SORTED_SETS, STREAMS, PLACES, SKETCHES];
    let differences: Vec<String> =
        all.iter().flat_map(|family| compare_events(rounds(), 500, &[family, GENERAL])).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
