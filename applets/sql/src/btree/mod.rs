//! The trees of a database file, and the connection to it.
//!
//! [`Store`] is one open database: a file or a piece of memory. It is a cheap handle (clone it);
//! [`Cursor`]s keep one inside, so they carry no lifetime, and any number of them may be open on
//! the same tree, also while one of them writes: the others notice and find their place again.
//! All of it stays in one thread.
//!
//! Transactions: [`Store::begin_read`] pins a snapshot, [`Store::begin_write`] makes it writable
//! (each is idempotent), [`Store::commit`] or [`Store::rollback`] ends both. Savepoints nest by
//! depth within a write transaction and serve statements (atomic failure) and SAVEPOINT alike.
//!
//! Text is in the encoding of the database ([`Store::encoding`]) on both sides of this interface.

mod balance;
mod bulk;
mod check;
mod cursor;
mod edit;
mod leaves;
mod node;
mod overflow;
mod ptrmap;
mod space;
mod store;
#[cfg(test)]
mod tests;
mod vacuum;
mod write;

pub use bulk::Bulk;
pub use cursor::{Cursor, Placement, Seek};
pub use leaves::{LeafRow, Leaves};
pub use store::{Meta, Store, TreeKind};
