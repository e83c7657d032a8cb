//! A client connection: one request after the other.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use box_wire::http1::{
    ChunkDecoder, ChunkStep, FieldName, Framing, HeadParser, Progress, Reject, Target, chunk_head,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::answer::Answer;
use super::emit::{self, may_upgrade_to};
use super::exchange::{Done, Exchange, Plan, Trouble};
use super::site::{Failed, Forward, Handler, Record, Route, Site, Visitor};
use crate::io::{Conn, Stream, relay};
use crate::policy::unsigned;

/// A head must be whole this long after its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection may be idle this long between requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// After an answer to an unread request, the rest is read and dropped for this long, so that the
/// client can read the answer instead of a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;
/// So many further targets of a group are tried when one fails.
const OTHER_TARGETS: usize = 3;
/// The largest body of a request that we answer ourselves.
const OWN_BODY_BYTES: usize = 16 << 20;

/// Whose connections the engine serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A connection of its own: many requests.
    Edge,
    /// A stream of a lane or of HTTP/2: one request each.
    Stream,
}

/// How serving a connection ended.
pub enum Ended {
    /// It is closed.
    Closed,
    /// Its next request belongs to another thread; nothing of it has been consumed.
    Elsewhere(Conn, usize),
}

/// Serves a client connection to its end.
pub async fn serve(client: Conn, visitor: Visitor, site: Rc<dyn Site>, role: Role) -> Ended {
    let mut session = Session::new(client, visitor, site, role);
    loop {
        match session.request().await {
            Next::Again => {}
            Next::Close => {
                let _ = timeout(LINGER, session.client.finish()).await;
                return Ended::Closed;
            }
            Next::Linger => {
                session.linger().await;
                return Ended::Closed;
            }
            Next::Abort => {
                session.client.stream.abort();
                return Ended::Closed;
            }
            Next::Relay(upstream) => {
                let started = session.started;
                let (carried, result) = relay(session.client, *upstream).await;
                session.record.received += carried.forth;
                session.record.sent += carried.back;
                session.record.error = result.err().map(|error| error.to_string());
                session.record.total = started.elapsed();
                session.site.finished(&session.record);
                return Ended::Closed;
            }
            Next::Elsewhere(core) => return Ended::Elsewhere(session.client, core),
        }
    }
}

enum Next {
    Again,
    Close,
    Linger,
    Abort,
    Relay(Box<Conn>),
    Elsewhere(usize),
}

struct Session {
    client: Conn,
    visitor: Visitor,
    site: Rc<dyn Site>,
    role: Role,
    parser: HeadParser,
    response_parser: HeadParser,
    /// The request head for the upstream, kept for a second attempt.
    outgoing: Vec<u8>,
    record: Record,
    recorded: bool,
    started: Instant,
    first: bool,
    draining: Option<watch::Receiver<bool>>,
}

/// Goes on with another target of the group, if there is one; nothing has come of the request yet.
fn take_another(forward: &mut Forward, left: &mut usize) -> bool {
    let other = forward.group.as_ref().filter(|_| *left > 0);
    let Some((target, lease)) = other.and_then(|group| group.instead_of(forward)) else {
        return false;
    };
    *left -= 1;
    (forward.target, forward.lease) = (Some(target), Some(lease));
    true
}

/// Never ends while nothing drains.
pub async fn drained(draining: &mut Option<watch::Receiver<bool>>) {
    match draining {
        Some(draining) => drop(draining.wait_for(|is_draining| *is_draining).await),
        None => std::future::pending().await,
    }
}

impl Session {
    fn new(client: Conn, visitor: Visitor, site: Rc<dyn Site>, role: Role) -> Session {
        let started = Instant::now();
        let record = Record {
            client: visitor.client,
            method: String::new(),
            target: String::new(),
            host: String::new(),
            status: 0,
            error: None,
            received: 0,
            sent: 0,
            started,
            first_byte: Duration::ZERO,
            total: Duration::ZERO,
        };
        Session {
            client,
            visitor,
            recorded: site.wants_records(),
            draining: site.draining(),
            site,
            role,
            parser: HeadParser::default(),
            response_parser: HeadParser::default(),
            outgoing: Vec::new(),
            record,
            started,
            first: true,
        }
    }

