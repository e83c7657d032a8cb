//! A stream in its RDB form.

use box_wire::rdb::stream::{push_block, push_id};
use box_wire::rdb::write;

use crate::types::Stream;
use crate::types::stream::Group;

/// Appends a stream with its counters and groups.
pub fn push(out: &mut Vec<u8>, stream: &Stream, compress: bool) {
    write::len(out, stream.blocks() as u64);
    stream.each_block(|block| push_block(out, block, compress));
    write::len(out, stream.len() as u64);
    push_id(out, stream.last_id);
    push_id(out, stream.first_id);
    push_id(out, stream.max_deleted_id);
    write::len(out, stream.entries_added);
    write::len(out, stream.groups.len() as u64);
    for (name, group) in &stream.groups {
        write::string(out, name, compress);
        push_group(out, group, compress);
    }
}

fn push_group(out: &mut Vec<u8>, group: &Group, compress: bool) {
    push_id(out, group.last_id);
    write::len(out, group.entries_read as u64);
    write::len(out, group.pending.len() as u64);
    for (id, nack) in &group.pending {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&nack.delivered_ms.to_le_bytes());
        write::len(out, nack.count);
    }
    write::len(out, group.consumers.len() as u64);
    for consumer in group.consumers.values() {
        write::string(out, &consumer.name, compress);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        write::len(out, consumer.pending.len() as u64);
        consumer.pending.iter().for_each(|id| out.extend_from_slice(&id.to_bytes()));
    }
}
