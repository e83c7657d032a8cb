//! The ziplist and the zipmap, ancestors of the listpack: read from old files, never written.
//!
//! ```text
//! ziplist  [bytes u32][tail u32][elements u16] ( [prevlen 1|5][encoding][data] )* [0xff]
//! zipmap   [elements u8] ( [len 1|5] key [len 1|5] [free u8] value [free bytes] )* [0xff]
//! ```

use super::listpack::ListPack;

/// The elements of a ziplist as a listpack; `None` when the bytes are not a ziplist.
pub fn from_ziplist(bytes: &[u8]) -> Option<ListPack> {
    let total = u32::from_le_bytes(*bytes.first_chunk()?);
    if total as usize != bytes.len() || bytes.last() != Some(&0xff) {
        return None;
    }
    let stated = u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let mut rest = bytes.get(10..bytes.len() - 1)?;
    let mut pack = ListPack::new();
    let mut count = 0u32;
    while let Some(&prevlen) = rest.first() {
        rest = rest.get(if prevlen < 254 { 1 } else { 5 }..)?;
        rest = element(rest, &mut pack)?;
        count += 1;
    }
    (stated == u16::MAX || u32::from(stated) == count).then_some(pack)
}

fn element<'a>(input: &'a [u8], pack: &mut ListPack) -> Option<&'a [u8]> {
    let (&first, rest) = input.split_first()?;
    let text = |rest: &'a [u8], len: usize, pack: &mut ListPack| {
        let (text, rest) = rest.split_at_checked(len)?;
        pack.push(text);
        Some(rest)
    };
    match first {
        0..=0x3f => text(rest, usize::from(first), pack),
        0x40..=0x7f => {
            let (&low, rest) = rest.split_first()?;
            text(rest, usize::from(first & 0x3f) << 8 | usize::from(low), pack)
        }
        0x80 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            text(rest, u32::from_be_bytes(*len) as usize, pack)
        }
        0xc0 => int(rest, 2, pack),
        0xd0 => int(rest, 4, pack),
        0xe0 => int(rest, 8, pack),
        0xf0 => int(rest, 3, pack),
        0xfe => int(rest, 1, pack),
        0xf1..=0xfd => {
            pack.push_int(i64::from(first & 0x0f) - 1);
            Some(rest)
        }
        _ => None,
    }
}

fn int<'a>(rest: &'a [u8], width: usize, pack: &mut ListPack) -> Option<&'a [u8]> {
    let (digits, rest) = rest.split_at_checked(width)?;
    let raw = digits.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let unused = 64 - 8 * width as u32;
    pack.push_int((raw << unused) as i64 >> unused);
    Some(rest)
}

/// Keys and values of a zipmap in turn, as a listpack; `None` when the bytes are not a zipmap.
pub fn from_zipmap(bytes: &[u8]) -> Option<ListPack> {
    let mut pack = ListPack::new();
    let mut rest = bytes.get(1..)?;
    loop {
        if *rest.first()? == 0xff {
            return (rest.len() == 1).then_some(pack);
        }
        let (len, after) = zipmap_len(rest)?;
        let (key, after) = after.split_at_checked(len)?;
        let (len, after) = zipmap_len(after)?;
        let (&free, after) = after.split_first()?;
        let (value, after) = after.split_at_checked(len)?;
        pack.push(key);
        pack.push(value);
        rest = after.get(usize::from(free)..)?;
    }
}

fn zipmap_len(input: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = input.split_first()?;
    match first {
        0..=253 => Some((usize::from(first), rest)),
        254 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            Some((u32::from_le_bytes(*len) as usize, rest))
        }
        255 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ziplist_of_all_widths_is_read() {
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
        bytes.extend_from_slice(&[0, 0x02, b'h', b'i']);
        bytes.extend_from_slice(&[4, 0xf3]);
        bytes.extend_from_slice(&[2, 0xfe, 0xff]);
        bytes.extend_from_slice(&[3, 0xc0, 0x00, 0x80, 0xff]);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        let pack = from_ziplist(&bytes).unwrap();
        let items: Vec<_> = pack.iter().map(|item| item.to_vec()).collect();
        assert_eq!(items, [&b"hi"[..], b"2", b"-1", b"-32768"]);
        for cut in 0..bytes.len() {
            assert_eq!(from_ziplist(&bytes[..cut]), None);
        }
    }

    #[test]
    fn a_zipmap_is_read() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x01world.\xff";
        let pack = from_zipmap(bytes).unwrap();
        let items: Vec<_> = pack.iter().map(|item| item.to_vec()).collect();
        assert_eq!(items, [&b"foo"[..], b"bar", b"hello", b"world"]);
        for cut in 0..bytes.len() {
            assert_eq!(from_zipmap(&bytes[..cut]), None);
        }
    }
}
