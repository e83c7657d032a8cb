//! Reads an RDB file or DUMP payload that lies in memory, piece by piece.
//!
//! Lengths are checked against the bytes that are there before anything is reserved; nothing is
//! trusted, as files come from other people and RESTORE payloads from the network.

use std::borrow::Cow;

use super::crc64::crc64;
use super::expiring::{self, Field};
use super::intset::IntSet;
use super::listpack::ListPack;
use super::stream::{self, Stream};
use super::ziplist::{from_ziplist, from_zipmap};
use super::{kind, lzf, opcode};
use crate::decimal::push_i64;

/// Why the bytes are not RDB, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Offset of the piece that could not be read.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A byte string, borrowed where the file holds it plainly.
pub type Bytes<'a> = Cow<'a, [u8]>;

/// What a file holds between its start and its end.
#[derive(Debug)]
pub enum Piece<'a> {
    /// An auxiliary field.
    Aux(Bytes<'a>, Bytes<'a>),
    /// The keys that follow are of this database.
    SelectDb(u64),
    /// How many keys, and how many that expire, the database has.
    ResizeDb(u64, u64),
    /// The source of a function library.
    Function(Bytes<'a>),
    /// A key with its value.
    Key {
        /// Its name.
        key: Bytes<'a>,
        /// Its value.
        value: Value<'a>,
        /// When it expires, in ms of Unix time.
        expire_ms: Option<i64>,
        /// Seconds since its last use.
        idle_s: Option<u64>,
        /// Its LFU counter.
        freq: Option<u8>,
    },
    /// The end; the checksum has been compared.
    End,
}

