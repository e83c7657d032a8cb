//! What outlives the process: files of ours read by the incumbent, its files by us, and nothing
//! acknowledged lost.

use std::fs::{OpenOptions, copy, read_dir};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use box_harness::{scratch, wait_until};

use crate::differential::content;
use crate::support::{Client, Dice, Server};

/// Fills a server with values of every type, small and big.
fn fill(client: &mut Client) {
    let mut dice = Dice(7, 0);
    for number in 0..300 {
        let key = |name: &str| format!("{name}{}", number % 40);
        let word = format!("v{}", dice.below(1000));
        let long = "long text ".repeat(dice.below(40));
        client.call(&["SET", &key("s"), &long]);
        client.call(&["SET", &key("i"), &number.to_string()]);
        client.call(&["RPUSH", &key("l"), &word, &long]);
        client.call(&["SADD", &key("ints"), &dice.below(100_000).to_string()]);
        client.call(&["SADD", &key("set"), &word]);
        client.call(&["HSET", &key("h"), &word, &long]);
        client.call(&["ZADD", &key("z"), &format!("{}.5", dice.below(100)), &word]);
        client.call(&["HSET", "bighash", &format!("f{number}"), &word]);
        client.call(&["SADD", "bigset", &format!("m{number}")]);
        client.call(&["ZADD", "bigzset", &number.to_string(), &format!("m{number}")]);
        client.call(&["RPUSH", "biglist", &format!("{}", number * 1000)]);
    }
    client.call(&["RPUSH", "plain", &"x".repeat(20_000), "small"]);
    client.ask("PEXPIREAT s1 4102444800123");
    client.ask("SELECT 1");
    client.ask("SET other db");
    client.ask("SELECT 0");
}

#[test]
fn a_file_of_ours_is_loaded_by_the_incumbent_and_back() {
    let (dir_a, dir_b) = (scratch(), scratch());
    let ours = Server::ours(dir_a.path(), &["--save", ""]);
    fill(&mut ours.client());
    let expected = content(&mut ours.client());
    for how in ["SAVE", "BGSAVE"] {
        ours.client().ask(how);
        wait_until("the save to end", 20, || {
            ours.client().ask("INFO persistence").contains("rdb_bgsave_in_progress:0")
        });
        copy(dir_a.path().join("dump.rdb"), dir_b.path().join("dump.rdb")).unwrap();
        let Some(theirs) = Server::theirs(dir_b.path(), &["--save", ""]) else { return };
        assert_eq!(content(&mut theirs.client()), expected, "{how}");
        theirs.client().ask("SAVE");
    }
    copy(dir_b.path().join("dump.rdb"), dir_a.path().join("dump.rdb")).unwrap();
    ours.kill();
    let again = Server::ours(dir_a.path(), &["--save", ""]);
    assert_eq!(content(&mut again.client()), expected);
    assert_eq!(again.client().ask("DEBUG RELOAD"), "+OK\r\n");
    assert_eq!(content(&mut again.client()), expected);
}

#[test]
fn a_broken_file_is_refused_and_left_alone() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", ""]);
    fill(&mut ours.client());
    ours.client().ask("SAVE");
    ours.kill();
    let path = dir.path().join("dump.rdb");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&path, &bytes).unwrap();
    let port = box_harness::free_port().to_string();
    crate::support::bx()
        .run(["cache-server", "--port", &port, "--dir", dir.path().to_str().unwrap()])
        .fails(1)
        .stdout_has("at offset");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_snapshot_is_the_state_at_its_cut_while_writes_go_on() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", "", "--threads", "2"]);
    let mut client = ours.client();
    for number in 0..20_000 {
        client.send(&["SET", &format!("k{number}"), "0"]);
    }
    (0..20_000).for_each(|_| drop(client.reply()));
    // Keys are set to 1 in ascending order, over and over the cut: in the file, ones are in front.
    client.send(&["BGSAVE"]);
    for number in 0..20_000 {
        client.send(&["SET", &format!("k{number}"), "1"]);
    }
    (0..20_001).for_each(|_| drop(client.reply()));
    wait_until("the save to end", 20, || {
        ours.client().ask("INFO persistence").contains("rdb_bgsave_in_progress:0")
    });
    ours.kill();
    let again = Server::ours(dir.path(), &["--save", ""]);
    let mut client = again.client();
    for number in 0..20_000 {
        client.send(&["GET", &format!("k{number}")]);
    }
    let values: Vec<Vec<u8>> = (0..20_000).map(|_| client.reply()).collect();
    let ones = values.iter().take_while(|value| value[4] == b'1').count();
    assert!(
        values[ones..].iter().all(|value| value[4] == b'0'),
        "not a prefix: {ones} ones in front"
    );
}

