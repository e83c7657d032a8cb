//! Whether a webhook comes from whom it says: the provider signs the body with a shared secret.
//!
//! ```text
//! github  X-Hub-Signature-256: sha256=HEX(HMAC(body))
//! stripe  Stripe-Signature: t=TIME,v1=HEX(HMAC(TIME "." body))
//! slack   X-Slack-Signature: v0=HEX(HMAC("v0:" TIME ":" body)), X-Slack-Request-Timestamp: TIME
//! ```
//! A signed time that is more than five minutes off is refused: it may be an old request, sent again.

use std::time::{SystemTime, UNIX_EPOCH};

use box_wire::http1::RequestHead;
use ring::hmac;

/// How far a signed time may be off, as the providers' own libraries have it.
const TOLERANCE_SECONDS: u64 = 300;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// GitHub.
    GitHub,
    /// Stripe.
    Stripe,
    /// Slack.
    Slack,
}

/// A provider and the secret that it shares with us.
#[derive(Clone)]
pub struct Webhook {
    provider: Provider,
    key: hmac::Key,
}

impl std::fmt::Debug for Webhook {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({:?})", self.provider)
    }
}

/// What a request's head says about its body.
#[derive(Debug)]
pub struct Claim {
    webhook: Webhook,
    /// What is signed in front of the body.
    prefix: Vec<u8>,
    /// Any of them will do: secrets are changed with two at a time.
    signatures: Vec<Vec<u8>>,
}

impl Webhook {
    /// Of a provider by its name.
    pub fn new(provider: &str, secret: &str) -> Option<Webhook> {
        let provider = match provider {
            "github" => Provider::GitHub,
            "stripe" => Provider::Stripe,
            "slack" => Provider::Slack,
            _ => return None,
        };
        Some(Webhook { provider, key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) })
    }

    /// What a head claims; `None` when it claims nothing, or something too old.
    pub fn claim(&self, head: &RequestHead<'_>) -> Option<Claim> {
        let text = |name| head.fields.named(name).and_then(|value| std::str::from_utf8(value).ok());
        let (prefix, signatures) = match self.provider {
            Provider::GitHub => {
                let signature = text("X-Hub-Signature-256")?.strip_prefix("sha256=")?;
                (String::new(), vec![hexadecimal(signature)?])
            }
            Provider::Slack => {
                let time = fresh(text("X-Slack-Request-Timestamp")?)?;
                let signature = text("X-Slack-Signature")?.strip_prefix("v0=")?;
                (format!("v0:{time}:"), vec![hexadecimal(signature)?])
            }
            Provider::Stripe => {
                let parts =
                    || text("Stripe-Signature").into_iter().flat_map(|text| text.split(','));
                let time = fresh(parts().find_map(|part| part.trim().strip_prefix("t="))?)?;
                let signatures = parts().filter_map(|part| part.trim().strip_prefix("v1="));
                (format!("{time}."), signatures.filter_map(hexadecimal).collect())
            }
        };
        Some(Claim { webhook: self.clone(), prefix: prefix.into_bytes(), signatures })
    }
}

impl Claim {
    /// Whether a signature is that of the body. Compared in constant time.
    pub fn holds(&self, body: &[u8]) -> bool {
        let signed = [&self.prefix, body].concat();
        self.signatures
            .iter()
            .any(|signature| hmac::verify(&self.webhook.key, &signed, signature).is_ok())
    }
}

/// The time, if it is close to ours.
fn fresh(time: &str) -> Option<&str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let at: u64 = time.parse().ok()?;
    (at.abs_diff(now) <= TOLERANCE_SECONDS).then_some(time)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pair = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(pair).collect())?
}
