//! HPACK, the header compression of HTTP/2 (RFC 7541).
//!
//! The decoder keeps the peer's dynamic table; the encoder keeps none: it names what the fixed table
//! has and writes the rest out, so that no field of one visitor can be guessed through the length of
//! another's.

mod fixed;
mod huffman;

use std::collections::VecDeque;

/// The dynamic table that we let a peer have: the protocol's initial size.
pub const TABLE_BYTES: usize = 4096;
/// What an entry costs beside its text (RFC 7541 section 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// Why a header block is refused: the connection ends, for the tables differ from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// It breaks the format.
    Malformed,
}

/// A decoded list of fields, flat, to be used again for the next one.
#[derive(Clone, Debug, Default)]
pub struct FieldList {
    bytes: Vec<u8>,
    /// Where the name starts, where the value starts, where it ends.
    spans: Vec<(u32, u32, u32)>,
    /// Name and value bytes with [`ENTRY_OVERHEAD`] each, those left out included.
    size: usize,
    limit: usize,
}

impl FieldList {
    /// A list that keeps no more than `limit` bytes (as RFC 9113 section 6.5.2 counts them).
    pub fn new(limit: usize) -> FieldList {
        FieldList { limit, ..FieldList::default() }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.size = 0;
    }

    /// Adds a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + ENTRY_OVERHEAD;
        if self.size > self.limit {
            return;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        let middle = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.spans.push((start, middle, self.bytes.len() as u32));
    }

    /// Whether there was more than the limit: the list is not whole.
    pub fn is_too_large(&self) -> bool {
        self.size > self.limit
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let slice =
            |from: u32, to: u32| self.bytes.get(from as usize..to as usize).unwrap_or_default();
        self.spans
            .iter()
            .map(move |(start, middle, end)| (slice(*start, *middle), slice(*middle, *end)))
    }
}

/// Decodes the header blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    /// The newest entry first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    /// What the peer has set, at most [`TABLE_BYTES`].
    max_size: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            entries: VecDeque::new(),
            size: 0,
            max_size: TABLE_BYTES,
            name: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Decoder {
    /// Decodes a whole block behind what `out` holds. A list that is too large is decoded to its
    /// end all the same, so that the tables stay equal.
    ///
    /// # Errors
    /// The block breaks the format.
    pub fn decode(&mut self, mut block: &[u8], out: &mut FieldList) -> Result<(), HpackError> {
        let mut fields = false;
        while let Some(&first) = block.first() {
            match first {
                0x80.. => {
                    let index = integer(&mut block, 7)?;
                    self.take_entry(index)?;
                    out.push(&self.name, &self.value);
                    fields = true;
                }
                0x40.. => {
                    self.literal(&mut block, 6)?;
                    out.push(&self.name, &self.value);
                    self.insert();
                    fields = true;
                }
                0x20.. => {
                    // Changes of the size come before the fields (RFC 7541 section 4.2).
                    let size = integer(&mut block, 5)?;
                    if fields || size > TABLE_BYTES {
                        return Err(HpackError::Malformed);
                    }
                    self.max_size = size;
                    self.evict(size);
                }
                _ => {
                    self.literal(&mut block, 4)?;
                    out.push(&self.name, &self.value);
                    fields = true;
                }
            }
        }
        Ok(())
    }

    /// Reads name and value; the name by index or written out.
    fn literal(&mut self, block: &mut &[u8], prefix: u32) -> Result<(), HpackError> {
        match integer(block, prefix)? {
            0 => string(block, &mut self.name)?,
            index => self.take_entry(index)?,
        }
        string(block, &mut self.value)
    }

    /// Copies an entry of either table.
    fn take_entry(&mut self, index: usize) -> Result<(), HpackError> {
        let index = index.checked_sub(1).ok_or(HpackError::Malformed)?;
        self.name.clear();
        self.value.clear();
        if let Some((name, value)) = fixed::TABLE.get(index) {
            self.name.extend_from_slice(name.as_bytes());
            self.value.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        let entry = self.entries.get(index - fixed::TABLE.len()).ok_or(HpackError::Malformed)?;
        self.name.extend_from_slice(&entry.0);
        self.value.extend_from_slice(&entry.1);
        Ok(())
    }

    fn insert(&mut self) {
        let size = self.name.len() + self.value.len() + ENTRY_OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size <= self.max_size {
            self.size += size;
            self.entries.push_front((self.name.clone(), self.value.clone()));
        }
    }

    /// Drops the oldest entries until no more than `room` bytes are used.
    fn evict(&mut self, room: usize) {
        while self.size > room
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

/// An integer behind a prefix of `bits` bits (RFC 7541 section 5.1). Nothing here is above 2^28.
fn integer(block: &mut &[u8], bits: u32) -> Result<usize, HpackError> {
    let mask = (1usize << bits) - 1;
    let (&first, mut rest) = block.split_first().ok_or(HpackError::Malformed)?;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(HpackError::Malformed)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 21 {
                return Err(HpackError::Malformed);
            }
        }
    }
    *block = rest;
    Ok(value)
}

/// A string, plain or in the Huffman code (RFC 7541 section 5.2).
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(HpackError::Malformed)?;
    *block = rest;
    out.clear();
    if coded {
        return huffman::decode(text, out);
    }
    out.extend_from_slice(text);
    Ok(())
}

