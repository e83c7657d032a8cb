//! What a user may do, and the little language that says it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::cmd::table::{self, category};

/// Permissions on keys.
pub mod access {
    #![allow(missing_docs, reason = "the names say it")]
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    pub const ALL: u8 = READ | WRITE;
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not a rule.
    Syntax,
    /// A command or category that is not known.
    Unknown,
    /// A pattern of keys behind `~*`.
    AfterAllKeys,
    /// A pattern of channels behind `&*`.
    AfterAllChannels,
    /// A password that the user has not.
    NoPassword,
    /// Not the digits of a SHA-256.
    Hash,
    /// A first argument of a subcommand.
    SubcommandArgument,
}

impl Refused {
    /// The incumbents' words.
    pub fn text(self) -> &'static str {
        match self {
            Refused::Syntax => "Syntax error",
            Refused::Unknown => "Unknown command or category name in ACL",
            Refused::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                 does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Refused::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            Refused::NoPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Refused::Hash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            Refused::SubcommandArgument => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// A pattern of keys and what may be done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// The pattern.
    pub glob: Vec<u8>,
    /// Bits of [`access`].
    pub access: u8,
}

impl KeyPattern {
    /// As a rule.
    pub fn rule(&self) -> Vec<u8> {
        let head = match self.access {
            access::READ => &b"%R~"[..],
            access::WRITE => b"%W~",
            _ => b"~",
        };
        [head, &self.glob].concat()
    }
}

/// Commands, keys and channels that go together.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// Whether all keys are allowed.
    pub all_keys: bool,
    /// Allowed keys.
    pub keys: Vec<KeyPattern>,
    /// Whether all channels are allowed.
    pub all_channels: bool,
    /// Allowed channels.
    pub channels: Vec<Vec<u8>>,
    /// Whether commands that are not known yet are allowed.
    pub future_commands: bool,
    /// Allowed commands, by their number in the table.
    pub commands: Vec<bool>,
    /// First arguments with which a command that is not allowed otherwise is.
    pub first_args: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// The bit of a category.
pub fn category_of(name: &str) -> Option<u32> {
    category::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| 1 << at)
}

fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

impl Selector {
    /// One that allows nothing.
    pub fn new() -> Selector {
        Selector { commands: vec![false; table::count()], ..Selector::default() }
    }

