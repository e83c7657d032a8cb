//! Loading what an earlier run has left: the append-only files if they are used, else the RDB file.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use box_kit::exit::kernel_words;
use box_wire::resp::{Limits, RequestParser, Step};

use super::clients::ClientInfo;
use super::session::Session;
use super::{Server, WORKERS_MAX};
use crate::cmd::dispatch::{Executor, execute};
use crate::cmd::reply::Out;
use crate::config::Config;
use crate::persist::aof::total_size;
use crate::persist::manifest::{Manifest, Part};
use crate::persist::rdb::{self, Loaded};
use crate::store::table::Table;

impl Server {
    /// Loads what there is. The text of the error is ready for the log.
    ///
    /// # Errors
    /// A file is broken: the server must not start and overwrite it.
    pub fn load(&'static self) -> Result<(), String> {
        let config = self.config();
        self.log.configure(config.get("appenddirname"), config.get("appendfilename"));
        if config.is_on("appendonly") { self.load_log(&config) } else { self.load_rdb(&config) }
    }

    fn load_rdb(&'static self, config: &Config) -> Result<(), String> {
        let path = config.rdb_path();
        if !path.exists() {
            return Ok(());
        }
        let start = Instant::now();
        let loaded = self.load_rdb_file(config, &path).map(|(loaded, _)| loaded)?;
        self.logger.notice(&format!(
            "Done loading RDB, keys loaded: {}, keys expired: {}.",
            loaded.keys, loaded.expired
        ));
        let seconds = start.elapsed().as_secs_f64();
        self.logger.notice(&format!("DB loaded from disk: {seconds:.3} seconds"));
        Ok(())
    }

    /// Loads an RDB file, or the preamble of a log; the bytes behind it.
    fn load_rdb_file(
        &'static self,
        config: &Config,
        path: &Path,
    ) -> Result<(Loaded, Vec<u8>), String> {
        let bytes = rdb::read_file(path).map_err(|error| {
            format!("Fatal error loading the DB: {}. Exiting.", kernel_words(&error))
        })?;
        self.logger.notice("Loading RDB produced by an earlier run");
        let mut view = self.keyspace.lock_all();
        let mut loaded = Loaded::default();
        let mut shards = view.shards();
        let rest = rdb::load(&bytes, config, self.now_ms(), &mut shards, &mut loaded);
        let rest = rest.map_err(|broken| {
            format!(
                "{} at offset {}: {}. Terminating server after rdb file reading failure.",
                path.display(),
                broken.offset,
                broken.reason
            )
        })?;
        let rest = rest.to_vec();
        drop(shards);
        rdb::load_libraries(self, &loaded.libraries)
            .map_err(|why| format!("{}: {why}", path.display()))?;
        Ok((loaded, rest))
    }

