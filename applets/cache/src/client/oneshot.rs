//! One command of the command line.

use std::io::{self, Read};

use box_kit::{Exit, Failure};

use super::Stop;
use super::options::Options;
use super::session::{Sent, Session};

/// Sends the command as often as asked and prints its replies.
///
/// # Errors
/// There is no reply.
pub fn run(mut session: Session<'_>, options: &Options) -> Result<Exit, Stop> {
    let mut args = options.command.clone();
    if options.last_from_stdin {
        args.push(standard_input()?);
    } else if let Some(tag) = &options.tag {
        let place = args.iter_mut().find(|arg| *arg == tag);
        let place = place.ok_or_else(|| Stop::said("Using -X option but stdin tag not match."))?;
        *place = standard_input()?;
    }
    if super::docs::is_help(&args) {
        super::docs::print_help(&mut session, args.get(1..).unwrap_or_default())?;
        return Ok(Exit::DONE);
    }
    match session.issue(&args, options.repeat)? {
        Sent::Done => Ok(Exit::DONE),
        Sent::Lost | Sent::Interrupted => Ok(Exit::FAILED),
    }
}

fn standard_input() -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(Failure::os("standard input"))?;
    Ok(bytes)
}