/// A value, in the shape in which the file holds it.
#[derive(Debug)]
pub enum Value<'a> {
    /// A string.
    String(Bytes<'a>),
    /// Elements of a list.
    List(Vec<Bytes<'a>>),
    /// Nodes of a quicklist.
    QuickList(Vec<Node<'a>>),
    /// Members of a set.
    Set(Vec<Bytes<'a>>),
    /// A set of integers.
    IntSet(IntSet),
    /// Fields and values.
    Hash(Vec<(Bytes<'a>, Bytes<'a>)>),
    /// Fields and values in turn.
    HashPack(ListPack),
    /// Members and scores.
    Zset(Vec<(Bytes<'a>, f64)>),
    /// Members and scores in turn.
    ZsetPack(ListPack),
    /// Members of a small set.
    SetPack(ListPack),
    /// A hash whose fields may expire.
    HashExpiring(Vec<Field<'a>>),
    /// A stream.
    Stream(Box<Stream>),
}

/// A node of a quicklist.
#[derive(Debug)]
pub enum Node<'a> {
    /// Many elements.
    Packed(ListPack),
    /// One big element.
    Plain(Bytes<'a>),
}

/// The most that DUMP payloads of later versions are taken from.
const VERSION_MAX: u16 = 12;
/// The version Valkey 9 writes.
const VERSION_VALKEY: u16 = 80;

/// The libraries of a `FUNCTION DUMP` payload.
///
/// # Errors
/// Version or checksum are wrong, or there is something else in it.
pub fn functions(bytes: &[u8]) -> Result<Vec<Bytes<'_>>, Broken> {
    let mut reader = Reader::sealed(bytes)?;
    let mut codes = Vec::new();
    while !reader.rest.is_empty() {
        if reader.byte()? != opcode::FUNCTION2 {
            return Err(reader.broken("not a function"));
        }
        codes.push(reader.string()?);
    }
    Ok(codes)
}

/// Reads pieces from bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
    version: u16,
}

impl<'a> Reader<'a> {
    /// Reads the start of a file.
    ///
    /// # Errors
    /// It is not RDB, or of a version that is not known.
    pub fn file(bytes: &'a [u8]) -> Result<Reader<'a>, Broken> {
        let broken = |reason| Broken { offset: 0, reason };
        let (magic, rest) = bytes.split_at_checked(9).ok_or(broken("the file is too short"))?;
        let digits = magic.strip_prefix(b"REDIS").or_else(|| magic.strip_prefix(b"VALKEY"));
        let version = digits
            .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
            .ok_or(broken("Wrong signature trying to load DB from file"))?;
        if !(1..=VERSION_MAX).contains(&version) && version != VERSION_VALKEY {
            return Err(broken("Can't handle RDB format version"));
        }
        Ok(Reader { all: bytes, rest, version })
    }

    /// The value of a DUMP payload.
    ///
    /// # Errors
    /// Version or checksum are wrong, or the value is.
    pub fn payload(bytes: &'a [u8]) -> Result<Value<'a>, Broken> {
        let mut reader = Reader::sealed(bytes)?;
        let kind = reader.byte()?;
        let value = reader.value(kind)?;
        // Bytes behind the value are not looked at, as the incumbents do.
        Ok(value)
    }

    /// The body of a payload whose footer is right.
    fn sealed(bytes: &'a [u8]) -> Result<Reader<'a>, Broken> {
        let broken = |reason| Broken { offset: 0, reason };
        let (body, footer) = bytes.split_last_chunk::<10>().ok_or(broken("too short"))?;
        let [low, high, sum @ ..] = *footer;
        let version = u16::from_le_bytes([low, high]);
        if version > VERSION_MAX && version != VERSION_VALKEY {
            return Err(broken("version"));
        }
        let sum = u64::from_le_bytes(sum);
        if sum != 0 && crc64(0, &bytes[..bytes.len() - 8]) != sum {
            return Err(broken("checksum"));
        }
        Ok(Reader { all: body, rest: body, version })
    }

    /// Whether Valkey's meaning of a type counts.
    pub(super) fn is_valkey(&self) -> bool {
        self.version == VERSION_VALKEY
    }

    /// Offset of what is read next.
    pub fn offset(&self) -> usize {
        self.all.len() - self.rest.len()
    }

    /// The bytes behind what has been read: an AOF with an RDB preamble goes on there.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The next piece.
    ///
    /// # Errors
    /// The bytes are cut or wrong.
    pub fn piece(&mut self) -> Result<Piece<'a>, Broken> {
        let (mut expire_ms, mut idle_s, mut freq) = (None, None, None);
        loop {
            match self.byte()? {
                opcode::EXPIRE_MS => expire_ms = Some(i64::from_le_bytes(self.chunk()?)),
                opcode::EXPIRE_S => {
                    expire_ms = Some(i64::from(i32::from_le_bytes(self.chunk()?)) * 1000);
                }
                opcode::IDLE => idle_s = Some(self.length()?),
                opcode::FREQ => freq = Some(self.byte()?),
                opcode::AUX => return Ok(Piece::Aux(self.string()?, self.string()?)),
                opcode::SELECT_DB => return Ok(Piece::SelectDb(self.length()?)),
                opcode::RESIZE_DB => return Ok(Piece::ResizeDb(self.length()?, self.length()?)),
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.length()?;
                    }
                }
                opcode::FUNCTION2 => return Ok(Piece::Function(self.string()?)),
                opcode::MODULE_AUX => self.skip_module()?,
                opcode::EOF => return self.end(),
                opcode::FUNCTION_PRE_GA => return Err(self.broken("a function of a pre-release")),
                kind => {
                    let key = self.string()?;
                    let value = self.value(kind)?;
                    return Ok(Piece::Key { key, value, expire_ms, idle_s, freq });
                }
            }
        }
    }

    fn end(&mut self) -> Result<Piece<'a>, Broken> {
        if self.version >= 5 {
            let end = self.offset();
            let sum = u64::from_le_bytes(self.chunk()?);
            // Zero means that the writer was told not to compute one.
            if sum != 0 && crc64(0, &self.all[..end]) != sum {
                return Err(self.broken("Wrong RDB checksum"));
            }
        }
        Ok(Piece::End)
    }

    fn skip_module(&mut self) -> Result<(), Broken> {
        self.length()?;
        loop {
            match self.length()? {
                0 => return Ok(()),
                1 | 2 => drop(self.length()?),
                3 => drop(self.chunk::<4>()?),
                4 => drop(self.chunk::<8>()?),
                5 => drop(self.string()?),
                _ => return Err(self.broken("an unknown piece of a module")),
            }
        }
    }

    fn value(&mut self, kind: u8) -> Result<Value<'a>, Broken> {
        Ok(match kind {
            kind::STRING => Value::String(self.string()?),
            kind::LIST => Value::List(self.strings()?),
            kind::SET => Value::Set(self.strings()?),
            kind::HASH => Value::Hash(self.many(4, |r| Ok((r.string()?, r.string()?)))?),
            kind::ZSET => Value::Zset(self.many(2, |r| Ok((r.string()?, r.old_score()?)))?),
            kind::ZSET2 => Value::Zset(self.many(9, |r| Ok((r.string()?, r.score()?)))?),
            kind::SET_INTSET => {
                let bytes = self.string()?.into_owned();
                let set = IntSet::from_bytes(bytes).filter(|set| !set.is_empty());
                Value::IntSet(set.ok_or_else(|| self.broken("Intset integrity check failed"))?)
            }
            kind::HASH_ZIPMAP => Value::HashPack(self.converted(from_zipmap, 2)?),
            kind::HASH_ZIPLIST => Value::HashPack(self.converted(from_ziplist, 2)?),
            kind::ZSET_ZIPLIST => Value::ZsetPack(self.converted(from_ziplist, 2)?),
            kind::LIST_ZIPLIST => {
                Value::QuickList(vec![Node::Packed(self.converted(from_ziplist, 1)?)])
            }
            kind::HASH_LISTPACK => Value::HashPack(self.listpack(2)?),
            kind::ZSET_LISTPACK => Value::ZsetPack(self.listpack(2)?),
            kind::SET_LISTPACK => Value::SetPack(self.listpack(1)?),
            kind::LIST_QUICKLIST => {
                Value::QuickList(self.many(1, |r| Ok(Node::Packed(r.converted(from_ziplist, 1)?)))?)
            }
            kind::LIST_QUICKLIST2 => Value::QuickList(self.many(2, Self::node)?),
            kind::STREAM | kind::STREAM2 | kind::STREAM3 => {
                Value::Stream(Box::new(stream::read(self, kind)?))
            }
            kind::HASH_TTL
            | kind::HASH_LISTPACK_TTL
            | kind::HASH_METADATA
            | kind::HASH_LISTPACK_EX => Value::HashExpiring(expiring::read(self, kind)?),
            _ => return Err(self.broken("Unknown RDB encoding type")),
        })
    }

    fn node(&mut self) -> Result<Node<'a>, Broken> {
        match self.length()? {
            1 => Ok(Node::Plain(self.string()?)),
            2 => Ok(Node::Packed(self.listpack(1)?)),
            _ => Err(self.broken("Unknown quicklist node container type")),
        }
    }

    pub(super) fn listpack(&mut self, group: usize) -> Result<ListPack, Broken> {
        let bytes = self.string()?.into_owned();
        let pack = ListPack::from_bytes(bytes).filter(|pack| in_groups(pack, group));
        pack.ok_or_else(|| self.broken("Listpack integrity check failed"))
    }

    fn converted(
        &mut self,
        convert: fn(&[u8]) -> Option<ListPack>,
        group: usize,
    ) -> Result<ListPack, Broken> {
        let bytes = self.string()?;
        let pack = convert(&bytes).filter(|pack| in_groups(pack, group));
        pack.ok_or_else(|| self.broken("Ziplist integrity check failed"))
    }

    fn strings(&mut self) -> Result<Vec<Bytes<'a>>, Broken> {
        self.many(1, Self::string)
    }

    /// A counted sequence of elements that have `least` bytes each.
    pub(super) fn many<T>(
        &mut self,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Broken>,
    ) -> Result<Vec<T>, Broken> {
        let count = self.length()?;
        if count == 0 {
            return Err(self.broken("an empty key"));
        }
        if count > (self.rest.len() / least) as u64 {
            return Err(self.broken("more elements than bytes"));
        }
        (0..count).map(|_| element(self)).collect()
    }

    /// A count of elements that have `least` bytes each, checked against the bytes that are there.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Broken> {
        let count = self.length()?;
        if count > (self.rest.len() / least) as u64 {
            return Err(self.broken("more elements than bytes"));
        }
        Ok(count as usize)
    }

    fn score(&mut self) -> Result<f64, Broken> {
        let score = f64::from_le_bytes(self.chunk()?);
        if score.is_nan() { Err(self.broken("Zset with NAN score")) } else { Ok(score) }
    }

    /// A score as text, in versions below 8.
    fn old_score(&mut self) -> Result<f64, Broken> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Err(self.broken("Zset with NAN score")),
            len => {
                let text = self.take(usize::from(len))?;
                let score = str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
                score.ok_or_else(|| self.broken("Bad score"))
            }
        }
    }

    /// A length.
    ///
    /// # Errors
    /// The bytes are cut, or an encoded string stands there.
    pub fn length(&mut self) -> Result<u64, Broken> {
        match self.len_or_encoding()? {
            Ok(len) => Ok(len),
            Err(_) => Err(self.broken("a length was expected")),
        }
    }

    fn len_or_encoding(&mut self) -> Result<Result<u64, u8>, Broken> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Ok(u64::from(first)),
            1 => Ok(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Ok(u64::from(u32::from_be_bytes(self.chunk()?))),
            2 if first == 0x81 => Ok(u64::from_be_bytes(self.chunk()?)),
            2 => return Err(self.broken("Unknown length encoding")),
            _ => Err(first & 0x3f),
        })
    }

    /// A string.
    ///
    /// # Errors
    /// The bytes are cut, or its compression is wrong.
    pub fn string(&mut self) -> Result<Bytes<'a>, Broken> {
        let number = |value: i64| {
            let mut text = Vec::new();
            push_i64(&mut text, value);
            Ok(Cow::Owned(text))
        };
        match self.len_or_encoding()? {
            Ok(len) => {
                let len = usize::try_from(len).map_err(|_| self.broken("a string too long"))?;
                Ok(Cow::Borrowed(self.take(len)?))
            }
            Err(0) => number(i64::from(i8::from_le_bytes(self.chunk()?))),
            Err(1) => number(i64::from(i16::from_le_bytes(self.chunk()?))),
            Err(2) => number(i64::from(i32::from_le_bytes(self.chunk()?))),
            Err(3) => self.compressed(),
            Err(_) => Err(self.broken("Unknown RDB string encoding type")),
        }
    }

    fn compressed(&mut self) -> Result<Bytes<'a>, Broken> {
        let (packed, plain) = (self.length()? as usize, self.length()? as usize);
        let bytes = self.take(packed)?;
        let text = lzf::decompress(bytes, plain);
        text.map(Cow::Owned).ok_or_else(|| self.broken("Invalid LZF compressed string"))
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let [byte] = self.chunk()?;
        Ok(byte)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or_else(|| self.cut())?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.cut())?;
        self.rest = rest;
        Ok(bytes)
    }

    fn cut(&self) -> Broken {
        self.broken("Unexpected EOF reading RDB file")
    }

    pub(super) fn broken(&self, reason: &'static str) -> Broken {
        Broken { offset: self.offset(), reason }
    }
}

