//! Routes of one thread: which request goes to which server.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use box_wire::http1::{FieldName, RequestHead, authority};
use tokio::sync::watch;

use super::balance::hash;
use super::{Group, Model};
use crate::config::{Balance, HashKey};
use crate::http1::{
    Alternatives, Answer, Edits, Forward, Forwarding, Record, Route, Site, Target, Visitor,
};
use crate::policy::Policy;
use crate::tls::server::covers;
use crate::ui::Event;

/// A model as one thread uses it.
pub struct Local {
    pub(super) model: Arc<Model>,
    /// The host and path of each route, the best fit first.
    routes: Vec<LocalRoute>,
}

struct LocalRoute {
    host: Option<String>,
    path: String,
    /// For visitors, and for proxies that are trusted.
    edits: [Rc<Edits>; 2],
    policy: Option<Policy>,
    servers: Rc<Servers>,
}

/// The connections of this thread to the servers of a group.
struct Servers {
    group: Arc<Group>,
    targets: Vec<Rc<Target>>,
}

impl Local {
    /// Of a model, without connections yet.
    pub fn new(model: Arc<Model>) -> Local {
        let servers: Vec<Rc<Servers>> = model
            .config
            .upstreams
            .iter()
            .zip(&model.groups)
            .map(|(upstream, group)| {
                let targets = upstream.servers.iter().map(|s| Rc::new(s.target.target())).collect();
                Rc::new(Servers { group: group.clone(), targets })
            })
            .collect();
        let mut routes: Vec<LocalRoute> = model
            .config
            .routes
            .iter()
            .filter_map(|route| {
                let append = Edits { forwarding: Forwarding::Append, ..route.edits.clone() };
                Some(LocalRoute {
                    host: route.host.clone(),
                    path: route.path.clone(),
                    edits: [Rc::new(route.edits.clone()), Rc::new(append)],
                    policy: (!route.rules.is_empty()).then(|| Policy::new(route.rules.clone())),
                    servers: servers.get(route.upstream)?.clone(),
                })
            })
            .collect();
        // A host before a wildcard before none; a longer path before a shorter one.
        routes.sort_by_key(|route| {
            let host = match &route.host {
                Some(host) if host.starts_with("*.") => 1,
                Some(_) => 0,
                None => 2,
            };
            (host, std::cmp::Reverse(route.path.len()))
        });
        Local { model, routes }
    }

    fn find(&self, host: &[u8], target: &[u8]) -> Option<&LocalRoute> {
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut name = None;
        self.routes.iter().find(|route| {
            let host_fits = route.host.as_deref().is_none_or(|wanted| {
                let name = name.get_or_insert_with(|| authority(host).map_or("", |(name, _)| name));
                covers(wanted, name)
            });
            host_fits && is_below(path, route.path.as_bytes())
        })
    }
}

/// Whether a path is `prefix` or goes on from it behind a slash.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    // `/` holds everything, also `*` and the empty path of an absolute target.
    prefix == b"/"
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || prefix.ends_with(b"/") || rest.starts_with(b"/"))
}

impl Servers {
    fn forward(self: &Rc<Servers>, index: usize, edits: Rc<Edits>) -> Forward {
        let several = self.targets.len() > 1;
        Forward {
            target: self.targets.get(index).cloned(),
            upstream: None,
            edits,
            capture: None,
            claim: None,
            group: several.then(|| self.clone() as Rc<dyn Alternatives>),
            lease: several.then(|| Rc::new(self.group.lease(index)) as Rc<dyn std::any::Any>),
        }
    }
}

impl Alternatives for Servers {
    fn instead_of(&self, failed: &Forward) -> Option<(Rc<Target>, Rc<dyn std::any::Any>)> {
        let same =
            |target: &Rc<Target>| failed.target.as_ref().is_some_and(|f| Rc::ptr_eq(f, target));
        self.group.failed(self.targets.iter().position(same)?);
        let index = self.group.choose(|| 0);
        let target = self.targets.get(index).filter(|target| !same(target))?;
        Some((target.clone(), Rc::new(self.group.lease(index))))
    }
}

/// The site of one listener on one thread.
pub struct RunSite {
    /// What holds now; a reload changes it.
    pub current: Rc<RefCell<Rc<Local>>>,
    /// Requests come from a proxy that is trusted.
    pub trusted: bool,
    /// Turns true at the end.
    pub draining: watch::Receiver<bool>,
}

impl Site for RunSite {
    fn route(&self, head: &RequestHead<'_>, visitor: &Visitor) -> Route {
        let local = self.current.borrow();
        let Some(route) = local.find(head.host.unwrap_or_default(), head.origin_target().1) else {
            return Route::Answer(Answer::error(404, 209, "there is no route for this", "", false));
        };
        if let Some(policy) = &route.policy
            && let Some(answer) = policy.refuses(head, visitor, false)
        {
            return Route::Answer(answer);
        }
        let servers = &route.servers;
        let index = match servers.group.len() {
            1 => 0,
            _ => servers.group.choose(|| key(servers.group.policy(), head, visitor)),
        };
        Route::Forward(servers.forward(index, route.edits[usize::from(self.trusted)].clone()))
    }

    fn finished(&self, record: &Record) {
        let local = self.current.borrow();
        local.model.events.send(Event::Request(record.clone()));
    }

    fn draining(&self) -> Option<watch::Receiver<bool>> {
        Some(self.draining.clone())
    }

    fn wants_records(&self) -> bool {
        self.current.borrow().model.config.access_log
    }
}

/// What a request is known by.
fn key(policy: &Balance, head: &RequestHead<'_>, visitor: &Visitor) -> u64 {
    match policy {
        Balance::Hash(HashKey::Uri) => hash(head.target),
        Balance::Hash(HashKey::Header(name)) => {
            let known = FieldName::of(name.as_bytes());
            let value = if known == FieldName::Host { head.host } else { head.fields.named(name) };
            hash(&value)
        }
        _ => hash(&visitor.client.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_slashes() {
        assert!(
            is_below(b"/api", b"/api") && is_below(b"/api/x", b"/api") && is_below(b"/x", b"/")
        );
        assert!(!is_below(b"/apix", b"/api") && !is_below(b"/ap", b"/api"));
        assert!(is_below(b"/api/x", b"/api/") && !is_below(b"/api", b"/api/"));
    }
}
