//! One request and its answer: two halves that run at the same time in one task.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use box_wire::http1::{Framing, HeadParser, Progress, Reject, Version};

use super::body::{BodyError, Transfer};
use super::emit::{self, Reply};
use super::site::{Forward, Record};
use crate::io::Conn;

/// Interim responses (1xx) that one request may get.
const MAX_INTERIM: usize = 16;
/// Bytes of the next request that are read while an answer is on its way.
const READ_AHEAD: usize = 16 * 1024;
/// A client that neither sends nor takes a byte of a body for this long is given up; noticed within
/// twice the time.
const CLIENT_IDLE: Duration = Duration::from_secs(60);
/// So many of these times an upstream may be silent: long polling and event streams are.
const UPSTREAM_IDLE_TICKS: u32 = 15;

/// What must be known of a request after its head has been forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// It was HEAD.
    pub to_head: bool,
    /// May be sent twice.
    pub repeatable: bool,
    /// Where it ends.
    pub framing: Framing,
    /// Its sender's version.
    pub version: Version,
    /// Its sender wants to go on afterwards.
    pub keep_alive: bool,
    /// It asks for a protocol that it may have.
    pub upgrade: bool,
    /// Errors are told in JSON.
    pub json: bool,
    /// Its sender may wait for 100 before it sends the body.
    pub expects: bool,
    /// The client connection is a stream for this request alone.
    pub single: bool,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Done {
    /// The client got its whole answer.
    Answered {
        /// Its connection may go on.
        keep_client: bool,
        /// So may the upstream's.
        keep_upstream: bool,
    },
    /// Both sides talk another protocol from here.
    Switched,
}

/// Why an exchange failed.
#[derive(Debug)]
pub enum Trouble {
    /// Not one byte came back.
    NoAnswer(String),
    /// What came back is no valid answer; the client has got nothing yet.
    BadAnswer(String),
    /// The request's body is malformed; the client has got nothing yet.
    BadRequest(Reject),
    /// The answer was cut after the client got a part of it.
    Cut(String),
    /// The client is gone.
    ClientGone,
    /// The client stopped in the middle of its request; it has got nothing yet.
    ClientIdle,
    /// The upstream does nothing; the client has got nothing yet.
    UpstreamIdle,
}

/// The two connections of an exchange and what it is about.
pub struct Exchange<'e> {
    /// The client's side.
    pub client: RefCell<&'e mut Conn>,
    /// The upstream's side. Its request head is queued.
    pub upstream: RefCell<&'e mut Conn>,
    /// The request.
    pub plan: Plan,
    /// Where it goes.
    pub forward: &'e Forward,
    /// When it started.
    pub started: Instant,
    uploaded: Cell<bool>,
    answering: Cell<bool>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

enum Event {
    Down(Result<Done, Trouble>),
    Up(BodyError),
    ClientGone,
    Idle(Trouble),
}

/// Notices that nothing moves: looks at what has moved each time [`CLIENT_IDLE`] is over.
struct IdleWatch {
    moved: u64,
    quiet_ticks: u32,
}

