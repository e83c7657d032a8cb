//! Ids and names of containers that were given none.

use box_kit::Failure;

const KINDS: [&str; 32] = [
    "amber", "bold", "brisk", "calm", "clear", "crisp", "dusky", "eager", "early", "fair", "fleet",
    "fresh", "glad", "grand", "keen", "light", "lucid", "mellow", "mild", "neat", "noble", "plain",
    "proud", "quick", "quiet", "rapid", "sharp", "smart", "sound", "steady", "swift", "warm",
];
const THINGS: [&str; 32] = [
    "anchor", "badger", "beacon", "birch", "bridge", "cedar", "cobalt", "comet", "crane", "delta",
    "ember", "falcon", "fjord", "garnet", "harbor", "heron", "island", "jetty", "kestrel",
    "lantern", "maple", "meadow", "orchid", "otter", "pebble", "pine", "raven", "reef", "river",
    "sparrow", "summit", "willow",
];

/// 64 random hexadecimal digits.
pub fn id() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    box_sys::random::fill(&mut bytes).map_err(Failure::os("getrandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A name of two words and a number.
pub fn name() -> Result<String, Failure> {
    let random = box_sys::random::u64().map_err(Failure::os("getrandom"))? as usize;
    let word = |list: &[&'static str; 32], shift: usize| list[random >> shift & 31];
    Ok(format!("{}_{}_{}", word(&KINDS, 0), word(&THINGS, 5), random >> 10 & 0xfff))
}

/// Whether a container may be called so.
pub fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
