//! Commands of the group transactions.

use super::{Begin, Command, Find, KeySpec, category, flag, key};
use crate::cmd::{transaction};

/// The rows.
pub static COMMANDS: &[Command] = &[
Command { name: "discard", summary: "Gives a transaction up", since: "2.0.0", group: "transactions", complexity: "O(N), when N is the number of queued commands", arity: 1, flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY, categories: category::FAST | category::TRANSACTION, keys: (0, 0, 0), tips: &[], specs: &[], subs: &[], run: transaction::discard },
Command { name: "exec", summary: "Executes a transaction", since: "1.2.0", group: "transactions", complexity: "Depends on commands in the transaction", arity: 1, flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SKIP_SLOWLOG, categories: category::SLOW | category::TRANSACTION, keys: (0, 0, 0), tips: &[], specs: &[], subs: &[], run: transaction::exec },
Command { name: "multi", summary: "Begins a transaction", since: "1.2.0", group: "transactions", complexity: "O(1)", arity: 1, flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY, categories: category::FAST | category::TRANSACTION, keys: (0, 0, 0), tips: &[], specs: &[], subs: &[], run: transaction::multi },
Command { name: "unwatch", summary: "Forgets all watched keys", since: "2.2.0", group: "transactions", complexity: "O(1)", arity: 1, flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY, categories: category::FAST | category::TRANSACTION, keys: (0, 0, 0), tips: &[], specs: &[], subs: &[], run: transaction::unwatch },
Command { name: "watch", summary: "Makes EXEC fail if a key changes before it", since: "2.2.0", group: "transactions", complexity: "O(1) for every key.", arity: -2, flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY, categories: category::FAST | category::TRANSACTION, keys: (1, -1, 1), tips: &[], specs: &[KeySpec { notes: None, flags: key::RO, begin: Begin::Index(1), find: Find::Range(-1, 1, 0) }], subs: &[], run: transaction::watch },
];
