//! Values to and from their RDB form, as files, DUMP and RESTORE share it.

use box_wire::rdb::intset::IntSet;
use box_wire::rdb::listpack::ListPack;
use box_wire::rdb::{kind, read, write};

use crate::cmd::db::encode;
use crate::store::entry::{NewValue, Value};
use crate::store::hash;
use crate::store::pair::Pair;
use crate::store::table::{Element, Table};
use crate::types::list::Node;
use crate::types::{Hash, Limits, List, Object, Set, Stream, Zset};

/// Appends the type byte of `value`.
pub fn push_kind(out: &mut Vec<u8>, value: Value<'_>) {
    out.push(match value {
        Value::Int(_) | Value::Text(_) | Value::Object(Object::Text(_)) => kind::STRING,
        Value::Object(Object::List(_)) => kind::LIST_QUICKLIST2,
        Value::Object(Object::Set(Set::Ints(_))) => kind::SET_INTSET,
        Value::Object(Object::Set(Set::Table(_))) => kind::SET,
        Value::Object(Object::Hash(Hash::Pack(_))) => kind::HASH_LISTPACK,
        Value::Object(Object::Hash(Hash::Table(_))) => kind::HASH,
        Value::Object(Object::Zset(Zset::Pack(_))) => kind::ZSET_LISTPACK,
        Value::Object(Object::Zset(Zset::Indexed(_))) => kind::ZSET2,
        Value::Object(Object::Stream(_)) => kind::STREAM2,
    });
}

/// Appends the value itself.
pub fn push_value(out: &mut Vec<u8>, value: Value<'_>, compress: bool) {
    match value {
        Value::Int(value) => write::integer(out, value),
        Value::Text(text) => write::string(out, text, compress),
        Value::Object(object) => push_object(out, object, compress),
    }
}

fn push_object(out: &mut Vec<u8>, object: &Object, compress: bool) {
    match object {
        Object::Text(text) => write::string(out, text, compress),
        Object::List(list) => push_list(out, list, compress),
        Object::Set(Set::Ints(ints)) => write::string(out, ints.as_bytes(), compress),
        Object::Set(set) => {
            write::len(out, set.len() as u64);
            set.each(|member| write::string(out, member, compress));
        }
        Object::Hash(Hash::Pack(pack)) => write::string(out, pack.as_bytes(), compress),
        Object::Hash(hash) => {
            write::len(out, hash.len() as u64);
            hash.each(|field, value| {
                write::string(out, field, compress);
                write::string(out, value, compress);
            });
        }
        Object::Zset(Zset::Pack(pack)) => write::string(out, pack.as_bytes(), compress),
        Object::Zset(zset) => {
            write::len(out, zset.len() as u64);
            // From the highest down, so that the incumbents insert each at the front when loading.
            zset.range(zset.len() - 1, zset.len(), true, |member, score| {
                write::string(out, member, compress);
                write::score(out, score);
            });
        }
        Object::Stream(stream) => super::stream::push(out, stream, compress),
    }
}

fn push_list(out: &mut Vec<u8>, list: &List, compress: bool) {
    write::len(out, list.iter_nodes().len() as u64);
    for node in list.iter_nodes() {
        match node {
            Node::Plain(text) => {
                write::len(out, 1);
                write::string(out, text, compress);
            }
            Node::Packed(pack) => {
                write::len(out, 2);
                write::string(out, pack.as_bytes(), compress);
            }
        }
    }
}

