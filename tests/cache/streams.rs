//! Streams: waiting readers beside the incumbent's, and what files hold of them.

use std::fs::copy;

use box_harness::scratch;

use crate::differential::{content, settled};
use crate::stage::same;
use crate::support::{Client, Dice, Server};

#[test]
fn waiting_readers_are_served_as_the_incumbents() {
    same(|stage| {
        stage.waits(0, "XREAD BLOCK 0 STREAMS a{x} b{x} $ $");
        stage.waits(1, "XREAD COUNT 1 BLOCK 0 STREAMS b{x} 0");
        stage.ask(2, "XADD b{x} 1-1 f v");
        stage.is_served(0);
        stage.is_served(1);
        stage.waits(0, "XREAD BLOCK 0 STREAMS a{x} 5-5");
        stage.ask(2, "XADD a{x} 5-4 f v");
        stage.ask(2, "XADD a{x} 5-6 f v");
        stage.is_served(0);
        stage.ask(0, "XREAD BLOCK 20 STREAMS a{x} $");
        stage.quietly(0, "HELLO 3");
        stage.waits(0, "XREAD BLOCK 0 STREAMS a{x} $");
        for words in ["MULTI", "XADD a{x} 6-1 f 1", "XADD a{x} 6-2 f 2", "EXEC"] {
            stage.ask(2, words);
        }
        stage.is_served(0);
    });
}

#[test]
fn waiting_consumers_share_what_comes() {
    same(|stage| {
        stage.ask(2, "XGROUP CREATE s g $ MKSTREAM");
        stage.waits(0, "XREADGROUP GROUP g alice BLOCK 0 STREAMS s >");
        stage.waits(1, "XREADGROUP GROUP g bob BLOCK 0 STREAMS s >");
        stage.ask(2, "XADD s 1-1 f v");
        stage.is_served(0);
        stage.ask(2, "XADD s 2-1 f v");
        stage.is_served(1);
        stage.ask(2, "XPENDING s g");
        stage.waits(0, "XREADGROUP GROUP g alice BLOCK 0 NOACK STREAMS s >");
        stage.ask(2, "XADD s 3-1 f v");
        stage.is_served(0);
        stage.ask(2, "XPENDING s g");
    });
}

#[test]
fn consumers_learn_that_their_stream_or_group_has_gone() {
    for gone in [
        &["DEL s"][..],
        &["SET s x"],
        &["FLUSHALL"],
        &["XGROUP DESTROY s g"],
        &["RENAME s t"],
        &["MULTI", "DEL s", "SADD s x", "EXEC"],
        &["PEXPIRE s 0"],
    ] {
        same(|stage| {
            stage.ask(2, "XGROUP CREATE s g $ MKSTREAM");
            stage.waits(0, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
            for words in gone {
                stage.ask(2, words);
            }
            stage.is_served(0);
        });
    }
}

fn fill(client: &mut Client) {
    let mut dice = Dice(3, 0);
    for number in 0..500 {
        let id = format!("{}-{}", 10 + number / 3, number % 3);
        let text = "x".repeat(dice.below(120));
        client.call(&["XADD", "s", &id, "field", &text, "n", &number.to_string()]);
        client.call(&["XADD", "t", &id, &format!("f{}", dice.below(3)), "v"]);
    }
    client.ask("XGROUP CREATE s g 0");
    client.ask("XGROUP CREATE s other $");
    client.ask("XREADGROUP GROUP g alice COUNT 20 STREAMS s >");
    client.ask("XREADGROUP GROUP g bob COUNT 5 STREAMS s >");
    client.ask("XREADGROUP GROUP g carol NOACK COUNT 5 STREAMS s >");
    client.ask("XACK s g 10-0 10-1");
    client.ask("XCLAIM s g bob 0 11-0 11-1 RETRYCOUNT 7");
    client.ask("XDEL s 12-0 13-1");
    client.ask("XTRIM t MAXLEN ~ 210");
    client.ask("XADD t MAXLEN 200 900-1 f v");
    client.ask("GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    for number in 0..2000 {
        client.call(&["PFADD", "dense", &number.to_string()]);
    }
    client.ask("PFADD sparse a b c");
    client.ask("PFCOUNT sparse");
}

#[test]
fn files_hold_streams_as_the_incumbents_do() {
    let (dir_a, dir_b) = (scratch(), scratch());
    let ours = Server::ours(dir_a.path(), &["--save", ""]);
    fill(&mut ours.client());
    let expected = content(&mut ours.client());
    let digest = ours.client().ask("DEBUG DIGEST");
    ours.client().ask("SAVE");
    copy(dir_a.path().join("dump.rdb"), dir_b.path().join("dump.rdb")).unwrap();
    let theirs = Server::theirs(dir_b.path(), &["--save", ""]);
    let Some(theirs) = theirs else { return };
    assert_eq!(content(&mut theirs.client()), expected);
    assert_eq!(theirs.client().ask("DEBUG DIGEST"), digest);
    theirs.client().ask("SAVE");
    drop(ours);
    copy(dir_b.path().join("dump.rdb"), dir_a.path().join("dump.rdb")).unwrap();
    let again = Server::ours(dir_a.path(), &["--save", ""]);
    assert_eq!(content(&mut again.client()), expected);
    assert_eq!(again.client().ask("DEBUG DIGEST"), digest);
}

#[test]
fn the_log_repeats_what_has_happened_to_streams() {
    let dir = scratch();
    let args = ["--save", "", "--appendonly", "yes"];
    let ours = Server::ours(dir.path(), &args);
    let mut client = ours.client();
    fill(&mut client);
    client.ask("XADD auto * f v");
    client.ask("XADD auto MINID ~ 0 * f v");
    client.ask("XAUTOCLAIM s g dave 0 - COUNT 3");
    client.ask("XCLAIM s g erin 0 400-1 FORCE");
    client.ask("XGROUP SETID s other 20-1");
    let expected = settled(content(&mut client));
    ours.kill();
    let again = Server::ours(dir.path(), &args);
    assert_eq!(settled(content(&mut again.client())), expected);
    assert_eq!(again.client().ask("BGREWRITEAOF").chars().next(), Some('+'));
}
