//! From the configuration to a server that answers: listeners, workers, what stands in the log.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use box_kit::exit::kernel_words;
use box_kit::{Exit, Outcome};
use box_sys::epoll::{Epoll, Interest};
use box_sys::signal_fd::{SIGINT, SIGTERM, SignalFd};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::cron::Cron;
use super::mailbox::{Mailbox, Stream};
use super::tls::{self, TlsStream};
use super::worker::{SIGNALS, Worker};
use super::{Server, WORKERS_MAX};
use crate::config::Config;

/// Descriptors beside those of clients.
const SPARE_FILES: u64 = 32;
/// The most listeners there can be.
const LISTENERS_MAX: usize = 12;

enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, &'static Server),
    Unix(UnixListener),
}

/// What the first worker does beside the others' work.
pub struct Chief {
    listeners: Vec<Listener>,
    signals: SignalFd,
    /// What is done ten times a second.
    pub cron: Cron,
    /// How many workers share the connections.
    pub workers: usize,
}

impl Chief {
    /// Watches listeners and signals.
    ///
    /// # Errors
    /// The kernel's.
    pub fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        for (number, listener) in self.listeners.iter().enumerate() {
            match listener {
                Listener::Tcp(tcp) | Listener::Tls(tcp, _) => {
                    epoll.add(tcp, number as u64, Interest::READ)?
                }
                Listener::Unix(unix) => epoll.add(unix, number as u64, Interest::READ)?,
            }
        }
        epoll.add(&self.signals, SIGNALS, Interest::READ)
    }

    /// The signal that has come.
    pub fn signal(&self) -> Option<i32> {
        self.signals.take().ok().flatten()
    }

    /// The next connection of a listener.
    pub fn accept(&self, listener: usize) -> Option<Stream> {
        match self.listeners.get(listener)? {
            Listener::Tcp(tcp) => {
                let (stream, _) = tcp.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(Stream::Tcp(stream))
            }
            Listener::Tls(tcp, server) => {
                let (stream, _) = tcp.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                let settings = server.tls.read().unwrap_or_else(PoisonError::into_inner).clone()?;
                Some(Stream::Tls(Box::new(TlsStream::new(stream, settings).ok()?)))
            }
            Listener::Unix(unix) => {
                let (stream, _) = unix.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(Stream::Unix(stream))
            }
        }
    }
}

fn bind_tcp(ip: IpAddr, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let addr = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The listeners of a port, one for each address.
fn listen_on(
    server: &'static Server,
    config: &Config,
    port: u16,
    wrap: impl Fn(TcpListener) -> Listener,
) -> Result<Vec<Listener>, ()> {
    let mut listeners = Vec::new();
    let backlog = config.int("tcp-backlog") as i32;
    for word in config.get("bind").split_whitespace().filter(|_| port != 0) {
        // A minus sign says that an address that is not there may be left out.
        let (word, optional) = match word.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let text = match word {
            "*" => "0.0.0.0",
            "::*" => "::",
            other => other,
        };
        let bound = match text.parse::<IpAddr>() {
            Ok(ip) => bind_tcp(ip, port, backlog),
            Err(_) => box_sys::resolve::host(text).and_then(|ips| {
                let ip = ips.into_iter().next().ok_or(io::ErrorKind::NotFound)?;
                bind_tcp(ip, port, backlog)
            }),
        };
        match bound {
            Ok(listener) if listeners.len() < LISTENERS_MAX / 2 => listeners.push(wrap(listener)),
            Ok(_) => {}
            Err(error) if optional && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => {
                let reason = kernel_words(&error);
                server.logger.warning(&format!(
                    "Warning: Could not create server TCP listening socket {word}:{port}: bind: {reason}"
                ));
                server.logger.warning(&format!("Failed listening on port {port} (TCP), aborting."));
                return Err(());
            }
        }
    }
    Ok(listeners)
}

fn listen(server: &'static Server, config: &Config) -> Result<Vec<Listener>, ()> {
    let mut listeners = listen_on(server, config, config.int("port") as u16, Listener::Tcp)?;
    let tls_port = config.int("tls-port") as u16;
    if tls_port != 0 {
        match tls::settings(config) {
            Ok(settings @ Some(_)) => {
                *server.tls.write().unwrap_or_else(PoisonError::into_inner) = settings;
            }
            Ok(None) => {
                server.logger.warning("No tls-cert-file configured!");
                server.logger.warning("Failed to configure TLS. Check logs for more info.");
                return Err(());
            }
            Err(why) => {
                server.logger.warning(&why);
                server.logger.warning("Failed to configure TLS. Check logs for more info.");
                return Err(());
            }
        }
        let wrap = |listener| Listener::Tls(listener, server);
        listeners.extend(listen_on(server, config, tls_port, wrap)?);
    }
    let path = config.get("unixsocket");
    if !path.is_empty() {
        let _ = std::fs::remove_file(path);
        let bound = UnixListener::bind(path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let mode = u32::from_str_radix(config.get("unixsocketperm"), 8).unwrap_or(0);
            if mode != 0 {
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
            }
            Ok(listener)
        });
        match bound {
            Ok(listener) => listeners.push(Listener::Unix(listener)),
            Err(error) => {
                let reason = kernel_words(&error);
                server.logger.warning(&format!("Failed opening Unix socket: bind: {reason}"));
                return Err(());
            }
        }
    }
    if listeners.is_empty() {
        server.logger.warning("Configured to not listen anywhere, exiting.");
        return Err(());
    }
    Ok(listeners)
}