    async fn request(&mut self) -> Next {
        let length = match self.head().await {
            Head::Complete(length) => length,
            Head::Gone => return Next::Close,
            Head::TooSlow => {
                self.started = Instant::now();
                let answer =
                    Answer::error(408, 301, "the request head did not arrive in time", "", false);
                return self.answer(answer.closing(), false, false).await;
            }
            Head::Rejected(reject) => {
                self.started = Instant::now();
                return self.reject(reject, false).await;
            }
        };
        self.started = Instant::now();
        let (forward, plan) = match self.plan(length) {
            Ok(planned) => planned,
            Err(Unplanned::Rejected(reject)) => return self.reject(reject, false).await,
            Err(Unplanned::Elsewhere(core)) => return Next::Elsewhere(core),
            Err(Unplanned::Read(handler, plan)) => {
                self.client.input.consume(length);
                self.parser.reset();
                return self.handle(handler, plan).await;
            }
            Err(Unplanned::Answer(answer, to_head, keep)) => {
                self.client.input.consume(length);
                self.parser.reset();
                return self
                    .answer(if keep { answer } else { answer.closing() }, to_head, !keep)
                    .await;
            }
        };
        self.client.input.consume(length);
        self.parser.reset();
        match self.prove(&forward, plan).await {
            Ok(plan) => self.forward(forward, plan).await,
            Err(next) => next,
        }
    }