    /// Applies a rule.
    ///
    /// # Errors
    /// Why it is none.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), Refused> {
        let text = String::from_utf8_lossy(rule).to_ascii_lowercase();
        match &text[..] {
            "allkeys" | "~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            "resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            "allchannels" | "&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            "resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            "allcommands" | "+@all" => self.set_all(true),
            "nocommands" | "-@all" => self.set_all(false),
            _ => match rule.first() {
                Some(b'~' | b'%') => self.add_keys(rule)?,
                Some(b'&') => self.add_channel(&rule[1..])?,
                Some(b'+') if text.starts_with("+@") => self.set_category(&text[2..], true)?,
                Some(b'-') if text.starts_with("-@") => self.set_category(&text[2..], false)?,
                Some(b'+') => self.allow(&text[1..])?,
                Some(b'-') => {
                    let number = table::by_full_name(&text.as_bytes()[1..]);
                    self.set_command(number.ok_or(Refused::Unknown)?, false);
                }
                _ => return Err(Refused::Syntax),
            },
        }
        Ok(())
    }

    fn set_all(&mut self, allowed: bool) {
        self.commands.fill(allowed);
        self.future_commands = allowed;
        self.first_args.clear();
    }

    fn add_keys(&mut self, rule: &[u8]) -> Result<(), Refused> {
        if self.all_keys {
            return Err(Refused::AfterAllKeys);
        }
        let (mut access, mut at) = (0, 1);
        if rule[0] == b'%' {
            loop {
                match rule.get(at) {
                    Some(b'R' | b'r') if access & access::READ == 0 => access |= access::READ,
                    Some(b'W' | b'w') if access & access::WRITE == 0 => access |= access::WRITE,
                    Some(b'~') => break,
                    None => break,
                    Some(_) => return Err(Refused::Syntax),
                }
                at += 1;
            }
            at += 1;
        } else {
            access = access::ALL;
        }
        let glob = rule.get(at..).unwrap_or_default();
        if has_spaces(glob) {
            return Err(Refused::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.glob == glob) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { glob: glob.to_vec(), access }),
        }
        Ok(())
    }

    fn add_channel(&mut self, glob: &[u8]) -> Result<(), Refused> {
        if self.all_channels {
            return Err(Refused::AfterAllChannels);
        }
        if has_spaces(glob) {
            return Err(Refused::Syntax);
        }
        if !self.channels.iter().any(|known| known == glob) {
            self.channels.push(glob.to_vec());
        }
        Ok(())
    }

    /// Sets a command and its subcommands.
    fn set_command(&mut self, number: usize, allowed: bool) {
        let subs = table::rows()[number].command.subs.len();
        self.commands[number..=number + subs].fill(allowed);
        self.first_args.remove(&number);
        if !allowed {
            self.future_commands = false;
        }
    }

    /// Sets the commands of a category, given by its bit.
    pub fn set_bits(&mut self, bits: u32, allowed: bool) {
        for (number, row) in table::rows().iter().enumerate() {
            if row.command.categories & bits != 0 {
                self.set_command(number, allowed);
            }
        }
    }

    fn set_category(&mut self, name: &str, allowed: bool) -> Result<(), Refused> {
        let future = self.future_commands;
        self.set_bits(category_of(name).ok_or(Refused::Unknown)?, allowed);
        self.future_commands = future;
        Ok(())
    }

    fn allow(&mut self, name: &str) -> Result<(), Refused> {
        let Some((command, sub)) = name.rsplit_once('|') else {
            let number = table::by_full_name(name.as_bytes()).ok_or(Refused::Unknown)?;
            self.set_command(number, true);
            return Ok(());
        };
        let number = table::by_full_name(command.as_bytes()).ok_or(Refused::Unknown)?;
        let row = &table::rows()[number];
        if row.parent.is_some() {
            return Err(Refused::SubcommandArgument);
        }
        if sub.is_empty() {
            return Err(Refused::Syntax);
        }
        if row.command.subs.is_empty() {
            let known = self.first_args.entry(number).or_default();
            if !known.iter().any(|word| word == sub.as_bytes()) {
                known.push(sub.as_bytes().to_vec());
            }
            return Ok(());
        }
        let number = table::by_full_name(name.as_bytes()).ok_or(Refused::Unknown)?;
        self.set_command(number, true);
        Ok(())
    }
}

/// A user's rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether it can be authenticated as.
    pub enabled: bool,
    /// Whether any password is right.
    pub no_password: bool,
    /// Whether payloads of RESTORE are looked at closely, if a rule says so.
    pub sanitize: Option<bool>,
    /// Digits of the SHA-256 of each password.
    pub passwords: Vec<String>,
    /// What it may do.
    pub root: Selector,
    /// What else it may do.
    pub selectors: Vec<Selector>,
}

