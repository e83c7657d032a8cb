//! Hashes whose fields expire, in the two dialects that have them.
//!
//! ```text
//! Redis 7.4   24  min u64, count, (ttl field value)*    ttl = expiry - min + 1, 0 for none
//!             25  min u64, listpack of field value expiry, 0 for none
//!             22  count, (expiry field value)*           before 7.4 was released
//!             23  listpack of field value expiry         the same
//! Valkey 9    22  count, (field value expiry i64)*       -1 for none
//! ```
//!
//! Type 22 means two things: the file's version decides.

use super::read::{Broken, Bytes, Reader};
use super::{kind, write};

/// A field that may expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Bytes<'a>,
    /// Its value.
    pub value: Bytes<'a>,
    /// When it expires, in ms of Unix time.
    pub expire_ms: Option<i64>,
}

/// A moment from a number that is 0 where there is none.
fn moment(number: u64) -> Option<i64> {
    i64::try_from(number).ok().filter(|at| *at != 0)
}

/// Reads a hash of type `kind`.
///
/// # Errors
/// The bytes are cut or wrong.
pub fn read<'a>(reader: &mut Reader<'a>, kind: u8) -> Result<Vec<Field<'a>>, Broken> {
    match kind {
        kind::HASH_TTL if reader.is_valkey() => reader.many(10, |reader| {
            let (name, value) = (reader.string()?, reader.string()?);
            let at = i64::from_le_bytes(reader.chunk()?);
            Ok(Field { name, value, expire_ms: (at != -1).then_some(at) })
        }),
        kind::HASH_TTL => reader.many(3, |reader| {
            let expire_ms = moment(reader.length()?);
            Ok(Field { expire_ms, name: reader.string()?, value: reader.string()? })
        }),
        kind::HASH_METADATA => {
            let least = u64::from_le_bytes(reader.chunk()?);
            reader.many(3, |reader| {
                let ttl = reader.length()?;
                let at = ttl.checked_sub(1).and_then(|ttl| least.checked_add(ttl));
                let expire_ms = at.and_then(|at| i64::try_from(at).ok());
                Ok(Field { expire_ms, name: reader.string()?, value: reader.string()? })
            })
        }
        _ => {
            if kind == kind::HASH_LISTPACK_EX {
                reader.chunk::<8>()?;
            }
            let pack = reader.listpack(3)?;
            let mut fields = Vec::with_capacity(pack.len() / 3);
            let mut items = pack.iter();
            while let (Some(name), Some(value), Some(at)) =
                (items.next(), items.next(), items.next())
            {
                let at = crate::decimal::parse_i64(&at.to_vec());
                let at = at.ok_or_else(|| reader.broken("Hash ziplist integrity check failed."))?;
                fields.push(Field {
                    name: name.to_vec().into(),
                    value: value.to_vec().into(),
                    expire_ms: (at != 0).then_some(at),
                });
            }
            Ok(fields)
        }
    }
}

/// Appends type and value as Valkey 9 has them, the key between the two.
pub fn push_valkey(out: &mut Vec<u8>, key: &[u8], fields: &[Field<'_>], compress: bool) {
    out.push(kind::HASH_TTL);
    write::string(out, key, compress);
    write::len(out, fields.len() as u64);
    for field in fields {
        write::string(out, &field.name, compress);
        write::string(out, &field.value, compress);
        out.extend_from_slice(&field.expire_ms.unwrap_or(-1).to_le_bytes());
    }
}

/// Appends type and value as Redis 7.4 and later have them, the key between the two.
pub fn push_redis(out: &mut Vec<u8>, key: &[u8], fields: &[Field<'_>], compress: bool) {
    let least = fields.iter().filter_map(|field| field.expire_ms).min().unwrap_or(0).max(0);
    out.push(kind::HASH_METADATA);
    write::string(out, key, compress);
    out.extend_from_slice(&least.to_le_bytes());
    write::len(out, fields.len() as u64);
    for field in fields {
        let ttl = field.expire_ms.map_or(0, |at| at.max(0).abs_diff(least) + 1);
        write::len(out, ttl);
        write::string(out, &field.name, compress);
        write::string(out, &field.value, compress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::opcode;
    use crate::rdb::read::{Piece, Value};

    fn fields() -> Vec<Field<'static>> {
        let field = |name: &'static [u8], expire_ms| Field {
            name: name.into(),
            value: b"value"[..].into(),
            expire_ms,
        };
        vec![field(b"stays", None), field(b"goes", Some(1_900_000_000_000)), field(b"x", Some(7))]
    }

    fn file(magic: &[u8], push: fn(&mut Vec<u8>, &[u8], &[Field<'_>], bool)) -> Vec<u8> {
        let mut bytes = magic.to_vec();
        push(&mut bytes, b"key", &fields(), true);
        bytes.push(opcode::EOF);
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }

    #[test]
    fn both_dialects_round_trip_and_no_cut_panics() {
        for bytes in [file(b"VALKEY080", push_valkey), file(b"REDIS0012", push_redis)] {
            let mut reader = Reader::file(&bytes).expect("a file");
            match reader.piece() {
                Ok(Piece::Key { value: Value::HashExpiring(read), .. }) => {
                    assert_eq!(read, fields());
                }
                other => panic!("{other:?}"),
            }
            for end in 9..bytes.len() {
                let mut reader = Reader::file(&bytes[..end]).expect("a file");
                while let Ok(piece) = reader.piece() {
                    assert!(!matches!(piece, Piece::End));
                }
            }
        }
    }
}