/// A value read from a file or a payload, in the encoding that the limits ask for. `None` where
/// names repeat.
pub fn from_rdb<'a>(value: &'a read::Value<'_>, limits: &Limits) -> Option<NewValue<'a>> {
    let object = match value {
        read::Value::String(text) => return Some(encode(text)),
        read::Value::List(elements) => {
            let mut list = List::new();
            for text in elements {
                list.push(crate::types::list::End::Tail, text, limits.list_size);
            }
            Object::List(list)
        }
        read::Value::QuickList(nodes) => Object::List(quicklist(nodes, limits)),
        read::Value::Set(members) => Object::Set(set(members.iter().map(|m| &m[..]), limits)?),
        read::Value::SetPack(pack) => {
            let members: Vec<_> = pack.iter().map(|item| item.to_vec()).collect();
            Object::Set(set(members.iter().map(|m| &m[..]), limits)?)
        }
        read::Value::IntSet(ints) => Object::Set(intset(ints, limits)),
        read::Value::Hash(pairs) => Object::Hash(hash(pairs, limits)?),
        // The store has no expiry of fields.
        read::Value::HashExpiring(_) => return None,
        read::Value::HashPack(pack) => Object::Hash(hash_pack(pack, limits)?),
        read::Value::Zset(pairs) => Object::Zset(zset(pairs, limits)?),
        read::Value::ZsetPack(pack) => Object::Zset(Zset::from_pack(pack.clone(), limits)?),
        read::Value::Stream(file) => Object::Stream(Box::new(Stream::from_file(file)?)),
    };
    Some(NewValue::Object(Box::new(object)))
}

fn quicklist(nodes: &[read::Node<'_>], limits: &Limits) -> List {
    let mut list = List::new();
    for node in nodes {
        match node {
            read::Node::Plain(text) => {
                list.push(crate::types::list::End::Tail, text, limits.list_size);
            }
            read::Node::Packed(pack) => list.push_node(Node::Packed(pack.clone())),
        }
    }
    list
}

fn set<'m>(members: impl Iterator<Item = &'m [u8]> + Clone, limits: &Limits) -> Option<Set> {
    let count = members.clone().count();
    // More members than an intset may have go to the table at once, as the incumbents do.
    let mut set = if count > limits.set_entries {
        Set::Table(Table::new())
    } else {
        Set::Ints(IntSet::new())
    };
    members.into_iter().all(|member| set.insert(member, limits)).then_some(set)
}

fn intset(ints: &IntSet, limits: &Limits) -> Set {
    if ints.len() <= limits.set_entries {
        return Set::Ints(ints.clone());
    }
    let mut table = Table::new();
    for value in ints.iter() {
        let text = value.to_string().into_bytes();
        table.insert(hash::of(&text), Pair::new(&text, &[]), false);
    }
    Set::Table(table)
}

fn hash(pairs: &[(read::Bytes<'_>, read::Bytes<'_>)], limits: &Limits) -> Option<Hash> {
    let mut hash =
        if pairs.len() > limits.hash_entries { Hash::Table(Table::new()) } else { Hash::default() };
    pairs.iter().all(|(field, value)| hash.set(field, value, limits)).then_some(hash)
}

fn hash_pack(pack: &ListPack, limits: &Limits) -> Option<Hash> {
    let mut table: Table<Pair> = Table::new();
    let (mut items, mut long) = (pack.iter(), false);
    while let (Some(field), Some(value)) = (items.next(), items.next()) {
        let (field, value) = (field.to_vec(), value.to_vec());
        long |= field.len() > limits.hash_value || value.len() > limits.hash_value;
        let hash = hash::of(&field);
        if table.find(hash, &field).is_some() {
            return None;
        }
        table.insert(hash, Pair::new(&field, &value), false);
    }
    let compact = !long && table.len() <= limits.hash_entries;
    debug_assert!(table.iter().all(|pair| table.find(hash::of(pair.key()), pair.key()).is_some()));
    Some(if compact { Hash::Pack(pack.clone()) } else { Hash::Table(table) })
}

fn zset(pairs: &[(read::Bytes<'_>, f64)], limits: &Limits) -> Option<Zset> {
    let mut zset = Zset::Indexed(Box::default());
    for (member, score) in pairs {
        if zset.set(member, *score, limits) != crate::types::zset::Change::Added {
            return None;
        }
    }
    zset.into_pack_if_small(limits);
    Some(zset)
}
