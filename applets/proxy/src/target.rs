//! What people write for a service: `3000`, `host:3000`, `http://host`, `https://host`, `unix:PATH`.

use std::sync::Arc;

use box_kit::Failure;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::http1::{Target, TargetKind};
use crate::tls::client::{self, Trust};

/// A service as it was written, before anything is set up for it. May go to other threads.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    kind: TargetKind,
    /// `localhost:3000`.
    pub name: String,
    /// `http://localhost:3000`.
    pub shown: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The Host that belongs to it.
    pub host: String,
    http2: bool,
    proxy_protocol: Option<u8>,
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The scheme where none was written.
    pub scheme: &'static str,
    /// Whether the certificate of an `https://` service is checked.
    pub verify: bool,
    /// In HTTP/2, on plain connections too.
    pub http2: bool,
    /// With a PROXY header of this version in front.
    pub proxy_protocol: Option<u8>,
}

impl TargetSpec {
    /// Reads what was written.
    ///
    /// # Errors
    /// It is none of the forms.
    pub fn parse(text: &str, manner: Manner) -> Result<TargetSpec, Failure> {
        let Manner { scheme, verify, http2, proxy_protocol } = manner;
        if let Some(path) = text.strip_prefix("unix:") {
            let kind = TargetKind::Unix(path.into());
            let (name, shown, host) = (text.to_owned(), text.to_owned(), "localhost".to_owned());
            return Ok(TargetSpec { kind, name, shown, tls: None, host, http2, proxy_protocol });
        }
        let (scheme, rest, usual) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest, Some(80)),
            Some(("https", rest)) => ("https", rest, Some(443)),
            Some(_) => return Err(malformed(text)),
            None => (scheme, text, None),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = if rest.bytes().all(|b| b.is_ascii_digit()) {
            ("localhost", rest.parse().ok())
        } else {
            let (host, port) =
                box_wire::http1::authority(rest.as_bytes()).ok_or_else(|| malformed(text))?;
            (host, port.or(usual))
        };
        let port = port.filter(|port| *port > 0).ok_or_else(|| malformed(text))?;
        let tls = if scheme == "https" { Some(upstream_tls(host, verify, http2)?) } else { None };
        let name = format!("{host}:{port}");
        let host_field = if usual == Some(port) { host.to_owned() } else { name.clone() };
        let kind = TargetKind::Tcp(host.to_owned(), port);
        let shown = format!("{scheme}://{name}");
        Ok(TargetSpec { kind, shown, name, tls, host: host_field, http2, proxy_protocol })
    }

    /// The target, for one thread.
    pub fn target(&self) -> Target {
        Target::new(self.kind.clone(), self.name.clone(), self.tls.clone())
            .with_http2(self.http2)
            .with_proxy_protocol(self.proxy_protocol)
    }
}

fn upstream_tls(
    host: &str,
    verify: bool,
    http2: bool,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), Failure> {
    let trust = if verify { Trust::System } else { Trust::Anybody };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|error| Failure::new(error).about(host))?;
    let protocol = if http2 { crate::http2::ALPN } else { b"http/1.1" };
    Ok((client::config(trust, &[protocol])?, name))
}

fn malformed(text: &str) -> Failure {
    Failure::misuse("not a port, HOST:PORT, URL or unix:PATH").about(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_understood() {
        let parse = |text| {
            TargetSpec::parse(
                text,
                Manner { scheme: "http", verify: false, http2: false, proxy_protocol: None },
            )
        };
        let name = |text| parse(text).expect("a target").name;
        assert_eq!(name("3000"), "localhost:3000");
        assert_eq!(name("127.0.0.1:80"), "127.0.0.1:80");
        assert_eq!(name("http://a.test"), "a.test:80");
        assert_eq!(name("https://a.test/"), "a.test:443");
        assert_eq!(name("[::1]:8080"), "[::1]:8080");
        assert_eq!(name("unix:/run/x.sock"), "unix:/run/x.sock");
        for bad in ["", "0", "70000", "ftp://x", "a b:3", "host"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