impl<'e> Exchange<'e> {
    /// An exchange that has not begun.
    pub fn new(
        client: &'e mut Conn,
        upstream: &'e mut Conn,
        plan: Plan,
        forward: &'e Forward,
        started: Instant,
    ) -> Exchange<'e> {
        Exchange {
            client: RefCell::new(client),
            upstream: RefCell::new(upstream),
            plan,
            forward,
            started,
            uploaded: Cell::new(false),
            answering: Cell::new(false),
            received: Cell::new(0),
            sent: Cell::new(0),
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What went wrong, and thereby what the client can still be told.
    pub async fn run(&self, parser: &mut HeadParser, record: &mut Record) -> Result<Done, Trouble> {
        if self.plan.framing.is_empty() {
            // The common case: nothing to upload beside the head.
            self.end_upload().await.map_err(|error| Trouble::NoAnswer(error.to_string()))?;
        }
        let mut refused = None;
        let event = {
            let mut up = pin!(self.upload());
            let mut down = pin!(self.download(parser, record));
            let mut watching = true;
            let mut idle = IdleWatch { moved: 0, quiet_ticks: 0 };
            let mut tick = pin!(tokio::time::sleep_until((self.started + CLIENT_IDLE).into()));
            poll_fn(|cx| {
                if !self.uploaded.get()
                    && refused.is_none()
                    && let Poll::Ready(Err(error)) = up.as_mut().poll(cx)
                {
                    match error {
                        // It may have answered before it closed: go on reading.
                        BodyError::Refused(error) => refused = Some(error),
                        error => return Poll::Ready(Event::Up(error)),
                    }
                }
                if let Poll::Ready(done) = down.as_mut().poll(cx) {
                    return Poll::Ready(Event::Down(done));
                }
                while tick.as_mut().poll(cx).is_ready() {
                    if let Some(trouble) = self.is_idle(&mut idle) {
                        return Poll::Ready(Event::Idle(trouble));
                    }
                    tick.as_mut().reset(tokio::time::Instant::now() + CLIENT_IDLE);
                }
                if !self.uploaded.get() {
                    return Poll::Pending;
                }
                if watching {
                    return self.watch_client(cx, &mut watching);
                }
                self.client.borrow().stream.poll_broken(cx).map(|()| Event::ClientGone)
            })
            .await
        };
        record.received += self.received.get();
        match (event, refused) {
            (Event::Down(Err(Trouble::NoAnswer(_))), Some(error)) => {
                Err(Trouble::NoAnswer(error.to_string()))
            }
            (Event::Down(done), _) => done,
            (Event::Up(BodyError::Malformed(reject)), _) if !self.answering.get() => {
                Err(Trouble::BadRequest(reject))
            }
            (Event::Idle(trouble), _) => Err(trouble),
            (Event::Up(_) | Event::ClientGone, _) => Err(Trouble::ClientGone),
        }
    }

    /// Whose fault it is that nothing has moved for too long.
    fn is_idle(&self, watch: &mut IdleWatch) -> Option<Trouble> {
        let moved = self.received.get() + self.sent.get();
        if moved != std::mem::replace(&mut watch.moved, moved) {
            watch.quiet_ticks = 0;
            return None;
        }
        watch.quiet_ticks += 1;
        let takes_nothing = !self.client.borrow().is_flushed();
        let sends_nothing = !self.uploaded.get() && self.upstream.borrow().is_flushed();
        match (takes_nothing || sends_nothing, self.answering.get()) {
            (true, false) => Some(Trouble::ClientIdle),
            (true, true) => Some(Trouble::ClientGone),
            (false, _) if watch.quiet_ticks < UPSTREAM_IDLE_TICKS => None,
            (false, false) => Some(Trouble::UpstreamIdle),
            (false, true) => Some(Trouble::Cut("the upstream fell silent".to_owned())),
        }
    }

    async fn upload(&self) -> Result<(), BodyError> {
        let transfer = Transfer {
            from: &self.client,
            to: &self.upstream,
            framing: self.plan.framing,
            chunked: self.plan.framing == Framing::Chunked,
            drop_trailers: false,
            tapped: self.forward.capture.is_some(),
            passed: &self.received,
        };
        let capture = self.forward.capture.as_ref();
        transfer
            .run(&mut |bytes| {
                if let Some(capture) = capture {
                    capture.borrow_mut().request_body(bytes);
                }
            })
            .await?;
        self.end_upload().await.map_err(BodyError::Refused)
    }

    /// The request is whole: out with it. On a stream of a lane the direction ends.
    async fn end_upload(&self) -> io::Result<()> {
        let single = self.upstream.borrow().stream.is_single();
        poll_fn(|cx| {
            let mut upstream = self.upstream.borrow_mut();
            if single && !self.plan.upgrade {
                upstream.poll_finish(cx)
            } else {
                upstream.poll_flush(cx)
            }
        })
        .await?;
        self.uploaded.set(true);
        Ok(())
    }

    /// While only the upstream is waited for, a client that breaks off is noticed. One that ended
    /// its direction still waits for its answer.
    fn watch_client(&self, cx: &mut Context<'_>, watching: &mut bool) -> Poll<Event> {
        let mut client = self.client.borrow_mut();
        while client.input.data().len() < READ_AHEAD {
            match client.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    *watching = false;
                    return client.stream.poll_broken(cx).map(|()| Event::ClientGone);
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
            }
        }
        Poll::Pending
    }

    async fn download(
        &self,
        parser: &mut HeadParser,
        record: &mut Record,
    ) -> Result<Done, Trouble> {
        for _ in 0..MAX_INTERIM {
            let length = self.response_head(parser).await?;
            let step = self.head(parser, length, record);
            self.upstream.borrow_mut().input.consume(length);
            parser.reset();
            match step? {
                Step::Interim => {
                    let flushed = poll_fn(|cx| self.client.borrow_mut().poll_flush(cx)).await;
                    flushed.map_err(|_| Trouble::ClientGone)?;
                }
                Step::Switch => {
                    let flushed = poll_fn(|cx| self.client.borrow_mut().poll_flush(cx)).await;
                    flushed.map_err(|_| Trouble::ClientGone)?;
                    return Ok(Done::Switched);
                }
                Step::Body { framing, reply, keep_upstream } => {
                    return self.response_body(framing, reply, keep_upstream, record).await;
                }
            }
        }
        Err(Trouble::BadAnswer("too many interim responses".to_owned()))
    }

