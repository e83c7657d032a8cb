//! A run over files: read, filter, print or write, until the end or `-c`.

use std::fs::File;
use std::io::Write;

use box_kit::{Exit, Failure};
use box_wire::link::LinkType;
use box_wire::pcap::Precision;

use crate::arguments::Settings;
use crate::dissect::model::Record;
use crate::dissect::{Ctx, Sink, Text};
use crate::filter::{self, CompileOptions, Program};
use crate::names::{Names, Wanted};
use crate::opener::Opener;
use crate::print::Printer;
use crate::privileges::{self, Identity};
use crate::report::{Dissected, Report};
use crate::source::Packet;
use crate::source::file::{CaptureFile, FileError};
use crate::system::{self, SystemNames};
use crate::time::stamp::Writer;
use crate::writer::{PacketWriter, Written, stdout_file};
use box_kit::zone::Zone;

/// Text is written out in blocks of this size.
const BLOCK_LEN: usize = 1 << 16;

/// What is done with the packets that the filter lets through.
pub struct Session {
    /// The command line.
    pub settings: Settings,
    printer: Option<Printer<Text>>,
    /// Instead of the printer, where fields are asked for.
    report: Option<Box<Reporter>>,
    writer: Option<PacketWriter>,
    stdout: File,
    each_line: bool,
    /// Packets passed over (`--skip`).
    passed: u64,
    /// Packets that the display filter has seen.
    read: u64,
    /// Packets taken.
    pub taken: u64,
}

/// A printer whose dissection tells fields, and what is made of them.
struct Reporter {
    printer: Printer<Record>,
    report: Report,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More packets are wanted.
    More,
    /// `-c` or `-W` is reached.
    Enough,
}

impl Session {
    /// Opens the outputs, files with `opener`; `link` is the link type's word in a capture file.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn open(
        settings: Settings,
        opener: Opener,
        (link, snaplen): (u32, u32),
        each_line: bool,
    ) -> Result<Session, Failure> {
        let writer = match &settings.write {
            Some(path) => Some(PacketWriter::open(path, &settings, opener, (link, snaplen))?),
            None => None,
        };
        let report = Report::new(settings.display.as_deref(), &settings.output)?
            .map(|report| Box::new(Reporter { printer: printer(&settings), report }));
        let wanted = settings.prints() && report.is_none();
        let printer = wanted.then(|| printer(&settings));
        let stdout = stdout_file().map_err(Failure::os("standard output"))?;
        let each_line = each_line || settings.line_buffered || settings.packet_buffered;
        Ok(Session {
            settings,
            printer,
            report,
            writer,
            stdout,
            each_line,
            passed: 0,
            read: 0,
            taken: 0,
        })
    }

    /// Learns the names of this machine's interfaces, which cooked packets are shown with.
    pub fn name_interfaces(&mut self) {
        let names = match (&mut self.printer, &mut self.report) {
            (Some(printer), _) => &mut printer.ctx.names,
            (None, Some(reporter)) => &mut reporter.printer.ctx.names,
            (None, None) => return,
        };
        for interface in box_sys::packet::interfaces().unwrap_or_default() {
            names.set_interface(interface.index, interface.name);
        }
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// What cannot be written.
    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>) -> Result<Flow, Failure> {
        if self.passed < self.settings.skip {
            self.passed += 1;
            return Ok(Flow::More);
        }
        if self.report.is_some() && !self.report(packet)? {
            return Ok(Flow::More);
        }
        self.taken += 1;
        if let Some(writer) = &mut self.writer
            && writer.packet(packet)? == Written::Limit
        {
            self.taken -= 1;
            return Ok(Flow::Enough);
        }
        if let Some(printer) = &mut self.printer
            && self.settings.sampling.is_none_or(|every| self.taken.is_multiple_of(every))
        {
            printer.packet(packet, self.taken);
            if self.each_line || printer.ctx.out.len() >= BLOCK_LEN {
                flush(&mut self.stdout, &mut printer.ctx.out)?;
            }
        }
        match self.settings.count {
            Some(count) if self.taken >= count => Ok(Flow::Enough),
            _ => Ok(Flow::More),
        }
    }

    /// Dissects a packet into fields, prints what is made of them, and says whether it is wanted.
    #[inline(never)]
    fn report(&mut self, packet: &Packet<'_>) -> Result<bool, Failure> {
        let Some(reporter) = &mut self.report else { return Ok(true) };
        let Reporter { printer, report } = &mut **reporter;
        self.read += 1;
        let start = printer.ctx.out.len();
        printer.ctx.sink.clear();
        printer.packet(packet, self.taken + 1);
        let record = std::mem::take(&mut printer.ctx.sink);
        let nanos = match self.settings.precision {
            Precision::Micro => packet.stamp.fraction.saturating_mul(1000),
            Precision::Nano => packet.stamp.fraction,
        };
        let dissected = Dissected { packet, nanos, number: self.read, record: &record };
        let wanted = report.admits(dissected);
        if !wanted || !report.wants_text() || !self.settings.prints() {
            printer.ctx.out.truncate(start);
        }
        if wanted && self.settings.prints() {
            report.take(dissected, &mut printer.ctx.out);
        }
        printer.ctx.sink = record;
        if self.each_line || printer.ctx.out.len() >= BLOCK_LEN {
            flush(&mut self.stdout, &mut printer.ctx.out)?;
        }
        Ok(wanted)
    }

    /// Prints what comes once the packets have ended.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if let Some(reporter) = &mut self.report {
            reporter.report.finish(&mut reporter.printer.ctx.out);
        }
        self.flush()
    }

    /// Writes out what is gathered.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if let Some(writer) = &mut self.writer {
            writer.flush()?;
        }
        if let Some(printer) = &mut self.printer {
            flush(&mut self.stdout, &mut printer.ctx.out)?;
        }
        if let Some(reporter) = &mut self.report {
            flush(&mut self.stdout, &mut reporter.printer.ctx.out)?;
        }
        Ok(())
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.stdout.write_all(line.as_bytes()).map_err(Failure::os("standard output"))
    }
}

