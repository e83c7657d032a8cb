//! Commands of the group hyperloglog.

use super::{Begin, Command, Find, KeySpec, category, flag, key};
use crate::cmd::hyperloglog;

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "pfadd",
        summary: "Adds elements",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "O(N)",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        categories: category::WRITE | category::HYPERLOGLOG | category::FAST,
        keys: (1, 1, 1),
        tips: &[],
        specs: &[KeySpec {
            notes: None,
            flags: key::RW | key::INSERT,
            begin: Begin::Index(1),
            find: Find::Range(0, 1, 0),
        }],
        subs: &[],
        run: hyperloglog::pfadd,
    },
    Command {
        name: "pfcount",
        summary: "Estimates how many elements there are",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "O(N)",
        arity: -2,
        flags: flag::READONLY,
        categories: category::READ | category::HYPERLOGLOG | category::SLOW,
        keys: (1, -1, 1),
        tips: &[],
        specs: &[KeySpec {
            notes: Some(
                "RW because it may change the internal representation of the key, and propagate to replicas",
            ),
            flags: key::RW | key::ACCESS,
            begin: Begin::Index(1),
            find: Find::Range(-1, 1, 0),
        }],
        subs: &[],
        run: hyperloglog::pfcount,
    },
    Command {
        name: "pfdebug",
        summary: "Shows how a value is stored",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "N/A",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::ADMIN,
        categories: category::WRITE
            | category::HYPERLOGLOG
            | category::ADMIN
            | category::SLOW
            | category::DANGEROUS,
        keys: (2, 2, 1),
        tips: &[],
        specs: &[KeySpec {
            notes: None,
            flags: key::RW | key::ACCESS,
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
        }],
        subs: &[],
        run: hyperloglog::pfdebug,
    },
    Command {
        name: "pfmerge",
        summary: "Joins values into one",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "O(N)",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::WRITE | category::HYPERLOGLOG | category::SLOW,
        keys: (1, -1, 1),
        tips: &[],
        specs: &[
            KeySpec {
                notes: None,
                flags: key::RW | key::ACCESS | key::INSERT,
                begin: Begin::Index(1),
                find: Find::Range(0, 1, 0),
            },
            KeySpec {
                notes: None,
                flags: key::RO | key::ACCESS,
                begin: Begin::Index(2),
                find: Find::Range(-1, 1, 0),
            },
        ],
        subs: &[],
        run: hyperloglog::pfmerge,
    },
    Command {
        name: "pfselftest",
        summary: "Tests the algorithm",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "N/A",
        arity: 1,
        flags: flag::ADMIN,
        categories: category::HYPERLOGLOG | category::ADMIN | category::SLOW | category::DANGEROUS,
        keys: (0, 0, 0),
        tips: &[],
        specs: &[],
        subs: &[],
        run: hyperloglog::pfselftest,
    },
];
