//! The Huffman code of HPACK (RFC 7541 appendix B). It is canonical: the lengths say all.

use std::sync::LazyLock;

use super::HpackError;

/// Bits of the code of each byte, and of the end of the string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11,
    10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8,
    15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21,
    23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25,
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26,
    28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const LONGEST: usize = 30;
const END_OF_STRING: u16 = 256;

/// Codes of one length are consecutive numbers, in the order of their symbols.
struct Code {
    /// The first code of each length, and where its symbols start.
    first: [(u32, u16); LONGEST + 2],
    symbols: [u16; 257],
}

static CODE: LazyLock<Code> = LazyLock::new(|| {
    let mut code = Code { first: [(0, 0); LONGEST + 2], symbols: [0; 257] };
    let (mut next, mut count) = (0u32, 0u16);
    for length in 1..=LONGEST {
        next <<= 1;
        code.first[length] = (next, count);
        for symbol in
            (0..=END_OF_STRING).filter(|s| usize::from(LENGTHS[usize::from(*s)]) == length)
        {
            code.symbols[usize::from(count)] = symbol;
            (next, count) = (next + 1, count + 1);
        }
    }
    code.first[LONGEST + 1] = (next << 1, count);
    code
});

impl Code {
    /// The symbol whose code the first `length` bits of `bits` are, if there is one.
    fn symbol(&self, bits: u32, length: usize) -> Option<u16> {
        let (first, start) = self.first[length];
        let (_, end) = self.first[length + 1];
        let index = bits.checked_sub(first)?;
        (index < u32::from(end - start)).then(|| self.symbols[usize::from(start) + index as usize])
    }
}

/// Appends the text that `input` encodes.
///
/// # Errors
/// It holds the end of the string, or padding that is longer than 7 bits or not all ones
/// (RFC 7541 section 5.2).
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let code = &*CODE;
    let (mut bits, mut length) = (0u32, 0usize);
    for byte in input {
        for shift in (0..8).rev() {
            bits = bits << 1 | u32::from(byte >> shift & 1);
            length += 1;
            if length > LONGEST {
                return Err(HpackError::Malformed);
            }
            match code.symbol(bits, length) {
                Some(END_OF_STRING) => return Err(HpackError::Malformed),
                Some(symbol) => {
                    out.push(symbol as u8);
                    (bits, length) = (0, 0);
                }
                None => {}
            }
        }
    }
    let padding_is_ones = bits + 1 == 1 << length;
    if length > 7 || !padding_is_ones { Err(HpackError::Malformed) } else { Ok(()) }
}
