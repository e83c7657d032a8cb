//! The command line of `box proxy`: ngrok's and jprq's words where they have one for it.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::target::Manner;

/// Give a local port an address: tunnels and a reverse proxy.
///
/// Example: box proxy http 3000
#[derive(Debug, Parser)]
#[command(name = "proxy", subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give an HTTP service an address (https and http).
    ///
    /// Without --server an edge runs in this process: https://NAME.localhost:8443 reaches the
    /// service from this computer, no account or network needed.
    Http(Box<Http>),
    /// Give a folder of files an address (https and http).
    #[command(visible_alias = "serve")]
    File(Box<Files>),
    /// Give a TCP service a port of a server.
    Tcp(Tcp),
    /// Pass TLS through to a service, by server name.
    Tls(Tls),
    /// Run an edge that agents connect to.
    Server(Server),
    /// Run a reverse proxy.
    ///
    /// Example: box proxy run --listen 127.0.0.1:8080 --to 3000
    Run(Run),
    /// Check a configuration file of `run`.
    Check(Check),
    /// Let a running `run` read its configuration file again.
    Reload(Check),
    /// Run a configuration file as a service of systemd.
    #[command(subcommand)]
    Service(Service),
    /// Trust the local certificate authority on this computer (as root).
    Trust,
    /// Take that back.
    Untrust,
    /// Add, list and revoke the tokens of a server.
    #[command(subcommand)]
    Token(Token),
    /// Show the local certificate authority.
    #[command(subcommand)]
    Cert(Cert),
}

/// How an agent reaches its edge, and what it shows.
#[derive(Clone, Debug, Args)]
pub struct Agent {
    /// The server: HOST or HOST:PORT (port 7443). Without it an edge runs in this process.
    #[arg(long, value_name = "HOST[:PORT]", env = "BOX_PROXY_SERVER")]
    pub server: Option<String>,
    /// The token that the server's owner made for you.
    #[arg(long, env = "BOX_PROXY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The SHA-256 of the server's certificate, instead of trusting the first meeting.
    #[arg(long, value_name = "HEX")]
    pub server_fingerprint: Option<String>,
    /// Check the server's certificate against the authorities in FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "server_fingerprint")]
    pub server_ca: Option<PathBuf>,
    /// Connections to the server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub lanes: u8,
    /// Write events to stdout or a file instead of drawing a screen.
    #[arg(long, value_name = "stdout|FILE")]
    pub log: Option<String>,
    /// The form of events.
    #[arg(long, value_name = "term|logfmt|json", default_value = "logfmt",
          value_parser = ["term", "logfmt", "json"])]
    pub log_format: String,
    /// Port of the inspector on this computer.
    #[arg(long, default_value_t = 4040, value_name = "PORT")]
    pub inspector_port: u16,
    /// Print one JSON object with the addresses, then serve silently.
    #[arg(long)]
    pub json: bool,
}

/// How a service is spoken to.
#[derive(Clone, Debug, Args)]
pub struct Upstream {
    /// Check the certificate of an https:// target.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub upstream_tls_verify: bool,
    /// What the target speaks. http2 is needed for gRPC; on a plain connection it must expect it.
    #[arg(long, value_name = "http1|http2", default_value = "http1", value_parser = ["http1", "http2"])]
    pub upstream_protocol: String,
    /// Tell the target in a PROXY header of this version whom each connection is for.
    #[arg(long, visible_alias = "proxy-proto", value_name = "1|2",
          value_parser = clap::value_parser!(u8).range(1..=2))]
    pub proxy_protocol: Option<u8>,
}

impl Upstream {
    /// The same, for a target without a scheme.
    pub fn manner(&self, scheme: &'static str) -> Manner {
        let http2 = self.upstream_protocol == "http2";
        Manner {
            scheme,
            verify: self.upstream_tls_verify,
            http2,
            proxy_protocol: self.proxy_protocol,
        }
    }
}

/// `box proxy http`.
#[derive(Clone, Debug, Args)]
pub struct Http {
    /// PORT, HOST:PORT, http://…, https://… or unix:PATH.
    pub target: String,
    /// How the target is spoken to.
    #[command(flatten)]
    pub upstream: Upstream,
    /// The tunnel and what passes through it.
    #[command(flatten)]
    pub site: Site,
}

/// `box proxy file`.
#[derive(Clone, Debug, Args)]
pub struct Files {
    /// The folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// List folders that have no index.html.
    #[arg(long)]
    pub browse: bool,
    /// The tunnel and what passes through it.
    #[command(flatten)]
    pub site: Site,
}

