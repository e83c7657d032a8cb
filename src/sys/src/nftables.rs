//! Packet filter rules through nfnetlink (linux/netfilter/nf_tables.h): tables, chains, rules, maps
//! and their elements, sent as one transaction.
//!
//! A rule is a list of small expressions that load packet fields into registers, compare them, look
//! them up, and give a verdict. Registers here are the 32-bit ones, so that a key of several fields
//! lies in consecutive registers, as a map's key does.

use std::io;

use crate::netlink::{ACK, CREATE, EXCLUSIVE, Message, REQUEST, Socket};

const NETLINK_NETFILTER: i32 = 12;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

/// `NFPROTO_IPV4`: the family of the tables made here.
const FAMILY: u8 = 2;

/// The first register; each has 4 bytes.
pub const REGISTER: u32 = 8;

/// Where in the packet's way a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before routing, of what comes from elsewhere.
    Prerouting = 0,
    /// Of what the machine itself sends.
    Output = 3,
    /// Behind routing, of what leaves.
    Postrouting = 4,
}

/// The header that every nfnetlink message has: family, version, subsystem for batches.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// An expression, appended to the message of its rule.
#[derive(Clone, Copy, Debug)]
pub enum Expression<'a> {
    /// Load `length` bytes at `offset` of the network header.
    NetworkHeader { register: u32, offset: u32, length: u32 },
    /// Load `length` bytes at `offset` of the transport header.
    TransportHeader { register: u32, offset: u32, length: u32 },
    /// Load the transport protocol.
    Protocol { register: u32 },
    /// Load the name of the device it came by (16 bytes).
    InputName { register: u32 },
    /// Load the name of the device it leaves by (16 bytes).
    OutputName { register: u32 },
    /// Load the kind of the destination address (2 for the machine's own).
    DestinationKind { register: u32 },
    /// Load the status of the connection.
    ConnectionStatus { register: u32 },
    /// Keep the bits of `mask`.
    Mask { register: u32, mask: &'a [u8] },
    /// Go on when equal.
    Equal { register: u32, value: &'a [u8] },
    /// Go on when different.
    Different { register: u32, value: &'a [u8] },
    /// Go on when the map has the key at `register`; its value goes to the same place.
    Lookup { map: &'a str, register: u32 },
    /// Send to the address at `address` and the port at `port`.
    DestinationNat { address: u32, port: u32 },
    /// Give it the address of the device it leaves by.
    Masquerade,
    /// Drop it.
    Drop,
}

impl Expression<'_> {
    fn append(&self, message: &mut Message) {
        let element = message.begin(1);
        message.text(1, self.name());
        let data = message.begin(2);
        self.append_data(message);
        message.end(data);
        message.end(element);
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::NetworkHeader { .. } | Expression::TransportHeader { .. } => "payload",
            Expression::Protocol { .. }
            | Expression::InputName { .. }
            | Expression::OutputName { .. } => "meta",
            Expression::DestinationKind { .. } => "fib",
            Expression::ConnectionStatus { .. } => "ct",
            Expression::Mask { .. } => "bitwise",
            Expression::Equal { .. } | Expression::Different { .. } => "cmp",
            Expression::Lookup { .. } => "lookup",
            Expression::DestinationNat { .. } => "nat",
            Expression::Masquerade => "masq",
            Expression::Drop => "immediate",
        }
    }

    fn append_data(&self, message: &mut Message) {
        match *self {
            Expression::NetworkHeader { register, offset, length } => {
                payload(message, 1, register, offset, length);
            }
            Expression::TransportHeader { register, offset, length } => {
                payload(message, 2, register, offset, length);
            }
            Expression::Protocol { register } => meta(message, 16, register),
            Expression::InputName { register } => meta(message, 6, register),
            Expression::OutputName { register } => meta(message, 7, register),
            Expression::DestinationKind { register } => {
                // Result: address kind; of the destination address.
                message.network_number(1, register).network_number(2, 3).network_number(3, 2);
            }
            Expression::ConnectionStatus { register } => {
                message.network_number(1, register).network_number(2, 2);
            }
            Expression::Mask { register, mask } => {
                message.network_number(1, register).network_number(2, register);
                message.network_number(3, mask.len() as u32);
                value(message, 4, mask);
                value(message, 5, &[0; 16][..mask.len().min(16)]);
            }
            Expression::Equal { register, value: with } => compare(message, 0, register, with),
            Expression::Different { register, value: with } => compare(message, 1, register, with),
            Expression::Lookup { map, register } => {
                message.text(1, map).network_number(2, register).network_number(3, register);
            }
            Expression::DestinationNat { address, port } => {
                message.network_number(1, 1).network_number(2, FAMILY.into());
                message.network_number(3, address).network_number(5, port);
            }
            Expression::Masquerade => {}
            Expression::Drop => {
                message.network_number(1, 0);
                let data = message.begin(2);
                let verdict = message.begin(2);
                message.network_number(1, 0);
                message.end(verdict);
                message.end(data);
            }
        }
    }
}

fn payload(message: &mut Message, base: u32, register: u32, offset: u32, length: u32) {
    message.network_number(1, register).network_number(2, base);
    message.network_number(3, offset).network_number(4, length);
}

fn meta(message: &mut Message, key: u32, register: u32) {
    message.network_number(1, register).network_number(2, key);
}

fn compare(message: &mut Message, operation: u32, register: u32, with: &[u8]) {
    message.network_number(1, register).network_number(2, operation);
    value(message, 3, with);
}

fn value(message: &mut Message, kind: u16, bytes: &[u8]) {
    let nest = message.begin(kind);
    message.attribute(1, bytes);
    message.end(nest);
}

/// Changes that take effect together or not at all.
pub struct Transaction {
    batch: Vec<u8>,
    sequence: u32,
}

impl Default for Transaction {
    fn default() -> Transaction {
        Transaction::new()
    }
}

impl Transaction {
    /// An empty one.
    pub fn new() -> Transaction {
        let mut transaction = Transaction { batch: Vec::new(), sequence: 1 };
        let mut begin = Message::new(BATCH_BEGIN, REQUEST, 1);
        begin.raw(&header(0, SUBSYSTEM));
        transaction.append(begin);
        transaction
    }

    fn append(&mut self, mut message: Message) {
        self.batch.extend_from_slice(message.bytes());
    }

    fn message(&mut self, kind: u16, flags: u16) -> Message {
        self.sequence += 1;
        let flags = REQUEST | ACK | flags;
        let mut message = Message::new(SUBSYSTEM << 8 | kind, flags, self.sequence);
        message.raw(&header(FAMILY, 0));
        message
    }

    /// Makes a table; the transaction fails with `EEXIST` when it is there.
    pub fn add_table(&mut self, table: &str) -> &mut Transaction {
        let mut message = self.message(NEW_TABLE, CREATE | EXCLUSIVE);
        message.text(1, table);
        self.append(message);
        self
    }

    /// Removes a table with all that is in it.
    pub fn delete_table(&mut self, table: &str) -> &mut Transaction {
        let mut message = self.message(DELETE_TABLE, 0);
        message.text(1, table);
        self.append(message);
        self
    }

    /// Makes a chain of a kind (`nat`, `filter`) at a hook, in the order of priorities.
    pub fn add_chain(
        &mut self,
        table: &str,
        chain: &str,
        kind: &str,
        hook: Hook,
        priority: i32,
    ) -> &mut Transaction {
        let mut message = self.message(NEW_CHAIN, CREATE);
        message.text(1, table).text(3, chain);
        let nest = message.begin(4);
        message.network_number(1, hook as u32).network_number(2, priority as u32);
        message.end(nest);
        message.text(7, kind);
        self.append(message);
        self
    }

    /// Makes a map from keys to values of these lengths.
    pub fn add_map(
        &mut self,
        table: &str,
        map: &str,
        key_bytes: u32,
        value_bytes: u32,
    ) -> &mut Transaction {
        const IS_MAP: u32 = 8;
        let id = self.sequence;
        let mut message = self.message(NEW_SET, CREATE);
        message.text(1, table).text(2, map).network_number(3, IS_MAP);
        // The types are for userland programs alone; 0 is "not said".
        message.network_number(4, 0).network_number(5, key_bytes);
        message.network_number(6, 1).network_number(7, value_bytes);
        message.network_number(10, id);
        self.append(message);
        self
    }

    /// Appends a rule.
    pub fn add_rule(
        &mut self,
        table: &str,
        chain: &str,
        expressions: &[Expression<'_>],
    ) -> &mut Transaction {
        const APPEND: u16 = 0x800;
        let mut message = self.message(NEW_RULE, CREATE | APPEND);
        message.text(1, table).text(2, chain);
        let list = message.begin(4);
        for expression in expressions {
            expression.append(&mut message);
        }
        message.end(list);
        self.append(message);
        self
    }

    /// Puts an element in a map; the transaction fails with `EEXIST` when the key has another value.
    pub fn add_element(
        &mut self,
        table: &str,
        map: &str,
        key: &[u8],
        data: &[u8],
    ) -> &mut Transaction {
        let mut message = self.message(NEW_ELEMENT, CREATE | EXCLUSIVE);
        element(&mut message, table, map, key, Some(data));
        self.append(message);
        self
    }

    /// Takes an element out of a map.
    pub fn delete_element(&mut self, table: &str, map: &str, key: &[u8]) -> &mut Transaction {
        let mut message = self.message(DELETE_ELEMENT, 0);
        element(&mut message, table, map, key, None);
        self.append(message);
        self
    }

    /// Sends it all and waits for the verdict.
    ///
    /// # Errors
    /// The kernel's refusal of the first change that it does not take: then none has been made.
    pub fn commit(mut self) -> io::Result<()> {
        let last = self.sequence;
        let mut end = Message::new(BATCH_END, REQUEST, last + 1);
        end.raw(&header(0, SUBSYSTEM));
        self.append(end);
        let socket = Socket::open(NETLINK_NETFILTER)?;
        socket.send(&self.batch)?;
        socket.await_ack(last, |_, _| {})
    }
}

fn element(message: &mut Message, table: &str, map: &str, key: &[u8], data: Option<&[u8]>) {
    message.text(1, table).text(2, map);
    let list = message.begin(3);
    let entry = message.begin(1);
    value(message, 1, key);
    if let Some(data) = data {
        value(message, 2, data);
    }
    message.end(entry);
    message.end(list);
}

/// Whether there is a table of this name.
///
/// # Errors
/// `EPROTONOSUPPORT` or `EINVAL` for a kernel without nf_tables.
pub fn has_table(table: &str) -> io::Result<bool> {
    let socket = Socket::open(NETLINK_NETFILTER)?;
    let mut message = Message::new(SUBSYSTEM << 8 | GET_TABLE, REQUEST | ACK, 1);
    message.raw(&header(FAMILY, 0)).text(1, table);
    match socket.request(&mut message) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
