//! HyperLogLog: a string that estimates how many different elements it has been shown.
//!
//! ```text
//! "HYLL" encoding(1) 0 0 0 cached(8)      encoding 0 dense, 1 sparse; top bit of cached: not valid
//!
//! dense   16384 registers of 6 bits, low bits first
//! sparse  00nnnnnn           n + 1 registers of zero
//!         01nnnnnn nnnnnnnn  n + 1 registers of zero
//!         1vvvvvnn           n + 1 registers of v + 1
//! ```
//!
//! The bytes are the incumbents' own: what is split, merged and promoted when follows them, so that
//! the same elements give the same string. The estimate is Otmar Ertl's (arXiv 1702.01284).

/// How many registers there are.
pub const REGISTERS: usize = 16_384;
const HEADER: usize = 16;
const DENSE_BYTES: usize = HEADER + REGISTERS * 6 / 8;
const MAGIC: &[u8] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Bits of the hash that are not the register's number.
const Q: usize = 50;
const ZERO_MAX: usize = 64;
const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
/// Codes that are looked at for runs to be joined.
const JOIN_SCAN: usize = 5;

/// The bytes do not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// A new one that has seen nothing.
pub fn new() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(SPARSE);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(&zeros(REGISTERS));
    bytes
}

/// Whether a string is one.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && bytes.starts_with(MAGIC)
        && match bytes[4] {
            DENSE => bytes.len() == DENSE_BYTES,
            SPARSE => true,
            _ => false,
        }
}

/// Whether it is in the sparse encoding.
pub fn is_sparse(bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&SPARSE)
}

/// The estimate that was computed before, if it still holds.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*bytes.get(8..HEADER)?.first_chunk()?);
    (number >> 63 == 0).then_some(number)
}

/// Keeps an estimate.
pub fn set_cached(bytes: &mut [u8], count: u64) {
    if let Some(place) = bytes.get_mut(8..HEADER) {
        place.copy_from_slice(&count.to_le_bytes());
    }
}

/// Tells that the estimate holds no more.
pub fn forget_cached(bytes: &mut [u8]) {
    if let Some(top) = bytes.get_mut(HEADER - 1) {
        *top |= 0x80;
    }
}

/// MurmurHash64A.
fn hash(element: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (element.len() as u64).wrapping_mul(M);
    let (chunks, tail) = element.as_chunks::<8>();
    for chunk in chunks {
        let mut k = u64::from_le_bytes(*chunk).wrapping_mul(M);
        k ^= k >> 47;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (number, byte) in tail.iter().enumerate() {
            hash ^= u64::from(*byte) << (8 * number);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 47;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 47
}

/// The register of an element and the value it asks for.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let rest = hash >> 14 | 1 << Q;
    (hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// Shows it an element; whether anything has changed.
///
/// # Errors
/// The sparse codes do not cover all registers.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
    let (register, value) = place(element);
    raise(bytes, register, value, sparse_max)
}

/// Raises a register to `value`; whether it was below.
///
/// # Errors
/// The sparse codes do not cover all registers.
pub fn raise(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_max: usize,
) -> Result<bool, Corrupt> {
    if is_sparse(bytes) {
        raise_sparse(bytes, register, value, sparse_max)
    } else {
        Ok(raise_dense(bytes, register, value))
    }
}

fn dense(bytes: &[u8], register: usize) -> u8 {
    let (at, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
    let low = u16::from(bytes.get(at).copied().unwrap_or(0));
    let high = u16::from(bytes.get(at + 1).copied().unwrap_or(0));
    ((low | high << 8) >> shift) as u8 & 63
}

fn raise_dense(bytes: &mut [u8], register: usize, value: u8) -> bool {
    if dense(bytes, register) >= value {
        return false;
    }
    let (at, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
    let (mask, bits) = (63u16 << shift, u16::from(value) << shift);
    for (offset, part) in [(0, 0), (1, 8)] {
        if let Some(byte) = bytes.get_mut(at + offset) {
            *byte = *byte & !((mask >> part) as u8) | (bits >> part) as u8;
        }
    }
    true
}

/// A code of the sparse encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// So many zeros, told in one byte.
    Zero(usize),
    /// So many zeros, told in two bytes.
    LongZero(usize),
    /// A value, so many times.
    Value(u8, usize),
}

impl Code {
    fn at(bytes: &[u8], at: usize) -> Option<Code> {
        let first = *bytes.get(at)?;
        Some(match first >> 6 {
            0 => Code::Zero(usize::from(first & 63) + 1),
            1 => {
                // A code that is cut reads as if a zero followed, as a C string's end does.
                let low = usize::from(bytes.get(at + 1).copied().unwrap_or(0));
                Code::LongZero((usize::from(first & 63) << 8 | low) + 1)
            }
            _ => Code::Value((first >> 2 & 31) + 1, usize::from(first & 3) + 1),
        })
    }

    fn run(self) -> usize {
        match self {
            Code::Zero(run) | Code::LongZero(run) | Code::Value(_, run) => run,
        }
    }

    fn size(self) -> usize {
        if matches!(self, Code::LongZero(_)) { 2 } else { 1 }
    }
}

fn value_code(value: u8, run: usize) -> u8 {
    0x80 | (value - 1) << 2 | (run - 1) as u8
}

fn zeros(run: usize) -> Vec<u8> {
    if run > ZERO_MAX {
        vec![0x40 | ((run - 1) >> 8) as u8, (run - 1) as u8]
    } else {
        vec![(run - 1) as u8]
    }
}

/// The codes of a sparse one.
pub fn codes(bytes: &[u8]) -> impl Iterator<Item = Code> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let code = Code::at(bytes, at)?;
        at += code.size();
        Some(code)
    })
}