/// The digits of a password's SHA-256.
pub fn hash_password(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Rules {
    /// Those of a new user: nothing is allowed.
    pub fn new(all_channels: bool) -> Rules {
        let root = Selector { all_channels, ..Selector::new() };
        Rules {
            enabled: false,
            no_password: false,
            sanitize: None,
            passwords: Vec::new(),
            root,
            selectors: Vec::new(),
        }
    }

    /// Those of the user `default` before anybody changes them: everything is allowed.
    pub fn of_default() -> Rules {
        let mut rules = Rules::new(true);
        for rule in ["on", "nopass", "~*", "+@all"] {
            // They are rules.
            let _ = rules.apply(rule.as_bytes(), true);
        }
        rules
    }

    /// Whether everything is allowed without a look at the request.
    pub fn allows_everything(&self) -> bool {
        self.root.future_commands && self.root.all_keys && self.root.all_channels
    }

    /// Whether a password is right.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let hash = hash_password(password);
        self.no_password || self.passwords.iter().any(|known| constant_time_equal(known, &hash))
    }

    /// Applies a rule; `channels` says what `reset` makes of channels.
    ///
    /// # Errors
    /// Why it is none.
    pub fn apply(&mut self, rule: &[u8], channels: bool) -> Result<(), Refused> {
        let text = String::from_utf8_lossy(rule).into_owned();
        match &text.to_ascii_lowercase()[..] {
            "on" => self.enabled = true,
            "off" => self.enabled = false,
            "nopass" => {
                self.no_password = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.no_password = false;
                self.passwords.clear();
            }
            "skip-sanitize-payload" => self.sanitize = Some(false),
            "sanitize-payload" => self.sanitize = Some(true),
            "clearselectors" => self.selectors.clear(),
            "reset" => *self = Rules { sanitize: Some(true), ..Rules::new(channels) },
            _ => match rule.first() {
                Some(b'>') => self.add_password(hash_password(&rule[1..])),
                Some(b'#') if is_hash(&text[1..]) => self.add_password(text[1..].to_owned()),
                Some(b'#') => return Err(Refused::Hash),
                Some(b'<') => self.remove_password(&hash_password(&rule[1..]))?,
                Some(b'!') if is_hash(&text[1..]) => self.remove_password(&text[1..])?,
                Some(b'!') => return Err(Refused::Hash),
                Some(b'(') => self.add_selector(rule)?,
                _ => self.root.apply(rule)?,
            },
        }
        Ok(())
    }

    fn add_password(&mut self, hash: String) {
        self.no_password = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), Refused> {
        let at = self.passwords.iter().position(|known| known == hash);
        self.passwords.remove(at.ok_or(Refused::NoPassword)?);
        Ok(())
    }

    fn add_selector(&mut self, rule: &[u8]) -> Result<(), Refused> {
        let inner = rule.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")"));
        let mut selector = Selector::new();
        let words = inner.ok_or(Refused::Syntax)?.split(u8::is_ascii_whitespace);
        for word in words.filter(|word| !word.is_empty()) {
            selector.apply(word)?;
        }
        self.selectors.push(selector);
        Ok(())
    }
}

/// Takes as long whether the first byte differs or the last.
fn constant_time_equal(a: &str, b: &str) -> bool {
    let differ = a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y));
    a.len() == b.len() && differ == 0
}

/// Joins the words of each selector in parentheses into one rule.
///
/// # Errors
/// The rule whose parenthesis is never closed.
pub fn merge_selectors<'w>(words: impl Iterator<Item = &'w [u8]>) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    let mut first = Vec::new();
    for word in words {
        match &mut open {
            Some(rule) => {
                rule.push(b' ');
                rule.extend_from_slice(word);
            }
            None if word.starts_with(b"(") => {
                first = word.to_vec();
                open = Some(word.to_vec());
            }
            None => {
                rules.push(word.to_vec());
                continue;
            }
        }
        if word.ends_with(b")") {
            rules.extend(open.take());
        }
    }
    if open.is_some() { Err(first) } else { Ok(rules) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Rules, Refused> {
        let mut rules = Rules::new(false);
        let words = text.split(' ').map(str::as_bytes);
        for rule in merge_selectors(words).expect("parentheses match") {
            rules.apply(&rule, false)?;
        }
        Ok(rules)
    }

    #[test]
    fn rules_are_refused_in_the_incumbents_words() {
        for (text, refused) in [
            ("+nosuch", Refused::Unknown),
            ("+@nosuch", Refused::Unknown),
            ("-config|nosuch", Refused::Unknown),
            ("+config|get|x", Refused::SubcommandArgument),
            ("+select|", Refused::Syntax),
            ("~* ~x", Refused::AfterAllKeys),
            ("&* &x", Refused::AfterAllChannels),
            ("%X~a", Refused::Syntax),
            ("foo", Refused::Syntax),
            ("<x", Refused::NoPassword),
            ("#abc", Refused::Hash),
        ] {
            assert_eq!(rules(text).err(), Some(refused), "{text}");
        }
    }

    #[test]
    fn passwords_are_kept_as_digests() {
        let rules = rules("on >secret").expect("rules");
        assert!(rules.accepts(b"secret") && !rules.accepts(b"Secret"));
        assert!(!rules.passwords[0].contains("secret"));
    }
}
