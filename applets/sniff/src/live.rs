//! Capture from interfaces: one packet ring, filtered in the kernel where the kernel can.
//!
//! The socket is opened for no protocol, gets its filter and its ring, and is bound last: so no packet
//! is ever queued that the filter has not seen, and nothing has to be drained.

use std::io;
use std::os::fd::AsFd;

use box_kit::{Exit, Failure, Invocation, Name, Outcome};
use box_sys::packet::{
    self, BpfInstruction, Interface, Level, PacketSocket, RingPacket, RingShape,
};
use box_sys::signal_fd::{self, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SignalFd};
use box_wire::link::LinkType;
use box_wire::pcap::Precision;

use crate::arguments::{Direction, MAX_SNAPLEN, Settings};
use crate::cooked;
use crate::filter::{self, Program};
use crate::privileges;
use crate::session::{self, Flow, Session, link_name};
use crate::source::Packet;
use crate::time::stamp::Stamp;

/// The interface that stands for all.
const ANY: &str = "any";
const BLOCK_LEN: u32 = 1 << 20;
/// The ring has this many blocks unless `-B` says otherwise.
const BLOCKS: u32 = 8;
const MAX_BLOCKS: u32 = 2048;
/// A block that is not full is handed over after this time, and sooner where someone watches.
const RETIRE_MS: u32 = 50;
const RETIRE_WATCHED_MS: u32 = 10;
const OUTGOING: u8 = 4;

/// ARPHRD types.
mod hardware {
    pub const ETHERNET: u16 = 1;
    pub const TUNNEL: u16 = 768;
    pub const TUNNEL6: u16 = 769;
    pub const LOOPBACK: u16 = 772;
    pub const SIT: u16 = 776;
    pub const GRE: u16 = 778;
    pub const RADIO: u16 = 803;
    pub const NONE: u16 = 0xfffe;
}

/// `-D`
///
/// # Errors
/// The kernel's.
pub fn list_interfaces() -> Outcome {
    let mut text = String::new();
    for (index, (name, flags)) in listed()?.iter().enumerate() {
        text += &format!("{}.{name} [{flags}]\n", index + 1);
    }
    print!("{text}");
    Ok(Exit::DONE)
}

/// The interfaces in the order of `-D`: those that are up and running first, loopback behind.
fn listed() -> Result<Vec<(String, String)>, Failure> {
    let mut all = packet::interfaces().map_err(Failure::os("interfaces"))?;
    all.sort_by_key(|interface| {
        let Interface { up, running, loopback, index, .. } = *interface;
        (!(up && running), loopback, index)
    });
    let mut rows: Vec<(String, String)> = all.iter().map(|i| (i.name.clone(), flags(i))).collect();
    let shown = format!("{ANY} (Pseudo-device that captures on all interfaces)");
    // It stands behind the interfaces that work, before loopback and those that are down.
    let at = all.iter().position(|i| i.loopback || !(i.up && i.running)).unwrap_or(rows.len());
    rows.insert(at, (shown, "Up, Running".to_owned()));
    Ok(rows)
}

fn flags(interface: &Interface) -> String {
    let mut flags = Vec::new();
    for (set, name) in [
        (interface.up, "Up"),
        (interface.running, "Running"),
        (interface.loopback, "Loopback"),
        (interface.up && interface.running && !interface.loopback, "Connected"),
    ] {
        if set {
            flags.push(name);
        }
    }
    if flags.is_empty() { "none".to_owned() } else { flags.join(", ") }
}

/// The interface of `-i`: a name, a number of `-D`, or the first of `-D`.
fn chosen(settings: &Settings) -> Result<String, Failure> {
    let rows = || -> Result<Vec<String>, Failure> {
        let rows = listed()?.into_iter();
        Ok(rows.map(|(name, _)| name.split(' ').next().unwrap_or_default().to_owned()).collect())
    };
    match &settings.interface {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            let index: usize = name.parse().unwrap_or(0);
            let row = index.checked_sub(1).and_then(|index| rows().ok()?.get(index).cloned());
            row.ok_or_else(|| Failure::new(format!("Invalid adapter index {name}: no interface")))
        }
        Some(name) => Ok(name.clone()),
        None => {
            let first = rows()?.into_iter().next();
            first.ok_or_else(|| Failure::new("no suitable device found"))
        }
    }
}

/// How an interface is captured from.
struct Plan {
    name: String,
    /// 0 for all.
    index: u32,
    level: Level,
    link_type: LinkType,
    loopback: Option<u32>,
}