fn in_groups(pack: &ListPack, group: usize) -> bool {
    let count = pack.len();
    count > 0 && count.is_multiple_of(group)
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        write::magic(&mut out);
        write::aux(&mut out, "redis-ver", "7.0.15");
        write::select_db(&mut out, 3, 2, 1);
        write::expire_ms(&mut out, 1_700_000_000_000);
        out.push(kind::STRING);
        write::string(&mut out, b"key", true);
        write::string(&mut out, &[b'a'; 300], true);
        out.push(kind::HASH_LISTPACK);
        write::string(&mut out, b"hash", true);
        let mut pack = ListPack::new();
        pack.push(b"field");
        pack.push(b"12");
        write::string(&mut out, pack.as_bytes(), true);
        out.push(opcode::EOF);
        let sum = crc64(0, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn walk(bytes: &[u8]) -> Result<usize, Broken> {
        let mut reader = Reader::file(bytes)?;
        let mut pieces = 0;
        loop {
            pieces += 1;
            if matches!(reader.piece()?, Piece::End) {
                return Ok(pieces);
            }
        }
    }

    #[test]
    fn a_file_is_read_piece_by_piece_and_no_cut_of_it_is() {
        let file = sample();
        assert_eq!(walk(&file), Ok(6));
        for cut in 0..file.len() {
            assert!(walk(&file[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn no_mutation_panics_and_the_checksum_finds_it() {
        let file = sample();
        let mut state = 11u64;
        for _ in 0..20_000 {
            let mut bytes = file.clone();
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = 9 + (state >> 33) as usize % (bytes.len() - 17);
            let flip = (state >> 20) as u8;
            bytes[at] ^= flip;
            assert!(flip == 0 || walk(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_payload_is_sealed_and_opened() {
        let mut payload = vec![kind::STRING];
        write::string(&mut payload, b"hello", true);
        write::seal_payload(&mut payload);
        assert!(matches!(Reader::payload(&payload), Ok(Value::String(s)) if *s == *b"hello"));
        payload[2] ^= 1;
        assert!(Reader::payload(&payload).is_err());
    }
}
