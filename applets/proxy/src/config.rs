//! The configuration of `box proxy run`: a TOML file, or the flags that say the same.
//!
//! ```toml
//! [[listen]]
//! address = "127.0.0.1:8443"
//! tls = "local"
//!
//! [[route]]
//! host = "app.localhost"
//! to = "app"
//!
//! [[upstream]]
//! name = "app"
//! servers = ["127.0.0.1:3000", "127.0.0.1:3001"]
//! ```
//! It is read whole and checked whole before anything of it is used: a mistake leaves a running proxy
//! as it is.

mod reader;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use box_kit::Failure;
use toml::de::DeTable;

use crate::http1::{Edits, Forwarding};
use crate::listen::address;
use crate::policy::{Network, Rules};
use crate::target::{Manner, TargetSpec};
use reader::{Item, Placed, Section, Source};

/// What a proxy does.
pub struct Config {
    /// Where it listens.
    pub listens: Vec<Listen>,
    /// Which requests go where; the first that fits best.
    pub routes: Vec<Route>,
    /// The groups of servers.
    pub upstreams: Vec<Upstream>,
    /// Threads; one a core where it is not given.
    pub threads: Option<usize>,
    /// How long open connections get at the end.
    pub drain: Duration,
    /// One line a request on standard output.
    pub access_log: bool,
}

/// A place to listen at.
#[derive(Clone)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// TLS, if visitors speak it.
    pub tls: Option<Tls>,
    /// A PROXY header comes first on each connection.
    pub accept_proxy: bool,
    /// Who may say whom a connection or request is from.
    pub trusted: Vec<Network>,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The user's own authority, for names below `localhost`.
    Local,
    /// Files: chain, key, and the names they are for (those in the certificate where none is given).
    Files(Vec<(PathBuf, PathBuf, Vec<String>)>),
}

/// Which requests go to an upstream.
pub struct Route {
    /// This host; `*.x` for one label more; all where it is not given.
    pub host: Option<String>,
    /// Paths that are this or below it.
    pub path: String,
    /// The index of the upstream.
    pub upstream: usize,
    /// Changes on the way.
    pub edits: Edits,
    /// What is asked of a request.
    pub rules: Rules,
}

/// Servers that do the same.
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// The servers.
    pub servers: Vec<Server>,
    /// Which one gets a request.
    pub policy: Balance,
    /// How they are looked after.
    pub health: Option<Health>,
}

/// One of them.
pub struct Server {
    /// Where it is.
    pub target: TargetSpec,
    /// How many requests it gets, relative to the others.
    pub weight: u32,
    /// Only when all others are down.
    pub backup: bool,
    /// Gets no new requests.
    pub drain: bool,
}

/// How a server is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest open requests.
    LeastConn,
    /// The better of two.
    Random,
    /// The one that belongs to a key, as long as it is not busier than the others.
    Hash(HashKey),
}

/// What a request is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The visitor's address.
    Ip,
    /// The path and query.
    Uri,
    /// A field.
    Header(String),
}

/// Requests that ask whether a server is well.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is asked for; a connection will do where it is not given.
    pub path: Option<String>,
    /// How often.
    pub interval: Duration,
}

const ROOT: &[&str] = &["listen", "route", "upstream", "threads", "drain", "access_log"];
const LISTEN: &[&str] =
    &["address", "tls", "cert", "key", "certs", "accept_proxy", "trusted_proxies"];
const CERTIFICATE: &[&str] = &["cert", "key", "names"];
const ROUTE: &[&str] = &[
    "host",
    "path",
    "to",
    "host_header",
    "request_header_add",
    "request_header_remove",
    "response_header_add",
    "response_header_remove",
    "basic_auth",
    "cidr_allow",
    "cidr_deny",
    "rate_limit",
];
const UPSTREAM: &[&str] =
    &["name", "servers", "policy", "protocol", "tls_verify", "proxy_protocol", "health"];
