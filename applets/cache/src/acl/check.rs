//! Whether a user may execute a request.

use box_wire::resp::Args;

use super::rules::{Rules, Selector, access};
use crate::cmd::Error;
use crate::cmd::keys;
use crate::cmd::table::{Command, flag, key, rows};
use crate::glob;

/// Why a request is refused; the later, the more a selector came to allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The command.
    Command,
    /// The key that is this argument.
    Key(usize),
    /// The channel that is this argument.
    Channel(usize),
}

impl Denied {
    /// The error reply.
    pub fn error(self, number: usize) -> Error {
        Error::made(format!("NOPERM {}", self.reason(number)))
    }

    /// What stands behind `NOPERM`.
    pub fn reason(self, number: usize) -> String {
        match self {
            Denied::Command => {
                let name = &rows()[number].name;
                format!("this user has no permissions to run the '{name}' command")
            }
            Denied::Key(_) => {
                "this user has no permissions to access one of the keys used as arguments".into()
            }
            Denied::Channel(_) => {
                "this user has no permissions to access one of the channels used as arguments"
                    .into()
            }
        }
    }

    /// The word for it in the log.
    pub fn word(self) -> &'static str {
        match self {
            Denied::Command => "command",
            Denied::Key(_) => "key",
            Denied::Channel(_) => "channel",
        }
    }

    /// What it is about.
    pub fn object(self, number: usize, args: Args<'_>) -> Vec<u8> {
        match self {
            Denied::Command => rows()[number].name.clone().into_bytes(),
            Denied::Key(at) | Denied::Channel(at) => args.at(at).to_vec(),
        }
    }
}

/// Whether a request may be executed.
///
/// # Errors
/// What keeps it from that.
pub fn request(rules: &Rules, number: usize, args: Args<'_>) -> Result<(), Denied> {
    if rules.allows_everything() {
        return Ok(());
    }
    let mut worst = Denied::Command;
    for selector in std::iter::once(&rules.root).chain(&rules.selectors) {
        match selector_allows(selector, number, args) {
            Ok(()) => return Ok(()),
            Err(denied) => worst = worst.max(denied),
        }
    }
    Err(worst)
}

fn selector_allows(selector: &Selector, number: usize, args: Args<'_>) -> Result<(), Denied> {
    let command = rows()[number].command;
    if !command.is(flag::NO_AUTH) && !allows_command(selector, number, args) {
        return Err(Denied::Command);
    }
    allows_keys(selector, command, args)?;
    allows_channels(selector, command, args)
}

fn allows_command(selector: &Selector, number: usize, args: Args<'_>) -> bool {
    selector.commands[number]
        || selector.first_args.get(&number).is_some_and(|words| {
            args.get(1).is_some_and(|arg| words.iter().any(|word| arg.eq_ignore_ascii_case(word)))
        })
}

fn allows_keys(selector: &Selector, command: &Command, args: Args<'_>) -> Result<(), Denied> {
    if selector.all_keys {
        return Ok(());
    }
    let mut denied = None;
    keys::each(command, args, |found| {
        if found.flags & key::NOT_KEY != 0 {
            return;
        }
        let mut wanted = 0;
        if found.flags & key::ACCESS != 0 {
            wanted |= access::READ;
        }
        if found.flags & (key::INSERT | key::DELETE | key::UPDATE) != 0 {
            wanted |= access::WRITE;
        }
        if denied.is_none() && !allows_key(selector, args.at(found.at), wanted) {
            denied = Some(Denied::Key(found.at));
        }
    });
    denied.map_or(Ok(()), Err)
}

/// Whether a key may be used so.
pub fn allows_key(selector: &Selector, key: &[u8], wanted: u8) -> bool {
    selector.all_keys
        || selector.keys.iter().any(|pattern| {
            pattern.access & wanted == wanted && glob::matches(&pattern.glob, key, false)
        })
}

/// Whether all keys may be read: what SORT … BY and GET ask for.
pub fn reads_all_keys(rules: &Rules) -> bool {
    std::iter::once(&rules.root).chain(&rules.selectors).any(|selector| {
        let all = |pattern: &super::rules::KeyPattern| {
            pattern.access & access::READ != 0 && pattern.glob == b"*"
        };
        selector.all_keys || selector.keys.iter().any(all)
    })
}

fn allows_channels(selector: &Selector, command: &Command, args: Args<'_>) -> Result<(), Denied> {
    let (range, literal) = match command.name {
        "publish" | "spublish" => (1..2, true),
        "subscribe" | "ssubscribe" => (1..args.len(), true),
        "psubscribe" => (1..args.len(), false),
        _ => return Ok(()),
    };
    for at in range {
        if !allows_channel(selector, args.at(at), literal) {
            return Err(Denied::Channel(at));
        }
    }
    Ok(())
}

/// Whether a channel, or the pattern that it is, may be used: of patterns only those that are
/// allowed to the letter.
pub fn allows_channel(selector: &Selector, channel: &[u8], literal: bool) -> bool {
    selector.all_channels
        || selector.channels.iter().any(|pattern| {
            if literal { glob::matches(pattern, channel, false) } else { pattern == channel }
        })
}

/// Whether any selector allows listening to a channel.
pub fn may_listen(rules: &Rules, channel: &[u8], literal: bool) -> bool {
    std::iter::once(&rules.root)
        .chain(&rules.selectors)
        .any(|selector| allows_channel(selector, channel, literal))
}