    /// Reads the body of a request that claims something about it, and puts it behind the head for
    /// the upstream if that is true.
    async fn prove(&mut self, forward: &Forward, plan: Plan) -> Result<Plan, Next> {
        let Some(claim) = &forward.claim else { return Ok(plan) };
        if plan.expects && self.client.input.is_empty() {
            self.client.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.client.flush().await.map_err(|_| Next::Abort)?;
        }
        let read = timeout(IDLE_TIMEOUT, collect(&mut self.client, plan.framing)).await;
        let body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(Some(reject))) => return Err(self.reject(reject, plan.json).await),
            Ok(Err(None)) => {
                let answer = Answer::error(413, 303, "the body is too large", "", plan.json);
                return Err(self.answer(answer.closing(), plan.to_head, true).await);
            }
            Err(_) => return Err(Next::Abort),
        };
        self.record.received = body.len() as u64;
        if let Some(capture) = &forward.capture {
            capture.borrow_mut().request_body(&body);
        }
        if !claim.holds(&body) {
            let answer = unsigned(plan.json);
            let answer = if plan.keep_alive { answer } else { answer.closing() };
            let next = self.answer(answer, plan.to_head, false).await;
            self.capture_end(forward);
            return Err(next);
        }
        if plan.framing == Framing::Chunked {
            if !body.is_empty() {
                chunk_head(&mut self.outgoing, body.len());
                self.outgoing.extend_from_slice(&body);
                self.outgoing.extend_from_slice(b"\r\n");
            }
            self.outgoing.extend_from_slice(b"0\r\n\r\n");
        } else {
            self.outgoing.extend_from_slice(&body);
        }
        Ok(Plan { framing: Framing::None, ..plan })
    }

    /// Waits for a whole head.
    async fn head(&mut self) -> Head {
        let wait = if self.first { HEAD_TIMEOUT } else { IDLE_TIMEOUT };
        self.first = false;
        if self.client.input.is_empty() {
            tokio::select! {
                biased;
                read = timeout(wait, self.client.fill()) => match read {
                    Ok(Ok(1..)) => {}
                    _ => return Head::Gone,
                },
                () = drained(&mut self.draining) => return Head::Gone,
            }
        }
        match self.advance() {
            Some(head) => head,
            None => timeout(HEAD_TIMEOUT, self.rest_of_head()).await.unwrap_or(Head::TooSlow),
        }
    }

    async fn rest_of_head(&mut self) -> Head {
        loop {
            match self.client.fill().await {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return Head::Rejected(Reject::HeadTooLarge);
                }
                _ => return Head::Gone,
            }
            if let Some(head) = self.advance() {
                return head;
            }
        }
    }

    fn advance(&mut self) -> Option<Head> {
        match self.parser.advance(self.client.input.data()) {
            Ok(Progress::Complete(length)) => Some(Head::Complete(length)),
            Ok(Progress::Partial) => None,
            Err(reject) => Some(Head::Rejected(reject)),
        }
    }

    /// Everything that needs the head in the buffer: checks it, routes it, writes the outgoing one.
    fn plan(&mut self, length: usize) -> Result<(Forward, Plan), Unplanned> {
        let raw = &self.client.input.data()[..length];
        let head = self.parser.request(raw).map_err(Unplanned::Rejected)?;
        note(&mut self.record, &head, self.started, self.recorded);
        let wanted = head.upgrade().filter(|protocol| may_upgrade_to(protocol));
        if wanted.is_some() && !head.framing.is_empty() {
            return Err(Unplanned::Rejected(Reject::UpgradeWithBody));
        }
        let plan = Plan {
            to_head: head.method == b"HEAD",
            repeatable: head.framing.is_empty()
                && [&b"GET"[..], b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"]
                    .contains(&head.method),
            framing: head.framing,
            version: head.version,
            keep_alive: head.keep_alive()
                && self.role == Role::Edge
                && !self.draining.as_ref().is_some_and(|draining| *draining.borrow()),
            upgrade: wanted.is_some(),
            json: wants_json(head.fields.first(FieldName::Accept)),
            expects: head.fields.first(FieldName::Expect).is_some(),
            single: self.role == Role::Stream,
        };
        let keep = plan.keep_alive && plan.framing.is_empty();
        if matches!(head.form, Target::Authority(_)) {
            let answer = Answer::error(405, 302, "CONNECT is not served here", "", plan.json);
            return Err(Unplanned::Answer(answer, false, false));
        }
        match self.site.route(&head, &self.visitor) {
            Route::Elsewhere(core) => Err(Unplanned::Elsewhere(core)),
            Route::Answer(answer) => Err(Unplanned::Answer(answer, plan.to_head, keep)),
            Route::Read(handler) => Err(Unplanned::Read(handler, plan)),
            Route::Forward(forward) => {
                if let Some(capture) = &forward.capture {
                    capture.borrow_mut().request(&head, raw, &self.visitor);
                }
                self.outgoing.clear();
                emit::request(&mut self.outgoing, &head, &self.visitor, &forward.edits, wanted);
                Ok((forward, plan))
            }
        }
    }

    /// Reads the whole body, lets the handler answer.
    async fn handle(&mut self, handler: Handler, plan: Plan) -> Next {
        let read = timeout(IDLE_TIMEOUT, collect(&mut self.client, plan.framing)).await;
        let (answer, unread) = match read {
            Ok(Ok(body)) => {
                let answer = handler(body).await;
                (if plan.keep_alive { answer } else { answer.closing() }, false)
            }
            Ok(Err(Some(reject))) => return self.reject(reject, plan.json).await,
            Ok(Err(None)) => {
                let reason = "the body is too large";
                (Answer::error(413, 303, reason, "", plan.json).closing(), true)
            }
            Err(_) => return Next::Abort,
        };
        self.answer(answer, plan.to_head, unread).await
    }

    async fn forward(&mut self, mut forward: Forward, plan: Plan) -> Next {
        let mut fresh = false;
        let mut others = OTHER_TARGETS;
        loop {
            let (mut upstream, reused) = match self.upstream(&forward, fresh).await {
                Ok(opened) => opened,
                Err(_) if take_another(&mut forward, &mut others) => continue,
                Err(failed) => return self.failed(&failed, plan, &forward).await,
            };
            upstream.output.extend_from_slice(&self.outgoing);
            let exchange =
                Exchange::new(&mut self.client, &mut upstream, plan, &forward, self.started);
            self.response_parser.reset();
            let done = exchange.run(&mut self.response_parser, &mut self.record).await;
            match done {
                // RFC 9112 section 9.3.1: an idle connection may be closed at any time.
                Err(Trouble::NoAnswer(_)) if reused && !fresh && plan.repeatable => fresh = true,
                Err(Trouble::NoAnswer(_))
                    if plan.repeatable && take_another(&mut forward, &mut others) =>
                {
                    fresh = false;
                }
                Ok(Done::Switched) => {
                    self.capture_end(&forward);
                    return Next::Relay(Box::new(upstream));
                }
                Ok(Done::Answered { keep_client, keep_upstream }) => {
                    if let (true, Some(target)) = (keep_upstream, &forward.target) {
                        target.keep(upstream);
                    }
                    self.finish(None, &forward);
                    return match (keep_client, plan.framing.is_empty()) {
                        (true, _) => Next::Again,
                        (false, false) if self.role == Role::Edge => Next::Linger,
                        (false, _) => Next::Close,
                    };
                }
                Err(trouble) => {
                    upstream.stream.abort();
                    return self.trouble(trouble, plan, &forward).await;
                }
            }
        }
    }

    async fn upstream(&self, forward: &Forward, fresh: bool) -> Result<(Conn, bool), Failed> {
        if let Some(target) = &forward.target {
            return target.open(&self.visitor, fresh).await;
        }
        match &forward.upstream {
            Some(upstream) => {
                upstream.open(&self.visitor, &self.record.host).await.map(|conn| (conn, false))
            }
            None => Err(Failed {
                status: 503,
                code: 205,
                reason: "no upstream is configured".to_owned(),
                advice: String::new(),
            }),
        }
    }

    async fn trouble(&mut self, trouble: Trouble, plan: Plan, forward: &Forward) -> Next {
        let name = forward.target.as_ref().map_or("the agent", |target| &target.name).to_owned();
        match trouble {
            Trouble::ClientGone => {
                self.finish(Some("the client went away".to_owned()), forward);
                Next::Abort
            }
            Trouble::Cut(why) => {
                self.finish(Some(format!("the answer was cut: {why}")), forward);
                Next::Abort
            }
            Trouble::ClientIdle => {
                let reason = "the request's body did not arrive in time";
                let answer = Answer::error(408, 304, reason, "", plan.json);
                self.capture_end(forward);
                self.answer(answer.closing(), plan.to_head, true).await
            }
            Trouble::UpstreamIdle => {
                let failed = Failed {
                    status: 504,
                    code: 208,
                    reason: format!("no answer from {name} in time"),
                    advice: format!("{name} took the request and does not answer."),
                };
                self.failed(&failed, plan, forward).await
            }
            Trouble::BadRequest(reject) => {
                self.capture_end(forward);
                self.reject(reject, plan.json).await
            }
            Trouble::NoAnswer(why) => {
                let failed = Failed {
                    status: 502,
                    code: 206,
                    reason: format!("no answer from {name} ({why})"),
                    advice: format!("{name} took the request and closed the connection."),
                };
                self.failed(&failed, plan, forward).await
            }
            Trouble::BadAnswer(why) => {
                let failed = Failed {
                    status: 502,
                    code: 207,
                    reason: format!("no valid answer from {name} ({why})"),
                    advice: format!("{name} does not keep to HTTP/1.1."),
                };
                self.failed(&failed, plan, forward).await
            }
        }
    }

    async fn failed(&mut self, failed: &Failed, plan: Plan, forward: &Forward) -> Next {
        let keep = plan.keep_alive && plan.framing.is_empty();
        let answer = Answer::failed(failed, plan.json);
        let answer = if keep { answer } else { answer.closing() };
        // What was queued of an interim answer is not taken back; a final one was not begun.
        self.record.status = answer.status;
        if let Some(capture) = &forward.capture {
            capture.borrow_mut().response_body(&answer.body);
        }
        let next = self.answer(answer, plan.to_head, !plan.framing.is_empty()).await;
        self.capture_end(forward);
        next
    }

    async fn reject(&mut self, reject: Reject, json: bool) -> Next {
        let answer = Answer::error(reject.status(), 300, reject.reason(), "", json);
        self.answer(answer.closing(), false, true).await
    }

    /// Answers by ourselves. `unread`: a part of the request is still to come.
    async fn answer(&mut self, answer: Answer, to_head: bool, unread: bool) -> Next {
        let close = answer.close || self.role == Role::Stream;
        answer.write(&mut self.client.output, to_head, close);
        self.record.status = answer.status;
        self.record.error.clone_from(&answer.note);
        self.record.sent = if to_head { 0 } else { answer.body.len() as u64 };
        self.record.total = self.started.elapsed();
        let flushed = self.client.flush().await;
        if self.recorded {
            self.site.finished(&self.record);
        }
        match flushed {
            Err(_) => Next::Close,
            Ok(()) if close && (unread || !self.client.input.is_empty()) => Next::Linger,
            Ok(()) if close => Next::Close,
            Ok(()) => Next::Again,
        }
    }

    fn finish(&mut self, error: Option<String>, forward: &Forward) {
        self.record.error = error;
        self.record.total = self.started.elapsed();
        self.capture_end(forward);
        if self.recorded {
            self.site.finished(&self.record);
        }
    }

    fn capture_end(&mut self, forward: &Forward) {
        self.record.total = self.started.elapsed();
        if let Some(capture) = &forward.capture {
            capture.borrow_mut().finished(&self.record);
        }
    }

    /// Ends our direction and drops what still comes, so that the answer is read and not reset.
    async fn linger(&mut self) {
        let drained = async {
            self.client.finish().await?;
            let mut dropped = 0;
            while dropped < LINGER_BYTES {
                let waiting = self.client.input.data().len();
                self.client.input.consume(waiting);
                match self.client.fill().await? {
                    0 => break,
                    count => dropped += count,
                }
            }
            io::Result::Ok(())
        };
        let _ = timeout(LINGER, drained).await;
        if let Stream::Mux(stream) = &mut self.client.stream {
            stream.reset();
        }
    }
}