fn raise_sparse(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_max: usize,
) -> Result<bool, Corrupt> {
    if value > VALUE_MAX {
        return promote(bytes, register, value);
    }
    let (mut at, mut first, mut previous) = (HEADER, 0, None);
    let code = loop {
        let code = Code::at(bytes, at).ok_or(Corrupt)?;
        if register < first + code.run() {
            break code;
        }
        previous = Some(at);
        at += code.size();
        first += code.run();
    };
    if at + code.size() > bytes.len() {
        return Err(Corrupt);
    }
    let (before, behind) = (register - first, first + code.run() - 1 - register);
    let new = match code {
        Code::Value(old, _) if old >= value => return Ok(false),
        Code::Value(old, _) => {
            let part = |run: usize| (run > 0).then(|| value_code(old, run));
            part(before).into_iter().chain([value_code(value, 1)]).chain(part(behind)).collect()
        }
        Code::Zero(_) | Code::LongZero(_) => {
            let part = |run: usize| if run > 0 { zeros(run) } else { Vec::new() };
            [part(before), vec![value_code(value, 1)], part(behind)].concat()
        }
    };
    if new.len() > code.size() && bytes.len() + new.len() - code.size() > sparse_max {
        return promote(bytes, register, value);
    }
    bytes.splice(at..at + code.size(), new);
    join(bytes, previous.unwrap_or(HEADER));
    forget_cached(bytes);
    Ok(true)
}

/// Joins runs of the same value that stand side by side.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_SCAN {
        let Some(code) = Code::at(bytes, at) else { return };
        if let (Code::Value(one, run), Some(Code::Value(other, more))) =
            (code, Code::at(bytes, at + 1))
            && one == other
            && run + more <= VALUE_RUN_MAX
        {
            bytes[at + 1] = value_code(one, run + more);
            bytes.remove(at);
            continue;
        }
        at += code.size();
    }
}

fn promote(bytes: &mut Vec<u8>, register: usize, value: u8) -> Result<bool, Corrupt> {
    make_dense(bytes)?;
    Ok(raise_dense(bytes, register, value))
}

/// Turns a sparse one into a dense one.
///
/// # Errors
/// The sparse codes do not cover all registers.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    if !is_sparse(bytes) {
        return Ok(());
    }
    let registers = registers(bytes)?;
    bytes.truncate(HEADER);
    bytes[4] = DENSE;
    bytes.resize(DENSE_BYTES, 0);
    for (register, value) in registers.iter().enumerate() {
        if *value > 0 {
            raise_dense(bytes, register, *value);
        }
    }
    Ok(())
}

/// All registers.
///
/// # Errors
/// The sparse codes do not cover all registers.
pub fn registers(bytes: &[u8]) -> Result<Vec<u8>, Corrupt> {
    if !is_sparse(bytes) {
        return Ok((0..REGISTERS).map(|register| dense(bytes, register)).collect());
    }
    let mut registers = Vec::with_capacity(REGISTERS);
    for code in codes(bytes) {
        let value = if let Code::Value(value, _) = code { value } else { 0 };
        let end = registers.len() + code.run();
        if end > REGISTERS {
            return Err(Corrupt);
        }
        registers.resize(end, value);
    }
    if registers.len() == REGISTERS { Ok(registers) } else { Err(Corrupt) }
}

/// How many different elements there were, about.
pub fn estimate(registers: &[u8]) -> u64 {
    let m = REGISTERS as f64;
    let mut counts = [0u32; 64];
    for value in registers {
        counts[usize::from(value & 63)] += 1;
    }
    let mut z = m * tau((m - f64::from(counts[Q + 1])) / m);
    for count in counts[1..=Q].iter().rev() {
        z = (z + f64::from(*count)) * 0.5;
    }
    z += m * sigma(f64::from(counts[0]) / m);
    // 0.5 / ln 2
    (0.721_347_520_444_481_7 * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_and_dense_agree_and_estimate_well() {
        let (mut sparse, mut dense) = (new(), new());
        make_dense(&mut dense).unwrap();
        for number in 0..2000 {
            let element = number.to_string();
            let one = add(&mut sparse, element.as_bytes(), 100_000);
            assert_eq!(one, add(&mut dense, element.as_bytes(), 100_000));
        }
        assert!(is_sparse(&sparse) && !is_sparse(&dense));
        assert_eq!(registers(&sparse), registers(&dense));
        let count = estimate(&registers(&sparse).unwrap());
        assert!((1950..2050).contains(&count), "{count}");
    }

    #[test]
    fn no_mutated_codes_panic() {
        let mut good = new();
        for number in 0..200 {
            add(&mut good, format!("x{number}").as_bytes(), 3000).unwrap();
        }
        let mut state = 9u64;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = HEADER + (state >> 33) as usize % (bytes.len() - HEADER);
            bytes[at] ^= (state >> 20) as u8;
            bytes.truncate(HEADER + (state >> 40) as usize % (bytes.len() - HEADER) + 1);
            let _ = registers(&bytes).map(|registers| estimate(&registers));
            let _ = add(&mut bytes, &state.to_le_bytes(), 3000);
        }
    }
}