/// Who creates the files of `-w`: this process, or for a rotation one that keeps the right to.
///
/// # Errors
/// The kernel's.
pub fn opener(settings: &Settings, identity: Option<&Identity>) -> Result<Opener, Failure> {
    match &settings.write {
        Some(path) if settings.rotate_bytes > 0 || settings.rotate_seconds > 0 => {
            Opener::start(path, settings.rotate_command.as_deref(), identity)
        }
        _ => Ok(Opener::Here(identity.map(|identity| identity.ids))),
    }
}

fn flush(stdout: &mut File, out: &mut Vec<u8>) -> Result<(), Failure> {
    if !out.is_empty() {
        let outcome = stdout.write_all(out);
        out.clear();
        outcome.map_err(Failure::os("Unable to write output"))?;
    }
    Ok(())
}

fn printer<S: Sink + Default>(settings: &Settings) -> Printer<S> {
    let wanted = Wanted {
        numeric: settings.numeric > 0,
        foreign_numeric: settings.foreign_numeric,
        short: settings.short_names,
    };
    let names = Names::new(wanted, system::reverse);
    Printer {
        ctx: Ctx::new(settings.options.clone(), names, S::default()),
        stamps: Writer::new(settings.form(), settings.precision, Zone::local()),
        number: settings.number,
        lengths: settings.lengths,
        dump: settings.dump,
    }
}

/// Compiles the expression of the command line; `None` when every packet passes.
///
/// # Errors
/// The compiler's words.
pub fn compile(
    settings: &Settings,
    link_type: LinkType,
    source: filter::Source,
) -> Result<Program, Failure> {
    let names = SystemNames;
    let options = CompileOptions {
        snaplen: settings.snaplen,
        optimize: settings.optimize,
        netmask: Some(netmask(settings)),
        names: &names,
        source,
        scoped: settings.strict_vlan,
    };
    // The incumbent is silent about it, and so is its name.
    if settings.own_name
        && !settings.strict_vlan
        && filter::leaks(&settings.expression).unwrap_or(false)
    {
        eprintln!(
            "box: sniff: warning: an encapsulation (vlan, mpls, ...) moves all that is read after \
             it, past 'or' and parentheses\ntry: --strict-vlan, which keeps it to its operand"
        );
    }
    filter::compile(&settings.expression, link_type, &options).map_err(Failure::new)
}

