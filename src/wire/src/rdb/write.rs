//! Appends the pieces of an RDB file or DUMP payload to a buffer.

use super::crc64::crc64;
use super::{VERSION, kind, lzf, opcode};
use crate::decimal::parse_i64;

/// Strings longer than this are worth a try of compression.
const COMPRESS_MIN: usize = 20;

/// A length: 6, 14, 32 or 64 bits.
pub fn len(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=63 => out.push(value as u8),
        64..=16_383 => out.extend_from_slice(&[0x40 | (value >> 8) as u8, value as u8]),
        16_384..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// A string: as an integer where it is the text of one of at most 32 bits, compressed where asked
/// for and where it pays, else as it is.
pub fn string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    if text.len() <= 11 && parse_i64(text).is_some_and(|value| int(out, value)) {
        return;
    }
    if compress
        && text.len() > COMPRESS_MIN
        && let Some(packed) = lzf::compress(text)
    {
        out.push(0xc3);
        len(out, packed.len() as u64);
        len(out, text.len() as u64);
        out.extend_from_slice(&packed);
        return;
    }
    len(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// A number as a string: encoded in 1, 2 or 4 bytes, else as text.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if !int(out, value) {
        let text = value.to_string();
        len(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

fn int(out: &mut Vec<u8>, value: i64) -> bool {
    let little = value.to_le_bytes();
    if i8::try_from(value).is_ok() {
        out.extend_from_slice(&[0xc0, little[0]]);
    } else if i16::try_from(value).is_ok() {
        out.push(0xc1);
        out.extend_from_slice(&little[..2]);
    } else if i32::try_from(value).is_ok() {
        out.push(0xc2);
        out.extend_from_slice(&little[..4]);
    } else {
        return false;
    }
    true
}

/// A score, in eight bytes.
pub fn score(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// The start of a file.
pub fn magic(out: &mut Vec<u8>) {
    out.extend_from_slice(format!("REDIS{VERSION:04}").as_bytes());
}

/// An auxiliary field.
pub fn aux(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(opcode::AUX);
    string(out, key.as_bytes(), false);
    string(out, value.as_bytes(), false);
}

/// What stands in front of a database's keys.
pub fn select_db(out: &mut Vec<u8>, db: u64, keys: u64, expires: u64) {
    out.push(opcode::SELECT_DB);
    len(out, db);
    out.push(opcode::RESIZE_DB);
    len(out, keys);
    len(out, expires);
}

/// When the key that follows expires.
pub fn expire_ms(out: &mut Vec<u8>, at_ms: i64) {
    out.push(opcode::EXPIRE_MS);
    out.extend_from_slice(&at_ms.to_le_bytes());
}

/// Ends a DUMP payload that holds type and value.
pub fn seal_payload(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&VERSION.to_le_bytes());
    let sum = crc64(0, payload);
    payload.extend_from_slice(&sum.to_le_bytes());
}

/// Whether a value of this type is one that files of version 10 may hold.
pub fn is_kind(byte: u8) -> bool {
    byte <= kind::ZSET2 || (kind::HASH_ZIPMAP..=kind::STREAM2).contains(&byte)
}
