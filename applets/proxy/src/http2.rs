//! HTTP/2 (RFC 9113): each stream of a connection becomes a connection of HTTP/1.1 for the engine.
//!
//! ```text
//! visitor ==frames==> Connection --HTTP/1.1 text--> engine --HTTP/1.1 text--> Connection ==frames==> upstream
//! ```
//! So there is one engine, one framing decision per message and one set of rules for fields, whatever
//! the two sides speak. A field list becomes a head only if every name and value may stand in one:
//! nothing that a frame carries can end a line or start another message (RFC 9113 section 10.3). The
//! length that a sender declares is held against the DATA that comes. Trailers go through as those of
//! chunks, interim responses as such; Upgrade and CONNECT are not served.
//!
//! Limits: streams and header bytes are bounded by [`settings`](connection), buffers by the windows,
//! and frames that cost their sender nothing (RST_STREAM, PING, SETTINGS, empty DATA) by a budget.

mod connection;
mod frames;
mod head;
mod message;
mod stream;

pub use connection::{Connection, Side};
pub use stream::H2Stream;

use std::rc::Rc;
use std::time::Duration;

use box_wire::http2::PREFACE;

use crate::http1::{self, Ended, Role, Site, Visitor};
use crate::io::{Buffer, Conn, Stream};

/// The name of the protocol in ALPN.
pub const ALPN: &[u8] = b"h2";
/// A first byte must come within this time; the engine has the same rule for heads.
const FIRST_BYTES: Duration = Duration::from_secs(10);

/// Serves a visitor's connection in the version that it speaks: HTTP/2 where the TLS handshake chose
/// it or a plain connection starts with its preface (RFC 9113 section 3.3), else HTTP/1.
pub async fn serve(mut conn: Conn, visitor: Visitor, site: Rc<dyn Site>) -> Ended {
    let chosen = match conn.stream.alpn() {
        Some(protocol) => protocol == ALPN,
        None if visitor.tls => false,
        None => {
            let mut draining = site.draining();
            tokio::select! {
                biased;
                starts = starts_with_preface(&mut conn) => starts,
                () = http1::drained(&mut draining) => false,
            }
        }
    };
    if !chosen {
        return http1::serve(conn, visitor, site, Role::Edge).await;
    }
    let visitor = Visitor { movable: false, ..visitor };
    let draining = site.draining();
    let (connection, mut arrivals, driver) = Connection::start(conn, Side::Server);
    tokio::task::spawn_local(driver);
    if let Some(mut draining) = draining {
        let connection = Rc::downgrade(&connection);
        tokio::task::spawn_local(async move {
            let _ = draining.wait_for(|draining| *draining).await;
            if let Some(connection) = connection.upgrade() {
                connection.go_away();
            }
        });
    }
    let mut streams = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            stream = arrivals.recv() => match stream {
                Some(stream) => {
                    let conn = Conn::new(Stream::H2(stream), Buffer::default());
                    streams.spawn_local(http1::serve(conn, visitor.clone(), site.clone(), Role::Stream));
                }
                None => break,
            },
            Some(_) = streams.join_next() => {}
        }
    }
    while streams.join_next().await.is_some() {}
    Ended::Closed
}

/// Reads until the bytes differ from the preface or are all of it.
async fn starts_with_preface(conn: &mut Conn) -> bool {
    let read = async {
        loop {
            let data = conn.input.data();
            if data.len() >= PREFACE.len() || !PREFACE.starts_with(data) {
                return data.starts_with(PREFACE);
            }
            if !conn.fill().await.is_ok_and(|count| count > 0) {
                return false;
            }
        }
    };
    tokio::time::timeout(FIRST_BYTES, read).await.unwrap_or(false)
}