const SERVER: &[&str] = &["to", "weight", "backup", "drain"];
const HEALTH: &[&str] = &["path", "interval"];

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or holds a mistake, whose place is named.
    pub fn read(path: &Path) -> Result<Config, Failure> {
        let text = std::fs::read_to_string(path).map_err(Failure::os(path.display()))?;
        Config::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A mistake, whose place is named.
    pub fn parse(name: &str, text: &str) -> Result<Config, Failure> {
        let source = Source { name, text };
        let root = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            source.complain(span, error.message().lines().next().unwrap_or("not TOML"))
        })?;
        let root = Section::root(&source, &root, ROOT)?;
        let listens = root.sections("listen", LISTEN)?;
        let listens: Vec<Listen> = listens.iter().map(listen).collect::<Result<_, _>>()?;
        if listens.is_empty() {
            return Err(root.complain("there is no [[listen]]"));
        }
        let mut upstreams = Vec::new();
        for section in root.sections("upstream", UPSTREAM)? {
            let name = section.required("name")?;
            if upstreams.iter().any(|known: &Upstream| known.name == name.value) {
                let reason = format!("a second upstream \"{}\"", name.value);
                return Err(section.complain_at(&name.span, reason));
            }
            upstreams.push(upstream(&section, name.value)?);
        }
        let sections = root.sections("route", ROUTE)?;
        let mut routes = Vec::new();
        for section in &sections {
            routes.push(route(section, &mut upstreams)?);
        }
        if routes.is_empty() {
            return Err(root.complain("there is no [[route]]"));
        }
        Ok(Config {
            listens,
            routes,
            upstreams,
            threads: root.number("threads", 1.0..=256.0)?.map(|n| n as usize),
            drain: Duration::from_secs_f64(root.number("drain", 0.0..=86_400.0)?.unwrap_or(30.0)),
            access_log: root.flag("access_log", false)?,
        })
    }

    /// Everything to one target.
    pub fn single(listens: Vec<Listen>, target: TargetSpec, forwarding: Forwarding) -> Config {
        let server = Server { target, weight: 1, backup: false, drain: false };
        let upstream = Upstream {
            name: server.target.name.clone(),
            servers: vec![server],
            policy: Balance::RoundRobin,
            health: None,
        };
        let route = Route {
            host: None,
            path: "/".to_owned(),
            upstream: 0,
            edits: Edits { forwarding, ..Edits::default() },
            rules: Rules::default(),
        };
        Config {
            listens,
            routes: vec![route],
            upstreams: vec![upstream],
            threads: None,
            drain: Duration::from_secs(30),
            access_log: false,
        }
    }
}

fn listen(section: &Section<'_, '_>) -> Result<Listen, Failure> {
    let text = section.required("address")?;
    let at = |failure: Failure| section.complain_at(&text.span, failure);
    let tls = match section.text("tls")? {
        None => files(section)?,
        Some(word) if word.value == "local" => Some(Tls::Local),
        Some(word) => {
            let reason = "\"tls\" is \"local\"; certificates of your own are \"cert\" and \"key\"";
            return Err(section.complain_at(&word.span, reason));
        }
    };
    let networks = section.texts("trusted_proxies")?;
    Ok(Listen {
        address: address(text.value).map_err(at)?,
        tls,
        accept_proxy: section.flag("accept_proxy", false)?,
        trusted: networks.iter().map(|text| network(section, text)).collect::<Result<_, _>>()?,
    })
}

fn network(section: &Section<'_, '_>, text: &Placed<&str>) -> Result<Network, Failure> {
    Network::parse(text.value)
        .ok_or_else(|| section.complain_at(&text.span, "not an address or network"))
}

fn files(section: &Section<'_, '_>) -> Result<Option<Tls>, Failure> {
    let mut files = Vec::new();
    if section.text("cert")?.is_some() || section.text("key")?.is_some() {
        files.push(certificate(section, Vec::new())?);
    }
    for certificate_section in section.sections("certs", CERTIFICATE)? {
        let names = certificate_section.texts("names")?;
        let names = names.iter().map(|name| name.value.to_ascii_lowercase()).collect();
        files.push(certificate(&certificate_section, names)?);
    }
    Ok(Some(files).filter(|files| !files.is_empty()).map(Tls::Files))
}

/// Names both files; they must belong together.
fn certificate(
    section: &Section<'_, '_>,
    names: Vec<String>,
) -> Result<(PathBuf, PathBuf, Vec<String>), Failure> {
    let (cert, key) = (section.required("cert")?, section.required("key")?);
    let files = (PathBuf::from(cert.value), PathBuf::from(key.value));
    crate::tls::ca::from_files(&files.0, &files.1)
        .map_err(|failure| section.complain_at(&cert.span, failure))?;
    Ok((files.0, files.1, names))
}

