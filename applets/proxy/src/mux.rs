//! "box/1": many byte streams on one TLS connection (ALPN `box/1`), between an agent and an edge.
//!
//! ```text
//! frame     kind(4 bits) flags(4 bits) length(24 bits) stream(32 bits) payload(length)
//! OPEN      head length(16 bits), head, then the first bytes of the stream
//! DATA      at most 16 KiB; FIN ends the sender's direction, the other goes on
//! CREDIT    32 bits: how many more bytes the peer may send on the stream
//! RESET     32 bits: why; both directions are over
//! PING      8 bytes that come back with ACK
//! GOAWAY    32 bits: the last stream that will be served; no new ones after it
//! CONTROL   JSON between the two programs, on stream 0
//! ```
//! Before frames of streams, HELLO goes to the edge and WELCOME or REJECT comes back. A frame of an
//! unknown kind is skipped when its SKIP flag is set and ends the lane otherwise: so later versions
//! can add kinds.
//!
//! A connection is called a *lane*; a session has several and puts each new stream on one of them.
//! A lane belongs to one thread. Its driver task is the only one that reads and writes the
//! connection. A stream has no send buffer: a writer puts its frame straight into the lane's batch
//! and waits in a queue while the batch is full (64 KiB). Those who wait are served in turn, streams
//! that sent little lately before bulk ones, so that a keystroke does not wait behind a download.
//! Received bytes are slices of the driver's read buffer.
//!
//! Invariants:
//! - received and not consumed bytes of a stream never exceed its window; the sum of the windows'
//!   growth over all streams of a lane stays under a budget; a peer that sends more ends the lane
//! - there is no window over all streams: one that nobody reads stops nobody else
//! - after RESET, or when the lane ends, readers get an error and never a clean end

pub mod frame;
mod lane;
mod stream;

pub use lane::{Arrival, Lane, LaneError, Side};
pub use stream::MuxStream;
