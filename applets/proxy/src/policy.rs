//! Who may come in, and how often: checked on the request's head, before anything is forwarded.

mod webhook;

pub use webhook::{Claim, Webhook};

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use box_kit::Failure;
use box_wire::http1::{FieldName, RequestHead};

use crate::http1::{Answer, Visitor};

/// Clients that a rate is kept for.
const MAX_CLIENTS: usize = 10_000;

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
        (prefix <= longest).then_some(Network { address, prefix })
    }

    /// Whether it holds `address`. IPv4 mapped into IPv6 counts as IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let differs = net.to_bits() ^ address.to_bits();
                differs.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let differs = net.to_bits() ^ address.to_bits();
                differs.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// So many requests in so much time, for each client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests that may come at once.
    burst: f64,
    /// Requests a second over time.
    per_second: f64,
}

impl Rate {
    /// `100/m`, `5/s`, `1000/h`.
    pub fn parse(text: &str) -> Option<Rate> {
        let (count, unit) = text.split_once('/')?;
        let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Some(Rate { burst: f64::from(count), per_second: f64::from(count) / seconds })
    }
}

/// What is asked of a request.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `user:password`, any of them.
    pub basic_auth: Vec<String>,
    /// Only these networks, if any is given.
    pub allow: Vec<Network>,
    /// Not these.
    pub deny: Vec<Network>,
    /// Not more often than this.
    pub rate: Option<Rate>,
    /// Signed by this provider.
    pub webhook: Option<Webhook>,
}

impl Rules {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.basic_auth.is_empty()
            && self.allow.is_empty()
            && self.deny.is_empty()
            && self.rate.is_none()
    }

    /// From what was written on the command line.
    ///
    /// # Errors
    /// One of the texts is not what it should be; it is named.
    pub fn parse(
        basic_auth: &[String],
        allow: &[String],
        deny: &[String],
        rate: Option<&str>,
    ) -> Result<Rules, Failure> {
        let network = |text: &String| {
            Network::parse(text)
                .ok_or_else(|| Failure::misuse("not an address or network").about(text))
        };
        if basic_auth.iter().any(|pair| !pair.contains(':')) {
            // The value is a secret: it is not repeated.
            return Err(Failure::misuse("not of the form USER:PASSWORD").about("--basic-auth"));
        }
        let rate = rate.map(|text| {
            Rate::parse(text).ok_or_else(|| Failure::misuse("not of the form 100/m").about(text))
        });
        Ok(Rules {
            basic_auth: basic_auth.to_vec(),
            allow: allow.iter().map(network).collect::<Result<_, _>>()?,
            deny: deny.iter().map(network).collect::<Result<_, _>>()?,
            rate: rate.transpose()?,
            webhook: None,
        })
    }
}

/// Fields of the form `Name: value`, with nothing in them that would start another field.
///
/// # Errors
/// One is not of the form; it is named.
pub fn fields(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |text: &String| {
        let (name, value) = text.split_once(':')?;
        let clean = !value.bytes().any(|b| b.is_ascii_control());
        (box_wire::http1::is_token(name.as_bytes()) && clean)
            .then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let each = |text: &String| {
        parse(text).ok_or_else(|| Failure::misuse("not of the form 'Name: value'").about(text))
    };
    texts.iter().map(each).collect()
}

/// Rules with what they remember. One a thread.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Rules,
    buckets: RefCell<HashMap<IpAddr, (f64, Instant)>>,
}

impl Policy {
    /// Of these rules.
    pub fn new(rules: Rules) -> Policy {
        Policy { rules, buckets: RefCell::default() }
    }

