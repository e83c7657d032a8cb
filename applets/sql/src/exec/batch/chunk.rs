//! Rows on their way through a pipeline.
//!
//! A slot's columns stay where they were decoded; what filters and joins change is the list of rows
//! that stand for it. So a join copies row numbers, and a column is fetched when somebody computes
//! with it.

use std::rc::Rc;

use super::vector::Vector;
use crate::pager::Page;

/// The row number of a missing row: the NULLs of an outer join.
pub const NO_ROW: u32 = u32::MAX;

/// The rows of one source.
#[derive(Clone, Default)]
pub struct SlotRows {
    pub columns: Rc<Vec<Vector>>,
    /// For each row of the chunk, the row of the columns; `None`: the same.
    pub rows: Option<Rc<Vec<u32>>>,
}

/// A set of rows.
#[derive(Clone, Default)]
pub struct Chunk {
    pub len: usize,
    pub slots: Vec<SlotRows>,
    pub pages: Rc<Vec<Page>>,
}

impl Chunk {
    /// Keeps the rows at these places of the chunk, in that order.
    pub fn keep(&mut self, places: Vec<u32>) {
        self.len = places.len();
        let places = Rc::new(places);
        for slot in &mut self.slots {
            slot.rows = Some(match &slot.rows {
                None => Rc::clone(&places),
                Some(rows) => Rc::new(places.iter().map(|at| rows[*at as usize]).collect()),
            });
        }
    }
}