fn incr_file(dir: &Path) -> PathBuf {
    let files = read_dir(dir.join("appendonlydir")).unwrap().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_with_appendfsync_always() {
    let dir = scratch();
    let args = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--threads", "2"];
    let mut least = [0u64; 3];
    for round in 0..6 {
        let server = Server::ours(dir.path(), &args);
        for (number, least) in least.iter().enumerate() {
            let have = server.client().ask(&format!("GET counter{number}"));
            let have = have.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).unwrap_or(0);
            assert!(have >= *least, "round {round}: {have} of {least} acknowledged");
        }
        let acknowledged = Arc::new([const { AtomicU64::new(0) }; 3]);
        let writers: Vec<_> = (0..3)
            .map(|number| {
                let (mut client, acknowledged) = (server.client(), acknowledged.clone());
                std::thread::spawn(move || {
                    loop {
                        client.send(&["INCR", &format!("counter{number}")]);
                        let Some(reply) = client.try_reply() else { return };
                        let text = String::from_utf8_lossy(&reply);
                        let value = text.trim_start_matches(':').trim().parse().unwrap_or(0);
                        acknowledged[number].store(value, Ordering::Release);
                    }
                })
            })
            .collect();
        wait_until("some writes", 20, || {
            acknowledged.iter().all(|n| n.load(Ordering::Acquire) > 5)
        });
        if round == 3 {
            server.client().ask("BGREWRITEAOF");
        }
        server.kill();
        for (writer, (least, seen)) in
            writers.into_iter().zip(least.iter_mut().zip(acknowledged.iter()))
        {
            writer.join().unwrap();
            *least = seen.load(Ordering::Acquire);
        }
    }
}

#[test]
fn a_torn_tail_is_cut_and_garbage_is_refused() {
    let dir = scratch();
    let args = ["--save", "", "--appendonly", "yes"];
    let server = Server::ours(dir.path(), &args);
    server.client().ask("SET a 1");
    server.client().ask("SET b 2");
    server.kill();
    let file = incr_file(dir.path());
    let len = file.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&file).unwrap().set_len(len - 3).unwrap();
    let server = Server::ours(dir.path(), &args);
    assert_eq!(server.client().ask("GET a"), "$1\r\n1\r\n");
    assert_eq!(server.client().ask("GET b"), "$-1\r\n");
    server.client().ask("SET c 3");
    server.kill();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes.splice(at..at, b"garbage".iter().copied());
    std::fs::write(&file, &bytes).unwrap();
    let port = box_harness::free_port().to_string();
    let folder = dir.path().to_str().unwrap();
    crate::support::bx()
        .run(["cache-server", "--port", &port, "--dir", folder, "--appendonly", "yes"])
        .fails(1)
        .stdout_has("append only file");
}

#[test]
fn the_log_is_rewritten_and_loaded_by_the_incumbent() {
    let (dir_a, dir_b) = (scratch(), scratch());
    let args = ["--save", "", "--appendonly", "yes"];
    let ours = Server::ours(dir_a.path(), &args);
    fill(&mut ours.client());
    ours.client().ask("BGREWRITEAOF");
    wait_until("the rewrite to end", 20, || {
        ours.client().ask("INFO persistence").contains("aof_rewrite_in_progress:0")
    });
    let mut client = ours.client();
    for words in [
        "MULTI",
        "SET after rewrite",
        "INCRBYFLOAT f 1.5",
        "EXEC",
        "SPOP bigset 5",
        "LPOP l1 2",
        "SET t v PX 10000000",
        "GETEX s1 PERSIST",
        "SMOVE bigset set1 m77",
        "ZPOPMIN bigzset",
        "COPY h1 copied",
    ] {
        client.ask(words);
    }
    let expected = content(&mut ours.client());
    ours.kill();
    std::fs::create_dir(dir_b.path().join("appendonlydir")).unwrap();
    for entry in read_dir(dir_a.path().join("appendonlydir")).unwrap().flatten() {
        copy(entry.path(), dir_b.path().join("appendonlydir").join(entry.file_name())).unwrap();
    }
    let again = Server::ours(dir_a.path(), &args);
    assert_eq!(content(&mut again.client()), expected);
    let Some(theirs) = Server::theirs(dir_b.path(), &args) else { return };
    assert_eq!(content(&mut theirs.client()), expected);
    // And back: what it writes, we load.
    theirs.client().ask("SET from them");
    theirs.client().ask("BGREWRITEAOF");
    wait_until("the rewrite to end", 20, || {
        theirs.client().ask("INFO persistence").contains("aof_rewrite_in_progress:0")
    });
    let expected = content(&mut theirs.client());
    theirs.kill();
    let back = Server::ours(dir_b.path(), &args);
    assert_eq!(content(&mut back.client()), expected);
}

#[test]
fn shutdown_saves_where_there_are_save_points() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", "900 1"]);
    server.client().ask("SET k v");
    server.shut_down("SAVE");
    let server = Server::ours(dir.path(), &["--save", ""]);
    assert_eq!(server.client().ask("GET k"), "$1\r\nv\r\n");
    server.client().ask("SET k w");
    server.shut_down("NOSAVE");
    let server = Server::ours(dir.path(), &["--save", ""]);
    assert_eq!(server.client().ask("GET k"), "$1\r\nv\r\n");
}
