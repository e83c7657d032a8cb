//! The values of keys: strings, lists, sets, hashes, sorted sets and streams, each in the compact encoding
//! while it is small and in its own structure when it has grown. The limits between them are the
//! incumbents', as `OBJECT ENCODING` shows them.

pub mod double;
pub mod geohash;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod long_double;
pub mod set;
pub mod stream;
pub mod tree;
pub mod zset;

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use zset::Zset;

/// A value that does not fit into its entry.
pub enum Object {
    /// A long string.
    Text(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Box<Stream>),
}

impl Object {
    /// How many allocations dropping it frees, about: decides who drops it.
    pub fn effort(&self) -> usize {
        match self {
            Object::Text(_) => 1,
            Object::List(list) => list.nodes(),
            Object::Set(set) => {
                if set.is_compact() {
                    1
                } else {
                    set.len()
                }
            }
            Object::Hash(hash) => {
                if hash.is_compact() {
                    1
                } else {
                    hash.len()
                }
            }
            Object::Zset(zset) => {
                if zset.is_compact() {
                    1
                } else {
                    zset.len()
                }
            }
            Object::Stream(stream) => {
                stream.blocks() + stream.groups.values().map(|g| g.pending.len()).sum::<usize>()
            }
        }
    }

    /// A copy in the same encoding.
    pub fn duplicate(&self) -> Object {
        match self {
            Object::Text(text) => Object::Text(text.clone()),
            Object::List(list) => Object::List(list.clone()),
            Object::Set(set) => Object::Set(set.duplicate()),
            Object::Hash(hash) => Object::Hash(hash.duplicate()),
            Object::Zset(zset) => Object::Zset(zset.duplicate()),
            Object::Stream(stream) => Object::Stream(stream.clone()),
        }
    }

    /// What `TYPE` says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::Text(_) => "string",
            Object::List(_) => "list",
            Object::Set(_) => "set",
            Object::Hash(_) => "hash",
            Object::Zset(_) => "zset",
            Object::Stream(_) => "stream",
        }
    }
}

/// The limits of the compact encodings, as configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `hash-max-listpack-entries`
    pub hash_entries: usize,
    /// `hash-max-listpack-value`
    pub hash_value: usize,
    /// `list-max-listpack-size`
    pub list_size: i64,
    /// `set-max-intset-entries`
    pub set_entries: usize,
    /// `zset-max-listpack-entries`
    pub zset_entries: usize,
    /// `zset-max-listpack-value`
    pub zset_value: usize,
    /// `stream-node-max-bytes`
    pub stream_bytes: usize,
    /// `stream-node-max-entries`
    pub stream_entries: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            hash_entries: 512,
            hash_value: 64,
            list_size: -2,
            set_entries: 512,
            zset_entries: 128,
            zset_value: 64,
            stream_bytes: 4096,
            stream_entries: 100,
        }
    }
}
