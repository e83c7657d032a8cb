//! The checksum of logs and of the index header: two sums over pairs of 32-bit words.

/// Adds bytes, whose length is a multiple of 8, to a checksum.
pub fn checksum(big_endian: bool, bytes: &[u8], sum: [u32; 2]) -> [u32; 2] {
    if big_endian {
        add(bytes, sum, u32::from_be_bytes)
    } else {
        add(bytes, sum, u32::from_le_bytes)
    }
}

#[inline]
fn add(bytes: &[u8], sum: [u32; 2], word: impl Fn([u8; 4]) -> u32) -> [u32; 2] {
    let [mut a, mut b] = sum;
    for pair in bytes.chunks_exact(8) {
        let [p, q, r, s, t, u, v, w] = *pair else { break };
        a = a.wrapping_add(word([p, q, r, s])).wrapping_add(b);
        b = b.wrapping_add(word([t, u, v, w])).wrapping_add(a);
    }
    [a, b]
}

/// The checksum of words of this machine.
pub fn checksum_native(words: &[u32]) -> [u32; 2] {
    let [mut a, mut b] = [0u32; 2];
    for pair in words.chunks_exact(2) {
        let [x, y] = *pair else { break };
        a = a.wrapping_add(x).wrapping_add(b);
        b = b.wrapping_add(y).wrapping_add(a);
    }
    [a, b]
}
