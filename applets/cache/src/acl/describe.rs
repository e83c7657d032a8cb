//! A user's rules as text that makes them again.

use super::rules::{Rules, Selector};
use crate::cmd::table::{self, category};

/// The commands of a selector: the categories that come nearest, then single commands.
pub fn commands(selector: &Selector) -> String {
    let additive = !selector.future_commands;
    let (all, sign) = if additive { ("-@all", "+@") } else { ("+@all", "-@") };
    let mut words = vec![all.to_owned()];
    // What is described so far, and what is left to be described.
    let mut described = Selector::new();
    let _ = described.apply(all.as_bytes());
    let mut left = selector.clone();
    let mut applied = vec![false; category::NAMES.len()];
    while let Some(best) = nearest(&left, &applied, additive) {
        applied[best] = true;
        words.push(format!("{sign}{}", category::NAMES[best]));
        described.set_bits(1 << best, additive);
        left.set_bits(1 << best, !additive);
    }
    single_commands(selector, &described, &mut words);
    words.join(" ")
}

/// The category that has more commands in common than not, and the fewest that are not.
fn nearest(left: &Selector, applied: &[bool], additive: bool) -> Option<usize> {
    let mut best = None;
    let (mut least, mut most) = (usize::MAX, 0);
    for (at, _) in applied.iter().enumerate().filter(|(_, applied)| !**applied) {
        let (mut on, mut off) = (0, 0);
        for (number, row) in table::rows().iter().enumerate() {
            if row.command.categories >> at & 1 == 1 {
                *if left.commands[number] { &mut on } else { &mut off } += 1;
            }
        }
        let (same, differ) = if additive { (on, off) } else { (off, on) };
        if same > differ && (differ < least || (differ == least && same > most)) {
            (best, least, most) = (Some(at), differ, same);
        }
    }
    best
}

fn single_commands(wanted: &Selector, described: &Selector, words: &mut Vec<String>) {
    let rows = table::rows();
    let mut number = 0;
    while number < rows.len() {
        let subs = number + 1..=number + rows[number].command.subs.len();
        let sign = |at: usize| if wanted.commands[at] { '+' } else { '-' };
        let mut now = described.commands.clone();
        if wanted.commands[number] != described.commands[number] {
            words.push(format!("{}{}", sign(number), rows[number].name));
            now[number..=*subs.end()].fill(wanted.commands[number]);
        }
        for sub in subs.clone().filter(|sub| wanted.commands[*sub] != now[*sub]) {
            words.push(format!("{}{}", sign(sub), rows[sub].name));
        }
        for word in wanted.first_args.get(&number).into_iter().flatten() {
            words.push(format!("+{}|{}", rows[number].name, String::from_utf8_lossy(word)));
        }
        number = *subs.end() + 1;
    }
}

/// The keys of a selector.
pub fn keys(selector: &Selector) -> Vec<u8> {
    if selector.all_keys {
        return b"~*".to_vec();
    }
    let rules: Vec<Vec<u8>> = selector.keys.iter().map(super::rules::KeyPattern::rule).collect();
    rules.join(&b' ')
}

/// The channels of a selector, without `resetchannels` in front.
pub fn channels(selector: &Selector) -> Vec<u8> {
    if selector.all_channels {
        return b"&*".to_vec();
    }
    let rules: Vec<Vec<u8>> =
        selector.channels.iter().map(|channel| [&b"&"[..], channel].concat()).collect();
    rules.join(&b' ')
}

fn selector_text(selector: &Selector) -> Vec<u8> {
    let mut text = keys(selector);
    if !text.is_empty() {
        text.push(b' ');
    }
    if !selector.all_channels {
        text.extend_from_slice(b"resetchannels ");
    }
    let channels = channels(selector);
    if !channels.is_empty() {
        text.extend_from_slice(&channels);
        text.push(b' ');
    }
    text.extend_from_slice(commands(selector).as_bytes());
    text
}

/// The flags of a user.
pub fn flags(rules: &Rules) -> Vec<&'static str> {
    let mut flags = vec![if rules.enabled { "on" } else { "off" }];
    if rules.no_password {
        flags.push("nopass");
    }
    match rules.sanitize {
        None => {}
        Some(true) => flags.push("sanitize-payload"),
        Some(false) => flags.push("skip-sanitize-payload"),
    }
    flags
}

/// All of a user's rules, as ACL LIST and files have them.
pub fn user(rules: &Rules) -> Vec<u8> {
    let mut text = flags(rules).join(" ").into_bytes();
    text.push(b' ');
    for password in &rules.passwords {
        text.extend_from_slice(format!("#{password} ").as_bytes());
    }
    text.extend_from_slice(&selector_text(&rules.root));
    for selector in &rules.selectors {
        text.extend_from_slice(b" (");
        text.extend_from_slice(&selector_text(selector));
        text.push(b')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_makes_the_same_rules() {
        for text in [
            "+@all",
            "+@all -@write",
            "+@read -get +config|get",
            "+get +set +select|1",
            "+@all -config|set -@string +incr",
            "-@all +@string +@list -lpush",
        ] {
            let mut selector = Selector::new();
            text.split(' ').for_each(|rule| selector.apply(rule.as_bytes()).expect("a rule"));
            let mut again = Selector::new();
            for rule in commands(&selector).split(' ') {
                again.apply(rule.as_bytes()).expect("a rule");
            }
            assert_eq!(selector.commands, again.commands, "{text}: {}", commands(&selector));
            assert_eq!(selector.first_args, again.first_args);
        }
    }
}