/// What all tunnels for requests have in common.
#[derive(Clone, Debug, Args)]
pub struct Site {
    /// The name: NAME.localhost, or NAME.DOMAIN of the server.
    #[arg(short = 's', long, visible_aliases = ["subdomain"], value_name = "NAME")]
    pub name: Option<String>,
    /// A host name of your own that points to the server.
    #[arg(long, visible_aliases = ["hostname", "cname", "url"], conflicts_with = "name")]
    pub domain: Option<String>,
    /// The Host that the service sees: "rewrite" (that of the target) or a value.
    #[arg(long, value_name = "rewrite|HOST")]
    pub host_header: Option<String>,
    /// Add a field to requests: 'Name: value'. Repeatable.
    #[arg(long, value_name = "FIELD")]
    pub request_header_add: Vec<String>,
    /// Remove a field from requests. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub request_header_remove: Vec<String>,
    /// Add a field to responses: 'Name: value'. Repeatable.
    #[arg(long, value_name = "FIELD")]
    pub response_header_add: Vec<String>,
    /// Remove a field from responses. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub response_header_remove: Vec<String>,
    /// Ask visitors for this user and password. Repeatable.
    #[arg(long, visible_alias = "auth", value_name = "USER:PASSWORD")]
    pub basic_auth: Vec<String>,
    /// Let only these networks in. Repeatable.
    #[arg(long, value_name = "CIDR")]
    pub cidr_allow: Vec<String>,
    /// Keep these networks out. Repeatable.
    #[arg(long, value_name = "CIDR")]
    pub cidr_deny: Vec<String>,
    /// Requests a second, minute or hour for each address: 5/s, 100/m, 1000/h.
    #[arg(long, value_name = "N/s|m|h")]
    pub rate_limit: Option<String>,
    /// Let only requests in that this provider has signed.
    #[arg(long, value_name = "github|stripe|slack", value_parser = ["github", "stripe", "slack"],
          requires = "verify_webhook_secret")]
    pub verify_webhook: Option<String>,
    /// The secret that the provider shares with you.
    #[arg(long, value_name = "SECRET", env = "BOX_PROXY_WEBHOOK_SECRET", hide_env_values = true)]
    pub verify_webhook_secret: Option<String>,
    /// Record requests for the inspector.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub inspect: bool,
    /// Port of the local edge for https.
    #[arg(long, default_value_t = 8443, value_name = "PORT")]
    pub https_port: u16,
    /// Port of the local edge for http.
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub http_port: u16,
    /// The edge and what is shown.
    #[command(flatten)]
    pub agent: Agent,
}

/// `box proxy tcp`.
#[derive(Clone, Debug, Args)]
pub struct Tcp {
    /// PORT, HOST:PORT or unix:PATH.
    pub target: String,
    /// The port of the server; any if not given.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub remote_port: u16,
    /// The edge and what is shown.
    #[command(flatten)]
    pub agent: Agent,
}

/// `box proxy tls`.
#[derive(Clone, Debug, Args)]
pub struct Tls {
    /// PORT, HOST:PORT or unix:PATH of a service that speaks TLS.
    pub target: String,
    /// The name: NAME.DOMAIN of the server.
    #[arg(short = 's', long, visible_aliases = ["subdomain"], value_name = "NAME")]
    pub name: Option<String>,
    /// A host name of your own that points to the server.
    #[arg(long, visible_aliases = ["hostname", "cname"], conflicts_with = "name")]
    pub domain: Option<String>,
    /// The edge and what is shown.
    #[command(flatten)]
    pub agent: Agent,
}

/// `box proxy server`.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// Tunnels get names below this domain (point *.DOMAIN to this machine).
    #[arg(long)]
    pub domain: String,
    /// Plain HTTP for visitors.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:80")]
    pub listen_http: Vec<String>,
    /// TLS for visitors.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:443")]
    pub listen_https: Vec<String>,
    /// Agents.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7443")]
    pub listen_agent: Vec<String>,
    /// Tokens, names and keys. By default ~/.local/share/box/proxy.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Certificate chain for visitors (PEM). Without it: the server's own authority.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Ports that tcp tunnels may have.
    #[arg(long, value_name = "FIRST-LAST", default_value = "10000-30000")]
    pub tcp_ports: String,
    /// Threads; by default one a core.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Seconds that open connections get when the server is asked to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub drain: u64,
    /// The form of events.
    #[arg(long, value_name = "logfmt|json", default_value = "logfmt",
          value_parser = ["logfmt", "json"])]
    pub log_format: String,
}

/// `box proxy run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// A configuration file (TOML); it is read again at SIGHUP.
    #[arg(value_name = "CONFIG", conflicts_with_all = ["listen", "to"])]
    pub config: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", requires = "to")]
    pub listen: Vec<String>,
    /// Where requests go: PORT, HOST:PORT, http://…, https://… or unix:PATH.
    #[arg(long, value_name = "TARGET", requires = "listen")]
    pub to: Option<String>,
    /// Append to X-Forwarded-For instead of replacing it: what connects is a proxy of ours.
    #[arg(long)]
    pub trust_forwarded: bool,
    /// Write one line per request to stdout.
    #[arg(long)]
    pub access_log: bool,
    /// How the target is spoken to.
    #[command(flatten)]
    pub upstream: Upstream,
    /// Threads; by default one a core.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Seconds that open connections get when the proxy is asked to end [default: 30].
    #[arg(long, value_name = "SECONDS")]
    pub drain: Option<u64>,
}

/// `box proxy check` and `reload`.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// The configuration file (TOML).
    pub config: PathBuf,
}

/// `box proxy service`.
#[derive(Clone, Debug, Subcommand)]
pub enum Service {
    /// Write a hardened unit, start it now and at every boot (as root).
    Install {
        /// The configuration file (TOML).
        config: PathBuf,
        /// Print the unit and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop the service and remove its unit (as root).
    Uninstall,
}

/// `box proxy token`.
#[derive(Clone, Debug, Subcommand)]
pub enum Token {
    /// Make a token for USER and print it, this once.
    Add {
        /// Whose it is.
        user: String,
        /// The server's folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// List the tokens: users and the first characters.
    List {
        /// The server's folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Take back all tokens of a user, or one by its first characters.
    Revoke {
        /// User or first characters.
        which: String,
        /// The server's folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// `box proxy cert`.
#[derive(Clone, Debug, Subcommand)]
pub enum Cert {
    /// Print the path of the authority's certificate (made if it is not there).
    Ca {
        /// That of the server with this folder, instead of your own.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
