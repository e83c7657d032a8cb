//! Sorting: rows with their keys; with a limit only the best rows are held.

use std::cmp::Ordering;

use crate::error::Result;
use crate::plan::{SortBy, SortKey};
use crate::value::{Owned, Value};

/// A row on its way through a sort.
struct Item {
    extra: Box<[Owned]>,
    row: Box<[Owned]>,
}

/// Gathers rows and gives them back in order; rows that are equal keep the order they came in.
pub(super) struct Sorter<'k> {
    keys: &'k [SortKey],
    /// For each key: its place in the row, or in the extra values.
    places: Vec<(bool, usize)>,
    items: Vec<Item>,
    /// At most so many rows are wanted.
    most: Option<usize>,
    /// The best rows stand sorted in front, so many of them.
    sorted: usize,
}

impl<'k> Sorter<'k> {
    pub fn new(keys: &'k [SortKey], most: Option<usize>) -> Sorter<'k> {
        let mut extra = 0;
        let places = keys
            .iter()
            .map(|key| match key.by {
                SortBy::Output(at) => (true, at),
                SortBy::Expr(_) => {
                    extra += 1;
                    (false, extra - 1)
                }
            })
            .collect();
        Sorter { keys, places, items: Vec::new(), most, sorted: 0 }
    }

    pub fn push(&mut self, row: &[Value<'_>], extra: Vec<Owned>) {
        if let Some(most) = self.most {
            if most == 0 {
                return;
            }
            // A row that comes behind the worst of a full list is not even copied.
            if self.sorted >= most
                && let Some(worst) = self.items.get(most - 1)
                && self.compare_parts(row, &extra, &worst.row, &worst.extra).is_ge()
            {
                return;
            }
        }
        let row = row.iter().map(|value| value.clone().into_owned()).collect();
        self.items.push(Item { extra: extra.into(), row });
        if let Some(most) = self.most
            && self.items.len() >= most.saturating_mul(2).saturating_add(64)
        {
            self.sort();
            self.items.truncate(most);
            self.sorted = self.items.len();
        }
    }

    fn compare_parts(
        &self,
        row: &[Value<'_>],
        extra: &[Owned],
        other_row: &[Owned],
        other_extra: &[Owned],
    ) -> Ordering {
        for (key, (in_row, at)) in self.keys.iter().zip(&self.places) {
            let (l, r) = if *in_row {
                (&row[*at], &other_row[*at])
            } else {
                (&extra[*at], &other_extra[*at])
            };
            let order = compare_key(l, r, key);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn sort(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        items.sort_by(|a, b| self.compare_parts(&a.row, &a.extra, &b.row, &b.extra));
        self.items = items;
    }

    /// Gives the rows in order until `each` has enough.
    pub fn finish(
        mut self,
        each: &mut dyn FnMut(&[Value<'_>]) -> Result<super::Flow>,
    ) -> Result<super::Flow> {
        self.sort();
        let most = self.most.unwrap_or(usize::MAX);
        for item in self.items.into_iter().take(most) {
            if each(&item.row)? == super::Flow::Stop {
                return Ok(super::Flow::Stop);
            }
        }
        Ok(super::Flow::Continue)
    }
}

/// Compares two values by a sort key.
pub(super) fn compare_key(l: &Value<'_>, r: &Value<'_>, key: &SortKey) -> Ordering {
    match (l.is_null(), r.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if key.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if key.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => {
            let order = l.compare(r, key.collation);
            if key.desc { order.reverse() } else { order }
        }
    }
}