fn upstream(section: &Section<'_, '_>, name: &str) -> Result<Upstream, Failure> {
    let http2 = match section.text("protocol")? {
        None => false,
        Some(word) if word.value == "http1" => false,
        Some(word) if word.value == "http2" => true,
        Some(word) => {
            return Err(section.complain_at(&word.span, "\"protocol\" is \"http1\" or \"http2\""));
        }
    };
    let manner = Manner {
        scheme: "http",
        verify: section.flag("tls_verify", true)?,
        http2,
        proxy_protocol: section.number("proxy_protocol", 1.0..=2.0)?.map(|version| version as u8),
    };
    let servers = section.items("servers", SERVER)?;
    let servers: Vec<Server> =
        servers.iter().map(|item| server(section, item, manner)).collect::<Result<_, _>>()?;
    if servers.is_empty() {
        return Err(section.complain("\"servers\" is missing"));
    }
    let policy = match section.text("policy")? {
        None => Balance::RoundRobin,
        Some(word) => {
            balance(word.value).map_err(|reason| section.complain_at(&word.span, reason))?
        }
    };
    let health = match section.section("health", HEALTH)? {
        None => None,
        Some(health) => Some(Health {
            path: health.text("path")?.map(|path| path.value.to_owned()),
            interval: Duration::from_secs_f64(
                health.number("interval", 0.1..=3600.0)?.unwrap_or(1.0),
            ),
        }),
    };
    Ok(Upstream { name: name.to_owned(), servers, policy, health })
}

fn server(
    upstream: &Section<'_, '_>,
    item: &Item<'_, '_>,
    manner: Manner,
) -> Result<Server, Failure> {
    let parse = |text: &Placed<&str>| {
        TargetSpec::parse(text.value, manner).map_err(|_| {
            upstream.complain_at(&text.span, "not a port, HOST:PORT, URL or unix:PATH")
        })
    };
    Ok(match item {
        Item::Text(text) => Server { target: parse(text)?, weight: 1, backup: false, drain: false },
        Item::Section(section) => Server {
            target: parse(&section.required("to")?)?,
            weight: section.number("weight", 1.0..=100.0)?.unwrap_or(1.0) as u32,
            backup: section.flag("backup", false)?,
            drain: section.flag("drain", false)?,
        },
    })
}

fn balance(word: &str) -> Result<Balance, String> {
    const WORDS: &[&str] = &["round_robin", "least_conn", "random", "hash:ip", "hash:uri"];
    Ok(match word {
        "round_robin" => Balance::RoundRobin,
        "least_conn" => Balance::LeastConn,
        "random" => Balance::Random,
        "hash:ip" => Balance::Hash(HashKey::Ip),
        "hash:uri" => Balance::Hash(HashKey::Uri),
        word => match word.strip_prefix("hash:header=") {
            Some(name) if box_wire::http1::is_token(name.as_bytes()) => {
                Balance::Hash(HashKey::Header(name.to_owned()))
            }
            _ => {
                let hint = reader::nearest(word, WORDS)
                    .map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"));
                return Err(format!("unknown policy \"{word}\"{hint}"));
            }
        },
    })
}

fn route(section: &Section<'_, '_>, upstreams: &mut Vec<Upstream>) -> Result<Route, Failure> {
    let to = section.required("to")?;
    let path = section.text("path")?;
    if let Some(path) = path.as_ref().filter(|path| !path.value.starts_with('/')) {
        return Err(section.complain_at(&path.span, "a path starts with /"));
    }
    let upstream = match upstreams.iter().position(|upstream| upstream.name == to.value) {
        Some(index) => index,
        None => {
            upstreams.push(of_target(section, &to, upstreams)?);
            upstreams.len() - 1
        }
    };
    let host_header = section.text("host_header")?.map(|value| match value.value {
        "rewrite" => upstreams[upstream].servers.first().map_or("", |s| &s.target.host).to_owned(),
        value => value.to_owned(),
    });
    let owned = |texts: Vec<Placed<&str>>| -> Vec<String> {
        texts.into_iter().map(|text| text.value.to_owned()).collect()
    };
    let all = |failure: Failure| section.complain(failure);
    let add = |key| crate::policy::fields(&owned(section.texts(key)?)).map_err(all);
    let rate = section.text("rate_limit")?.map(|rate| rate.value);
    let [auth, allow, deny] =
        ["basic_auth", "cidr_allow", "cidr_deny"].map(|key| section.texts(key));
    Ok(Route {
        host: section.text("host")?.map(|host| host.value.to_ascii_lowercase()),
        path: path.map_or("/", |path| path.value).to_owned(),
        upstream,
        edits: Edits {
            forwarding: Forwarding::Replace,
            host: host_header,
            request_add: add("request_header_add")?,
            request_remove: owned(section.texts("request_header_remove")?),
            response_add: add("response_header_add")?,
            response_remove: owned(section.texts("response_header_remove")?),
        },
        rules: Rules::parse(&owned(auth?), &owned(allow?), &owned(deny?), rate).map_err(all)?,
    })
}

