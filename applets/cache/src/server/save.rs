//! Saving in the background, rewriting the log, ending.

use std::sync::atomic::Ordering;

use box_kit::exit::kernel_words;

use super::Server;
use super::mailbox::Message;
use crate::persist::rdb;

impl Server {
    /// Saves in a thread of its own; `None` if one saves already.
    pub fn save_in_background(&'static self) -> Option<()> {
        if !self.saver.begin_save() {
            return None;
        }
        let config = self.config();
        let (cut, dirty) = {
            let mut view = self.keyspace.lock_all();
            (rdb::cut(self, &config, view.shards(), false), self.dirty())
        };
        self.logger.notice("Background saving started");
        let work = move || {
            let path = config.rdb_path();
            match rdb::write_cut(self, &cut, &path, config.is_on("rdbchecksum")) {
                Ok(_) => {
                    self.saver.saved(dirty);
                    self.logger.notice("DB saved on disk");
                    self.logger.notice("Background saving terminated with success");
                }
                Err(error) => {
                    self.saver.save_failed();
                    let reason = kernel_words(&error);
                    self.logger.warning(&format!("Failed opening the temp RDB file: {reason}"));
                    self.logger.warning("Background saving error");
                }
            }
            self.saver.end_save();
        };
        if std::thread::Builder::new().name("bgsave".into()).spawn(work).is_err() {
            self.keyspace.each_shard(|shard| shard.snapshot = None);
            self.saver.save_failed();
            self.saver.end_save();
        }
        Some(())
    }

    /// Rewrites the log in a thread of its own; `None` if one does already.
    pub fn rewrite_in_background(&'static self) -> Option<()> {
        if !self.saver.begin_rewrite() {
            return None;
        }
        // One snapshot at a time: a rewrite waits for a save that runs.
        let work = move || {
            while self.saver.is_saving() && !self.ending.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let saving = self.saver.begin_save();
            let result = self.rewrite_log();
            if saving {
                self.saver.end_save();
            }
            match &result {
                Ok(()) => {
                    self.logger.notice("Background AOF rewrite finished successfully");
                }
                Err(error) => {
                    let reason = kernel_words(error);
                    self.logger.warning(&format!("Background AOF rewrite failed: {reason}"));
                }
            }
            self.saver.end_rewrite(result.is_ok());
        };
        self.logger.notice("Background append only file rewriting started");
        if std::thread::Builder::new().name("aofrewrite".into()).spawn(work).is_err() {
            self.saver.end_rewrite(false);
        }
        Some(())
    }

    /// Cuts, writes a new base, and puts it in the place of what it holds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rewrite_log(&self) -> std::io::Result<()> {
        let config = self.config();
        let on = self.log.is_on();
        let (cut, first) = {
            let mut view = self.keyspace.lock_all();
            let first = self.log.rotate()?;
            (rdb::cut(self, &config, view.shards(), true), first)
        };
        let (base, path) = self.log.next_base();
        rdb::write_cut(self, &cut, &path, config.is_on("rdbchecksum"))?;
        self.log.replace_base(base, &first)?;
        if !on && !config.is_on("appendonly") {
            self.log.stop();
        }
        Ok(())
    }

    /// Ends as a signal asks.
    pub fn shut_down_by(&'static self, signal: i32) {
        let (name, parameter) = match signal {
            box_sys::signal_fd::SIGTERM => ("SIGTERM", "shutdown-on-sigterm"),
            _ => ("SIGINT", "shutdown-on-sigint"),
        };
        self.logger.warning(&format!("Received {name} scheduling shutdown..."));
        let config = self.config();
        let words = config.get(parameter);
        let wish = match () {
            () if words.contains("nosave") => Some(false),
            () if words.contains("save") => Some(true),
            () => None,
        };
        if let Err(error) = self.shut_down(wish, words.contains("force")) {
            self.logger.warning(&error);
        }
    }

    /// Ends: saves as wished, or if there are save points; brings the log to disk.
    ///
    /// # Errors
    /// Saving has failed, and the server goes on.
    pub fn shut_down(&'static self, wish: Option<bool>, force: bool) -> Result<(), String> {
        let config = self.config();
        self.logger.warning("User requested shutdown...");
        let _ = self.log.flush();
        let saves = wish.unwrap_or(!config.get("save").is_empty());
        if saves {
            self.logger.notice("Saving the final RDB snapshot before exiting.");
            let mut view = self.keyspace.lock_all();
            let path = config.rdb_path();
            view.before_change();
            if rdb::save_held(self, &config, view.shards(), &path).is_err() && !force {
                self.logger.warning("Error trying to save the DB, can't exit.");
                return Err("ERR Errors trying to SHUTDOWN. Check logs.".into());
            }
        }
        self.log.stop();
        for file in [config.get("pidfile"), config.get("unixsocket")] {
            if !file.is_empty() {
                let _ = std::fs::remove_file(file);
            }
        }
        self.logger.warning("Redis is now ready to exit, bye bye...");
        self.ending.store(true, Ordering::Release);
        self.post_all(|| Message::Stop);
        Ok(())
    }

    /// Brings the log to disk in a thread of its own, if a second's work waits.
    pub fn sync_log_every_second(&'static self) {
        if self.log.is_on() {
            let _ = std::thread::Builder::new()
                .name("aof-fsync".into())
                .spawn(|| self.log.sync_every_second());
        }
    }
}
