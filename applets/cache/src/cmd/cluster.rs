//! CLUSTER and what belongs to it: this server is no node of a cluster.

use box_wire::resp::Args;

use super::{Ctx, Done, Error};

/// Any of them.
pub fn disabled(_: &mut Ctx<'_>, _: Args<'_>) -> Done {
    Err(Error::fixed("ERR This instance has cluster support disabled"))
}
