//! RDB files: written under another name and renamed when they are whole and on disk; read from a
//! mapping.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use box_wire::rdb::crc64::crc64;
use box_wire::rdb::opcode;
use box_wire::rdb::read::{Broken, Piece, Reader, Value};

use super::snapshot::{self, Snapshot};
use super::value;
use crate::config::Config;
use crate::server::Server;
use crate::store::entry::Entry;
use crate::store::shard::{Place, SHARDS, Shard};
use crate::store::table::Table;

/// Writes a file piece by piece, with its checksum.
struct FileWriter {
    file: File,
    temporary: PathBuf,
    sum: Option<u64>,
    bytes: u64,
}

impl FileWriter {
    fn create(temporary: PathBuf, checksum: bool) -> io::Result<FileWriter> {
        let file = File::create(&temporary)?;
        Ok(FileWriter { file, temporary, sum: checksum.then_some(0), bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum = self.sum.map(|sum| crc64(sum, bytes));
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(mut self, path: &Path) -> io::Result<u64> {
        self.write(&[opcode::EOF])?;
        self.file.write_all(&self.sum.unwrap_or(0).to_le_bytes())?;
        self.file.sync_data()?;
        fs::rename(&self.temporary, path)?;
        // The name must be on disk too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(self.bytes + 8)
    }
}

fn temporary(path: &Path, word: &str) -> PathBuf {
    path.with_file_name(format!("temp-{word}{}.rdb", std::process::id()))
}

/// Saves shards that the caller holds: all of them.
///
/// # Errors
/// The kernel's; it has been logged.
pub fn save_held(
    server: &Server,
    config: &Config,
    shards: Vec<&mut Shard>,
    path: &Path,
) -> io::Result<()> {
    let dirty = server.dirty();
    let result = write_held(server, config, shards, path);
    match &result {
        Ok(_) => {
            server.logger.notice("DB saved on disk");
            server.saver.saved(dirty);
        }
        Err(error) => server.logger.warning(&format!(
            "Error moving temp DB file {} on the final destination {}: {}",
            temporary(path, "").display(),
            path.display(),
            box_kit::exit::kernel_words(error)
        )),
    }
    result.map(drop)
}

fn write_held(
    server: &Server,
    config: &Config,
    shards: Vec<&mut Shard>,
    path: &Path,
) -> io::Result<u64> {
    let mut writer = FileWriter::create(temporary(path, ""), config.is_on("rdbchecksum"))?;
    let mut bytes = Vec::new();
    push_head(&mut bytes, server, config, &shards, false);
    for shard in shards {
        snapshot::push_shard(&mut bytes, shard, config.rdb_compression);
        writer.write(&bytes)?;
        bytes.clear();
    }
    writer.finish(path)
}

/// Appends what stands in front of the keys of the shards.
fn push_head(
    out: &mut Vec<u8>,
    server: &Server,
    config: &Config,
    shards: &[&mut Shard],
    aof_base: bool,
) {
    snapshot::push_start(out, aof_base);
    crate::cmd::function::push_libraries(out, server, config.rdb_compression);
    let sizes = snapshot::sizes(server.databases, shards.iter().map(|shard| &**shard));
    snapshot::push_sizes(out, &sizes);
}

/// A cut that has been made: what the writer thread needs.
pub struct Cut {
    snapshot: Arc<Snapshot>,
    head: Vec<u8>,
}

/// Makes the cut while the caller holds all shards.
pub fn cut(server: &Server, config: &Config, shards: Vec<&mut Shard>, aof_base: bool) -> Cut {
    let mut head = Vec::new();
    push_head(&mut head, server, config, &shards, aof_base);
    let snapshot = Arc::new(Snapshot::new(config.rdb_compression));
    for shard in shards {
        shard.snapshot = Some(snapshot.clone());
    }
    Cut { snapshot, head }
}

/// Writes what has been cut, while the server goes on.
///
/// # Errors
/// The kernel's. The shards are free of the snapshot then, too.
pub fn write_cut(server: &Server, cut: &Cut, path: &Path, checksum: bool) -> io::Result<u64> {
    let result = write_all(server, cut, path, checksum);
    if result.is_err() {
        server.keyspace.each_shard(|shard| shard.snapshot = None);
        let _ = fs::remove_file(temporary(path, "bg"));
    }
    result
}

fn write_all(server: &Server, cut: &Cut, path: &Path, checksum: bool) -> io::Result<u64> {
    let mut writer = FileWriter::create(temporary(path, "bg"), checksum)?;
    let mut result = Ok(());
    each_chunk(server, cut, |bytes| {
        result = writer.write(bytes);
        result.is_ok()
    });
    result?;
    writer.finish(path)
}

/// Shows what has been cut, piece by piece, up to the end of the keys, until `show` has had enough;
/// whether it saw all.
pub fn each_chunk(server: &Server, cut: &Cut, mut show: impl FnMut(&[u8]) -> bool) -> bool {
    if !show(&cut.head) {
        return false;
    }
    for index in 0..SHARDS {
        server.keyspace.shard(index).write_to_snapshot();
        if !cut.snapshot.chunks().iter().all(|chunk| show(chunk)) {
            return false;
        }
    }
    cut.snapshot.chunks().iter().all(|chunk| show(chunk))
}

/// What loading a file has found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Keys that are in the database now.
    pub keys: u64,
    /// Keys whose time had come.
    pub expired: u64,
    /// Whether a key that is there makes way for the file's.
    pub merge: bool,
    /// The texts of function libraries.
    pub libraries: Vec<Vec<u8>>,
}

/// Loads the keys of `bytes` into shards that the caller holds; what stands behind them.
///
/// # Errors
/// Where and why the bytes are not RDB.
pub fn load<'b>(
    bytes: &'b [u8],
    config: &Config,
    now: i64,
    shards: &mut [&mut Shard],
    loaded: &mut Loaded,
) -> Result<&'b [u8], Broken> {
    let mut reader = Reader::file(bytes)?;
    let mut db = 0usize;
    let lfu = config.get("maxmemory-policy").contains("lfu");
    loop {
        let at = reader.offset();
        let broken = |reason| Broken { offset: at, reason };
        match reader.piece()? {
            Piece::End => return Ok(reader.remaining()),
            Piece::Aux(..) | Piece::ResizeDb(..) => {}
            Piece::Function(code) => loaded.libraries.push(code.into_owned()),
            Piece::SelectDb(number) => {
                db = number as usize;
                if shards.first().is_some_and(|shard| db >= shard.dbs.len()) {
                    return Err(broken(
                        "Data file was created with a server configured to handle more than the configured databases",
                    ));
                }
            }
            Piece::Key { key, value, expire_ms, idle_s, freq } => {
                if expire_ms.is_some_and(|at| at <= now) {
                    loaded.expired += 1;
                    continue;
                }
                if matches!(value, Value::HashExpiring(_)) {
                    return Err(broken("Hash fields that expire are not supported"));
                }
                let new = value::from_rdb(&value, &config.limits)
                    .ok_or(broken("Duplicate elements in a value"))?;
                let clock = match (lfu, freq, idle_s) {
                    (true, Some(freq), _) => ((now / 60_000) as u32) << 8 | u32::from(freq),
                    (false, _, Some(idle)) => ((now / 1000) as u32).wrapping_sub(idle as u32),
                    (true, ..) => ((now / 60_000) as u32) << 8 | 5,
                    _ => (now / 1000) as u32,
                };
                let place = Place::of(&key);
                let table = &mut shards[place.shard].dbs[db];
                if table.find(place.hash, &key).is_some() {
                    if !loaded.merge {
                        return Err(broken("RDB has duplicated key"));
                    }
                    table.remove(place.hash, &key);
                }
                table.insert(
                    place.hash,
                    Entry::new(&key, new, expire_ms, clock),
                    expire_ms.is_some(),
                );
                loaded.keys += 1;
            }
        }
    }
}

