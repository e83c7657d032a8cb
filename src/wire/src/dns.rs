//! DNS messages (RFC 1035 section 4): parsed without allocation, encoded into a `Vec`.
//!
//! ```text
//! header (12) | questions | answers | authorities | additionals
//! question    = name type(2) class(2)
//! record      = name type(2) class(2) ttl(4) length(2) data(length)
//! name        = (length(1) label)* (0 | pointer(2))        pointer = 11 + 14 bits of offset
//! ```
//!
//! A name may point backwards into the message, so a [`Name`] keeps the whole message and walks it
//! when it is read. Pointers must go strictly backwards: a loop cannot be built.

use nom::bytes::complete::take;
use nom::number::complete::{be_u16, be_u32};
use nom::{IResult, Parser};

/// Bytes of the fixed head of a message.
pub const HEADER_BYTES: usize = 12;
/// The longest name, with its length bytes and final zero (RFC 1035 section 2.3.4).
pub const NAME_MAX_BYTES: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
pub const LABEL_MAX_BYTES: usize = 63;

/// Record and question types (RFC 1035 section 3.2.2 and later).
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// The canonical name of an alias.
    pub const CNAME: u16 = 5;
    /// A pointer to another name, used for reverse look-ups.
    pub const PTR: u16 = 12;
    /// An IPv6 address (RFC 3596).
    pub const AAAA: u16 = 28;
}

/// The class of the Internet (RFC 1035 section 3.2.4).
pub const CLASS_IN: u16 = 1;

/// The fixed head of every message (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Chosen by the asker, returned by the answerer.
    pub id: u16,
    /// QR, opcode, AA, TC, RD, RA, Z, AD, CD and the response code.
    pub flags: u16,
    /// How many questions follow.
    pub questions: u16,
    /// How many answer records follow.
    pub answers: u16,
    /// How many authority records follow.
    pub authorities: u16,
    /// How many additional records follow.
    pub additionals: u16,
}

impl Header {
    /// Bit QR: this is a response.
    pub const RESPONSE: u16 = 0x8000;
    /// Bit TC: the message was cut to fit; ask again over TCP.
    pub const TRUNCATED: u16 = 0x0200;
    /// Bit RD: the answerer shall ask others.
    pub const RECURSION_DESIRED: u16 = 0x0100;

    /// RCODE: 0 no error, 1 format error, 2 server failure, 3 no such name, …
    pub fn response_code(&self) -> u8 {
        (self.flags & 0x000f) as u8
    }
}

/// Parses the head.
///
/// # Errors
/// Fewer than 12 bytes.
pub fn header(i: &[u8]) -> IResult<&[u8], Header> {
    (be_u16, be_u16, be_u16, be_u16, be_u16, be_u16)
        .map(|(id, flags, questions, answers, authorities, additionals)| Header {
            id,
            flags,
            questions,
            answers,
            authorities,
            additionals,
        })
        .parse(i)
}

/// A name inside a message, possibly compressed.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    message: &'a [u8],
    offset: usize,
}

impl<'a> Name<'a> {
    /// The labels from the left. Ends early (with an `Err`) where the name is damaged.
    pub fn labels(self) -> Labels<'a> {
        Labels { message: self.message, offset: Some(self.offset), floor: self.offset, bytes: 0 }
    }

    /// Whether the labels equal those of the dotted `name`, letter case aside.
    pub fn equals(self, name: &str) -> bool {
        let mut expected = name.trim_end_matches('.').split('.').filter(|label| !label.is_empty());
        for label in self.labels() {
            match (label, expected.next()) {
                (Ok(label), Some(other)) if label.eq_ignore_ascii_case(other.as_bytes()) => {}
                _ => return false,
            }
        }
        expected.next().is_none()
    }

    /// The dotted form without a final dot, or `None` where the name is damaged.
    pub fn to_dotted(self) -> Option<String> {
        let mut text = String::new();
        for label in self.labels() {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&String::from_utf8_lossy(label.ok()?));
        }
        Some(text)
    }
}

/// A name that breaks RFC 1035: cut, too long, or pointing forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

/// The labels of a [`Name`].
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    message: &'a [u8],
    offset: Option<usize>,
    /// A pointer must go below this: below the place where the present run of labels began.
    floor: usize,
    bytes: usize,
}

