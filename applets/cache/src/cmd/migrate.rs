//! MIGRATE: keys are dumped, restored at another server, and deleted here once it has them.
//!
//! The keys' shards are held all the while, so that nobody sees a key at both places or at none;
//! so the other server has only `timeout` to answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use box_wire::rdb::write;
use box_wire::resp::{Args, push_request};

use super::db::event;
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::persist::value;

/// The longest line of an answer that is read.
const LINE_MAX: usize = 64 * 1024;

#[derive(Default)]
struct Options {
    copy: bool,
    replace: bool,
    auth: Vec<Vec<u8>>,
    /// Numbers of the arguments that name keys.
    keys: Vec<usize>,
}

fn options(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options { keys: vec![3], ..Options::default() };
    let mut at = 6;
    while let Some(word) = args.get(at) {
        let left = args.len() - at - 1;
        match () {
            () if is(word, "copy") => options.copy = true,
            () if is(word, "replace") => options.replace = true,
            () if is(word, "auth") && left >= 1 => {
                options.auth = vec![args.at(at + 1).to_vec()];
                at += 1;
            }
            () if is(word, "auth2") && left >= 2 => {
                options.auth = vec![args.at(at + 1).to_vec(), args.at(at + 2).to_vec()];
                at += 2;
            }
            () if is(word, "keys") => {
                if !args.at(3).is_empty() {
                    return Err(Error::fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the \
                         empty string",
                    ));
                }
                options.keys = (at + 1..args.len()).collect();
                break;
            }
            () => return Err(SYNTAX),
        }
        at += 1;
    }
    Ok(options)
}

/// The other server.
struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    fn connect(args: Args<'_>, timeout: Duration) -> Result<Peer, Error> {
        let failed = || Error::fixed("IOERR error or timeout connecting to the client");
        let host = String::from_utf8_lossy(args.at(1)).into_owned();
        let port = parse::int(args.at(2)).ok().and_then(|port| u16::try_from(port).ok());
        let ips = box_sys::resolve::host(&host).map_err(|_| failed())?;
        let ip = ips.into_iter().next().ok_or_else(failed)?;
        let addr = std::net::SocketAddr::new(ip, port.ok_or_else(failed)?);
        let stream = TcpStream::connect_timeout(&addr, timeout).map_err(|_| failed())?;
        let set =
            stream.set_read_timeout(Some(timeout)).and(stream.set_write_timeout(Some(timeout)));
        set.map_err(|_| failed())?;
        Ok(Peer { stream, read: Vec::new() })
    }

    fn send(&mut self, bytes: &[u8]) -> Done {
        let error = Error::fixed("IOERR error or timeout writing to target instance");
        self.stream.write_all(bytes).map_err(|_| error)
    }

    /// The next answer, which is a line.
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        let error = || Error::fixed("IOERR error or timeout reading from target instance");
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.read[..end].to_vec();
                self.read.drain(..end + 2);
                return Ok(line);
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).map_err(|_| error())?;
            if count == 0 || self.read.len() > LINE_MAX {
                return Err(error());
            }
            self.read.extend_from_slice(&chunk[..count]);
        }
    }

    /// The next answer, which must not be an error.
    fn consent(&mut self) -> Done {
        let line = self.line()?;
        match line.strip_prefix(b"-") {
            Some(text) => {
                let text = String::from_utf8_lossy(text);
                Err(Error::made(format!("ERR Target instance replied with error: {text}")))
            }
            None => Ok(()),
        }
    }
}

fn restore_request(ctx: &mut Ctx<'_>, key: &[u8], replace: bool) -> Option<Vec<u8>> {
    let (now, compress) = (ctx.db.now, ctx.config.rdb_compression);
    let entry = ctx.db.read(key)?;
    let ttl = entry.expiry().map_or(0, |at| (at - now).max(1)).to_string();
    let mut payload = Vec::new();
    value::push_kind(&mut payload, entry.value());
    value::push_value(&mut payload, entry.value(), compress);
    write::seal_payload(&mut payload);
    let mut words: Vec<&[u8]> = vec![b"RESTORE", key, ttl.as_bytes(), &payload];
    if replace {
        words.push(b"REPLACE");
    }
    let mut request = Vec::new();
    push_request(&mut request, words.into_iter());
    Some(request)
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password|AUTH2 user password] [KEYS key ...]`
pub fn migrate(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let options = options(args)?;
    let timeout = parse::int(args.at(5))?;
    parse::int(args.at(4))?;
    let timeout = Duration::from_millis(if timeout <= 0 { 1000 } else { timeout as u64 });
    let mut requests = Vec::new();
    for at in &options.keys {
        let request = restore_request(ctx, args.at(*at), options.replace);
        requests.extend(request.map(|request| (*at, request)));
    }
    if requests.is_empty() {
        ctx.out.status("NOKEY");
        return Ok(());
    }
    let mut peer = Peer::connect(args, timeout)?;
    let mut hello = Vec::new();
    if !options.auth.is_empty() {
        let mut words = vec![b"AUTH".to_vec()];
        words.extend(options.auth.iter().cloned());
        push_request(&mut hello, words.iter());
    }
    let answers = if hello.is_empty() { 1 } else { 2 };
    push_request(&mut hello, [&b"SELECT"[..], args.at(4)].into_iter());
    peer.send(&hello)?;
    (0..answers).try_for_each(|_| peer.consent())?;
    for (_, request) in &requests {
        peer.send(request)?;
    }
    let (mut moved, mut refused): (Vec<Vec<u8>>, Option<Error>) = (vec![b"DEL".to_vec()], None);
    for (at, _) in requests {
        match peer.consent() {
            Ok(()) if options.copy => {}
            Ok(()) => {
                let key = args.at(at);
                ctx.db.remove(key);
                ctx.db.changed(event::GENERIC, "del", key);
                moved.push(key.to_vec());
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    ctx.db.effects.not_verbatim = true;
    if moved.len() > 1 {
        ctx.db.log_instead(&moved);
    }
    match refused {
        Some(error) => Err(error),
        None => {
            ctx.out.ok();
            Ok(())
        }
    }
}
