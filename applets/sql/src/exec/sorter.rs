//! ORDER BY: rows with their keys, sorted as bytes; with a small limit only the best rows are held.

use std::cmp::Ordering;

use super::Exec;
use crate::error::Result;
use crate::plan::{SortBy, SortKey};
use crate::record;
use crate::sort::key::{self, Order};
use crate::value::{Owned, Value};

/// Up to so many wanted rows are held as the best so far; more are sorted as all are.
const FEW: usize = 10_000;

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
    kept: Kept,
}

/// What is held of the rows.
enum Kept {
    Best(Best),
    All { sorter: Box<crate::sort::Sorter>, most: usize },
}

/// The best rows so far.
struct Best {
    items: Vec<Item>,
    most: usize,
    /// The best rows stand sorted in front, so many of them.
    sorted: usize,
}

/// How a sort key orders bytes.
pub(super) fn order_of(key: &SortKey) -> Order {
    Order { desc: key.desc, nulls_first: key.nulls_first, collation: key.collation }
}

impl<'k> Sorter<'k> {
    /// A sorter of which `most` rows are wanted.
    ///
    /// # Errors
    /// The connection is at its end.
    pub fn new(exec: &Exec<'_>, keys: &'k [SortKey], most: Option<usize>) -> Result<Sorter<'k>> {
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
        let most = most.unwrap_or(usize::MAX);
        let kept = if most <= FEW {
            Kept::Best(Best { items: Vec::new(), most, sorted: 0 })
        } else {
            let sorter = exec.connection.store(crate::catalog::MAIN)?.sorter();
            Kept::All { sorter: Box::new(sorter), most }
        };
        Ok(Sorter { keys, places, kept })
    }

    /// Whether a row that begins with this key cannot be among the best.
    #[inline]
    pub fn refuses(&self, first: &Value<'_>) -> bool {
        let Kept::Best(best) = &self.kept else { return false };
        let Some(worst) = best.worst() else { return best.most == 0 };
        let (Some(key), Some((in_row, at))) = (self.keys.first(), self.places.first()) else {
            return false;
        };
        let other = if *in_row { &worst.row[*at] } else { &worst.extra[*at] };
        compare_key(first, other, key).is_gt()
    }

    pub fn push(&mut self, row: &[Value<'_>], extra: &[Owned]) -> Result<()> {
        let (keys, places) = (self.keys, &self.places);
        match &mut self.kept {
            Kept::Best(best) => best.push(keys, places, row, extra),
            Kept::All { sorter, .. } => sorter.push(
                |out| {
                    for (key, (in_row, at)) in keys.iter().zip(places) {
                        let value = if *in_row { &row[*at] } else { &extra[*at] };
                        key::push(value, order_of(key), out);
                    }
                },
                |out| record::encode(row.iter().map(Value::as_field), out),
            )?,
        }
        Ok(())
    }

    /// Gives the rows in order until `each` has enough.
    pub fn finish(
        self,
        each: &mut dyn FnMut(&[Value<'_>]) -> Result<super::Flow>,
    ) -> Result<super::Flow> {
        match self.kept {
            Kept::Best(mut best) => {
                best.sort(self.keys, &self.places);
                for item in best.items.into_iter().take(best.most) {
                    if each(&item.row)? == super::Flow::Stop {
                        return Ok(super::Flow::Stop);
                    }
                }
                Ok(super::Flow::Continue)
            }
            Kept::All { sorter, most } => {
                let mut left = most;
                let mut flow = super::Flow::Continue;
                let mut row: Vec<Value<'static>> = Vec::new();
                sorter.finish(|_, payload| -> Result<bool> {
                    if left == 0 {
                        return Ok(false);
                    }
                    left -= 1;
                    let mut values = super::query::recycle(std::mem::take(&mut row));
                    for field in record::fields(payload)? {
                        values.push(Value::from_field(field?, crate::collate::Encoding::Utf8));
                    }
                    flow = each(&values)?;
                    row = super::query::recycle(values);
                    Ok(flow == super::Flow::Continue)
                })?;
                Ok(flow)
            }
        }
    }
}

impl Best {
    /// The last of a full list.
    fn worst(&self) -> Option<&Item> {
        if self.sorted < self.most { None } else { self.items.get(self.most.checked_sub(1)?) }
    }

    fn push(
        &mut self,
        keys: &[SortKey],
        places: &[(bool, usize)],
        row: &[Value<'_>],
        extra: &[Owned],
    ) {
        if self.most == 0 {
            return;
        }
        // A row that comes behind the worst of a full list is not even copied.
        if let Some(worst) = self.worst()
            && compare_parts(keys, places, (row, extra), (&worst.row, &worst.extra)).is_ge()
        {
            return;
        }
        let row = row.iter().map(|value| value.clone().into_owned()).collect();
        self.items.push(Item { extra: extra.into(), row });
        if self.items.len() >= self.most.saturating_mul(2).saturating_add(64) {
            self.sort(keys, places);
            self.items.truncate(self.most);
            self.sorted = self.items.len();
        }
    }

    fn sort(&mut self, keys: &[SortKey], places: &[(bool, usize)]) {
        self.items
            .sort_by(|a, b| compare_parts(keys, places, (&a.row, &a.extra), (&b.row, &b.extra)));
    }
}

fn compare_parts(
    keys: &[SortKey],
    places: &[(bool, usize)],
    (row, extra): (&[Value<'_>], &[Owned]),
    (other_row, other_extra): (&[Owned], &[Owned]),
) -> Ordering {
    for (key, (in_row, at)) in keys.iter().zip(places) {
        let (l, r) =
            if *in_row { (&row[*at], &other_row[*at]) } else { (&extra[*at], &other_extra[*at]) };
        let order = compare_key(l, r, key);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
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
