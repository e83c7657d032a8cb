//! What goes over the attach socket: a kind, a length, bytes.
//!
//! ```text
//! kind u8 | length u32 (little-endian) | payload
//! to the monitor:   INPUT bytes, INPUT_END, RESIZE columns u16 rows u16, SIGNAL number u8
//! from the monitor: OUTPUT bytes, ERROR bytes, EXIT code u8
//! ```

pub const INPUT: u8 = 0;
pub const OUTPUT: u8 = 1;
pub const ERROR: u8 = 2;
pub const INPUT_END: u8 = 3;
pub const RESIZE: u8 = 4;
pub const SIGNAL: u8 = 5;
pub const EXIT: u8 = 6;

/// The largest payload.
pub const PAYLOAD_MAX: usize = 64 * 1024;
pub const HEAD: usize = 5;

/// The head of a frame.
pub fn head(kind: u8, length: usize) -> [u8; HEAD] {
    let [a, b, c, d] = (length as u32).to_le_bytes();
    [kind, a, b, c, d]
}

/// Kind, payload, and how long the frame was.
pub type Frame<'a> = (u8, &'a [u8], usize);

/// Takes the first whole frame out of `bytes`: kind, payload, and how long it was. `Err` when it
/// is none.
pub fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, ()> {
    let Some(&[kind, a, b, c, d]) = bytes.get(..HEAD) else { return Ok(None) };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > PAYLOAD_MAX || kind > EXIT {
        return Err(());
    }
    Ok(bytes.get(HEAD..HEAD + length).map(|payload| (kind, payload, HEAD + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_or_not_at_all() {
        let bytes = [&head(OUTPUT, 3)[..], b"abc", b"x"].concat();
        for cut in 0..HEAD + 3 {
            assert_eq!(first(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(first(&bytes), Ok(Some((OUTPUT, &b"abc"[..], HEAD + 3))));
        assert_eq!(first(&[9, 0, 0, 0, 0]), Err(()));
        assert_eq!(first(&[0, 0xff, 0xff, 0xff, 0xff]), Err(()));
    }
}
