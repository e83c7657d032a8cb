//! Packet sockets (packet(7)): opening, the ring of blocks shared with the kernel (TPACKET_V3), the
//! filter in the kernel, and the list of interfaces.
//!
//! The ring: the kernel fills blocks of many packets and hands over one block at a time by setting
//! `TP_STATUS_USER`; the reader hands it back by setting `TP_STATUS_KERNEL`. A block that is not full is
//! handed over after a time. The status word is the only thing both sides write; it is read with
//! acquire and written with release order.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::check;

/// An instruction of classic BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BpfInstruction {
    /// Opcode.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// How a packet socket delivers the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// With its header, as it was on the wire.
    Raw,
    /// Without; the address of each packet tells the rest.
    Cooked,
}

/// A packet socket.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

/// The counters of a packet socket since they were last read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that the filter let through, the dropped ones included.
    pub packets: u32,
    /// Packets for which there was no room.
    pub drops: u32,
}

fn set<T>(fd: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` points to `len` bytes that live for the call.
    check(unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len)
    })
    .map(drop)
}

impl PacketSocket {
    /// Opens a socket that receives nothing until it is bound.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn open(level: Level) -> io::Result<PacketSocket> {
        let kind = match level {
            Level::Raw => libc::SOCK_RAW,
            Level::Cooked => libc::SOCK_DGRAM,
        };
        // SAFETY: no memory is passed.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(PacketSocket { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Binds to an interface, or with index 0 to all, for all protocols.
    ///
    /// # Errors
    /// `ENETDOWN`, `ENXIO` and such.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        // SAFETY: all zero is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index as i32;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` has `len` bytes and lives for the call.
        check(unsafe {
            libc::bind(self.fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), len)
        })?;
        self.take_error()
    }

    /// The error that is pending on the socket.
    ///
    /// # Errors
    /// That error.
    pub fn take_error(&self) -> io::Result<()> {
        let mut code: libc::c_int = 0;
        let mut len = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: `code` has `len` bytes and both live for the call.
        check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                std::ptr::from_mut(&mut code).cast(),
                &mut len,
            )
        })?;
        if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
    }

    /// Sees all packets of the interface as long as the socket is open.
    ///
    /// # Errors
    /// The kernel's.
    pub fn promiscuous(&self, index: u32) -> io::Result<()> {
        // SAFETY: all zero is a valid request.
        let mut request: libc::packet_mreq = unsafe { std::mem::zeroed() };
        request.mr_ifindex = index as i32;
        request.mr_type = libc::PACKET_MR_PROMISC as u16;
        set(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Attaches a filter: what it does not let through never reaches the ring.
    ///
    /// # Errors
    /// `EINVAL` for a program that the kernel does not accept.
    pub fn attach(&self, program: &[BpfInstruction]) -> io::Result<()> {
        let mut filter: Vec<libc::sock_filter> = program
            .iter()
            .map(|op| libc::sock_filter { code: op.code, jt: op.jt, jf: op.jf, k: op.k })
            .collect();
        let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
        // The kernel copies the program that `filter` holds until after the call.
        set(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Reads and throws away what is queued: packets from before the filter was there.
    pub fn drain(&self) {
        let mut byte = [0u8; 1];
        // SAFETY: `byte` has one byte and lives for the call.
        while unsafe {
            libc::recv(
                self.fd.as_raw_fd(),
                byte.as_mut_ptr().cast(),
                byte.len(),
                libc::MSG_TRUNC | libc::MSG_DONTWAIT,
            )
        } >= 0
        {}
    }

    /// Does not show packets that this machine sent.
    ///
    /// # Errors
    /// `ENOPROTOOPT` on kernels before 4.20.
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
        set(self.fd.as_fd(), libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1i32)
    }

    /// The counters; the kernel begins anew with each reading.
    ///
    /// # Errors
    /// The kernel's.
    pub fn statistics(&self) -> io::Result<Statistics> {
        // `struct tpacket_stats_v3`: packets, drops, freezes.
        let mut raw = [0u32; 3];
        let mut len = size_of::<[u32; 3]>() as libc::socklen_t;
        // SAFETY: `raw` has `len` bytes and both live for the call.
        check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                raw.as_mut_ptr().cast(),
                &mut len,
            )
        })?;
        Ok(Statistics { packets: raw[0], drops: raw[1] })
    }

    /// Turns the socket into a ring.
    ///
    /// # Errors
    /// `ENOMEM`, `EINVAL` for sizes that the kernel does not accept.
    pub fn ring(self, shape: RingShape) -> io::Result<Ring> {
        set(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &TPACKET_V3)?;
        let request = libc::tpacket_req3 {
            tp_block_size: shape.block_len,
            tp_block_nr: shape.blocks,
            tp_frame_size: FRAME_LEN,
            tp_frame_nr: shape.block_len / FRAME_LEN * shape.blocks,
            tp_retire_blk_tov: shape.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let len = shape.block_len as usize * shape.blocks as usize;
        // SAFETY: a fresh mapping of a descriptor that we own; the kernel picks the place.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                self.fd.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Ring { socket: self, map: map.cast(), len, shape, next: 0 })
    }
}

