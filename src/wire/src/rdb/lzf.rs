//! LZF, the compression of long strings in RDB files.
//!
//! ```text
//! 000LLLLL                      L+1 literal bytes follow
//! LLLooooo oooooooo             copy L+2 bytes from offset o+1 back (L < 7)
//! 111ooooo LLLLLLLL oooooooo    copy L+9 bytes from offset o+1 back
//! ```

const LITERAL_MAX: usize = 32;
const OFFSET_MAX: usize = 1 << 13;
const MATCH_MAX: usize = 264;
const HASH_BITS: u32 = 14;

/// The compressed form of `input`, if it is at least four bytes shorter.
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    if input.len() <= 4 {
        return None;
    }
    let limit = input.len() - 4;
    let mut out = Vec::with_capacity(limit);
    let mut last_seen = vec![0u32; 1 << HASH_BITS];
    let (mut at, mut literals) = (0, 0);
    while let Some(&[a, b, c]) = input.get(at..at + 3) {
        let key = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        let hash = (key.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize;
        // Positions are kept plus one: zero means never seen.
        let candidate = std::mem::replace(&mut last_seen[hash], at as u32 + 1) as usize;
        let len = match candidate.checked_sub(1) {
            Some(from) if at - from <= OFFSET_MAX => match_len(input, from, at),
            _ => 0,
        };
        if len < 3 {
            at += 1;
            continue;
        }
        push_literals(&mut out, input.get(literals..at)?);
        push_match(&mut out, len - 2, at - candidate);
        at += len;
        literals = at;
        if out.len() > limit {
            return None;
        }
    }
    push_literals(&mut out, input.get(literals..)?);
    (out.len() <= limit).then_some(out)
}

fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let (old, new) = (&input[from..], &input[at..]);
    old.iter().zip(new).take(MATCH_MAX).take_while(|(a, b)| a == b).count()
}

fn push_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERAL_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn push_match(out: &mut Vec<u8>, len: usize, offset: usize) {
    let high = (offset >> 8) as u8;
    if len < 7 {
        out.push((len as u8) << 5 | high);
    } else {
        out.push(7 << 5 | high);
        out.push((len - 7) as u8);
    }
    out.push(offset as u8);
}

/// The `expected` bytes that `input` was compressed from; `None` when it is not such.
pub fn decompress(input: &[u8], expected: usize) -> Option<Vec<u8>> {
    // One byte in gives at most MATCH_MAX out: what claims more is refused before it is reserved.
    if expected > input.len().checked_mul(MATCH_MAX)? {
        return None;
    }
    let mut out = Vec::with_capacity(expected);
    let mut input = input.iter();
    while let Some(&control) = input.next() {
        if control < LITERAL_MAX as u8 {
            let count = usize::from(control) + 1;
            let literals = input.as_slice().get(..count)?;
            out.extend_from_slice(literals);
            input = input.as_slice().get(count..)?.iter();
        } else {
            let mut len = usize::from(control >> 5);
            if len == 7 {
                len += usize::from(*input.next()?);
            }
            let offset = usize::from(control & 0x1f) << 8 | usize::from(*input.next()?);
            let from = out.len().checked_sub(offset + 1)?;
            for at in from..from + len + 2 {
                let byte = *out.get(at)?;
                out.push(byte);
            }
        }
        if out.len() > expected {
            return None;
        }
    }
    (out.len() == expected).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        let mut inputs = vec![
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
            b"abcabcabcabcabcd".repeat(600),
        ];
        let mut state = 1u32;
        inputs.push(
            (0..50_000)
                .map(|_| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    b'a' + (state >> 29) as u8
                })
                .collect(),
        );
        for input in inputs {
            let packed = compress(&input).unwrap();
            assert!(packed.len() < input.len());
            assert_eq!(decompress(&packed, input.len()), Some(input));
        }
    }

    #[test]
    fn what_does_not_shrink_is_left() {
        assert_eq!(compress(b"abcdefghijklmnop"), None);
        assert_eq!(compress(b""), None);
    }

    #[test]
    fn broken_input_is_refused() {
        let packed = compress(&[b'x'; 100]).unwrap();
        for cut in 0..packed.len() {
            assert_eq!(decompress(&packed[..cut], 100), None);
        }
        assert_eq!(decompress(&[0x20, 0xff], 3), None);
        assert_eq!(decompress(&packed, usize::MAX), None);
    }
}