/// A whole body of a request to ourselves; `None`: too large, or cut.
async fn collect(client: &mut Conn, framing: Framing) -> Result<Vec<u8>, Option<Reject>> {
    let mut body = Vec::new();
    let mut decoder = ChunkDecoder::default();
    loop {
        let data = client.input.data();
        let (step, count) = match framing {
            Framing::None | Framing::Close => return Ok(body),
            Framing::Length(length) => {
                let left = usize::try_from(length).map_err(|_| None)?.saturating_sub(body.len());
                match data.len().min(left) {
                    _ if left == 0 => return Ok(body),
                    0 => (ChunkStep::Partial, 0),
                    here => (ChunkStep::Data(here), here),
                }
            }
            Framing::Chunked => match decoder.step(data).map_err(Some)? {
                ChunkStep::Data(here) => {
                    decoder.took(here);
                    (ChunkStep::Data(here), here)
                }
                ChunkStep::Framing(n) => (ChunkStep::Framing(n), n),
                ChunkStep::Trailer { len, .. } => (ChunkStep::Framing(len), len),
                ChunkStep::End(n) => (ChunkStep::End(n), n),
                ChunkStep::Partial => (ChunkStep::Partial, 0),
            },
        };
        match step {
            ChunkStep::Data(here) => body.extend_from_slice(&data[..here]),
            ChunkStep::Partial if client.fill().await.map_err(|_| None)? == 0 => return Err(None),
            _ => {}
        }
        client.input.consume(count);
        if matches!(step, ChunkStep::End(_)) {
            return Ok(body);
        }
        if body.len() > OWN_BODY_BYTES {
            return Err(None);
        }
    }
}

enum Head {
    Complete(usize),
    Gone,
    TooSlow,
    Rejected(Reject),
}

enum Unplanned {
    Rejected(Reject),
    Answer(Answer, bool, bool),
    Read(Handler, Plan),
    Elsewhere(usize),
}

fn note(
    record: &mut Record,
    head: &box_wire::http1::RequestHead<'_>,
    started: Instant,
    recorded: bool,
) {
    record.status = 0;
    record.error = None;
    record.received = 0;
    record.sent = 0;
    record.started = started;
    record.first_byte = Duration::ZERO;
    let set = |text: &mut String, bytes: &[u8]| {
        text.clear();
        text.push_str(std::str::from_utf8(bytes).unwrap_or_default());
    };
    if recorded {
        set(&mut record.method, head.method);
        set(&mut record.target, head.target);
    }
    set(&mut record.host, head.host.unwrap_or_default());
}

/// Whether Accept asks for JSON rather than a page.
fn wants_json(accept: Option<&[u8]>) -> bool {
    let Some(accept) = accept else { return false };
    let has = |what: &[u8]| memchr::memmem::find(accept, what).is_some();
    has(b"json") && !has(b"text/html")
}