/// Appends a field to a header block. The name must be in lower case.
pub fn encode(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match fixed::find(name, value) {
        Some((index, true)) => return encode_integer(out, 0x80, 7, index),
        Some((index, false)) => encode_integer(out, 0, 4, index),
        None => {
            out.push(0);
            encode_string(out, name);
        }
    }
    encode_string(out, value);
}

fn encode_string(out: &mut Vec<u8>, text: &[u8]) {
    encode_integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

fn encode_integer(out: &mut Vec<u8>, pattern: u8, bits: u32, value: usize) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
        digits.chunks(2).map(|digits| pair(digits).expect("hexadecimal")).collect()
    }

    fn decoded(decoder: &mut Decoder, hex: &str) -> Result<String, HpackError> {
        let mut list = FieldList::new(1 << 16);
        decoder.decode(&bytes(hex), &mut list)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(list.iter().map(|(name, value)| format!("{}={};", text(name), text(value))).collect())
    }

    /// RFC 7541 appendix C.4: three requests in the Huffman code, with the dynamic table.
    #[test]
    fn the_requests_of_the_specification() {
        let mut decoder = Decoder::default();
        let first = ":method=GET;:scheme=http;:path=/;:authority=www.example.com;";
        let got = decoded(&mut decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff");
        assert_eq!(got.as_deref(), Ok(first));
        let got = decoded(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf");
        assert_eq!(got, Ok(format!("{first}cache-control=no-cache;")));
        let got =
            decoded(&mut decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
        let third = ":method=GET;:scheme=https;:path=/index.html;:authority=www.example.com;";
        assert_eq!(got, Ok(format!("{third}custom-key=custom-value;")));
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn what_breaks_the_format_is_refused() {
        for hex in [
            "80",                      // index 0
            "c0",                      // an index that nobody has set
            "82 20",                   // a change of the size behind a field
            "3f e2 1f",                // a table larger than we allow: 4097
            "00",                      // nothing behind the start of a literal
            "00 05 61",                // a string that is cut
            "ff ff ff ff ff",          // an integer without an end
            "00 82 ff ff 01 61",       // padding of more than 7 bits
            "00 81 00 01 61",          // padding with zeros: code 00000 is '0', then 000
            "00 84 ff ff ff ff 01 61", // the end of the string inside of it
        ] {
            let got = decoded(&mut Decoder::default(), hex);
            assert_eq!(got, Err(HpackError::Malformed), "{hex}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let long = vec![b'x'; 70_000];
        let fields: [(&[u8], &[u8]); 5] = [
            (b":status", b"200"),
            (b":status", b"418"),
            (b"content-type", b"text/plain"),
            (b"x-mine", b""),
            (b"x-long", &long),
        ];
        let mut block = Vec::new();
        for (name, value) in fields {
            encode(&mut block, name, value);
        }
        assert_eq!(block.first(), Some(&0x88));
        let mut list = FieldList::new(1 << 20);
        Decoder::default().decode(&block, &mut list).expect("our own");
        assert!(list.iter().eq(fields));
        let mut small = FieldList::new(1000);
        Decoder::default().decode(&block, &mut small).expect("our own");
        assert!(small.is_too_large() && small.iter().count() == 4);
    }

    #[test]
    fn a_table_never_outgrows_its_size() {
        let mut decoder = Decoder::default();
        let mut list = FieldList::new(1 << 20);
        for n in 0..1000 {
            let mut block = vec![0x40];
            encode_string(&mut block, format!("name-{n}").as_bytes());
            encode_string(&mut block, &vec![b'v'; n * 5]);
            decoder.decode(&block, &mut list).expect("well formed");
            assert!(decoder.size <= TABLE_BYTES);
        }
        decoder.decode(&[0x20], &mut list).expect("a size of 0");
        assert_eq!((decoder.size, decoder.entries.len()), (0, 0));
    }

    /// No input makes it panic.
    #[test]
    fn mutated_blocks_never_panic() {
        let seed =
            bytes("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff40 8825 a849 e95b a97d 7f89 25a8");
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut block = seed.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() as usize % block.len();
                block[at] = random() as u8;
            }
            block.truncate(1 + random() as usize % block.len());
            let mut list = FieldList::new(4096);
            let _ = Decoder::default().decode(&block, &mut list);
        }
    }
}
