//! Relative TCP numbers: the first numbers of each conversation.
//!
//! The rules are the incumbent's, for the text must be the same. The ports decide the direction, the
//! addresses only where the ports are equal. Only segments with ACK touch the table: the first one,
//! and every SYN+ACK, stores its numbers and is printed absolute; a plain SYN is printed absolute and
//! stores nothing.

use hashbrown::HashMap;

use crate::text::address::{Address, Ip4, Ip6};

/// More conversations than this and the table begins anew, so that memory has a bound.
pub const MAX_CONVERSATIONS: usize = 1 << 20;

/// The first numbers of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    sequence: u32,
    acknowledgement: u32,
}

type Table<K> = HashMap<K, First>;

/// The table of conversations.
#[derive(Debug, Default)]
pub struct TcpNumbers {
    v4: Table<([u8; 4], [u8; 4], u32)>,
    v6: Table<([u8; 16], [u8; 16], u32)>,
}

/// What a segment shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// What selective acknowledgements are relative to.
    pub sack_base: u32,
}

impl TcpNumbers {
    /// The numbers to show of a segment with ACK.
    pub fn relative(
        &mut self,
        ends: (Address, Address),
        ports: (u16, u16),
        numbers: (u32, u32),
        syn: bool,
    ) -> Shown {
        let (source_port, destination_port) = ports;
        let reversed = source_port > destination_port
            || source_port == destination_port && bytes(&ends.0) > bytes(&ends.1);
        let (near, far) = if reversed { (ends.1, ends.0) } else { ends };
        let (low, high) = if reversed {
            (destination_port, source_port)
        } else {
            (source_port, destination_port)
        };
        let ports = u32::from(low) << 16 | u32::from(high);
        let (sequence, acknowledgement) = numbers;
        let fresh = if reversed {
            First { sequence: acknowledgement.wrapping_sub(1), acknowledgement: sequence }
        } else {
            First { sequence, acknowledgement: acknowledgement.wrapping_sub(1) }
        };
        let known = match (near, far) {
            (Address::V4(Ip4(near)), Address::V4(Ip4(far))) => {
                enter(&mut self.v4, (near, far, ports), fresh, syn)
            }
            (Address::V6(Ip6(near)), Address::V6(Ip6(far))) => {
                enter(&mut self.v6, (near, far, ports), fresh, syn)
            }
            _ => None,
        };
        let first = known.unwrap_or(fresh);
        let sack_base = if reversed { first.sequence } else { first.acknowledgement };
        let (sequence, acknowledgement) = match known {
            None => (sequence, acknowledgement),
            Some(first) if reversed => (
                sequence.wrapping_sub(first.acknowledgement),
                acknowledgement.wrapping_sub(first.sequence),
            ),
            Some(first) => (
                sequence.wrapping_sub(first.sequence),
                acknowledgement.wrapping_sub(first.acknowledgement),
            ),
        };
        Shown { sequence, acknowledgement, sack_base }
    }
}

/// The numbers known before, or `None` when `fresh` was stored.
fn enter<K: Eq + std::hash::Hash>(
    table: &mut Table<K>,
    key: K,
    fresh: First,
    syn: bool,
) -> Option<First> {
    if table.len() >= MAX_CONVERSATIONS {
        table.clear();
    }
    let mut known = true;
    let first = table.entry(key).or_insert_with(|| {
        known = false;
        fresh
    });
    if !known {
        return None;
    }
    if syn {
        *first = fresh;
        return None;
    }
    Some(*first)
}

fn bytes(address: &Address) -> &[u8] {
    match address {
        Address::V4(Ip4(bytes)) => bytes,
        Address::V6(Ip6(bytes)) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::V4(Ip4([10, 0, 0, 1]));
    const B: Address = Address::V4(Ip4([10, 0, 0, 2]));

    #[test]
    fn the_first_numbers_are_absolute_and_the_next_relative() {
        let mut numbers = TcpNumbers::default();
        let syn_ack = numbers.relative((B, A), (80, 5000), (900, 101), true);
        assert_eq!((syn_ack.sequence, syn_ack.acknowledgement), (900, 101));
        let ack = numbers.relative((A, B), (5000, 80), (101, 901), false);
        assert_eq!((ack.sequence, ack.acknowledgement), (1, 1));
        let data = numbers.relative((B, A), (80, 5000), (901, 101), false);
        assert_eq!((data.sequence, data.acknowledgement), (1, 1));
    }

    #[test]
    fn equal_ports_are_told_apart_by_address() {
        let mut numbers = TcpNumbers::default();
        numbers.relative((A, B), (7, 7), (10, 20), false);
        let back = numbers.relative((B, A), (7, 7), (19, 11), false);
        assert_eq!((back.sequence, back.acknowledgement), (0, 1));
    }
}