/// The netmask for `ip broadcast`: that of the interface, or none at all, as the incumbent has it.
fn netmask(settings: &Settings) -> u32 {
    match &settings.interface {
        Some(name) if !settings.reads => box_sys::packet::netmask(name).unwrap_or(0),
        _ => 0,
    }
}

/// The listing that `-d` asks for.
pub fn listing(settings: &Settings, program: &Program) -> String {
    match settings.dump_filter {
        1 => program.dump_d(),
        2 => program.dump_dd(),
        _ => program.dump_ddd(),
    }
}

fn open(path: &str, precision: Precision) -> Result<CaptureFile, Failure> {
    CaptureFile::open(path, precision).map_err(|error| match error {
        FileError::Io(error) => Failure::os(path)(error),
        FileError::Format(text) => Failure::new(text),
    })
}

/// `EN10MB (Ethernet)`, or the number of a type without a name.
pub fn link_name(link_type: LinkType) -> String {
    match (link_type.name(), link_type.description()) {
        (Some(name), Some(description)) => format!("{name} ({description})"),
        _ => link_type.0.to_string(),
    }
}

/// Reads the files of `-r` or `-V`.
///
/// # Errors
/// What cannot be read, parsed or written.
pub fn read_files(settings: Settings) -> Result<Exit, Failure> {
    let mut session: Option<Session> = None;
    let mut program: Option<Program> = None;
    for path in settings.read.clone() {
        let mut file = open(&path, settings.precision)?;
        eprintln!(
            "reading from file {path}, link-type {}, snapshot length {}",
            link_name(file.link_type),
            file.snaplen
        );
        if file.link_type == LinkType::LINUX_SLL2 {
            eprintln!("Warning: interface names might be incorrect");
        }
        if let Some(wanted) = settings.link_type
            && wanted != file.link_type
        {
            let known = wanted.name().unwrap_or_default();
            let reason = format!("{known} is not one of the DLTs supported by this device");
            return Err(Failure::new(reason));
        }
        let source = filter::Source::File { swapped: file.swapped };
        if settings.expression.trim().is_empty() && settings.dump_filter == 0 {
            program = None;
        } else {
            let compiled = compile(&settings, file.link_type, source)?;
            if settings.dump_filter > 0 {
                print!("{}", listing(&settings, &compiled));
                return Ok(Exit::DONE);
            }
            program = (!compiled.accepts_all()).then_some(compiled);
        }
        let session = match &mut session {
            Some(session) => session,
            slot @ None => {
                let snaplen = file.snaplen;
                let link = u32::from(file.link_type.0) | file.link_extension;
                let identity = privileges::identity(&settings)?;
                let opener = opener(&settings, identity.as_ref())?;
                let opened = Session::open(settings.clone(), opener, (link, snaplen), false)?;
                let session = slot.insert(opened);
                if file.link_type == LinkType::LINUX_SLL2 {
                    session.name_interfaces();
                }
                privileges::relinquish(&settings, identity.as_ref())?;
                session
            }
        };
        let outcome = read_file(&mut file, program.as_ref(), session);
        session.flush()?;
        match outcome {
            Ok(Flow::More) => {}
            Ok(Flow::Enough) => break,
            Err(ReadError::Failure(failure)) => return Err(failure),
            Err(ReadError::File(error)) => {
                session.finish()?;
                count_line(session)?;
                return Err(Failure::new(format!("pcap_loop: {error}")));
            }
        }
    }
    drop(program);
    if let Some(session) = &mut session {
        session.finish()?;
        count_line(session)?;
    }
    Ok(Exit::DONE)
}

/// `--count`: the number alone, on standard output.
fn count_line(session: &mut Session) -> Result<(), Failure> {
    if session.settings.count_only {
        let taken = session.taken;
        let plural = if taken == 1 { "" } else { "s" };
        session.say(&format!("{taken} packet{plural}\n"))?;
    }
    Ok(())
}

enum ReadError {
    File(FileError),
    Failure(Failure),
}

fn read_file(
    file: &mut CaptureFile,
    program: Option<&Program>,
    session: &mut Session,
) -> Result<Flow, ReadError> {
    while let Some(packet) = file.read().map_err(ReadError::File)? {
        if let Some(program) = program
            && program.run(packet.bytes, packet.wire_len) == 0
        {
            continue;
        }
        if session.packet(&packet).map_err(ReadError::Failure)? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}
