//! Who we are to a registry: what `login` has written, credential helpers, and the challenges of
//! servers (RFC 7235; docker's token authentication).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use box_kit::Failure;
use serde::{Deserialize, Serialize};

/// A name and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    /// The value of `Authorization`.
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// `config.json` of docker, `auth.json` of podman: what is here of it, and the rest untouched.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    #[serde(default)]
    pub auths: BTreeMap<String, Entry>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    creds_store: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// What the file says of one registry.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    auth: String,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl Entry {
    pub fn of(credentials: &Credentials) -> Entry {
        let pair = format!("{}:{}", credentials.user, credentials.password);
        Entry { auth: BASE64.encode(pair), rest: BTreeMap::new() }
    }

    fn credentials(&self) -> Option<Credentials> {
        let pair = BASE64.decode(&self.auth).ok()?;
        let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some(Credentials { user: user.into(), password: password.trim_end_matches('\0').into() })
    }
}

/// The file that `login` writes.
pub fn own_file() -> PathBuf {
    if let Some(file) = std::env::var_os("REGISTRY_AUTH_FILE") {
        return file.into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()));
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    folder.unwrap_or_else(|| home().join(".docker")).join("config.json")
}

/// All files that are looked into.
fn files() -> Vec<PathBuf> {
    let mut files = vec![own_file()];
    if let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR") {
        files.push(PathBuf::from(folder).join("containers/auth.json"));
    }
    if let Some(home) = std::env::var_os("HOME") {
        files.push(PathBuf::from(home).join(".config/containers/auth.json"));
    }
    files
}

pub fn read(path: &PathBuf) -> Result<File, Failure> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        text => {
            let text = text.map_err(Failure::os(path.display()))?;
            serde_json::from_slice(&text).map_err(|error| Failure::new(error).about(path.display()))
        }
    }
}

/// The names under which a registry may be listed.
pub fn keys(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        return ["https://index.docker.io/v1/", "index.docker.io", "docker.io"]
            .map(str::to_owned)
            .into();
    }
    vec![registry.into(), format!("https://{registry}"), format!("http://{registry}")]
}

/// What is known for `registry`.
pub fn stored(registry: &str) -> Result<Option<Credentials>, Failure> {
    for path in files() {
        let file = read(&path)?;
        for key in keys(registry) {
            let helper = file.cred_helpers.get(&key).cloned();
            let helper =
                helper.or_else(|| (!file.creds_store.is_empty()).then(|| file.creds_store.clone()));
            if let Some(found) = helper.and_then(|helper| ask_helper(&helper, &key)) {
                return Ok(Some(found));
            }
            if let Some(found) = file.auths.get(&key).and_then(Entry::credentials) {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// `docker-credential-NAME get`: the server's name in, JSON out.
fn ask_helper(helper: &str, server: &str) -> Option<Credentials> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return None;
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(server.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let answer: Answer = serde_json::from_slice(&output.stdout).ok()?;
    Some(Credentials { user: answer.username, password: answer.secret })
}

/// What a server asks for in `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    pub fn parse(text: &str) -> Option<Challenge> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let realm = parameters.remove("realm")?;
        let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
        Some(Challenge::Bearer { realm, service, scope })
    }
}

/// `a="b",c=d`.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name, value.to_owned());
        rest = after;
    }
    found
}

/// A value of a query, with what is special in one written as `%XX`.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:,".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer { realm, service, scope }) = Challenge::parse(text) else {
            panic!("no challenge");
        };
        assert_eq!(realm, "https://auth.example/token");
        assert_eq!(service.as_deref(), Some("r.example"));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(Challenge::parse("basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
    }

    #[test]
    fn credentials_survive_the_file() {
        let credentials = Credentials { user: "u".into(), password: "p:ä".into() };
        let entry = Entry::of(&credentials);
        assert_eq!(entry.credentials(), Some(credentials));
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(escaped("repository:a/b:pull,push x&y"), "repository:a/b:pull,push%20x%26y");
    }
}
