//! Byte streams of every kind behind one type, and the buffers they are read through.
//!
//! Everything here lives on one thread: a connection is never touched by two cores.

mod buffer;
mod conn;
mod read_ahead;
mod relay;
mod stream;

pub use buffer::Buffer;
pub use conn::Conn;
pub use read_ahead::{Raw, ReadAhead};
pub use relay::relay;
pub use stream::Stream;
