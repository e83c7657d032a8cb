//! Image names: `busybox` is `docker.io/library/busybox:latest` (distribution/reference).

use std::fmt;

use box_kit::Failure;

use super::Digest;

/// A name, whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `docker.io`.
    pub registry: String,
    /// `library/busybox`.
    pub path: String,
    /// `latest`; empty where there is a digest instead.
    pub tag: String,
    /// The manifest, and no other.
    pub digest: Option<Digest>,
}

const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    /// Parses a name as people write it.
    pub fn parse(text: &str) -> Result<Reference, Failure> {
        let bad = || Failure::new("invalid reference format").about(format!("{text:?}"));
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest).ok_or_else(bad)?)),
            None => (text, None),
        };
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (named, "latest"),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, path.to_owned())
            }
            Some(_) => (DEFAULT_REGISTRY, name.to_owned()),
            None => (DEFAULT_REGISTRY, format!("library/{name}")),
        };
        let fine = path.split('/').all(is_component) && is_tag(tag) && is_host(registry);
        if !fine || path.len() > 255 {
            return Err(bad());
        }
        let tag = if digest.is_some() { String::new() } else { tag.to_owned() };
        Ok(Reference { registry: registry.into(), path, tag, digest })
    }

    /// The repository as people are shown it: without what is the default.
    pub fn familiar(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.path);
        }
        self.path.strip_prefix("library/").unwrap_or(&self.path).to_owned()
    }

    /// The repository as people are shown it, with tag or digest.
    pub fn shown(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.familiar()),
            None => format!("{}:{}", self.familiar(), self.tag),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}/{}@{digest}", self.registry, self.path),
            None => write!(f, "{}/{}:{}", self.registry, self.path, self.tag),
        }
    }
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    let mut any = false;
    for byte in text.bytes() {
        if alphanumeric(byte) {
            let joined = separator.is_empty()
                || (any
                    && ([".", "_", "__"].contains(&separator.as_str())
                        || separator.bytes().all(|b| b == b'-')));
            if !joined {
                return false;
            }
            separator.clear();
            any = true;
        } else if b"._-".contains(&byte) {
            separator.push(byte.into());
        } else {
            return false;
        }
    }
    any && separator.is_empty()
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = text.bytes();
    text.len() <= 128
        && bytes.next().is_some_and(word)
        && bytes.all(|byte| word(byte) || b".-".contains(&byte))
}

fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_made_whole() {
        let whole = |text| Reference::parse(text).unwrap().to_string();
        assert_eq!(whole("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(whole("me/app:1.0"), "docker.io/me/app:1.0");
        assert_eq!(whole("localhost:5000/a/b"), "localhost:5000/a/b:latest");
        assert_eq!(Reference::parse("docker.io/library/x:1").unwrap().familiar(), "x");
    }

    #[test]
    fn a_digest_stands_in_for_a_tag() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let name = Reference::parse(&format!("h.example/x:1@{digest}")).unwrap();
        assert_eq!(name.to_string(), format!("h.example/x@{digest}"));
        assert!(Reference::parse("x@sha256:12").is_err());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for text in ["", "A", "a/", "/a", "a:", "a:b:c", "a..b", "-a", "a_", "a b", "a/../b", "x@y"]
        {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
