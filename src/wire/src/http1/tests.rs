//! The parsers on real heads, on every cut, on what must be refused, and on mutations.

use super::*;

fn request(bytes: &[u8]) -> Result<Option<(String, Framing)>, Reject> {
    let mut parser = HeadParser::default();
    match parser.advance(bytes)? {
        Progress::Partial => Ok(None),
        Progress::Complete(_) => {
            let head = parser.request(bytes)?;
            Ok(Some((String::from_utf8_lossy(head.method).into_owned(), head.framing)))
        }
    }
}

#[track_caller]
fn refused(head: &str, why: Reject) {
    assert_eq!(request(head.as_bytes()), Err(why), "{head:?}");
}

const PLAIN: &[u8] =
    b"POST /a?b=c HTTP/1.1\r\nHost: x.test:81\r\nContent-Length: 5\r\nX-A:  v \t\r\n\r\nhello";

#[test]
fn a_request_is_taken_apart() {
    let mut parser = HeadParser::default();
    let Ok(Progress::Complete(len)) = parser.advance(PLAIN) else { panic!("not complete") };
    assert_eq!(&PLAIN[len..], b"hello");
    let head = parser.request(PLAIN).expect("well-formed");
    assert_eq!(head.target, b"/a?b=c");
    assert_eq!(head.host, Some(&b"x.test:81"[..]));
    assert_eq!(head.framing, Framing::Length(5));
    assert_eq!(head.fields.named("x-a"), Some(&b"v"[..]));
    assert!(head.keep_alive());
}

#[test]
fn any_cut_gives_the_same_result() {
    let whole = request(PLAIN);
    for cut in 0..PLAIN.len() {
        let mut parser = HeadParser::default();
        let first = parser.advance(&PLAIN[..cut]).expect("a prefix of a good head is good");
        if first == Progress::Partial {
            assert!(matches!(parser.advance(PLAIN), Ok(Progress::Complete(_))), "cut at {cut}");
        }
        let head = parser.request(PLAIN).expect("well-formed");
        assert_eq!(whole.as_ref().ok().and_then(|w| w.as_ref()).map(|w| w.1), Some(head.framing));
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    refused("GET / HTTP/1.1\nHost: x\n\n", Reject::BareLineEnd);
    refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", Reject::BareLineEnd);
    refused("GET / HTTP/1.1\r\nHost : x\r\n\r\n", Reject::FieldName);
    refused("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", Reject::FoldedLine);
    refused("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", Reject::FieldValue);
    refused("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", Reject::Host);
    refused("GET / HTTP/1.1\r\n\r\n", Reject::Host);
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Reject::Host);
    refused("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Reject::Host);
    refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", Reject::RequestTarget);
    refused("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", Reject::StartLine);
    refused("GET /\r\nHost: x\r\n\r\n", Reject::StartLine);
    refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n", Reject::Version);
    refused("GET / http/1.1\r\nHost: x\r\n\r\n", Reject::StartLine);
    refused("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", Reject::Method);
    refused("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", Reject::RequestTarget);
    refused("GET * HTTP/1.1\r\nHost: x\r\n\r\n", Reject::RequestTarget);
    refused("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", Reject::RequestTarget);
    for length in ["+5", "-5", "0x5", "5,5", "5 5", "", "99999999999999999999", "5_0"] {
        refused(
            &format!("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"),
            Reject::ContentLength,
        );
    }
    let both =
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(both, Reject::TwoFramings);
    for coding in ["gzip, chunked", "chunked, chunked", "xchunked", "identity", "chunked;q=1", ""] {
        refused(
            &format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n"),
            Reject::TransferEncoding,
        );
    }
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Reject::TransferEncoding);
}

#[test]
fn limits_are_kept() {
    refused(
        &format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(33_000)),
        Reject::TargetTooLong,
    );
    refused(
        &format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(201)),
        Reject::TooManyFields,
    );
    refused(
        &format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "b".repeat(70_000)),
        Reject::HeadTooLarge,
    );
}

#[test]
fn an_absolute_target_overrules_host() {
    let bytes = b"GET http://y.test:8/p HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut parser = HeadParser::default();
    assert_eq!(parser.advance(bytes), Ok(Progress::Complete(bytes.len())));
    let head = parser.request(bytes).expect("well-formed");
    assert_eq!(head.host, Some(&b"y.test:8"[..]));
    assert_eq!(head.origin_target(), (&b""[..], &b"/p"[..]));
}

