//! DEBUG DIGEST: one number for all that the databases hold, the same as the incumbents' for the
//! same data, whatever order and encoding it is kept in.

use sha1_smol::Sha1;

use crate::store::entry::{Entry, Value};
use crate::store::table::Element;
use crate::types::{Object, double};

/// Twenty bytes.
#[derive(Clone, Copy, Default)]
pub struct Digest([u8; 20]);

impl Digest {
    /// Adds what comes in no order.
    fn add(&mut self, bytes: &[u8]) {
        let sum = Sha1::from(bytes).digest().bytes();
        self.0.iter_mut().zip(sum).for_each(|(own, new)| *own ^= new);
    }

    /// Adds what comes in an order.
    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    /// As hexadecimal digits.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn kind(value: &Value<'_>) -> u32 {
    match value {
        Value::Int(_) | Value::Text(_) | Value::Object(Object::Text(_)) => 0,
        Value::Object(Object::List(_)) => 1,
        Value::Object(Object::Set(_)) => 2,
        Value::Object(Object::Zset(_)) => 3,
        Value::Object(Object::Hash(_)) => 4,
        Value::Object(Object::Stream(_)) => 6,
    }
}

/// Adds an entry's value and whether it expires.
pub fn mix_value(digest: &mut Digest, entry: &Entry) {
    let value = entry.value();
    digest.mix(&kind(&value).to_be_bytes());
    match value {
        Value::Int(number) => digest.mix(number.to_string().as_bytes()),
        Value::Text(text) => digest.mix(text),
        Value::Object(object) => mix_object(digest, object),
    }
    if entry.expiry().is_some() {
        digest.add(b"!!expire!!");
    }
}

fn mix_object(digest: &mut Digest, object: &Object) {
    let mut pair = |first: &[u8], second: &[u8]| {
        let mut both = Digest::default();
        both.mix(first);
        both.mix(second);
        digest.add(&both.0);
    };
    match object {
        Object::Text(text) => digest.mix(text),
        Object::List(list) => list.iter_from(0).for_each(|item| digest.mix(&item.to_vec())),
        Object::Set(set) => set.each(|member| digest.add(member)),
        Object::Hash(hash) => hash.each(|field, value| pair(field, value)),
        Object::Zset(zset) => zset.range(0, usize::MAX, false, |member, score| {
            pair(member, &double::text(score));
        }),
        Object::Stream(stream) => {
            use box_wire::rdb::stream::Id;
            stream.range(Id::MIN, Id::MAX, false, |entry| {
                digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                entry.each(|name, value| {
                    digest.mix(&name.to_vec());
                    digest.mix(&value.to_vec());
                });
                true
            });
        }
    }
}

/// Adds a key with its value.
pub fn add_entry(digest: &mut Digest, entry: &Entry) {
    let mut own = Digest::default();
    own.mix(entry.key());
    mix_value(&mut own, entry);
    digest.add(&own.0);
}

/// Begins the keys of a database.
pub fn begin_database(digest: &mut Digest, number: u32) {
    digest.mix(&number.to_be_bytes());
}