fn plan(settings: &Settings) -> Result<Plan, Failure> {
    let name = chosen(settings)?;
    let loopback = packet::interface_index("lo").ok();
    if name == ANY {
        let link_type = match settings.link_type {
            None => LinkType::LINUX_SLL2,
            Some(wanted @ (LinkType::LINUX_SLL | LinkType::LINUX_SLL2)) => wanted,
            Some(wanted) => return Err(unsupported(wanted)),
        };
        return Ok(Plan { name, index: 0, level: Level::Cooked, link_type, loopback });
    }
    let index = packet::interface_index(&name).map_err(|_| {
        Failure::new("No such device exists").about(&name).advise("(No such device exists)")
    })?;
    let (level, link_type) = match packet::hardware_type(&name).map_err(Failure::os(&name))? {
        hardware::ETHERNET | hardware::LOOPBACK => (Level::Raw, LinkType::ETHERNET),
        hardware::NONE | hardware::TUNNEL | hardware::TUNNEL6 | hardware::SIT | hardware::GRE => {
            (Level::Raw, LinkType::RAW)
        }
        hardware::RADIO => (Level::Raw, LinkType::IEEE802_11_RADIO),
        _ => (Level::Cooked, LinkType::LINUX_SLL),
    };
    match settings.link_type {
        Some(wanted) if wanted != link_type => Err(unsupported(wanted)),
        _ => Ok(Plan { name, index, level, link_type, loopback }),
    }
}

fn unsupported(wanted: LinkType) -> Failure {
    let name = wanted.name().unwrap_or_default();
    Failure::new(format!("{name} is not one of the DLTs supported by this device"))
}

/// `-J`
///
/// # Errors
/// An interface that is not there.
pub fn list_stamp_types(settings: &Settings) -> Outcome {
    let plan = plan(settings)?;
    println!("Time stamp types for {} (use option -j to set):\n  host (Host)", plan.name);
    Ok(Exit::DONE)
}

/// Refuses what no interface here can do: stamps of the card, monitor mode.
fn check_abilities(settings: &Settings, plan: &Plan) -> Result<(), Failure> {
    match settings.stamp_type.as_deref() {
        None | Some("host") => {}
        Some("host_lowprec" | "host_hiprec" | "adapter" | "adapter_unsynced") => eprintln!(
            "WARNING: When trying to set timestamp type '{}' on {}: That type of time stamp is \
             not supported by that device",
            settings.stamp_type.as_deref().unwrap_or_default(),
            plan.name
        ),
        Some(unknown) => {
            return Err(Failure::new(format!("invalid time stamp type {unknown}")));
        }
    }
    if settings.monitor && plan.link_type != LinkType::IEEE802_11_RADIO {
        return Err(Failure::new("That device doesn't support monitor mode").about(&plan.name));
    }
    Ok(())
}

/// `-L`
///
/// # Errors
/// An interface that is not there.
pub fn list_link_types(settings: &Settings) -> Outcome {
    let settings = Settings { link_type: None, ..settings.clone() };
    let plan = plan(&settings)?;
    println!("Data link types for {} (use option -y to set):", plan.name);
    let types = match plan.name.as_str() {
        ANY => vec![LinkType::LINUX_SLL, LinkType::LINUX_SLL2],
        _ => vec![plan.link_type],
    };
    for link_type in types {
        println!("  {}", link_name(link_type));
    }
    Ok(Exit::DONE)
}

/// Captures until a signal, `-c`, or the end of the interface.
///
/// # Errors
/// What cannot be opened, compiled or written.
pub fn capture(settings: Settings, invocation: &Invocation) -> Outcome {
    let plan = plan(&settings)?;
    check_abilities(&settings, &plan)?;
    let program = session::compile(&settings, plan.link_type, filter::Source::Live)?;
    if settings.dump_filter > 0 {
        print!("{}", session::listing(&settings, &program));
        return Ok(Exit::DONE);
    }
    // Before any thread is made, so that all of them leave these signals to the descriptor.
    let signals = catch_signals().map_err(Failure::os("signals"))?;
    let identity = privileges::identity(&settings)?;
    let opener = session::opener(&settings, identity.as_ref())?;
    let (mut ring, here) = open(&settings, &plan, &program)?;
    let ring = &mut ring;
    let watched = io::IsTerminal::is_terminal(&io::stdout());
    let shape = (plan.link_type.0.into(), MAX_SNAPLEN);
    let mut session = Session::open(settings, opener, shape, watched)?;
    session.name_interfaces();
    privileges::relinquish(&session.settings, identity.as_ref())?;
    banner(&session.settings, &plan, invocation);
    let mut taker = Taker {
        link_type: plan.link_type,
        cooked: plan.level == Level::Cooked,
        loopback: plan.loopback,
        direction: session.settings.direction,
        precision: session.settings.precision,
        snaplen: session.settings.snaplen as usize,
        program: here.then_some(&program),
        scratch: Vec::new(),
        counted: (0, 0),
    };
    let end = run(ring, &signals, &mut session, &mut taker, &plan);
    let flushed = session.finish();
    if matches!(end, Ok(End::Interrupted)) && session.settings.prints() {
        session.say("\n")?;
    }
    counters(&session, ring, &mut taker.counted, "\n");
    flushed?;
    end.map(|_| Exit::DONE)
}