#[test]
fn responses_have_one_framing() {
    let framing = |text: &str, to_head| {
        let mut parser = HeadParser::default();
        parser.advance(text.as_bytes())?;
        parser.response(text.as_bytes())?.framing(to_head)
    };
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false),
        Ok(Framing::Length(3))
    );
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true), Ok(Framing::None));
    assert_eq!(
        framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false),
        Ok(Framing::None)
    );
    assert_eq!(framing("HTTP/1.1 200\r\n\r\n", false), Ok(Framing::Close));
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        Ok(Framing::Chunked)
    );
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(framing(both, false), Err(Reject::TwoFramings));
    assert_eq!(framing("HTTP/1.1 99 x\r\n\r\n", false), Err(Reject::Status));
    assert_eq!(framing("HTTP/1.1  200 x\r\n\r\n", false), Err(Reject::Status));
    assert_eq!(framing("HTP/1.1 200 x\r\n\r\n", false), Err(Reject::StartLine));
}

/// Decodes a whole chunked body fed in pieces of `piece` bytes.
fn decode(body: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, usize), Reject> {
    let (mut data, mut trailers) = (Vec::new(), Vec::new());
    let mut decoder = ChunkDecoder::default();
    let (mut at, mut seen) = (0, piece.min(body.len()));
    loop {
        let window = &body[at..seen];
        match decoder.step(window)? {
            ChunkStep::Partial if seen == body.len() => return Ok((data, trailers, usize::MAX)),
            ChunkStep::Partial => seen = (seen + piece).min(body.len()),
            ChunkStep::Framing(n) => at += n,
            ChunkStep::Data(n) => {
                data.extend_from_slice(&window[..n]);
                decoder.took(n);
                at += n;
            }
            ChunkStep::Trailer { len, name, value } => {
                trailers.push((window[name].to_vec(), window[value].to_vec()));
                at += len;
            }
            ChunkStep::End(n) => return Ok((data, trailers, at + n)),
        }
    }
}

#[test]
fn chunks_decode_the_same_however_they_arrive() {
    let body = b"5;a=b\r\nhello\r\n10\r\n, chunked world!\r\n0\r\nX-T:  v \r\n\r\nNEXT";
    for piece in 1..body.len() {
        let (data, trailers, end) = decode(body, piece).expect("well-formed");
        assert_eq!(data, b"hello, chunked world!");
        assert_eq!(trailers, [(b"X-T".to_vec(), b"v".to_vec())]);
        assert_eq!(&body[end..], b"NEXT");
    }
}

#[test]
fn malformed_chunks_are_refused() {
    let cases = [
        "0x5\r\nhello",
        "+5\r\nhello",
        "5_0\r\n",
        "-1\r\n",
        "g\r\n",
        " 5\r\nhello",
        "5 \r\nhello",
        "5\nhello\r\n",
        "\r\n",
        ";a\r\n",
        "fffffffffffffffff\r\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello\n0\r\n",
        "5;a\x00\r\nhello",
        "0\r\nA : b\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ];
    for case in cases {
        assert!(decode(case.as_bytes(), case.len()).is_err(), "{case:?}");
    }
}

#[test]
fn chunk_heads_read_back() {
    for size in [0usize, 1, 9, 15, 16, 255, 4096, 65_536, 0xfff_ffff] {
        let mut out = Vec::new();
        chunk_head(&mut out, size);
        assert_eq!(out, format!("{size:x}\r\n").into_bytes());
    }
}

/// A fixed-seed generator: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }
}

#[test]
fn mutations_never_panic_and_cuts_never_change_the_verdict() {
    let seeds: [&[u8]; 3] = [
        PLAIN,
        b"GET http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            match dice.roll(3) {
                0 => bytes[at] = b"\r\n \t:\0;0x,"[dice.roll(10)],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, dice.roll(256) as u8),
            }
        }
        let verdict = |cut: usize| {
            let mut parser = HeadParser::default();
            let progress = match parser.advance(&bytes[..cut])? {
                Progress::Partial => parser.advance(&bytes)?,
                complete => complete,
            };
            let framing = parser.request(&bytes).map(|head| head.framing);
            let status = parser.response(&bytes).map(|head| head.status);
            Ok::<_, Reject>((progress, framing, status))
        };
        assert_eq!(verdict(0), verdict(dice.roll(bytes.len())), "{bytes:?}");
        let whole = decode(&bytes, bytes.len());
        let pieces = decode(&bytes, 1 + dice.roll(7));
        if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
            assert_eq!(whole, pieces);
        }
    }
}

#[test]
fn authorities_are_hosts_with_an_optional_port() {
    assert_eq!(authority(b"a.test"), Some(("a.test", None)));
    assert_eq!(authority(b"a.test:80"), Some(("a.test", Some(80))));
    assert_eq!(authority(b"[::1]:80"), Some(("[::1]", Some(80))));
    for bad in ["", ":80", "a:b", "a:99999", "[::1", "[]:1", "a b", "a/b", "u@h", "a,b", "[::1]x"] {
        assert_eq!(authority(bad.as_bytes()), None, "{bad:?}");
    }
}
