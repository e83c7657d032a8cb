//! Time: the zone of the viewer, and the six forms of a time stamp.

pub mod stamp;
