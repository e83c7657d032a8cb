//! A cursor over the captured bytes of a packet that cannot run past its end.
//!
//! Every read is checked and tells [`Stop::Truncated`] at the very field that is not there, which is
//! where the text says `[|name]`.

use super::{Step, Stop};

/// What is left of a packet: from here to the end of what was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buf<'a>(&'a [u8]);

macro_rules! integers {
    ($($at:ident $take:ident $kind:ty, $len:literal, $from:ident;)+) => {$(
        #[doc = concat!("The ", stringify!($kind), " at `offset`, ", stringify!($from), ".")]
        ///
        /// # Errors
        /// [`Stop::Truncated`] when it was not captured.
        #[inline]
        pub fn $at(&self, offset: usize) -> Step<$kind> {
            match self.0.get(offset..).and_then(|rest| rest.first_chunk::<$len>()) {
                Some(bytes) => Ok(<$kind>::$from(*bytes)),
                None => Err(Stop::Truncated),
            }
        }

        #[doc = concat!("Takes a ", stringify!($kind), ", ", stringify!($from), ".")]
        ///
        /// # Errors
        /// [`Stop::Truncated`] when it was not captured.
        #[inline]
        pub fn $take(&mut self) -> Step<$kind> {
            match self.0.split_first_chunk::<$len>() {
                Some((bytes, rest)) => {
                    self.0 = rest;
                    Ok(<$kind>::$from(*bytes))
                }
                None => Err(Stop::Truncated),
            }
        }
    )+};
}

impl<'a> Buf<'a> {
    /// Over these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Buf<'a> {
        Buf(bytes)
    }

    integers! {
        u8_at u8 u8, 1, from_be_bytes;
        be16_at be16 u16, 2, from_be_bytes;
        be32_at be32 u32, 4, from_be_bytes;
        be64_at be64 u64, 8, from_be_bytes;
        le16_at le16 u16, 2, from_le_bytes;
        le32_at le32 u32, 4, from_le_bytes;
        le64_at le64 u64, 8, from_le_bytes;
    }

    /// The 24 bits at `offset`.
    ///
    /// # Errors
    /// [`Stop::Truncated`] when they were not captured.
    #[inline]
    pub fn be24_at(&self, offset: usize) -> Step<u32> {
        let [a, b, c] = self.array_at(offset)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// `N` bytes at `offset`.
    ///
    /// # Errors
    /// [`Stop::Truncated`] when they were not captured.
    #[inline]
    pub fn array_at<const N: usize>(&self, offset: usize) -> Step<[u8; N]> {
        self.0
            .get(offset..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or(Stop::Truncated)
    }

    /// `len` bytes at `offset`.
    ///
    /// # Errors
    /// [`Stop::Truncated`] when they were not captured.
    #[inline]
    pub fn bytes_at(&self, offset: usize, len: usize) -> Step<&'a [u8]> {
        self.0.get(offset..).and_then(|rest| rest.get(..len)).ok_or(Stop::Truncated)
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// [`Stop::Truncated`] when they were not captured.
    #[inline]
    pub fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(len).ok_or(Stop::Truncated)?;
        self.0 = rest;
        Ok(part)
    }

    /// Checks that `len` bytes were captured.
    ///
    /// # Errors
    /// [`Stop::Truncated`] when they were not.
    #[inline]
    pub fn need(&self, len: usize) -> Step {
        if self.0.len() >= len { Ok(()) } else { Err(Stop::Truncated) }
    }

    /// Whether `len` bytes were captured.
    #[inline]
    pub fn has(&self, len: usize) -> bool {
        self.0.len() >= len
    }

    /// Bytes captured.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// From `offset` on; empty where that is behind the end.
    #[inline]
    pub fn from(&self, offset: usize) -> Buf<'a> {
        Buf(self.0.get(offset..).unwrap_or_default())
    }

    /// At most `len` bytes: what lies behind belongs to another layer.
    #[inline]
    pub fn limit(&self, len: usize) -> Buf<'a> {
        Buf(self.0.get(..len).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_read_passes_the_end() {
        let mut buf = Buf::new(&[1, 2, 3]);
        assert_eq!(buf.be16_at(1), Ok(0x0203));
        assert_eq!(buf.be16_at(2), Err(Stop::Truncated));
        assert_eq!(buf.be32_at(usize::MAX), Err(Stop::Truncated));
        assert_eq!(buf.u8(), Ok(1));
        assert_eq!(buf.take(3), Err(Stop::Truncated));
        assert_eq!(buf.take(2), Ok(&[2, 3][..]));
        assert_eq!(buf.u8(), Err(Stop::Truncated));
        assert!(buf.from(9).is_empty());
        assert_eq!(buf.limit(9).len(), 0);
    }
}
