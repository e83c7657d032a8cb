//! One repository of a registry: its manifests and blobs, with the right proof of who we are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use box_kit::Failure;
use serde::Deserialize;

use super::auth::{self, Challenge, Credentials};
use super::http::{Body, Http, Response, Trouble, Url};
use super::tls;
use crate::image::Digest;
use crate::image::reference::Reference;

/// What is believed of the server.
#[derive(Clone, Debug)]
pub struct Trust {
    pub verify: bool,
    /// Its own authorities, where they are not in `certs.d`.
    pub folder: Option<PathBuf>,
}

/// The largest manifest, and the largest other answer.
const MANIFEST_MAX: u64 = 4 << 20;
const ANSWER_MAX: u64 = 1 << 20;
/// How often a request is made that might succeed the next time.
const TRIES: u32 = 5;
const REDIRECTS_MAX: u32 = 5;
/// The longest that a server may ask us to wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Manifests that are understood, in the order of preference.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A client of one repository.
pub struct Client {
    http: Http,
    server: Url,
    registry: String,
    path: String,
    actions: &'static str,
    credentials: Option<Credentials>,
    /// The value of `Authorization` that the server has taken.
    proof: Mutex<Option<String>>,
}

/// What a request sends.
#[derive(Clone, Copy)]
enum Content<'a> {
    None,
    Bytes(&'a [u8]),
    File(&'a Path, u64),
}

impl Client {
    /// Finds out how the registry of `reference` is spoken to.
    pub fn open(reference: &Reference, trust: &Trust, push: bool) -> Result<Client, Failure> {
        let credentials = auth::stored(&reference.registry)?;
        Client::with(reference, trust, push, credentials)
    }

    /// As [`Client::open`], as somebody in particular.
    pub fn with(
        reference: &Reference,
        trust: &Trust,
        push: bool,
        credentials: Option<Credentials>,
    ) -> Result<Client, Failure> {
        let registry = &reference.registry;
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry.as_str() };
        let bad = || Failure::new("is no address of a registry").about(registry);
        let secure = Url::parse(&format!("https://{host}/v2/")).ok_or_else(bad)?;
        let http = Http::new(tls::config(host, trust.folder.as_deref(), trust.verify)?);
        let mut client = Client {
            http,
            server: secure,
            registry: registry.clone(),
            path: reference.path.clone(),
            actions: if push { "pull,push" } else { "pull" },
            credentials,
            proof: Mutex::new(None),
        };
        let loose = !trust.verify || is_loopback(&client.server.host);
        match client.http.request("GET", &client.server, &[], Body::None) {
            Ok(_) => {}
            Err(Trouble::NotTls(_)) if loose => client.server.tls = false,
            Err(Trouble::Failed(error))
                if loose && error.kind() == std::io::ErrorKind::ConnectionRefused =>
            {
                // Without a port the two protocols have ports of their own.
                client.server =
                    Url::parse(&format!("http://{host}/v2/")).ok_or_else(|| Failure::new("url"))?;
            }
            Err(trouble) => return Err(trouble.about(&client.server)),
        }
        Ok(client)
    }

    fn url(&self, rest: &str) -> Url {
        Url { path: format!("/v2/{}/{rest}", self.path), ..self.server.clone() }
    }

    /// Asks whether the server takes who we are.
    pub fn ping(&self) -> Result<(), Failure> {
        let url = Url { path: "/v2/".into(), ..self.server.clone() };
        let response = self.send("GET", &url, &[], Content::None)?;
        if response.status == 200 { Ok(()) } else { Err(refusal(response, &self.registry)) }
    }

    /// A manifest by tag or digest: its bytes and type.
    pub fn manifest(&self, name: &str) -> Result<(Vec<u8>, String), Failure> {
        let url = self.url(&format!("manifests/{name}"));
        let mut response = self.send("GET", &url, &[("Accept", ACCEPTED)], Content::None)?;
        if response.status != 200 {
            return Err(refusal(response, &format!("{}/{}:{name}", self.registry, self.path)));
        }
        let kind = response.field("content-type").unwrap_or_default().to_owned();
        let bytes = response.bytes(MANIFEST_MAX).map_err(Failure::os(url.to_string()))?;
        if let Some(expected) = Digest::parse(name)
            && Digest::of(&bytes) != expected
        {
            let reason = format!("has digest {}", Digest::of(&bytes));
            return Err(Failure::new(reason).about(format!("manifest {expected}")));
        }
        Ok((bytes, kind))
    }

    /// The rest of a blob, from `from` on; whether that was granted is in the status (206).
    pub fn blob(&self, digest: &Digest, from: u64) -> Result<Response<'_>, Failure> {
        let url = self.url(&format!("blobs/{digest}"));
        let range = format!("bytes={from}-");
        let fields: &[(&str, &str)] = if from > 0 { &[("Range", &range)] } else { &[] };
        let response = self.send("GET", &url, fields, Content::None)?;
        match response.status {
            200 | 206 => Ok(response),
            _ => Err(refusal(response, &format!("blob {digest}"))),
        }
    }

    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        let url = self.url(&format!("blobs/{digest}"));
        Ok(self.send("HEAD", &url, &[], Content::None)?.status == 200)
    }

    /// Uploads a blob whole.
    pub fn upload(&self, digest: &Digest, file: &Path, size: u64) -> Result<(), Failure> {
        let url = self.url("blobs/uploads/");
        let response = self.send("POST", &url, &[], Content::None)?;
        let place = response.field("location").and_then(|place| url.join(place));
        let (202, Some(mut place)) = (response.status, place) else {
            return Err(refusal(response, &format!("blob {digest}")));
        };
        drop(response);
        let joint = if place.path.contains('?') { '&' } else { '?' };
        place.path.push_str(&format!("{joint}digest={digest}"));
        let fields = [("Content-Type", "application/octet-stream")];
        let response = self.send("PUT", &place, &fields, Content::File(file, size))?;
        if response.status == 201 {
            Ok(())
        } else {
            Err(refusal(response, &format!("blob {digest}")))
        }
    }

    pub fn put_manifest(&self, name: &str, bytes: &[u8], kind: &str) -> Result<(), Failure> {
        let url = self.url(&format!("manifests/{name}"));
        let response = self.send("PUT", &url, &[("Content-Type", kind)], Content::Bytes(bytes))?;
        if response.status == 201 {
            Ok(())
        } else {
            Err(refusal(response, &format!("manifest {name}")))
        }
    }

    /// A request that is made again when it may succeed the next time.
    fn send(
        &self,
        method: &str,
        url: &Url,
        fields: &[(&str, &str)],
        content: Content<'_>,
    ) -> Result<Response<'_>, Failure> {
        let mut pause = Duration::from_millis(200);
        for attempt in 1.. {
            let outcome = self.proven(method, url, fields, content);
            let wait = match &outcome {
                Ok(response) if matches!(response.status, 429 | 500 | 502 | 503 | 504) => {
                    let asked = response.field("retry-after").and_then(|text| text.parse().ok());
                    asked.map_or(pause, |seconds| Duration::from_secs(seconds).min(WAIT_MAX))
                }
                Err(Trouble::Failed(error)) if is_passing(error) => pause,
                _ => return outcome.map_err(|trouble| trouble.about(url)),
            };
            if attempt >= TRIES {
                return outcome.map_err(|trouble| trouble.about(url));
            }
            drop(outcome);
            std::thread::sleep(wait);
            pause *= 2;
        }
        Err(Failure::new("was not tried").about(url.to_string()))
    }

    /// A request with proof of who we are, which the server may ask for first.
    fn proven(
        &self,
        method: &str,
        url: &Url,
        fields: &[(&str, &str)],
        content: Content<'_>,
    ) -> Result<Response<'_>, Trouble> {
        let response = self.followed(method, url, fields, content)?;
        if response.status != 401 {
            return Ok(response);
        }
        let challenge = response.field("www-authenticate").and_then(Challenge::parse);
        drop(response);
        let proof = match challenge {
            Some(Challenge::Basic) => self.credentials.as_ref().map(Credentials::basic),
            Some(Challenge::Bearer { realm, service, scope }) => {
                self.token(&realm, service.as_deref(), scope.as_deref())?
            }
            None => None,
        };
        if let Ok(mut known) = self.proof.lock() {
            *known = proof;
        }
        self.followed(method, url, fields, content)
    }

    /// A token from the server that the registry trusts.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Option<String>, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let default = format!("repository:{}:{}", self.path, self.actions);
        let mut query = format!("scope={}", auth::escaped(scope.unwrap_or(&default)));
        if let Some(service) = service {
            query.push_str(&format!("&service={}", auth::escaped(service)));
        }
        let joint = if realm.contains('?') { '&' } else { '?' };
        let bad = || std::io::Error::other(format!("not an address to ask for a token: {realm:?}"));
        let url = Url::parse(&format!("{realm}{joint}{query}")).ok_or_else(bad)?;
        let basic = self.credentials.as_ref().map(Credentials::basic);
        // A password goes over TLS, or to where the registry itself is.
        let safe = url.tls || url.host == self.server.host;
        let proof = basic.as_deref().filter(|_| safe).map(|basic| ("Authorization", basic));
        let fields: Vec<_> = proof.into_iter().collect();
        let mut response = self.http.request("GET", &url, &fields, Body::None)?;
        if response.status != 200 {
            return Ok(None);
        }
        let answer: Answer = serde_json::from_slice(&response.bytes(ANSWER_MAX)?)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(answer.token.or(answer.access_token).map(|token| format!("Bearer {token}")))
    }

    /// A request, sent on where the server says. What proves who we are is for this registry alone.
    fn followed(
        &self,
        method: &str,
        url: &Url,
        fields: &[(&str, &str)],
        content: Content<'_>,
    ) -> Result<Response<'_>, Trouble> {
        let proof = self.proof.lock().map(|proof| proof.clone()).unwrap_or_default();
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut fields = fields.to_vec();
            if url.same_server(&self.server)
                && let Some(proof) = &proof
            {
                fields.push(("Authorization", proof));
            }
            let mut file;
            let body = match content {
                Content::None => Body::None,
                Content::Bytes(bytes) => Body::Bytes(bytes),
                Content::File(path, size) => {
                    file = File::open(path)?;
                    Body::Stream(&mut file, size)
                }
            };
            let response = self.http.request(method, &url, &fields, body)?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = response.field("location").and_then(|place| url.join(place));
            let next = next.filter(|next| next.tls || !url.tls);
            url = next.ok_or_else(|| std::io::Error::other("redirects to nowhere"))?;
        }
        Err(Trouble::Failed(std::io::Error::other("redirects too often")))
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the next attempt may fare better.
fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::TimedOut
            | Kind::WouldBlock
    )
}

/// The words for an answer that is none.
fn refusal(mut response: Response<'_>, about: &str) -> Failure {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let body = response.bytes(ANSWER_MAX).unwrap_or_default();
    let said = serde_json::from_slice::<Answer>(&body).ok().and_then(|answer| {
        let first = answer.errors.into_iter().next()?;
        let code = first.code.to_ascii_lowercase().replace('_', " ");
        Some(if first.message.is_empty() { code } else { format!("{code}: {}", first.message) })
    });
    let reason = match (response.status, said) {
        (401, said) => said.unwrap_or_else(|| "unauthorized".into()),
        (_, Some(said)) => said,
        (status, None) => format!("the registry answers with status {status}"),
    };
    let failure = Failure::new(reason).about(about);
    if matches!(response.status, 401 | 403) {
        return failure.advise("try: box container login REGISTRY");
    }
    failure
}
