//! Names to addresses without the C library: hosts file, then DNS.
//!
//! A static glibc crashes in its name service switch on ordinary systems, so nothing in `box` may
//! reach `getaddrinfo`. The order is that of `hosts: files dns` in nsswitch.conf(5); servers, search
//! domains, `ndots`, `timeout` and `attempts` come from resolv.conf(5). A and AAAA are asked side by
//! side; a truncated answer is asked again over TCP; `localhost` never leaves the machine (RFC 6761
//! section 6.3).

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use box_wire::dns::{self, kind};

use crate::random;

/// Servers of resolv.conf that are used (MAXNS of resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// Longest answer over UDP without EDNS is 512; servers that send more are still understood.
const ANSWER_MAX_BYTES: usize = 4096;
/// Most aliases that are followed within one answer.
const ALIASES_MAX: usize = 16;
/// A hosts file larger than this is read only so far.
const HOSTS_MAX_BYTES: u64 = 64 << 20;

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The hosts file.
    pub hosts: PathBuf,
    /// Name servers, in order.
    pub servers: Vec<SocketAddr>,
    /// Domains that are tried behind a short name.
    pub search: Vec<String>,
    /// A name with at least so many dots is first tried as it is.
    pub ndots: usize,
    /// Patience with one server.
    pub timeout: Duration,
    /// Rounds through all servers.
    pub attempts: u32,
}

/// The addresses of `name`, which may also be an address itself. Blocking.
///
/// # Errors
/// `NotFound` (`Name or service not known`) where no source knows it, `TimedOut` (`Temporary
/// failure in name resolution`) where no server answered.
pub fn host(name: &str) -> io::Result<Vec<IpAddr>> {
    Resolver::of_system().host(name)
}

/// `HOST:PORT` to socket addresses. Blocking.
///
/// # Errors
/// As [`host`], and `InvalidInput` without a port.
pub fn host_port(text: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let invalid =
        || io::Error::new(io::ErrorKind::InvalidInput, "an address has the form HOST:PORT");
    let (name, port) = text.rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().map_err(|_| invalid())?;
    Ok(host(name)?.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

impl Resolver {
    /// As `/etc/hosts` and `/etc/resolv.conf` say. A missing file gives the defaults of
    /// resolv.conf(5): the local machine, 5 seconds, 2 attempts.
    pub fn of_system() -> Resolver {
        let conf = std::fs::read("/etc/resolv.conf").unwrap_or_default();
        Resolver::from_conf(&String::from_utf8_lossy(&conf))
    }

    /// From the text of a resolv.conf.
    pub fn from_conf(conf: &str) -> Resolver {
        let mut resolver = Resolver {
            hosts: PathBuf::from("/etc/hosts"),
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in conf.lines() {
            resolver.apply(line);
        }
        if resolver.servers.is_empty() {
            resolver.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        resolver
    }

    fn apply(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") if self.servers.len() < SERVERS_MAX => {
                // A zone id (`fe80::1%eth0`) is cut off: the kernel's default scope is used.
                let address = words.next().and_then(|word| word.split('%').next());
                if let Some(Ok(address)) = address.map(str::parse::<IpAddr>) {
                    self.servers.push(SocketAddr::new(address, 53));
                }
            }
            Some("domain") => self.search = words.take(1).map(str::to_owned).collect(),
            Some("search") => self.search = words.map(str::to_owned).collect(),
            Some("options") => words.for_each(|option| self.option(option)),
            _ => {}
        }
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(value))) =
            option.split_once(':').map(|(name, value)| (name, value.parse::<u32>()))
        else {
            return;
        };
        // The caps are those of resolv.conf(5).
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The addresses of `name`, IPv4 before IPv6 within each source.
    ///
    /// # Errors
    /// As the function [`host`].
    pub fn host(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let from_file = self.in_hosts_file(name);
        if !from_file.is_empty() {
            return Ok(from_file);
        }
        let bare = name.trim_end_matches('.');
        if is_localhost(bare) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let mut answered = false;
        for candidate in self.candidates(name) {
            match self.ask(&candidate) {
                Ok(addresses) if addresses.is_empty() => answered = true,
                Ok(addresses) => return Ok(addresses),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(_) => {}
            }
        }
        Err(if answered {
            io::Error::new(io::ErrorKind::NotFound, "Name or service not known")
        } else {
            io::Error::new(io::ErrorKind::TimedOut, "Temporary failure in name resolution")
        })
    }

    fn in_hosts_file(&self, name: &str) -> Vec<IpAddr> {
        let mut text = Vec::new();
        // A machine without a hosts file, or one that may not be read, has no entries.
        if let Ok(file) = std::fs::File::open(&self.hosts) {
            let _ = file.take(HOSTS_MAX_BYTES).read_to_end(&mut text);
        }
        hosts_entries(&String::from_utf8_lossy(&text), name)
    }

    /// What is asked, in order: with enough dots the name itself first, else it comes last.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut all: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let place = if dots >= self.ndots { 0 } else { all.len() };
        all.insert(place, name.to_owned());
        all
    }

    /// Asks the servers in turn for A and AAAA. Empty: there is no such name, or no address.
    fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..self.attempts {
            for server in &self.servers {
                match ask_server(*server, name, self.timeout) {
                    Ok(addresses) => return Ok(addresses),
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }
}

/// `localhost` and names below it (RFC 6761 section 6.3).
fn is_localhost(name: &str) -> bool {
    let tail = name.rsplit('.').next().unwrap_or_default();
    tail.eq_ignore_ascii_case("localhost")
}

/// The addresses that a hosts(5) file gives to `name`, IPv4 first.
fn hosts_entries(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

/// One question: what was asked, and what came of it.
struct Question {
    id: u16,
    query: Vec<u8>,
    kind: u16,
    answer: Option<Vec<IpAddr>>,
}

/// Asks one server for A and AAAA at once over one socket.
fn ask_server(server: SocketAddr, name: &str, patience: Duration) -> io::Result<Vec<IpAddr>> {
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0))?;
    // Connected: the kernel drops what comes from elsewhere, and says when nobody listens.
    socket.connect(server)?;
    let mut questions = [question(name, kind::A)?, question(name, kind::AAAA)?];
    for question in &questions {
        socket.send(&question.query)?;
    }
    let end = Instant::now() + patience;
    let mut answer = [0; ANSWER_MAX_BYTES];
    while questions.iter().any(|question| question.answer.is_none()) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut answer)?;
        let message = answer.get(..length).unwrap_or_default();
        let Some(question) = questions.iter_mut().find(|question| question.is_answered_by(message))
        else {
            continue;
        };
        question.answer = Some(if is_truncated(message) {
            let whole = ask_by_tcp(server, &question.query, left)?;
            question.read(name, &whole)?
        } else {
            question.read(name, message)?
        });
    }
    Ok(questions.into_iter().filter_map(|question| question.answer).flatten().collect())
}