/// Runs a server to its end.
///
/// # Errors
/// It could not be started.
pub fn run(mut config: Config) -> Outcome {
    box_sys::heap_use::start_counting();
    if let Err(error) = std::env::set_current_dir(config.get("dir")) {
        eprintln!("Can't chdir to '{}': {}", config.get("dir"), kernel_words(&error));
        return Ok(Exit::FAILED);
    }
    let here = std::env::current_dir()?.display().to_string();
    let _ = config.set("dir", &[here], false);
    if config.is_on("daemonize") {
        box_sys::limits::daemonize()?;
        if config.get("pidfile").is_empty() {
            let _ = config.set("pidfile", &["/var/run/redis.pid".into()], false);
        }
    }
    let wanted = config.maxclients as u64 + SPARE_FILES;
    let files = box_sys::limits::raise_open_files(wanted)?;
    if files < wanted {
        let fits = files.saturating_sub(SPARE_FILES).max(1).to_string();
        let _ = config.set("maxclients", &[fits], false);
    }
    let workers =
        (config.int("threads").max(config.int("io-threads")) as usize).clamp(1, WORKERS_MAX);
    let server: &'static Server = Box::leak(Box::new(Server::new(config)?));
    let config = server.config();
    announce(server, &config);
    if let Err(reason) = load_users(server, &config) {
        server.logger.warning(&reason);
        return Ok(Exit::FAILED);
    }
    let signals = SignalFd::catch(&[SIGTERM, SIGINT])?;
    let Ok(listeners) = listen(server, &config) else { return Ok(Exit::FAILED) };
    if let Err(reason) = server.load() {
        server.logger.warning(&reason);
        return Ok(Exit::FAILED);
    }
    let master = config.get("replicaof").split_once(' ');
    if let Some((host, port)) = master.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        server.follow(host, port);
    }
    let pidfile = config.get("pidfile");
    if !pidfile.is_empty() {
        // A pid file that cannot be written keeps nobody from working.
        let _ = std::fs::write(pidfile, format!("{}\n", std::process::id()));
    }
    let chief = Chief { listeners, signals, cron: Cron::default(), workers };
    serve(server, chief, workers)?;
    let bad = server.ended_badly.load(Ordering::Acquire);
    Ok(if bad { Exit::FAILED } else { Exit::DONE })
}

/// The users of the configuration, or of the file that it names.
fn load_users(server: &Server, config: &Config) -> Result<(), String> {
    let channels = config.get("acl-pubsub-default") == "allchannels";
    let path = config.get("aclfile");
    if !config.users.is_empty() && !path.is_empty() {
        return Err(
            "Configuring Redis with users defined in redis.conf and at the same setting an \
                    ACL file path is invalid. This setup is very likely to lead to configuration \
                    errors and security holes, please define either an ACL file or declare users \
                    directly in your redis.conf, but not both."
                .into(),
        );
    }
    if !config.requirepass.is_empty() {
        server.acl.set_default_password(&config.requirepass);
    }
    for words in &config.users {
        let (name, rules) = words.split_first().ok_or("user: wrong number of arguments")?;
        let rules: Vec<&[u8]> = rules.iter().map(String::as_bytes).collect();
        server.acl.set_user(name, &rules, channels).map_err(|why| {
            format!("Error in user declaration '{name}': {}", why.trim_start_matches("ERR "))
        })?;
    }
    if path.is_empty() {
        return Ok(());
    }
    server
        .acl
        .load(path.as_ref(), channels)
        .map_err(|why| format!("Aborting Redis startup because of ACL errors: {why}"))
}

fn announce(server: &Server, config: &Config) {
    let pid = std::process::id();
    let logger = &server.logger;
    logger.warning("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    logger.warning(&format!(
        "Redis version={}, bits=64, commit=00000000, modified=0, pid={pid}, just started",
        crate::VERSION
    ));
    match &config.file {
        Some(_) => logger.warning("Configuration loaded"),
        None => logger.warning(
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use redis-server /path/to/redis.conf",
        ),
    }
    logger.notice(&format!("Running mode=standalone, port={}.", config.get("port")));
    logger.notice(&format!("PID: {pid}"));
}

fn serve(server: &'static Server, chief: Chief, workers: usize) -> io::Result<()> {
    let mailboxes: Vec<Arc<Mailbox>> =
        (0..workers).map(|_| Mailbox::new().map(Arc::new)).collect::<io::Result<_>>()?;
    server.set_mailboxes(mailboxes.clone());
    server.logger.notice("Server initialized");
    server.logger.notice("Ready to accept connections");
    let mut threads = Vec::new();
    for (number, mailbox) in mailboxes.iter().enumerate().skip(1) {
        let worker = Worker::new(server, number, mailbox.clone(), None)?;
        let name = format!("cache-{number}");
        threads.push(std::thread::Builder::new().name(name).spawn(|| worker.run())?);
    }
    Worker::new(server, 0, mailboxes[0].clone(), Some(chief))?.run();
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}