    fn load_log(&'static self, config: &Config) -> Result<(), String> {
        let fail = |error: std::io::Error| {
            format!("Can't open the append-only files: {}", kernel_words(&error))
        };
        let path = self.log.manifest_path();
        let folder = self.log.folder();
        if !path.exists() {
            return self.begin_log(config).map_err(fail);
        }
        let text = std::fs::read_to_string(&path).map_err(fail)?;
        let manifest = Manifest::parse(&text)
            .map_err(|why| format!("\n*** FATAL AOF MANIFEST FILE ERROR ***\n{why}"))?;
        let start = Instant::now();
        let parts: Vec<&Part> = manifest.base.iter().chain(&manifest.incr).collect();
        for (number, part) in parts.iter().enumerate() {
            let last = number + 1 == parts.len();
            self.load_part(config, &folder.join(&part.name), last)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        self.logger.notice(&format!("DB loaded from append only file: {seconds:.3} seconds"));
        let size = total_size(&folder, &manifest);
        self.log.resume(manifest, size).map_err(fail)
    }

    /// There is no log yet: what an RDB file or an old single file holds is its base.
    fn begin_log(&'static self, config: &Config) -> std::io::Result<()> {
        let old = Path::new(config.get("appendfilename"));
        if old.exists() {
            self.load_part(config, old, true).map_err(std::io::Error::other)?;
            self.rewrite_log()?;
            return std::fs::remove_file(old);
        }
        self.load_rdb(config).map_err(std::io::Error::other)?;
        self.rewrite_log()
    }

    fn load_part(&'static self, config: &Config, path: &Path, last: bool) -> Result<(), String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut bytes = std::fs::read(path).map_err(|error| {
            format!(
                "Fatal error: can't open the append log file {name} for reading: {}",
                kernel_words(&error)
            )
        })?;
        let mut offset = 0;
        if bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY") {
            let whole = bytes.len();
            bytes = self.load_rdb_file(config, path)?.1;
            offset = whole - bytes.len();
        }
        let good = self.replay(config, &bytes)
            .map_err(|at| format!("Bad file format reading the append only file {name}: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest> (offset {})", offset + at))?;
        if good == bytes.len() {
            return Ok(());
        }
        if !last || !config.is_on("aof-load-truncated") {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        let keep = (offset + good) as u64;
        self.logger
            .warning(&format!("!!! Warning: short read while loading the AOF file {name}!!!"));
        self.logger.warning(&format!(
            "AOF {name} loaded anyway because aof-load-truncated is enabled: {} bytes were cut",
            bytes.len() - good
        ));
        self.logger.warning(&format!("Truncating the AOF {name} at offset {keep}"));
        let cut = std::fs::OpenOptions::new().write(true).open(path).and_then(|file| {
            file.set_len(keep)?;
            file.sync_all()
        });
        cut.map_err(|error| {
            format!("Error truncating the AOF file {name}: {}", kernel_words(&error))
        })
    }

    /// Executes the requests of a log; up to which byte they are whole, a transaction that is not
    /// being left out.
    ///
    /// # Errors
    /// The offset of what is no request.
    fn replay(&'static self, config: &Config, bytes: &[u8]) -> Result<usize, usize> {
        let info = Arc::new(ClientInfo::default());
        let mut session = Session::new(info, WORKERS_MAX, true);
        let now = Instant::now();
        let mut ex = Executor {
            server: self,
            config,
            worker: WORKERS_MAX,
            base_ms: self.now_ms(),
            base: now,
            last: now,
            loading: true,
        };
        let mut out = Out::default();
        let (mut parser, mut at, mut whole) = (RequestParser::default(), 0, 0);
        let limits = Limits { bulk_bytes: usize::MAX >> 1, authenticated: true };
        while at < bytes.len() {
            if bytes[at] == b'#' {
                // A time stamp: a comment.
                let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else { break };
                at += end + 1;
                continue;
            }
            if bytes[at] != b'*' {
                return Err(at);
            }
            parser.start(at);
            match parser.parse(bytes, &limits) {
                Step::Done(next) => {
                    out.bytes.clear();
                    let done = execute(&mut ex, &mut session, parser.args(bytes), &mut out);
                    debug_assert!(done, "nothing is held back while a log is loaded");
                    at = next;
                    if session.multi.is_none() {
                        whole = at;
                    }
                }
                Step::More { .. } => break,
                Step::Broken(_) => return Err(at),
            }
        }
        Ok(if at < bytes.len() || session.multi.is_some() { whole } else { bytes.len() })
    }

    /// `DEBUG LOADAOF`
    ///
    /// # Errors
    /// The text of the error reply.
    pub fn reload_log(&'static self) -> Result<(), String> {
        let config = self.config();
        let _ = self.log.flush();
        self.log.stop();
        {
            let mut view = self.keyspace.lock_all();
            view.before_change();
            for shard in view.shards() {
                shard.dbs.iter_mut().for_each(|table| *table = Table::new());
            }
        }
        self.load_log(&config)
    }
}