impl<'a> Iterator for Labels<'a> {
    type Item = Result<&'a [u8], BadName>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut offset = self.offset.take()?;
        loop {
            match element(self.message, offset) {
                Some(Element::End) => return None,
                Some(Element::Pointer(target)) if target < self.floor => {
                    self.floor = target;
                    offset = target;
                }
                Some(Element::Label(label)) if self.bytes + label.len() + 2 <= NAME_MAX_BYTES => {
                    self.bytes += label.len() + 1;
                    self.offset = Some(offset + 1 + label.len());
                    return Some(Ok(label));
                }
                _ => return Some(Err(BadName)),
            }
        }
    }
}

enum Element<'a> {
    End,
    Label(&'a [u8]),
    Pointer(usize),
}

fn element(message: &[u8], offset: usize) -> Option<Element<'_>> {
    let first = *message.get(offset)?;
    match first >> 6 {
        0 if first == 0 => Some(Element::End),
        0 => message.get(offset + 1..offset + 1 + usize::from(first)).map(Element::Label),
        3 => {
            let low = *message.get(offset + 1)?;
            Some(Element::Pointer(usize::from(first & 0x3f) << 8 | usize::from(low)))
        }
        _ => None,
    }
}

/// Parses the name at `offset`: the name and the offset behind it.
///
/// # Errors
/// The name does not end within the message. What its pointers lead to is checked when it is read.
pub fn name(message: &[u8], offset: usize) -> Result<(Name<'_>, usize), BadName> {
    let mut end = offset;
    loop {
        match element(message, end).ok_or(BadName)? {
            Element::End => return Ok((Name { message, offset }, end + 1)),
            Element::Pointer(_) => return Ok((Name { message, offset }, end + 2)),
            Element::Label(label) => end += 1 + label.len(),
        }
        if end - offset > NAME_MAX_BYTES {
            return Err(BadName);
        }
    }
}

/// A question (RFC 1035 section 4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked about.
    pub name: Name<'a>,
    /// QTYPE.
    pub kind: u16,
    /// QCLASS.
    pub class: u16,
}

/// A resource record (RFC 1035 section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What it is about.
    pub name: Name<'a>,
    /// TYPE.
    pub kind: u16,
    /// CLASS.
    pub class: u16,
    /// Seconds that it may be kept.
    pub ttl_s: u32,
    /// RDATA.
    pub data: &'a [u8],
    /// Where RDATA begins in the message: names in it may be compressed.
    pub data_offset: usize,
}

impl Record<'_> {
    /// The address of an A or AAAA record.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        match self.kind {
            kind::A => <[u8; 4]>::try_from(self.data).ok().map(Into::into),
            kind::AAAA => <[u8; 16]>::try_from(self.data).ok().map(Into::into),
            _ => None,
        }
    }
}

/// Parses the question at `offset`: the question and the offset behind it.
///
/// # Errors
/// It does not end within the message.
pub fn question(message: &[u8], offset: usize) -> Result<(Question<'_>, usize), BadName> {
    let (name, offset) = name(message, offset)?;
    let rest = message.get(offset..).ok_or(BadName)?;
    let (_, (kind, class)) = (be_u16, be_u16).parse(rest).map_err(cut)?;
    Ok((Question { name, kind, class }, offset + 4))
}

/// Parses the record at `offset`: the record and the offset behind it.
///
/// # Errors
/// It does not end within the message.
pub fn record(message: &[u8], offset: usize) -> Result<(Record<'_>, usize), BadName> {
    let (name, offset) = name(message, offset)?;
    let rest = message.get(offset..).ok_or(BadName)?;
    let (rest, (kind, class, ttl_s, length)) =
        (be_u16, be_u16, be_u32, be_u16).parse(rest).map_err(cut)?;
    let (_, data) = take(length).parse(rest).map_err(cut)?;
    let data_offset = offset + 10;
    let record = Record { name, kind, class, ttl_s, data, data_offset };
    Ok((record, data_offset + data.len()))
}

fn cut(_: nom::Err<nom::error::Error<&[u8]>>) -> BadName {
    BadName
}

/// The answer records of a message, behind its questions.
///
/// # Errors
/// The head or a question is cut.
pub fn answers(message: &[u8]) -> Result<Answers<'_>, BadName> {
    let (_, header) = header(message).map_err(cut)?;
    let mut offset = HEADER_BYTES;
    for _ in 0..header.questions {
        offset = question(message, offset)?.1;
    }
    Ok(Answers { message, offset, left: header.answers })
}