const TPACKET_V3: libc::c_int = 2;
/// A unit of the kernel's accounting; packets of a block are packed, whatever it is.
const FRAME_LEN: u32 = 2048;

/// The sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingShape {
    /// Bytes of a block; a power of two of at least a page.
    pub block_len: u32,
    /// Blocks.
    pub blocks: u32,
    /// After how many milliseconds a block is handed over that is not full.
    pub retire_ms: u32,
}

/// A packet socket with its ring.
#[derive(Debug)]
pub struct Ring {
    socket: PacketSocket,
    map: *mut u8,
    len: usize,
    shape: RingShape,
    /// The block that is handed over next.
    next: u32,
}

// SAFETY: the mapping belongs to the ring alone and goes with it; nothing of it is bound to a thread.
unsafe impl Send for Ring {}

/// Where a packet came from or went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Index of the interface.
    pub interface: u32,
    /// `PACKET_HOST` 0, broadcast 1, multicast 2, to another host 3, outgoing 4.
    pub packet_type: u8,
    /// ARPHRD type of the interface.
    pub hardware: u16,
    /// Protocol, in host order.
    pub protocol: u16,
    /// The sender's address.
    pub address: [u8; 8],
    /// Bytes of the address.
    pub address_len: u8,
}

/// A packet of the ring.
#[derive(Clone, Copy, Debug)]
pub struct RingPacket<'a> {
    /// Seconds since 1970.
    pub seconds: u32,
    /// Nanoseconds of the second.
    pub nanos: u32,
    /// Bytes on the wire, without a tag that the card took off.
    pub wire_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
    /// Where from.
    pub origin: Origin,
    /// Tag and its type, which the card took off.
    pub vlan: Option<(u16, u16)>,
}

