//! Bytes in both directions, unread, until both sides have ended.
//!
//! The end of one direction is passed on and the other goes on (half-close): `ssh`, `rsync` and
//! database dumps depend on it. Errors end both.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use super::Conn;

/// Bytes that went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the first to the second.
    pub forth: u64,
    /// From the second to the first.
    pub back: u64,
}

/// Carries bytes between two connections until both directions have ended or one has failed.
/// A connection that fails is broken off on the other side as well, never ended cleanly.
pub async fn relay(first: Conn, second: Conn) -> (Carried, io::Result<()>) {
    let (first, second) = (RefCell::new(first), RefCell::new(second));
    let mut carried = Carried::default();
    let result = {
        let mut forth = std::pin::pin!(one_way(&first, &second, &mut carried.forth));
        let mut back = std::pin::pin!(one_way(&second, &first, &mut carried.back));
        let (mut forth_done, mut back_done) = (false, false);
        poll_fn(|cx| {
            if !forth_done && let Poll::Ready(done) = forth.as_mut().poll(cx) {
                done?;
                forth_done = true;
            }
            if !back_done && let Poll::Ready(done) = back.as_mut().poll(cx) {
                done?;
                back_done = true;
            }
            if forth_done && back_done { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
        })
        .await
    };
    if result.is_err() {
        first.into_inner().stream.abort();
        second.into_inner().stream.abort();
    }
    (carried, result)
}

async fn one_way(from: &RefCell<Conn>, to: &RefCell<Conn>, count: &mut u64) -> io::Result<()> {
    // What was read in advance goes first.
    loop {
        let ended = poll_fn(|cx| {
            let mut from = from.borrow_mut();
            if !from.input.is_empty() {
                return Poll::Ready(Ok(false));
            }
            if let Poll::Ready(read) = from.poll_fill(cx) {
                return Poll::Ready(read.map(|n| n == 0));
            }
            // Silent: nothing may stay behind in the queue.
            drop(from);
            match to.borrow_mut().poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        })
        .await?;
        if ended {
            return poll_fn(|cx| to.borrow_mut().poll_finish(cx)).await;
        }
        poll_fn(|cx| {
            let mut from = from.borrow_mut();
            while !from.input.is_empty() {
                let sent = ready!(to.borrow_mut().poll_send(cx, from.input.data()))?;
                *count += sent as u64;
                from.input.consume(sent);
            }
            Poll::Ready(io::Result::Ok(()))
        })
        .await?;
    }
}