/// The answer records of a message; ends at the first that is cut.
#[derive(Clone, Debug)]
pub struct Answers<'a> {
    message: &'a [u8],
    offset: usize,
    left: u16,
}

impl<'a> Iterator for Answers<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (record, offset) = record(self.message, self.offset).ok()?;
        self.offset = offset;
        Some(record)
    }
}

/// Appends the head.
pub fn encode_header(out: &mut Vec<u8>, header: &Header) {
    let Header { id, flags, questions, answers, authorities, additionals } = *header;
    for field in [id, flags, questions, answers, authorities, additionals] {
        out.extend_from_slice(&field.to_be_bytes());
    }
}

/// Appends a dotted name without compression.
///
/// # Errors
/// A label is empty or longer than 63 bytes, or the name longer than 255.
pub fn encode_name(out: &mut Vec<u8>, name: &str) -> Result<(), BadName> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() + 2 > NAME_MAX_BYTES {
        return Err(BadName);
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        if label.is_empty() || label.len() > LABEL_MAX_BYTES {
            return Err(BadName);
        }
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    Ok(())
}

/// A query for one name with recursion desired.
///
/// # Errors
/// As [`encode_name`].
pub fn query(id: u16, name: &str, kind: u16) -> Result<Vec<u8>, BadName> {
    let mut out = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    let flags = Header::RECURSION_DESIRED;
    encode_header(&mut out, &Header { id, flags, questions: 1, ..Header::default() });
    encode_name(&mut out, name)?;
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `example.com A` answered by a CNAME and an address, with compressed names.
    fn answer() -> Vec<u8> {
        let mut out = Vec::new();
        let flags = Header::RESPONSE | Header::RECURSION_DESIRED;
        let header = Header { id: 7, flags, questions: 1, answers: 2, ..Header::default() };
        encode_header(&mut out, &header);
        encode_name(&mut out, "www.example.com").unwrap();
        out.extend_from_slice(&[0, 1, 0, 1]);
        // www.example.com CNAME example.com (pointer to offset 16, behind "www")
        out.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 16]);
        out.extend_from_slice(&[0xc0, 16, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        out
    }

    #[test]
    fn an_answer_with_compressed_names_is_read() {
        let message = answer();
        let (question, _) = question(&message, HEADER_BYTES).unwrap();
        assert!(question.name.equals("WWW.example.com."));
        let records: Vec<_> = answers(&message).unwrap().collect();
        assert_eq!(records.len(), 2);
        let (alias, _) = name(&message, records[0].data_offset).unwrap();
        assert_eq!(alias.to_dotted().as_deref(), Some("example.com"));
        assert_eq!(records[1].name.to_dotted().as_deref(), Some("example.com"));
        assert_eq!(records[1].address(), Some([192, 0, 2, 1].into()));
    }

    #[test]
    fn a_message_cut_anywhere_gives_what_is_whole_and_no_panic() {
        let message = answer();
        for end in 0..message.len() {
            let count = answers(&message[..end]).map(Iterator::count).unwrap_or(0);
            assert!(count < 2, "{count} answers in {end} bytes");
        }
    }

    #[test]
    fn a_pointer_to_itself_or_forwards_is_refused() {
        for pointer in [0u8, 2] {
            let message = [0xc0, pointer, 1, b'a', 0];
            let (name, _) = name(&message, 0).unwrap();
            assert_eq!(name.to_dotted(), None);
        }
        // Two runs that point at each other: the second step does not go below the first.
        let message = [1, b'a', 0xc0, 4, 1, b'b', 0xc0, 0];
        let (name, _) = name(&message, 4).unwrap();
        assert_eq!(name.to_dotted(), None);
    }

    #[test]
    fn a_name_round_trips() {
        let mut out = Vec::new();
        encode_name(&mut out, "a.example").unwrap();
        let (parsed, end) = name(&out, 0).unwrap();
        assert_eq!((parsed.to_dotted().as_deref(), end), (Some("a.example"), out.len()));
        assert_eq!(encode_name(&mut out, "a..b"), Err(BadName));
        assert_eq!(encode_name(&mut out, &"a".repeat(64)), Err(BadName));
        assert_eq!(encode_name(&mut out, &"a.".repeat(128)), Err(BadName));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            if let Ok(answers) = answers(&bytes) {
                for record in answers {
                    let _ = (record.name.to_dotted(), record.address());
                }
            }
        }
    }
}
