//! What is made of a dissection beside text: JSON, columns, tables, streams, and the display filter
//! that chooses packets by their fields.

pub mod column;
pub mod display;
pub mod follow;
pub mod json;
pub mod stats;

use box_kit::Failure;

use crate::dissect::model::Record;
use crate::source::Packet;
use column::Column;
use display::Filter;
use follow::Follow;
use stats::Statistics;

/// What is printed of the packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Lines of text, as without all this.
    #[default]
    Text,
    /// `--json`: an object a line.
    Json,
    /// `--fields`: columns between tabs.
    Fields(Vec<Column>),
    /// `--stats`: tables, once the packets have ended.
    Statistics(Vec<stats::Kind>),
    /// `--follow`: what a connection carried, once the packets have ended.
    Follow(follow::Wanted),
}

impl Output {
    /// `--fields a,b,c`
    ///
    /// # Errors
    /// A name that no field has.
    pub fn fields(names: &str) -> Result<Output, Failure> {
        names.split(',').map(Column::named).collect::<Result<_, _>>().map(Output::Fields)
    }

    /// Whether lines of text are wanted.
    pub fn is_text(&self) -> bool {
        *self == Output::Text
    }
}

/// A packet with what was told of it.
#[derive(Clone, Copy)]
pub struct Dissected<'a> {
    /// The packet.
    pub packet: &'a Packet<'a>,
    /// Nanoseconds of its stamp.
    pub nanos: u32,
    /// Its place in the capture.
    pub number: u64,
    /// Its fields.
    pub record: &'a Record,
}

/// Chooses packets and gathers or prints what is made of them.
pub struct Report {
    filter: Option<Filter>,
    output: Output,
    statistics: Statistics,
    follow: Option<Follow>,
}

impl Report {
    /// A report, or none where lines of all packets are wanted.
    ///
    /// # Errors
    /// A display filter that cannot be read.
    pub fn new(filter: Option<&str>, output: &Output) -> Result<Option<Report>, Failure> {
        let filter = filter.map(Filter::parse).transpose()?;
        if filter.is_none() && output.is_text() {
            return Ok(None);
        }
        let kinds = match output {
            Output::Statistics(kinds) => kinds.clone(),
            _ => Vec::new(),
        };
        let follow = match output {
            Output::Follow(wanted) => Some(Follow::new(*wanted)),
            _ => None,
        };
        let output = output.clone();
        Ok(Some(Report { filter, output, statistics: Statistics::new(kinds), follow }))
    }

    /// Whether the display filter lets the packet through.
    pub fn admits(&self, packet: Dissected<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.admits(packet))
    }

    /// Whether its lines of text are wanted.
    pub fn wants_text(&self) -> bool {
        self.output.is_text()
    }

    /// Takes a packet; what is printed of it at once goes to `out`.
    pub fn take(&mut self, packet: Dissected<'_>, out: &mut Vec<u8>) {
        match &self.output {
            Output::Text => {}
            Output::Json => json::object(out, packet),
            Output::Fields(columns) => column::row(out, columns, packet),
            Output::Statistics(_) => self.statistics.take(packet),
            Output::Follow(_) => {
                if let Some(follow) = &mut self.follow {
                    follow.take(packet);
                }
            }
        }
    }

    /// Prints what was gathered.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.statistics.print(out);
        if let Some(follow) = &self.follow {
            follow.print(out);
        }
    }
}