/// `to` is no name of an upstream: a target of its own.
fn of_target(
    section: &Section<'_, '_>,
    to: &Placed<&str>,
    upstreams: &[Upstream],
) -> Result<Upstream, Failure> {
    let manner = Manner { scheme: "http", verify: true, http2: false, proxy_protocol: None };
    let target = TargetSpec::parse(to.value, manner).map_err(|_| {
        let names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let hint = reader::nearest(to.value, &names)
            .map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"));
        section.complain_at(&to.span, format!("no upstream \"{}\"{hint}", to.value))
    })?;
    let server = Server { target, weight: 1, backup: false, drain: false };
    Ok(Upstream {
        name: to.value.to_owned(),
        servers: vec![server],
        policy: Balance::RoundRobin,
        health: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[listen]]\naddress = \"127.0.0.1:8080\"\n\n[[route]]\nhost = \"A.test\"\nto = \"app\"\n\n\
                        [[upstream]]\nname = \"app\"\nservers = [\"3000\", { to = \"3001\", weight = 2 }]\n";

    fn complaint(text: &str) -> String {
        Config::parse("proxy.toml", text).err().expect("refused").to_string()
    }

    #[test]
    fn a_whole_file_is_understood() {
        let config = Config::parse("proxy.toml", GOOD).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(config.listens[0].address.port(), 8080);
        assert_eq!(config.routes[0].host.as_deref(), Some("a.test"));
        assert_eq!(config.upstreams[0].servers[1].weight, 2);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (old, new, expected) in [
            (
                "name = \"app\"",
                "name = \"app\"\npolcy = \"random\"",
                "proxy.toml:10:1: unknown key \"polcy\", did you mean \"policy\"?",
            ),
            (
                "name = \"app\"",
                "name = \"app\"\npolicy = \"randon\"",
                "proxy.toml:10:10: unknown policy \"randon\", did you mean \"random\"?",
            ),
            (
                "to = \"app\"",
                "to = \"ap\"",
                "proxy.toml:6:6: no upstream \"ap\", did you mean \"app\"?",
            ),
            ("weight = 2", "weight = 0", "proxy.toml:10:44: \"weight\" is a number from 1 to 100"),
            (
                "weight = 2",
                "weight = \"2\"",
                "proxy.toml:10:44: \"weight\" is a number, not string",
            ),
            ("to = \"app\"", "to = \"app\"\npath = \"x\"", "proxy.toml:7:8: a path starts with /"),
            (
                "[[route]]",
                "[[rout]]",
                "proxy.toml:4:3: unknown key \"rout\", did you mean \"route\"?",
            ),
            (
                "address = \"127.0.0.1:8080\"",
                "address = ",
                "proxy.toml:2:11: string values must be quoted, expected literal string",
            ),
            (
                "address = \"127.0.0.1:8080\"",
                "tls = \"local\"",
                "proxy.toml:1:1: \"address\" is missing",
            ),
        ] {
            let text = GOOD.replace(old, new);
            let got = complaint(&text);
            assert_eq!(got, expected, "{new}");
        }
    }

    /// No text makes it panic.
    #[test]
    fn mutated_files_never_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..5_000 {
            let mut bytes = GOOD.as_bytes().to_vec();
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = b"[]{}=\"\n.,#a0"[random() % 12];
            }
            let _ = Config::parse("x", &String::from_utf8_lossy(&bytes));
        }
    }
}
