//! HTTP/1 heads and chunked bodies: never a panic, and no cut changes the verdict.
#![no_main]

use box_wire::http1::{ChunkDecoder, ChunkStep, HeadParser, Progress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let cut = usize::from(*cut).min(bytes.len());
    let verdict = |first: usize| {
        let mut parser = HeadParser::default();
        let progress = match parser.advance(&bytes[..first])? {
            Progress::Partial => parser.advance(bytes)?,
            complete => complete,
        };
        let request = parser.request(bytes).map(|head| head.framing);
        let response = parser.response(bytes).map(|head| head.status);
        Ok::<_, box_wire::http1::Reject>((progress, request, response))
    };
    assert_eq!(verdict(0), verdict(cut));
    let mut decoder = ChunkDecoder::default();
    let mut at = 0;
    while let Ok(step) = decoder.step(&bytes[at..]) {
        match step {
            ChunkStep::Partial | ChunkStep::End(_) => break,
            ChunkStep::Framing(count) => at += count,
            ChunkStep::Data(count) => {
                decoder.took(count);
                at += count;
            }
            ChunkStep::Trailer { len, .. } => at += len,
        }
    }
});