    /// The answer to a request that may not pass. `json`: errors are told in JSON.
    pub fn refuses(&self, head: &RequestHead<'_>, visitor: &Visitor, json: bool) -> Option<Answer> {
        let address = visitor.client.ip();
        let rules = &self.rules;
        let listed = |list: &[Network]| list.iter().any(|network| network.holds(address));
        if listed(&rules.deny) || (!rules.allow.is_empty() && !listed(&rules.allow)) {
            let reason = "this address may not connect";
            return Some(Answer::error(403, 401, reason, "", json));
        }
        if let Some(wait) = self.exceeds(address) {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            let reason = "too many requests from this address";
            let answer = Answer::error(429, 402, reason, "Wait a moment.", json);
            return Some(answer.field("Retry-After", &format!("{seconds}")));
        }
        if !rules.basic_auth.is_empty() && !self.authenticates(head) {
            let reason = "a user name and password are needed";
            let answer = Answer::error(401, 403, reason, "", json);
            return Some(answer.field("WWW-Authenticate", "Basic realm=\"box proxy\""));
        }
        None
    }

    /// What must hold of the body of a request that may pass so far; the answer to one that does not
    /// even claim to be signed.
    ///
    /// # Errors
    /// That answer.
    pub fn claim(&self, head: &RequestHead<'_>, json: bool) -> Result<Option<Rc<Claim>>, Answer> {
        let Some(webhook) = &self.rules.webhook else { return Ok(None) };
        let claim = webhook.claim(head).map(|claim| Some(Rc::new(claim)));
        claim.ok_or_else(|| unsigned(json))
    }

    /// A token bucket for each address: how long to wait, if there is no token.
    fn exceeds(&self, address: IpAddr) -> Option<Duration> {
        let rate = self.rules.rate?;
        let mut buckets = self.buckets.borrow_mut();
        let now = Instant::now();
        if buckets.len() >= MAX_CLIENTS {
            // Whoever has a full bucket again is as good as unknown.
            let full = |(tokens, at): &(f64, Instant)| {
                tokens + now.duration_since(*at).as_secs_f64() * rate.per_second >= rate.burst
            };
            buckets.retain(|_, bucket| !full(bucket));
            if buckets.len() >= MAX_CLIENTS {
                buckets.clear();
            }
        }
        let (tokens, at) = buckets.entry(address).or_insert((rate.burst, now));
        let earned = now.duration_since(*at).as_secs_f64() * rate.per_second;
        (*tokens, *at) = ((*tokens + earned).min(rate.burst), now);
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - *tokens) / rate.per_second))
    }

    /// Every pair is compared whole, whichever matches.
    fn authenticates(&self, head: &RequestHead<'_>) -> bool {
        let Some(value) = head.fields.first(FieldName::Authorization) else { return false };
        let Some((scheme, credentials)) = value.split_at_checked(6) else { return false };
        let given = STANDARD.decode(credentials.trim_ascii()).unwrap_or_default();
        let mut matches = false;
        for pair in &self.rules.basic_auth {
            matches |= same(pair.as_bytes(), &given);
        }
        matches && scheme.eq_ignore_ascii_case(b"basic ")
    }
}

/// The answer to a request that its provider has not signed, or not lately.
pub fn unsigned(json: bool) -> Answer {
    Answer::error(403, 404, "the signature of the webhook is missing, wrong or too old", "", json)
}

/// Takes as long for equal as for different bytes of one length.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differs = a.iter().zip(b).fold(a.len() ^ b.len(), |d, (a, b)| d | usize::from(a ^ b));
    differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_should() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).expect("a network").holds(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(holds("1.2.3.4", "1.2.3.4"));
        assert!(!holds("1.2.3.4", "1.2.3.5"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!holds("::/0", "1.2.3.4"));
        for bad in ["10.0.0.0/33", "x", "10.0.0/8", ""] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_refuses() {
        let rate = Rate::parse("5/m");
        let policy = Policy::new(Rules { rate, ..Rules::default() });
        let address: IpAddr = [1, 2, 3, 4].into();
        let passed = (0..20).filter(|_| policy.exceeds(address).is_none()).count();
        assert_eq!(passed, 5);
        let wait = policy.exceeds(address).expect("refused");
        assert!(wait > Duration::from_secs(11) && wait <= Duration::from_secs(12), "{wait:?}");
        assert!(policy.exceeds([1, 2, 3, 5].into()).is_none());
    }
}