/// The bytes of a file.
///
/// # Errors
/// The kernel's.
pub fn read_file(path: &Path) -> io::Result<Cow<'static, [u8]>> {
    fs::read(path).map(Cow::Owned)
}

/// What `DEBUG RELOAD` does.
#[derive(Clone, Copy, Debug)]
pub struct Reload {
    /// Whether to save first.
    pub save: bool,
    /// Whether to empty the databases.
    pub flush: bool,
    /// Whether a key that is there makes way for the file's.
    pub merge: bool,
}

/// `DEBUG RELOAD`: saves, empties the databases and loads what was saved.
///
/// # Errors
/// The text of the error reply.
pub fn reload(
    server: &'static Server,
    config: &Config,
    mut shards: Vec<&mut Shard>,
    how: Reload,
) -> Result<(), String> {
    let path = config.rdb_path();
    let failed = |error: io::Error| format!("ERR {}", box_kit::exit::kernel_words(&error));
    if how.save {
        let held = shards.iter_mut().map(|shard| &mut **shard).collect();
        write_held(server, config, held, &path).map_err(failed)?;
    }
    if how.flush {
        for shard in &mut shards {
            shard.dbs.iter_mut().for_each(|table| *table = Table::new());
        }
    }
    let bytes = read_file(&path).map_err(failed)?;
    let mut loaded = Loaded { merge: how.merge, ..Loaded::default() };
    load(&bytes, config, server.now_ms(), &mut shards, &mut loaded)
        .map_err(|broken| format!("ERR Error trying to load the RDB dump: {}", broken.reason))?;
    load_libraries(server, &loaded.libraries)
        .map_err(|why| format!("ERR Error trying to load the RDB dump: {why}"))
}

/// Puts the libraries of a file in the place of those that there are. Called with all shards held.
///
/// # Errors
/// One of them does not load.
pub fn load_libraries(server: &'static Server, codes: &[Vec<u8>]) -> Result<(), String> {
    if codes.is_empty() && server.scripts.engine_if_made().is_none() {
        return Ok(());
    }
    let mut engine = server.scripts.engine(server);
    engine.clear_libraries();
    for code in codes {
        engine.add_library(server, code, false).map_err(|error| {
            format!("Failed creating the library: {}", String::from_utf8_lossy(&error.0))
        })?;
    }
    engine.publish_sizes(server);
    Ok(())
}
