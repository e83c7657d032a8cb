//! Stable names: the same user, folder and target get the same two words after each restart.

use crate::tls::sha256_hex;

const ADJECTIVES: [&str; 64] = [
    "amber", "bold", "brave", "breezy", "bright", "brisk", "calm", "clever", "cosy", "crisp",
    "daring", "deft", "eager", "early", "fair", "fancy", "fleet", "fond", "fresh", "gentle",
    "glad", "golden", "grand", "green", "happy", "hardy", "honest", "humble", "jolly", "keen",
    "kind", "lively", "loyal", "lucky", "mellow", "merry", "mighty", "neat", "nimble", "noble",
    "patient", "plucky", "polite", "proud", "quick", "quiet", "rapid", "ready", "rosy", "royal",
    "rustic", "sharp", "shiny", "silver", "sleek", "smart", "snowy", "solid", "sunny", "swift",
    "tidy", "vivid", "warm", "witty",
];

const ANIMALS: [&str; 64] = [
    "badger", "bear", "beaver", "bison", "bobcat", "camel", "cheetah", "cobra", "condor", "coyote",
    "crane", "deer", "dingo", "dolphin", "dove", "eagle", "egret", "elk", "falcon", "ferret",
    "finch", "fox", "gecko", "gibbon", "goose", "hare", "hawk", "heron", "ibex", "jackal",
    "jaguar", "koala", "lemur", "lion", "llama", "lynx", "macaw", "marten", "mole", "moose",
    "newt", "ocelot", "orca", "otter", "owl", "panda", "parrot", "pelican", "penguin", "puffin",
    "puma", "quail", "rabbit", "raven", "robin", "seal", "shrew", "stork", "swan", "tiger",
    "toucan", "turtle", "walrus", "wolf",
];

/// A name and what identifies the place it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `brave-otter`.
    pub words: String,
    /// Four hexadecimal digits to put behind it where it is taken.
    pub suffix: String,
    /// Names user, folder and target without telling them.
    pub instance: String,
}

/// The name for a user's target in a folder.
pub fn stable(user: &str, folder: &str, target: &str) -> Name {
    let digest = sha256_hex(format!("{user}\0{folder}\0{target}").as_bytes());
    let number = |range: std::ops::Range<usize>| {
        digest.get(range).and_then(|hex| usize::from_str_radix(hex, 16).ok()).unwrap_or(0)
    };
    let words = format!("{}-{}", ADJECTIVES[number(0..4) % 64], ANIMALS[number(4..8) % 64]);
    let part = |range| digest.get::<std::ops::Range<usize>>(range).unwrap_or_default().to_owned();
    Name { words, suffix: part(8..12), instance: part(16..48) }
}

/// The user, as far as a name depends on it.
pub fn user() -> String {
    let home = std::env::var_os("HOME").unwrap_or_default();
    home.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_user_folder_and_target_and_nothing_else() {
        let name = stable("ann", "/home/ann/shop", "3000");
        assert_eq!(name, stable("ann", "/home/ann/shop", "3000"));
        assert_ne!(name.instance, stable("ann", "/home/ann/shop", "3001").instance);
        assert_ne!(name.instance, stable("bob", "/home/ann/shop", "3000").instance);
        assert!(name.words.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    }
}