fn banner(settings: &Settings, plan: &Plan, invocation: &Invocation) {
    let name = match invocation.name {
        Name::Own(_) => "box: sniff",
        Name::Imitated(name) => name,
    };
    if settings.options.verbose == 0 && settings.write.is_none() {
        eprintln!(
            "{name}: verbose output suppressed, use -v[v]... for full protocol decode\n\
             listening on {}, link-type {}, snapshot length {} bytes",
            plan.name,
            link_name(plan.link_type),
            settings.snaplen
        );
    } else {
        eprintln!(
            "{name}: listening on {}, link-type {}, snapshot length {} bytes",
            plan.name,
            link_name(plan.link_type),
            settings.snaplen
        );
    }
}

/// Opens the ring; whether the filter has to run here, because the kernel does not take it.
fn open(
    settings: &Settings,
    plan: &Plan,
    program: &Program,
) -> Result<(packet::Ring, bool), Failure> {
    let denied = |error: io::Error| {
        if error.raw_os_error() == Some(1) {
            let reason = "You don't have permission to perform this capture on that device";
            return Failure::new(reason)
                .about(&plan.name)
                .advise("(Attempt to create packet socket failed - CAP_NET_RAW may be required)");
        }
        Failure::os(&plan.name)(error)
    };
    let socket = PacketSocket::open(plan.level).map_err(denied)?;
    let in_kernel = kernel_program(plan, program)
        .is_some_and(|instructions| socket.attach(&instructions).is_ok());
    let watched = settings.line_buffered
        || settings.packet_buffered
        || settings.immediate
        || io::IsTerminal::is_terminal(&io::stdout());
    let blocks = settings.buffer_kib.map_or(BLOCKS, |kib| (kib / 1024).clamp(2, MAX_BLOCKS));
    let retire_ms = match (settings.immediate, watched) {
        (true, _) => 1,
        (_, true) => RETIRE_WATCHED_MS,
        _ => RETIRE_MS,
    };
    let shape = RingShape { block_len: BLOCK_LEN, blocks, retire_ms };
    let ring = socket.ring(shape).map_err(Failure::os(&plan.name))?;
    ring.socket().bind(plan.index).map_err(|error| match error.raw_os_error() {
        // ENETDOWN
        Some(100) => Failure::new("That device is not up").about(&plan.name),
        _ => Failure::os(&plan.name)(error),
    })?;
    if settings.promiscuous && plan.index != 0 {
        ring.socket().promiscuous(plan.index).map_err(denied)?;
    }
    Ok((ring, !in_kernel && !program.accepts_all()))
}

/// The program as the kernel needs it; `None` where it cannot run there.
fn kernel_program(plan: &Plan, program: &Program) -> Option<Vec<BpfInstruction>> {
    if program.has_loop() {
        return None;
    }
    match plan.level {
        Level::Raw => Some(
            program
                .instructions()
                .iter()
                .map(|op| BpfInstruction { code: op.code, jt: op.jt, jf: op.jf, k: op.k })
                .collect(),
        ),
        Level::Cooked => cooked::program(program.instructions(), plan.link_type),
    }
}

/// Why the capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Interrupted,
    Enough,
}

/// The signals that a capture answers. One that is told to outlive its terminal (nohup) does.
fn catch_signals() -> io::Result<SignalFd> {
    let mut caught = vec![SIGTERM, SIGINT, SIGUSR1, SIGUSR2];
    if !signal_fd::is_ignored(SIGHUP)? {
        caught.push(SIGHUP);
    }
    SignalFd::catch(&caught)
}

fn run(
    ring: &mut packet::Ring,
    signals: &SignalFd,
    session: &mut Session,
    taker: &mut Taker<'_>,
    plan: &Plan,
) -> Result<End, Failure> {
    loop {
        match signals.take().map_err(Failure::os("signals"))? {
            Some(SIGUSR1) => counters(session, ring, &mut taker.counted, ", "),
            Some(SIGUSR2) => session.flush()?,
            Some(_) => return Ok(End::Interrupted),
            None => {}
        }
        match ring.wait(signals.as_fd(), -1) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                went_down(error, plan)?;
                continue;
            }
        }
        let mut outcome = Ok(Flow::More);
        ring.block(|packet| {
            outcome = taker.take(&packet, session);
            outcome == Ok(Flow::More)
        });
        match outcome {
            Ok(Flow::More) => {}
            Ok(Flow::Enough) => return Ok(End::Enough),
            Err(Refused(failure)) => return Err(failure),
        }
        if !ring.ready() {
            session.flush()?;
        }
    }
}