impl Ring {
    /// The socket, for its filter and counters.
    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// Waits for a block or until `other` is readable, at most `timeout_ms` (-1: without end).
    /// Whether a block is there.
    ///
    /// # Errors
    /// `ENETDOWN` when the interface went down or away, and the kernel's other errors.
    pub fn wait(&self, other: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<bool> {
        if self.ready() {
            return Ok(true);
        }
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut poll = [entry(self.socket.fd.as_raw_fd()), entry(other.as_raw_fd())];
        // SAFETY: two entries that live for the call.
        match check(unsafe { libc::poll(poll.as_mut_ptr(), 2, timeout_ms) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
            Ok(_) => {
                if poll[0].revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
                    self.socket.take_error()?;
                }
                Ok(self.ready())
            }
        }
    }

    /// The status word of the block that is handed over next.
    fn status(&self) -> &AtomicU32 {
        let at = self.next as usize * self.shape.block_len as usize + STATUS_AT;
        debug_assert!(at + 4 <= self.len);
        // SAFETY: `next` is below the number of blocks, so the word lies in the mapping; it is
        // aligned since blocks are pages; the kernel writes it atomically.
        unsafe { AtomicU32::from_ptr(self.map.add(at).cast()) }
    }

    /// Whether a block is there.
    pub fn ready(&self) -> bool {
        self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Gives each packet of the next block to `take`, and the block back to the kernel. `take` ends
    /// the block early with `false`.
    pub fn block(&mut self, mut take: impl FnMut(RingPacket<'_>) -> bool) {
        if !self.ready() {
            return;
        }
        let start = self.next as usize * self.shape.block_len as usize;
        // SAFETY: the block lies in the mapping, and is ours to read until its status is given back
        // below; the slice ends before that.
        let block = unsafe {
            std::slice::from_raw_parts(self.map.add(start), self.shape.block_len as usize)
        };
        let count = word(block, COUNT_AT);
        let mut at = word(block, FIRST_AT) as usize;
        for _ in 0..count {
            let Some(packet) = block.get(at..).and_then(frame) else { break };
            if !take(packet) {
                break;
            }
            match word(block, at) as usize {
                0 => break,
                step => at += step,
            }
        }
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.shape.blocks;
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and nothing of it is used any more.
        unsafe { libc::munmap(self.map.cast(), self.len) };
    }
}

/// Offsets in `struct tpacket_block_desc`: version, private offset, then the header.
const STATUS_AT: usize = 8;
const COUNT_AT: usize = 12;
const FIRST_AT: usize = 16;
/// `struct tpacket3_hdr`, rounded up to 16 bytes; the address follows it.
const ADDRESS_AT: usize = 48;

fn word(bytes: &[u8], at: usize) -> u32 {
    let raw = bytes.get(at..at + 4).and_then(|raw| raw.try_into().ok());
    raw.map_or(0, u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let raw = bytes.get(at..at + 2).and_then(|raw| raw.try_into().ok());
    raw.map_or(0, u16::from_ne_bytes)
}

/// A packet at the start of `frame`.
fn frame(frame: &[u8]) -> Option<RingPacket<'_>> {
    let captured = word(frame, 12) as usize;
    let status = word(frame, 20);
    let at = usize::from(half(frame, 24));
    let bytes = frame.get(at..at.checked_add(captured)?)?;
    // The tag may be 0, so its presence is a bit of its own; the type came later than the tag.
    let vlan = (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
        let kind =
            if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { half(frame, 36) } else { 0x8100 };
        (word(frame, 32) as u16, kind)
    });
    let mut address = [0; 8];
    address.copy_from_slice(frame.get(ADDRESS_AT + 12..ADDRESS_AT + 20)?);
    let origin = Origin {
        protocol: u16::from_be(half(frame, ADDRESS_AT + 2)),
        interface: word(frame, ADDRESS_AT + 4),
        hardware: half(frame, ADDRESS_AT + 8),
        packet_type: frame.get(ADDRESS_AT + 10).copied()?,
        address_len: frame.get(ADDRESS_AT + 11).copied()?.min(8),
        address,
    };
    Some(RingPacket {
        seconds: word(frame, 4),
        nanos: word(frame, 8),
        wire_len: word(frame, 16),
        bytes,
        origin,
        vlan,
    })
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `IFF_UP`
    pub up: bool,
    /// `IFF_RUNNING`
    pub running: bool,
    /// `IFF_LOOPBACK`
    pub loopback: bool,
}

/// The interfaces of this network namespace, by number.
///
/// # Errors
/// When `/sys/class/net` cannot be read.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut all = Vec::new();
    let socket = control_socket()?;
    for name in names()? {
        let Ok(index) = request(&socket, &name, libc::SIOCGIFINDEX) else { continue };
        let flags = request(&socket, &name, libc::SIOCGIFFLAGS).unwrap_or(0);
        let flags = i32::from(flags as i16);
        all.push(Interface {
            index: index as u32,
            name,
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            loopback: flags & libc::IFF_LOOPBACK != 0,
        });
    }
    all.sort_by_key(|interface| interface.index);
    Ok(all)
}

/// The names, from `/proc/net/dev`: it shows the namespace of the calling thread.
fn names() -> io::Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd =
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A request about an interface that answers with a number.
fn request(socket: &OwnedFd, name: &str, code: libc::Ioctl) -> io::Result<i32> {
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    // SAFETY: these requests read and write one `ifreq`, which lives for the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), code, &mut request) })?;
    // SAFETY: each request that is made here answers in the first four bytes of the union.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// The number of an interface.
///
/// # Errors
/// `ENODEV` when there is none of this name.
pub fn interface_index(name: &str) -> io::Result<u32> {
    request(&control_socket()?, name, libc::SIOCGIFINDEX).map(|index| index as u32)
}

/// Whether an interface is up.
///
/// # Errors
/// As [`interface_index`].
pub fn is_up(name: &str) -> io::Result<bool> {
    let flags = request(&control_socket()?, name, libc::SIOCGIFFLAGS)?;
    Ok(i32::from(flags as i16) & libc::IFF_UP != 0)
}

/// The ARPHRD type of an interface.
///
/// # Errors
/// As [`interface_index`].
pub fn hardware_type(name: &str) -> io::Result<u16> {
    // The answer is a `sockaddr` whose family is the type.
    request(&control_socket()?, name, libc::SIOCGIFHWADDR).map(|value| value as u16)
}

/// The IPv4 netmask of an interface, in host order.
///
/// # Errors
/// As [`interface_index`], and `EADDRNOTAVAIL` for one without an address.
pub fn netmask(name: &str) -> io::Result<u32> {
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    let socket = control_socket()?;
    // SAFETY: the request reads and writes one `ifreq`, which lives for the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFNETMASK, &mut request) })?;
    // SAFETY: the answer is an IPv4 socket address, whose address lies at bytes 4 to 8.
    let data = unsafe { request.ifr_ifru.ifru_netmask.sa_data };
    Ok(u32::from_be_bytes([data[2] as u8, data[3] as u8, data[4] as u8, data[5] as u8]))
}
