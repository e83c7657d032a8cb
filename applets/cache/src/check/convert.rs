//! `convert`: a snapshot in another dialect.
//!
//! What Redis 7.0 writes, everything later loads; the dialects differ in the file's version and in
//! hashes whose fields expire. What the target cannot hold is listed, and nothing is written unless
//! a loss is accepted.

use std::fs;
use std::io::Write;
use std::path::Path;

use box_kit::Failure;
use box_wire::rdb::crc64::crc64;
use box_wire::rdb::expiring::{self, Field};
use box_wire::rdb::read::{Broken, Piece, Reader, Value};
use box_wire::rdb::{opcode, write};

use super::rdb::say;
use crate::client::Stop;
use crate::persist::value;
use crate::store::entry::{Entry, NewValue};
use crate::types::{Hash, Limits, Object};

/// Who is to load the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Redis 7.0, and so everything later.
    Redis7,
    /// Redis 8.
    Redis8,
    /// Valkey 9.
    Valkey9,
}

impl Dialect {
    fn magic(self) -> &'static [u8] {
        match self {
            Dialect::Redis7 => b"REDIS0010",
            Dialect::Redis8 => b"REDIS0012",
            Dialect::Valkey9 => b"VALKEY080",
        }
    }
}

/// A file that is being made.
struct Conversion {
    dialect: Dialect,
    out: Vec<u8>,
    db: u64,
    keys: u64,
    /// Keys of which something is lost.
    losses: Vec<String>,
}

/// Converts `from` into `to`; whether it was done.
///
/// # Errors
/// A file cannot be read or written.
pub fn convert(
    out: &mut impl Write,
    from: &Path,
    to: &Path,
    dialect: Dialect,
    lossy: bool,
) -> Result<bool, Stop> {
    let failed = |path: &Path| {
        let name = path.display().to_string();
        move |error| Stop::Failed(Failure::os(&name)(error))
    };
    let bytes = fs::read(from).map_err(failed(from))?;
    let mut made = Conversion { dialect, out: Vec::new(), db: 0, keys: 0, losses: Vec::new() };
    if let Err(broken) = made.run(&bytes) {
        say(out, &format!("{}: {} at offset {}\n", from.display(), broken.reason, broken.offset))?;
        return Ok(false);
    }
    for loss in &made.losses {
        say(out, &format!("{loss}: the expiry of its fields cannot be kept\n"))?;
    }
    if !made.losses.is_empty() && !lossy {
        let count = made.losses.len();
        say(out, &format!("nothing was written: {count} keys would lose something (--lossy)\n"))?;
        return Ok(false);
    }
    let temporary = to.with_extension(format!("tmp-{}", std::process::id()));
    fs::write(&temporary, &made.out).map_err(failed(&temporary))?;
    fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(failed(&temporary))?;
    fs::rename(&temporary, to).map_err(failed(to))?;
    say(out, &format!("{}: {} keys written\n", to.display(), made.keys))?;
    Ok(true)
}

impl Conversion {
    fn run(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut reader = Reader::file(bytes)?;
        self.out.extend_from_slice(self.dialect.magic());
        loop {
            let offset = reader.offset();
            match reader.piece()? {
                Piece::Aux(name, value) => {
                    self.out.push(opcode::AUX);
                    write::string(&mut self.out, &name, false);
                    write::string(&mut self.out, &value, false);
                }
                Piece::SelectDb(db) => {
                    self.db = db;
                    self.out.push(opcode::SELECT_DB);
                    write::len(&mut self.out, db);
                }
                Piece::ResizeDb(keys, expires) => {
                    self.out.push(opcode::RESIZE_DB);
                    write::len(&mut self.out, keys);
                    write::len(&mut self.out, expires);
                }
                Piece::Function(code) => {
                    self.out.push(opcode::FUNCTION2);
                    write::string(&mut self.out, &code, true);
                }
                Piece::Key { key, value, expire_ms, idle_s, freq } => {
                    if let Some(at) = expire_ms {
                        write::expire_ms(&mut self.out, at);
                    }
                    if let Some(idle) = idle_s {
                        self.out.push(opcode::IDLE);
                        write::len(&mut self.out, idle);
                    }
                    if let Some(freq) = freq {
                        self.out.extend_from_slice(&[opcode::FREQ, freq]);
                    }
                    self.key(&key, &value)
                        .ok_or(Broken { offset, reason: "Duplicate elements in a value" })?;
                    self.keys += 1;
                }
                Piece::End => break,
            }
        }
        self.out.push(opcode::EOF);
        let sum = crc64(0, &self.out);
        self.out.extend_from_slice(&sum.to_le_bytes());
        Ok(())
    }

    fn key(&mut self, key: &[u8], value: &Value<'_>) -> Option<()> {
        let limits = Limits::default();
        let new = match value {
            Value::HashExpiring(fields) if fields.iter().any(|field| field.expire_ms.is_some()) => {
                match self.dialect {
                    Dialect::Redis8 => {
                        expiring::push_redis(&mut self.out, key, fields, true);
                        return Some(());
                    }
                    Dialect::Valkey9 => {
                        expiring::push_valkey(&mut self.out, key, fields, true);
                        return Some(());
                    }
                    Dialect::Redis7 => {
                        let name = String::from_utf8_lossy(key);
                        self.losses.push(format!("db {} key {name}", self.db));
                        plain(fields, &limits)?
                    }
                }
            }
            Value::HashExpiring(fields) => plain(fields, &limits)?,
            other => value::from_rdb(other, &limits)?,
        };
        let entry = Entry::new(key, new, None, 0);
        value::push_kind(&mut self.out, entry.value());
        write::string(&mut self.out, key, true);
        value::push_value(&mut self.out, entry.value(), true);
        Some(())
    }
}

fn plain<'a>(fields: &[Field<'_>], limits: &Limits) -> Option<NewValue<'a>> {
    let mut hash = Hash::default();
    fields
        .iter()
        .all(|field| hash.set(&field.name, &field.value, limits))
        .then(|| NewValue::Object(Box::new(Object::Hash(hash))))
}
