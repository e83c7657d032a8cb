//! Replies of a server in pieces of any size: the decoder and the skipper see the same ends.
#![no_main]

use box_wire::resp_reply::{ReplyDecoder, ReplySkipper, Skipped};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = (usize::from(input.0).max(1), input.1);
    let mut decoder = ReplyDecoder::default();
    'decode: for bytes in bytes.chunks(piece) {
        decoder.feed(bytes);
        loop {
            match decoder.next_reply() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => break 'decode,
            }
        }
    }
    let (mut skipper, mut held) = (ReplySkipper::default(), Vec::new());
    for bytes in bytes.chunks(piece) {
        held.extend_from_slice(bytes);
        while let Ok(Skipped::Reply { length, .. }) = skipper.skip(&held) {
            held.drain(..length);
        }
        match skipper.skip(&held) {
            Ok(Skipped::More { length }) => drop(held.drain(..length)),
            _ => return,
        }
    }
});
