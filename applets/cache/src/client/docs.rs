//! What the server tells about its commands (COMMAND DOCS): help, hints and completion.
//!
//! The text is the server's own, so that it is right for the version that answers.

use std::fmt::Write;

use box_kit::output::Styling;
use box_wire::resp::Reply;

use super::session::Session;
use super::{Product, Stop, options, show, text_of};

/// A command, or a subcommand under its full name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// In capitals: `CLIENT LIST`.
    pub name: String,
    /// One line about it.
    pub summary: String,
    /// The version that brought it.
    pub since: String,
    /// The group it belongs to.
    pub group: String,
    /// Its arguments.
    pub arguments: Vec<Argument>,
}

/// An argument of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Argument {
    name: String,
    kind: String,
    token: Option<String>,
    optional: bool,
    multiple: bool,
    multiple_token: bool,
    inner: Vec<Argument>,
}

impl Argument {
    /// As a synopsis shows it: `[EX seconds|PX milliseconds]`.
    pub fn synopsis(&self) -> String {
        let inner = |by| self.inner.iter().map(Argument::synopsis).collect::<Vec<_>>().join(by);
        let body = match self.kind.as_str() {
            "oneof" => inner("|"),
            "block" => inner(" "),
            "pure-token" => self.token.clone().unwrap_or_default(),
            _ => self.name.clone(),
        };
        let token = self.token.as_deref().filter(|_| self.kind != "pure-token");
        let once = match token {
            Some(token) => format!("{token} {body}"),
            None => body.clone(),
        };
        let again = if self.multiple_token { &once } else { &body };
        let text = if self.multiple { format!("{once} [{again} ...]") } else { once.clone() };
        if self.optional { format!("[{text}]") } else { text }
    }

    /// Whether `word` begins this argument by its token; the words that follow then.
    fn begins_with(&self, word: &str) -> Option<usize> {
        let is = |token: &Option<String>| {
            token.as_deref().is_some_and(|token| token.eq_ignore_ascii_case(word))
        };
        if is(&self.token) {
            return Some(match self.kind.as_str() {
                "pure-token" => 0,
                "block" => self.inner.len(),
                _ => 1,
            });
        }
        match self.kind.as_str() {
            "oneof" => self.inner.iter().find_map(|inner| inner.begins_with(word)),
            "block" => {
                let first = self.inner.first()?.begins_with(word)?;
                Some(first + self.inner.len() - 1)
            }
            _ => None,
        }
    }
}

impl Entry {
    /// What may still be typed behind `typed`, as a hint.
    pub fn remaining(&self, typed: &[String]) -> String {
        let mut left: Vec<&Argument> = self.arguments.iter().collect();
        let mut words = typed.iter();
        while let Some(word) = words.next() {
            let token =
                left.iter().take_while(|a| a.optional).position(|a| a.begins_with(word).is_some());
            if let Some(at) = token {
                let follow = left.get(at).and_then(|a| a.begins_with(word)).unwrap_or(0);
                words.by_ref().take(follow).for_each(drop);
                left.remove(at);
                continue;
            }
            match left.iter().position(|a| !a.optional || a.token.is_none()) {
                // A list goes on until something else is recognised.
                Some(at) if left.get(at).is_some_and(|a| a.multiple) => {}
                Some(at) => drop(left.remove(at)),
                None => return String::new(),
            }
        }
        left.iter().map(|argument| argument.synopsis()).collect::<Vec<_>>().join(" ")
    }
}

/// All commands of a server.
#[derive(Clone, Debug, Default)]
pub struct Docs {
    /// Sorted by name.
    pub entries: Vec<Entry>,
}

impl Docs {
    /// Asks the server; one that does not know COMMAND DOCS has none.
    pub fn fetch(session: &mut Session<'_>) -> Docs {
        let Some(connection) = session.connection() else { return Docs::default() };
        match connection.call(&["COMMAND", "DOCS"]) {
            Ok(reply) => Docs::from_reply(&reply),
            Err(_) => Docs::default(),
        }
    }

    fn from_reply(reply: &Reply) -> Docs {
        let mut entries = Vec::new();
        for (name, about) in fields(reply) {
            add_entry(name, about, &mut entries);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Docs { entries }
    }

    /// The entry of the longest name that `words` begin with, and the words behind it.
    pub fn find<'w>(&self, words: &'w [String]) -> Option<(&Entry, &'w [String])> {
        (1..=words.len().min(2)).rev().find_map(|length| {
            let name = words.get(..length)?.join(" ").to_ascii_uppercase();
            let at = self.entries.binary_search_by(|entry| entry.name.cmp(&name)).ok()?;
            Some((self.entries.get(at)?, words.get(length..)?))
        })
    }

