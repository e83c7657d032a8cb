//! The packet filter language of pcap-filter(7), compiled to classic BPF.
//!
//! # Data flow
//! ```text
//! text -> lex -> parse -> steps (postfix) -> generate -> blocks -> optimize -> emit -> Program
//! ```
//! - `lex` and `keyword`: words, numbers and addresses, longest match first.
//! - `parse`: a recursive-descent parser whose output is a flat list of `syntax::Step`s in
//!   postfix order. Postfix is not a convenience but the semantics: `vlan`, `mpls`, `pppoes`,
//!   `geneve` and `vxlan` move the offsets of everything that is *read* after them, past
//!   parentheses and `or`, and the order of the list is the order of reading.
//! - `generate`: walks the steps with a stack and builds a graph of basic blocks; each block loads,
//!   computes, and ends in one comparison. A condition under construction is a pair of lists of
//!   open branches that later code fills in.
//! - `optimize`: value numbering over the acyclic graph, branch threading by edge dominators,
//!   pulling equal tests together, dead stores, peephole, merging of equal blocks.
//! - `emit`: lays the blocks out (a branch that is farther than 255 goes over a `ja`).
//! - `program`: the instructions, their validation and the three listings of `-d`.
//! - `interpret`: runs a program over a packet in user space.
//!
//! # Invariants
//! - The compiler does no I/O: names are looked up through the caller's [`Names`].
//! - Nothing panics on any text; nesting is bounded by `parse::MAX_DEPTH`, scratch registers by
//!   the 16 that BPF has.
//! - The same program is attached to a socket and run over a file, except that one with a backward
//!   jump ([`Program::has_loop`], made by `protochain` alone) is refused by the kernel.
//!
//! # Example
//! ```
//! use box_sniff::filter::{self, CompileOptions};
//! use box_wire::link::LinkType;
//!
//! let options = CompileOptions::default();
//! let program = filter::compile("tcp port 80 or 443", LinkType::ETHERNET, &options).unwrap();
//! assert_eq!(program.run(&[0; 60], 60), 0);
//! assert!(program.dump_d().starts_with("(000) ldh      [12]\n"));
//! ```

mod emit;
mod generate;
mod interpret;
mod keyword;
mod lex;
mod names;
mod optimize;
mod parse;
pub mod program;
mod scope;
mod syntax;

pub use names::{Names, NoNames, Transport};
pub use program::{Instruction, Program};

use box_wire::link::LinkType;
use std::fmt;

/// The snapshot length of a capture that did not choose one.
pub const DEFAULT_SNAPLEN: u32 = 262_144;

/// Where the packets come from that the program is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nowhere yet: a listing (`-d -y TYPE`).
    #[default]
    None,
    /// A capture file. `swapped`: it was written in the other byte order, which turns the address
    /// family around that a loopback header holds.
    File {
        /// The file's byte order is not this machine's.
        swapped: bool,
    },
    /// A live packet socket: the kernel's ancillary loads may be used (`inbound`, `outbound`,
    /// `ifindex`, and the VLAN tag that the kernel keeps apart from the packet).
    Live,
}

/// What a compilation depends on beside the expression and the link type.
#[derive(Clone, Copy)]
pub struct CompileOptions<'a> {
    /// What an accepted packet is cut to; the value that the program returns.
    pub snaplen: u32,
    /// Whether to optimize (`-O` turns it off).
    pub optimize: bool,
    /// The IPv4 netmask of the network captured on, for `ip broadcast`. `None` refuses that
    /// primitive; files and listings, which have no network, go by 0.
    pub netmask: Option<u32>,
    /// Hosts, services, protocols, networks and Ethernet addresses by name.
    pub names: &'a dyn Names,
    /// Where the packets come from.
    pub source: Source,
    /// Whether `vlan` and its kind move offsets only within their operand of `or` and `not`,
    /// rather than for all that is read after them.
    pub scoped: bool,
}

impl Default for CompileOptions<'_> {
    fn default() -> Self {
        CompileOptions {
            snaplen: DEFAULT_SNAPLEN,
            optimize: true,
            netmask: Some(0),
            names: &NoNames,
            source: Source::None,
            scoped: false,
        }
    }
}

impl fmt::Debug for CompileOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompileOptions")
            .field("snaplen", &self.snaplen)
            .field("optimize", &self.optimize)
            .field("netmask", &self.netmask)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Why an expression was refused, in the incumbent's words and without a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError(String);

impl FilterError {
    pub(crate) fn new(text: impl Into<String>) -> FilterError {
        FilterError(text.into())
    }

    pub(crate) fn syntax() -> FilterError {
        FilterError::new("can't parse filter expression: syntax error")
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FilterError {}

/// Whether `expression` means something else when encapsulations are scoped: `vlan`, `mpls`,
/// `pppoes`, `geneve` or `vxlan` moves the offsets of something behind an `or` or a `not`.
///
/// # Errors
/// A text that is no expression.
pub fn leaks(expression: &str) -> Result<bool, FilterError> {
    Ok(scope::leaks(&parse::parse(expression)?))
}

/// Compiles `expression` for packets of `link_type`. An empty expression accepts every packet.
///
/// # Errors
/// A text that is no expression, a name that is not known, a value out of its range, a primitive
/// that the link type does not have, or an expression that can match no packet.
pub fn compile(
    expression: &str,
    link_type: LinkType,
    options: &CompileOptions<'_>,
) -> Result<Program, FilterError> {
    if options.snaplen == 0 {
        return Err(FilterError::new("snaplen of 0 rejects all packets"));
    }
    let steps = parse::parse(expression)?;
    let mut code = generate::generate(&steps, link_type, options)?;
    if options.optimize && !code.has_local_jumps && optimize::optimize(&mut code.graph)? {
        return Err(FilterError::new("expression rejects all packets"));
    }
    let instructions = emit::emit(&code.graph)?;
    Program::new(instructions).map_err(|invalid| {
        FilterError::new(format!("BPF program is not valid: {}", invalid.reason))
    })
}