fn question(name: &str, kind: u16) -> io::Result<Question> {
    let id = random::u16()?;
    let query = dns::query(id, name, kind)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "Name or service not known"))?;
    Ok(Question { id, query, kind, answer: None })
}

fn is_truncated(message: &[u8]) -> bool {
    dns::header(message).is_ok_and(|(_, header)| header.flags & dns::Header::TRUNCATED != 0)
}

impl Question {
    /// Whether `message` is a response to this very question: a forged one must guess the id.
    fn is_answered_by(&self, message: &[u8]) -> bool {
        let Ok((_, header)) = dns::header(message) else { return false };
        self.answer.is_none()
            && header.id == self.id
            && header.flags & dns::Header::RESPONSE != 0
            && dns::question(message, dns::HEADER_BYTES)
                .is_ok_and(|(asked, _)| asked.kind == self.kind)
    }

    /// The addresses in a response, following aliases within it.
    fn read(&self, name: &str, message: &[u8]) -> io::Result<Vec<IpAddr>> {
        let refused = || io::Error::other("the name server refused");
        let (_, header) = dns::header(message).map_err(|_| refused())?;
        match header.response_code() {
            0 => {}
            3 => return Ok(Vec::new()),
            _ => return Err(refused()),
        }
        let records: Vec<_> = dns::answers(message).map_err(|_| refused())?.collect();
        let mut wanted = name.to_owned();
        for _ in 0..ALIASES_MAX {
            let alias = records.iter().find(|r| r.kind == kind::CNAME && r.name.equals(&wanted));
            let target = alias.and_then(|r| dns::name(message, r.data_offset).ok());
            match target.and_then(|(target, _)| target.to_dotted()) {
                Some(target) => wanted = target,
                None => break,
            }
        }
        let about = records.iter().filter(|r| r.kind == self.kind && r.name.equals(&wanted));
        Ok(about.filter_map(dns::Record::address).collect())
    }
}

/// Asks again over TCP, where an answer has any length (RFC 7766).
fn ask_by_tcp(server: SocketAddr, query: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