    async fn response_head(&self, parser: &mut HeadParser) -> Result<usize, Trouble> {
        loop {
            let (progress, silent) = {
                let upstream = self.upstream.borrow();
                let data = upstream.input.data();
                (parser.advance(data), data.is_empty() && !self.answering.get())
            };
            match progress {
                Ok(Progress::Complete(length)) => return Ok(length),
                Ok(Progress::Partial) => {}
                Err(reject) => return Err(Trouble::BadAnswer(reject.reason().to_owned())),
            }
            let why = match poll_fn(|cx| self.upstream.borrow_mut().poll_fill(cx)).await {
                Ok(0) => "connection closed before an answer came".to_owned(),
                Ok(_) => continue,
                Err(error) => box_kit::exit::kernel_words(&error).to_lowercase(),
            };
            return Err(if silent { Trouble::NoAnswer(why) } else { Trouble::BadAnswer(why) });
        }
    }

    /// Decides about a response head and queues it for the client.
    fn head(
        &self,
        parser: &HeadParser,
        length: usize,
        record: &mut Record,
    ) -> Result<Step, Trouble> {
        let upstream = self.upstream.borrow();
        let raw = &upstream.input.data()[..length];
        let bad = |reject: Reject| Trouble::BadAnswer(reject.reason().to_owned());
        let head = parser.response(raw).map_err(bad)?;
        let framing = head.framing(self.plan.to_head).map_err(bad)?;
        let mut client = self.client.borrow_mut();
        let edits = &self.forward.edits;
        if head.status == 101 {
            if !self.plan.upgrade {
                return Err(Trouble::BadAnswer(
                    "a switch of protocols that nobody asked for".into(),
                ));
            }
            self.note(&head, raw, record);
            emit::switching(&mut client.output, &head, edits);
            return Ok(Step::Switch);
        }
        if head.status < 200 {
            // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
            if self.plan.version == Version::Http11 {
                let reply = Reply { framing, to_http10: false, keep_alive: true, to_head: false };
                emit::response(&mut client.output, &head, edits, reply);
            }
            return Ok(Step::Interim);
        }
        self.note(&head, raw, record);
        let outward = emit::outward(framing, self.plan.version, self.plan.single);
        let reply = Reply {
            framing: outward,
            to_http10: self.plan.version == Version::Http10,
            // An answer that does not wait for its request ends the connection: otherwise it would
            // depend on the speed of the two whether it goes on (RFC 9112 section 9.6).
            keep_alive: self.plan.keep_alive && outward != Framing::Close && self.uploaded.get(),
            to_head: self.plan.to_head,
        };
        emit::response(&mut client.output, &head, edits, reply);
        let keep_upstream = head.keep_alive() && framing != Framing::Close;
        Ok(Step::Body { framing, reply, keep_upstream })
    }

    fn note(&self, head: &box_wire::http1::ResponseHead<'_>, raw: &[u8], record: &mut Record) {
        self.answering.set(true);
        record.status = head.status;
        record.first_byte = self.started.elapsed();
        if let Some(capture) = &self.forward.capture {
            capture.borrow_mut().response(head, raw);
        }
    }

    async fn response_body(
        &self,
        framing: Framing,
        reply: Reply,
        keep_upstream: bool,
        record: &mut Record,
    ) -> Result<Done, Trouble> {
        let transfer = Transfer {
            from: &self.upstream,
            to: &self.client,
            framing,
            chunked: reply.framing == Framing::Chunked,
            drop_trailers: reply.to_http10,
            tapped: self.forward.capture.is_some(),
            passed: &self.sent,
        };
        let capture = self.forward.capture.as_ref();
        let passed = transfer
            .run(&mut |bytes| {
                if let Some(capture) = capture {
                    capture.borrow_mut().response_body(bytes);
                }
            })
            .await;
        record.sent = self.sent.get();
        match passed {
            Ok(()) => {
                let whole = self.uploaded.get();
                let clean = self.upstream.borrow().input.is_empty();
                Ok(Done::Answered {
                    keep_client: reply.keep_alive,
                    keep_upstream: keep_upstream && whole && clean,
                })
            }
            Err(BodyError::Refused(_)) => Err(Trouble::ClientGone),
            Err(BodyError::Cut(why)) => Err(self.cut(why).await),
            Err(BodyError::Malformed(reject)) => Err(self.cut(reject.reason().to_owned()).await),
        }
    }

    /// What came of an answer that is cut is passed on as far as the client takes it at once.
    async fn cut(&self, why: String) -> Trouble {
        poll_fn(|cx| {
            let _ = self.client.borrow_mut().poll_flush(cx);
            Poll::Ready(())
        })
        .await;
        Trouble::Cut(why)
    }
}

enum Step {
    Interim,
    Switch,
    Body { framing: Framing, reply: Reply, keep_upstream: bool },
}

#[cfg(test)]
mod tests;
