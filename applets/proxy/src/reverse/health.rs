//! Health checks: each server of a group is asked in turn, whether it gets requests or not.

use std::sync::Arc;
use std::time::Duration;

use box_wire::http1::{HeadParser, Progress};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Group, Model};
use crate::http1::{Target, Visitor};
use crate::ui::{Event, Events};

/// A check must be over by then, however rare they are.
const LONGEST_CHECK: Duration = Duration::from_secs(5);

/// Starts the checks of a model on this thread. They end when the set is dropped.
pub fn look_after(model: &Arc<Model>) -> tokio::task::JoinSet<()> {
    let mut checks = tokio::task::JoinSet::new();
    for (upstream, group) in model.config.upstreams.iter().zip(&model.groups) {
        let Some(health) = &upstream.health else { continue };
        for (index, server) in upstream.servers.iter().enumerate() {
            let path = health.path.clone();
            let (group, events) = (group.clone(), model.events.clone());
            checks.spawn_local(check(
                server.target.target(),
                group,
                index,
                path,
                health.interval,
                events,
            ));
        }
    }
    checks
}

async fn check(
    target: Target,
    group: Arc<Group>,
    index: usize,
    path: Option<String>,
    every: Duration,
    events: Events,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timeout(every.min(LONGEST_CHECK), ask(&target, path.as_deref())).await;
        let is_well = answer == Ok(true);
        if group.checked(index, is_well) {
            let state = if is_well { "up" } else { "down" };
            events.send(Event::Notice(format!("{} is {state}", target.name)));
        }
    }
}

/// Whether it takes a connection and, given a path, answers it with success or a redirect.
async fn ask(target: &Target, path: Option<&str>) -> bool {
    let Ok((mut conn, _)) = target.open(&Visitor::nobody(), true).await else { return false };
    let Some(path) = path else { return true };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: box-proxy-health\r\nConnection: close\r\n\r\n",
        target.name
    );
    conn.output.extend_from_slice(request.as_bytes());
    if conn.flush().await.is_err() {
        return false;
    }
    let mut parser = HeadParser::default();
    loop {
        match parser.advance(conn.input.data()) {
            Ok(Progress::Complete(_)) => {
                let status = parser.response(conn.input.data()).map(|head| head.status);
                return matches!(status, Ok(200..400));
            }
            Ok(Progress::Partial) => {}
            Err(_) => return false,
        }
        if !conn.fill().await.is_ok_and(|count| count > 0) {
            return false;
        }
    }
}