    /// The names that begin with `prefix`, in its case.
    pub fn completions(&self, prefix: &str) -> Vec<String> {
        let lower = prefix.chars().any(|c| c.is_ascii_lowercase());
        let wanted = prefix.to_ascii_uppercase();
        let found = self.entries.iter().filter(|entry| entry.name.starts_with(&wanted));
        found.map(|e| if lower { e.name.to_ascii_lowercase() } else { e.name.clone() }).collect()
    }

    /// The names of all groups, `@string` and so on.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> =
            self.entries.iter().map(|e| format!("@{}", e.group)).collect();
        groups.sort();
        groups.dedup();
        groups
    }
}

/// The fields of a map, which RESP2 sends as a flat array.
fn fields(reply: &Reply) -> Vec<(&[u8], &Reply)> {
    match reply {
        Reply::Map(pairs) => {
            pairs.iter().filter_map(|(key, value)| Some((text_of(key)?, value))).collect()
        }
        Reply::Array(items) => items
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [key, value] => Some((text_of(key)?, value)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn words(reply: &Reply) -> String {
    String::from_utf8_lossy(text_of(reply).unwrap_or_default()).into_owned()
}

fn add_entry(name: &[u8], about: &Reply, entries: &mut Vec<Entry>) {
    let name = String::from_utf8_lossy(name).to_ascii_uppercase().replace('|', " ");
    let mut entry = Entry { name, ..Entry::default() };
    for (field, value) in fields(about) {
        match field {
            b"summary" => entry.summary = words(value),
            b"since" => entry.since = words(value),
            b"group" => entry.group = words(value),
            b"arguments" => entry.arguments = arguments(value),
            b"subcommands" => {
                for (name, about) in fields(value) {
                    add_entry(name, about, entries);
                }
            }
            _ => {}
        }
    }
    entries.push(entry);
}

fn arguments(reply: &Reply) -> Vec<Argument> {
    let (Reply::Array(items) | Reply::Set(items)) = reply else { return Vec::new() };
    items.iter().map(argument).collect()
}

fn argument(reply: &Reply) -> Argument {
    let (mut argument, mut display) = (Argument::default(), None);
    for (field, value) in fields(reply) {
        match field {
            b"name" => argument.name = words(value),
            b"display_text" => display = Some(words(value)),
            b"type" => argument.kind = words(value),
            b"token" => argument.token = Some(words(value)),
            b"arguments" => argument.inner = arguments(value),
            b"flags" => {
                let (Reply::Array(flags) | Reply::Set(flags)) = value else { continue };
                let has = |flag: &[u8]| flags.iter().any(|f| text_of(f) == Some(flag));
                argument.optional = has(b"optional");
                argument.multiple = has(b"multiple");
                argument.multiple_token = has(b"multiple_token");
            }
            _ => {}
        }
    }
    argument.name = display.unwrap_or(argument.name);
    argument
}

/// Whether these words ask for help: `help ...`, `? ...`.
pub fn is_help(args: &[Vec<u8>]) -> bool {
    args.first().is_some_and(|word| word.eq_ignore_ascii_case(b"help") || word == b"?")
}

/// Answers `help`, `help @GROUP` and `help COMMAND`.
///
/// # Errors
/// Standard output is closed.
pub fn print_help(session: &mut Session<'_>, topic: &[Vec<u8>]) -> Result<(), Stop> {
    if topic.is_empty() {
        return show(general_help(session.options().product).as_bytes());
    }
    let docs = Docs::fetch(session);
    show(help_on(&docs, topic, Styling::of_stdout().colour).as_bytes())
}

fn general_help(product: Product) -> String {
    let (client, server) = (product.client(), product.server());
    format!(
        "{client} {}\n\
         Help about the commands of {server}:\n\
         \x20     \"help @<group>\" lists the commands of a group\n\
         \x20     \"help <command>\" explains a command\n\
         \x20     \"help <tab>\" goes through what help there is\n\
         \x20     \"quit\" leaves\n\
         \n\
         Preferences:\n\
         \x20     \":set hints\" shows arguments while a command is typed\n\
         \x20     \":set nohints\" does not\n\
         They may stand in ~/.redisclirc\n",
        options::COMPATIBLE
    )
}

fn help_on(docs: &Docs, topic: &[Vec<u8>], colour: bool) -> String {
    let topic: Vec<String> =
        topic.iter().map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect();
    let mut text = String::new();
    let group = topic.first().and_then(|word| word.strip_prefix('@'));
    for entry in &docs.entries {
        let named = match group {
            Some(group) => entry.group.eq_ignore_ascii_case(group),
            None => {
                let words: Vec<&str> = entry.name.split(' ').collect();
                words.len() >= topic.len() && words.iter().zip(&topic).all(|(a, b)| a == b)
            }
        };
        if named {
            describe(entry, group.is_none(), colour, &mut text);
        }
    }
    text + "\r\n"
}

fn describe(entry: &Entry, with_group: bool, colour: bool, text: &mut String) {
    let paint = |code: &str, words: &str| {
        if colour { format!("\x1b[{code}m{words}\x1b[0m") } else { words.to_owned() }
    };
    let synopsis: Vec<String> = entry.arguments.iter().map(Argument::synopsis).collect();
    let (name, synopsis) = (paint("1", &entry.name), paint("90", &synopsis.join(" ")));
    // Writing to a String cannot fail.
    let _ = write!(text, "\r\n  {name} {synopsis}\r\n");
    let mut line = |label: &str, words: &str| {
        let _ = write!(text, "  {} {words}\r\n", paint("33", label));
    };
    line("summary:", &entry.summary);
    line("since:", &entry.since);
    if with_group {
        line("group:", &entry.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    fn list(items: &[&str]) -> Reply {
        Reply::Array(items.iter().map(|item| bulk(item)).collect())
    }

    fn argument(name: &str, kind: &str, token: Option<&str>, flags: &[&str]) -> Reply {
        let mut items = vec![bulk("name"), bulk(name), bulk("type"), bulk(kind)];
        if let Some(token) = token {
            items.extend([bulk("token"), bulk(token)]);
        }
        items.extend([bulk("flags"), list(flags)]);
        Reply::Array(items)
    }

    fn docs() -> Docs {
        let arguments = Reply::Array(vec![
            argument("key", "key", None, &[]),
            argument("count", "integer", Some("COUNT"), &["optional"]),
            argument("withscores", "pure-token", Some("WITHSCORES"), &["optional"]),
            argument("member", "string", None, &["multiple"]),
        ]);
        let about = vec![
            (bulk("summary"), bulk("Does it")),
            (bulk("since"), bulk("1.0.0")),
            (bulk("group"), bulk("sorted-set")),
            (bulk("arguments"), arguments),
        ];
        Docs::from_reply(&Reply::Array(vec![
            bulk("zdemo"),
            Reply::Map(about.clone()),
            bulk("client"),
            Reply::Array(vec![
                bulk("subcommands"),
                Reply::Array(vec![bulk("client|list"), Reply::Map(about)]),
            ]),
        ]))
    }

    #[test]
    fn hints_shrink_as_words_are_typed() {
        let docs = docs();
        let hint = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            docs.find(&words).map(|(entry, typed)| entry.remaining(typed)).unwrap()
        };
        let all = "key [COUNT count] [WITHSCORES] member [member ...]";
        assert_eq!(hint("zdemo"), all);
        assert_eq!(hint("client list"), all);
        assert_eq!(hint("ZDEMO k"), "[COUNT count] [WITHSCORES] member [member ...]");
        assert_eq!(hint("zdemo k count 3"), "[WITHSCORES] member [member ...]");
    }

    #[test]
    fn help_is_given_by_command_and_by_group() {
        let text = help_on(&docs(), &[b"zdemo".to_vec()], false);
        assert!(text.starts_with("\r\n  ZDEMO key [COUNT count]"), "{text}");
        assert!(text.ends_with("  group: sorted-set\r\n\r\n"), "{text}");
        let text = help_on(&docs(), &[b"@SORTED-set".to_vec()], false);
        assert!(text.contains("CLIENT LIST") && text.contains("ZDEMO"), "{text}");
        assert_eq!(help_on(&docs(), &[b"nosuch".to_vec()], false), "\r\n");
    }

    #[test]
    fn completion_keeps_the_case_that_is_typed() {
        assert_eq!(docs().completions("cl"), ["client", "client list"]);
        assert_eq!(docs().completions("Z"), ["ZDEMO"]);
    }
}
