//! Capture and print packets, as tcpdump does.
//!
//! # Data flow
//! ```text
//! words -> arguments::Settings
//! source (file | ring) -> filter::Program -> session -> print (dissect -> text) -> standard output
//!                                                    -> writer (pcap)           -> files
//! ```
//! - [`arguments`]: words as getopt reads them; [`cli`]: the same as a clap tree, for help.
//! - [`source`]: packets of files and interfaces, as slices of one buffer or of the ring.
//! - [`filter`]: pcap-filter(7) to classic BPF; the program runs in the kernel or here.
//! - [`dissect`]: one function a protocol over a checked cursor. The text is tcpdump 4.99.6's to the
//!   byte; the same calls feed fields to other sinks ([`dissect::model`]).
//! - [`print`]: number, stamp, dissection, dump; [`text`]: values that append themselves.
//! - [`report`]: what is made of the fields: JSON, columns, tables, streams, display filters.
//! - [`time`]: the zone, read once, and the six forms of a stamp. [`names`]: names for numbers.
//!
//! # Invariants
//! - No input makes it panic: dissectors never index by a value of the wire, loops consume, nesting
//!   and text of a packet have limits.
//! - State that a line takes from the lines before (TCP numbers, time differences, the count) lives in
//!   [`dissect::flow`] and [`time::stamp::Writer`] alone, so that the rest of a packet's text can be
//!   made anywhere.
//! - Nothing is allocated per packet once the buffers have grown.
//!
//! Compatible with tcpdump 4.99.6's command line and text for the protocols of the first tier; what
//! is not there yet stands in `docs/sniff.md`.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod cli;
pub mod cooked;
pub mod dissect;
pub mod doctor;
pub mod filter;
pub mod live;
pub mod names;
pub mod opener;
pub mod print;
pub mod privileges;
pub mod report;
pub mod session;
pub mod source;
pub mod system;
pub mod text;
pub mod time;
pub mod writer;

pub use box_wire::link::LinkType;
pub use box_wire::pcap::Precision;

use std::io::Write;

use arguments::{Misuse, Settings, Task};
use box_kit::{Exit, Failure, Invocation, Name, Outcome};

/// The version of tcpdump whose command line and text are followed.
const FOLLOWED: &str = "4.99.6";

/// Runs the applet.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation) -> Outcome {
    let own = matches!(invocation.name, Name::Own(_));
    if own && invocation.args.iter().any(|word| word == "--help") {
        return help();
    }
    let program = invocation.name.program();
    let settings = match arguments::parse(&program, &invocation.args, own) {
        Ok(settings) => settings,
        Err(Misuse::Value(failure)) => return Err(failure),
        Err(Misuse::Usage(reason)) => {
            eprint!("{reason}\n{}", banner(&program));
            return Ok(Exit::FAILED);
        }
    };
    match settings.task {
        Task::Help => say(&banner(&program)),
        Task::Version => say(&version(&program)),
        Task::Fact(text) => say(&format!("{text}\n")),
        Task::ListInterfaces => live::list_interfaces(),
        Task::ListLinkTypes => live::list_link_types(&settings),
        Task::ListStampTypes => live::list_stamp_types(&settings),
        Task::Packets => packets(settings, &invocation),
    }
}

fn packets(settings: Settings, invocation: &Invocation) -> Outcome {
    if settings.reads {
        return session::read_files(settings);
    }
    if settings.dump_filter > 0 && settings.interface.is_none() {
        let link_type = settings.link_type.unwrap_or_else(|| {
            eprintln!("Warning: assuming Ethernet");
            LinkType::ETHERNET
        });
        let program = session::compile(&settings, link_type, filter::Source::None)?;
        return say(&session::listing(&settings, &program));
    }
    live::capture(settings, invocation)
}

fn help() -> Outcome {
    let mut command = cli::command().bin_name("box sniff");
    say(&command.render_long_help().to_string())
}

fn version(program: &str) -> String {
    let number = env!("CARGO_PKG_VERSION");
    format!(
        "{program} version {FOLLOWED} (box {number})\nlibpcap version 1.10.6 (own reader and TPACKET_V3)\n"
    )
}

fn banner(program: &str) -> String {
    version(program) + &arguments::usage(program)
}

fn say(text: &str) -> Outcome {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::os("standard output"))?;
    Ok(Exit::DONE)
}