/// An interface that went down may come back; one that went away does not.
fn went_down(error: io::Error, plan: &Plan) -> Result<(), Failure> {
    if plan.index != 0 && packet::interface_index(&plan.name).is_err() {
        return Err(Failure::new("pcap_loop: The interface disappeared"));
    }
    match error.raw_os_error() {
        Some(100) => Ok(()),
        _ => Err(Failure::os("pcap_loop")(error)),
    }
}

/// The counters at the end, a line each, or in one line on the way (SIGUSR1). The kernel forgets its
/// own when they are read.
fn counters(session: &Session, ring: &packet::Ring, counted: &mut (u64, u64), between: &str) {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let taken = session.taken;
    eprint!("{taken} packet{} captured", plural(taken));
    if let Ok(now) = ring.socket().statistics() {
        counted.0 += u64::from(now.packets);
        counted.1 += u64::from(now.drops);
        let (received, dropped) = *counted;
        eprint!("{between}{received} packet{} received by filter", plural(received));
        eprint!("{between}{dropped} packet{} dropped by kernel", plural(dropped));
    }
    eprintln!();
}

/// Makes packets of what the ring holds.
struct Taker<'p> {
    link_type: LinkType,
    cooked: bool,
    loopback: Option<u32>,
    direction: Direction,
    precision: Precision,
    snaplen: usize,
    /// Where the kernel does not filter.
    program: Option<&'p Program>,
    /// A packet that had to be put together.
    scratch: Vec<u8>,
    /// Packets received and dropped as the kernel counted them so far.
    counted: (u64, u64),
}

/// A failure that can be compared, for the loop's sake.
#[derive(Debug)]
struct Refused(Failure);

impl PartialEq for Refused {
    fn eq(&self, _: &Refused) -> bool {
        false
    }
}

impl Taker<'_> {
    #[inline]
    fn take(&mut self, raw: &RingPacket<'_>, session: &mut Session) -> Result<Flow, Refused> {
        if !self.wanted(raw) {
            return Ok(Flow::More);
        }
        let fraction = match self.precision {
            Precision::Micro => raw.nanos / 1000,
            Precision::Nano => raw.nanos,
        };
        let stamp = Stamp { seconds: i64::from(raw.seconds), fraction };
        let mut wire_len = raw.wire_len;
        let bytes = if self.cooked {
            wire_len += cooked::header(&mut self.scratch, raw, self.link_type);
            self.scratch.as_slice()
        } else if let (Some(tag), LinkType::ETHERNET) = (raw.vlan, self.link_type) {
            wire_len += insert_tag(&mut self.scratch, raw.bytes, tag);
            self.scratch.as_slice()
        } else {
            raw.bytes
        };
        let bytes = bytes.get(..self.snaplen).unwrap_or(bytes);
        if let Some(program) = self.program
            && program.run(bytes, wire_len) == 0
        {
            return Ok(Flow::More);
        }
        let packet = Packet { stamp, wire_len, link_type: self.link_type, bytes };
        session.packet(&packet).map_err(Refused)
    }

    /// Loopback shows each packet twice, going out and coming in: the first is left out.
    fn wanted(&self, raw: &RingPacket<'_>) -> bool {
        let outgoing = raw.origin.packet_type == OUTGOING;
        if outgoing && self.loopback == Some(raw.origin.interface) {
            return false;
        }
        match self.direction {
            Direction::Both => true,
            Direction::In => !outgoing,
            Direction::Out => outgoing,
        }
    }
}

/// Puts back the tag that the card took off; how many bytes the packet grew.
fn insert_tag(out: &mut Vec<u8>, bytes: &[u8], (tag, kind): (u16, u16)) -> u32 {
    out.clear();
    let Some((addresses, rest)) = bytes.split_at_checked(12) else {
        out.extend_from_slice(bytes);
        return 0;
    };
    out.extend_from_slice(addresses);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(rest);
    4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_between_addresses_and_type() {
        let mut out = Vec::new();
        let grown = insert_tag(&mut out, b"ddddddssssss\x08\x00payload", (5, 0x8100));
        assert_eq!(grown, 4);
        assert_eq!(out, b"ddddddssssss\x81\x00\x00\x05\x08\x00payload");
        assert_eq!(insert_tag(&mut out, b"short", (5, 0x8100)), 0);
    }
}
