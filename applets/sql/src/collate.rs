//! The three collating sequences that a SQLite file can name without an extension.

use std::borrow::Cow;
use std::cmp::Ordering;

/// How the text of a database is encoded (header offset 56). All text that passes through the
/// storage layer is in this encoding, and is bytes: nothing says that it is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 1: UTF-8.
    #[default]
    Utf8,
    /// 2: UTF-16, little-endian.
    Utf16le,
    /// 3: UTF-16, big-endian.
    Utf16be,
}

impl Encoding {
    /// The encoding that the header value names; 0 stands for a database without a table yet.
    #[must_use]
    pub fn from_header(value: u32) -> Option<Encoding> {
        match value {
            0 | 1 => Some(Encoding::Utf8),
            2 => Some(Encoding::Utf16le),
            3 => Some(Encoding::Utf16be),
            _ => None,
        }
    }

    /// The value of the header.
    #[must_use]
    pub fn to_header(self) -> u32 {
        match self {
            Encoding::Utf8 => 1,
            Encoding::Utf16le => 2,
            Encoding::Utf16be => 3,
        }
    }

    /// Text of this encoding as UTF-8; broken surrogates become U+FFFD, an odd last byte is lost.
    #[must_use]
    pub fn decode(self, text: &[u8]) -> Cow<'_, [u8]> {
        let unit = match self {
            Encoding::Utf8 => return Cow::Borrowed(text),
            Encoding::Utf16le => u16::from_le_bytes,
            Encoding::Utf16be => u16::from_be_bytes,
        };
        let units = text.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let mut out = Vec::with_capacity(text.len());
        for decoded in char::decode_utf16(units) {
            let c = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Cow::Owned(out)
    }

    /// UTF-8 text in this encoding; invalid bytes become U+FFFD on the way to UTF-16.
    #[must_use]
    pub fn encode(self, text: &[u8]) -> Cow<'_, [u8]> {
        let bytes = match self {
            Encoding::Utf8 => return Cow::Borrowed(text),
            Encoding::Utf16le => u16::to_le_bytes,
            Encoding::Utf16be => u16::to_be_bytes,
        };
        let text = String::from_utf8_lossy(text);
        Cow::Owned(text.encode_utf16().flat_map(bytes).collect())
    }
}

/// A collating sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collation {
    /// Byte order, of the stored encoding.
    #[default]
    Binary,
    /// ASCII letters compare without their case, all else in byte order.
    NoCase,
    /// Byte order without the spaces at the end.
    Rtrim,
}

impl Collation {
    /// The sequence of that name, in any case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Collation> {
        [Collation::Binary, Collation::NoCase, Collation::Rtrim]
            .into_iter()
            .find(|collation| collation.name().eq_ignore_ascii_case(name))
    }

    /// The name as SQL spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Collation::Binary => "BINARY",
            Collation::NoCase => "NOCASE",
            Collation::Rtrim => "RTRIM",
        }
    }

    /// Compares UTF-8 (or any other bytes).
    #[must_use]
    pub fn compare(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            Collation::Binary => left.cmp(right),
            Collation::NoCase => no_case(left, right),
            Collation::Rtrim => without_spaces(left).cmp(without_spaces(right)),
        }
    }

    /// Compares text of the database's encoding. BINARY compares the bytes as they are stored; the
    /// other two are defined on UTF-8.
    #[must_use]
    pub fn compare_encoded(self, encoding: Encoding, left: &[u8], right: &[u8]) -> Ordering {
        if encoding == Encoding::Utf8 || self == Collation::Binary {
            return self.compare(left, right);
        }
        self.compare(&encoding.decode(left), &encoding.decode(right))
    }
}

fn no_case(left: &[u8], right: &[u8]) -> Ordering {
    for (l, r) in left.iter().zip(right) {
        let order = l.to_ascii_lowercase().cmp(&r.to_ascii_lowercase());
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_orders_as_sqlite_does() {
        assert_eq!(Collation::NoCase.compare(b"aBc", b"AbC"), Ordering::Equal);
        assert_eq!(Collation::NoCase.compare("É".as_bytes(), "é".as_bytes()), Ordering::Less);
        assert_eq!(Collation::NoCase.compare(b"_", b"A"), Ordering::Less);
        assert_eq!(Collation::Rtrim.compare(b"a  ", b"a"), Ordering::Equal);
        assert_eq!(Collation::Rtrim.compare(b"a\t", b"a"), Ordering::Greater);
        assert_eq!(Collation::Binary.compare(b"a ", b"a"), Ordering::Greater);
    }

    #[test]
    fn utf16_passes_through() {
        for encoding in [Encoding::Utf16le, Encoding::Utf16be] {
            let stored = encoding.encode("aé🦀".as_bytes());
            assert_eq!(&*encoding.decode(&stored), "aé🦀".as_bytes());
            let other = encoding.encode("AÉ🦀".as_bytes());
            assert_eq!(
                Collation::NoCase.compare_encoded(encoding, &stored, &other),
                Ordering::Greater
            );
        }
    }
}
