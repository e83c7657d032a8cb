//! The aggregates and what they gather.

use std::cmp::Ordering;

use super::json::Gathered;
use super::percentile::{self, Percentile};
use super::{Aggregate, AggregateKind};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::number::{self, Number};
use crate::value::{Owned, Value};

pub static AGGREGATES: &[Aggregate] = &[
    Aggregate { name: "count", min_args: 0, max_args: 1, kind: AggregateKind::Count },
    Aggregate { name: "sum", min_args: 1, max_args: 1, kind: AggregateKind::Sum },
    Aggregate { name: "total", min_args: 1, max_args: 1, kind: AggregateKind::Total },
    Aggregate { name: "avg", min_args: 1, max_args: 1, kind: AggregateKind::Avg },
    Aggregate { name: "min", min_args: 1, max_args: 1, kind: AggregateKind::Min },
    Aggregate { name: "max", min_args: 1, max_args: 1, kind: AggregateKind::Max },
    Aggregate { name: "group_concat", min_args: 1, max_args: 2, kind: AggregateKind::GroupConcat },
    Aggregate { name: "string_agg", min_args: 2, max_args: 2, kind: AggregateKind::GroupConcat },
    quantile("median", 1, Percentile::Median),
    quantile("percentile", 2, Percentile::Hundredths),
    quantile("percentile_cont", 2, Percentile::Continuous),
    quantile("percentile_disc", 2, Percentile::Discrete),
    json("json_group_array", 1, AggregateKind::Json { object: false, binary: false }),
    json("jsonb_group_array", 1, AggregateKind::Json { object: false, binary: true }),
    json("json_group_object", 2, AggregateKind::Json { object: true, binary: false }),
    json("jsonb_group_object", 2, AggregateKind::Json { object: true, binary: true }),
];

const fn quantile(name: &'static str, args: usize, which: Percentile) -> Aggregate {
    Aggregate { name, min_args: args, max_args: args, kind: AggregateKind::Percentile(which) }
}

const fn json(name: &'static str, args: usize, kind: AggregateKind) -> Aggregate {
    Aggregate { name, min_args: args, max_args: args, kind }
}

/// A sum that keeps integers exact and doubles compensated (Kahan-Babuska-Neumaier).
#[derive(Clone, Debug, Default)]
pub struct Sum {
    int: i64,
    real: f64,
    error: f64,
    approximate: bool,
    overflow: bool,
    count: i64,
}

impl Sum {
    fn add(&mut self, value: &Value<'_>) {
        let number = match value {
            Value::Int(v) => Number::Int(*v),
            Value::Real(v) => Number::Real(*v),
            Value::Text(v) | Value::Blob(v) => {
                let prefix = number::prefix(v);
                let text = matches!(value, Value::Text(_));
                match prefix.value {
                    Number::Int(v) if prefix.whole && text => Number::Int(v),
                    Number::Int(v) => Number::Real(v as f64),
                    real => real,
                }
            }
            Value::Null => return,
        };
        match number {
            Number::Int(v) => self.add_int(v),
            Number::Real(v) => self.add_double(v),
        }
    }

    /// Takes an integer.
    #[inline]
    pub fn add_int(&mut self, value: i64) {
        self.count += 1;
        if self.approximate {
            return self.add_real(value as f64);
        }
        match self.int.checked_add(value) {
            Some(sum) => self.int = sum,
            None => {
                self.overflow = true;
                self.turn_real();
                self.add_real(value as f64);
            }
        }
    }

    /// Takes a double.
    #[inline]
    pub fn add_double(&mut self, value: f64) {
        self.count += 1;
        self.turn_real();
        self.add_real(value);
    }

    fn turn_real(&mut self) {
        if !self.approximate {
            self.approximate = true;
            self.add_real(self.int as f64);
        }
    }

    fn add_real(&mut self, value: f64) {
        let sum = self.real + value;
        self.error += if self.real.abs() > value.abs() {
            (self.real - sum) + value
        } else {
            (value - sum) + self.real
        };
        self.real = sum;
    }

    fn total(&self) -> f64 {
        if !self.approximate {
            return self.int as f64;
        }
        if self.error.is_finite() { self.real + self.error } else { self.real }
    }
}

/// What a call of an aggregate has gathered.
#[derive(Clone, Debug)]
pub enum Accumulator {
    Count(i64),
    Sum(AggregateKind, Sum),
    Extreme { wanted: Ordering, best: Owned, collation: Collation },
    Concat { text: Option<Vec<u8>> },
    Json(Gathered),
    Percentile(percentile::Gathered),
}

impl Accumulator {
    /// The start of an aggregate.
    pub fn new(kind: AggregateKind, collation: Collation) -> Accumulator {
        match kind {
            AggregateKind::Count => Accumulator::Count(0),
            AggregateKind::Sum | AggregateKind::Total | AggregateKind::Avg => {
                Accumulator::Sum(kind, Sum::default())
            }
            AggregateKind::Min => {
                Accumulator::Extreme { wanted: Ordering::Less, best: Value::Null, collation }
            }
            AggregateKind::Max => {
                Accumulator::Extreme { wanted: Ordering::Greater, best: Value::Null, collation }
            }
            AggregateKind::GroupConcat => Accumulator::Concat { text: None },
            AggregateKind::Percentile(which) => {
                Accumulator::Percentile(percentile::Gathered::new(which))
            }
            AggregateKind::Json { object, binary } => {
                Accumulator::Json(Gathered::new(object, binary))
            }
        }
    }

    /// Takes a row; whether it is the new extreme.
    ///
    /// # Errors
    /// What cannot be taken: a BLOB in JSON.
    #[inline]
    pub fn step(&mut self, args: &[Value<'_>]) -> Result<bool> {
        Ok(match self {
            Accumulator::Json(gathered) => {
                gathered.step(args)?;
                false
            }
            Accumulator::Percentile(gathered) => {
                gathered.step(args)?;
                false
            }
            Accumulator::Count(count) => {
                *count += i64::from(args.first().is_none_or(|arg| !arg.is_null()));
                false
            }
            Accumulator::Sum(_, sum) => {
                if let Some(arg) = args.first() {
                    sum.add(arg);
                }
                false
            }
            Accumulator::Extreme { wanted, best, collation } => {
                let Some(arg) = args.first().filter(|arg| !arg.is_null()) else { return Ok(false) };
                let better = best.is_null() || arg.compare(best, *collation) == *wanted;
                if better {
                    *best = arg.clone().into_owned();
                }
                better
            }
            Accumulator::Concat { text } => {
                let Some(value) = args.first().and_then(Value::to_bytes) else {
                    return Ok(false);
                };
                match text {
                    None => *text = Some(value.into_owned()),
                    Some(text) => {
                        match args.get(1) {
                            None => text.push(b','),
                            Some(separator) => text.extend_from_slice(&separator.to_text()),
                        }
                        text.extend_from_slice(&value);
                    }
                }
                false
            }
        })
    }

    /// The result.
    ///
    /// # Errors
    /// `integer overflow`.
    pub fn finish(&self) -> Result<Owned> {
        Ok(match self {
            Accumulator::Count(count) => Value::Int(*count),
            Accumulator::Sum(AggregateKind::Total, sum) => Value::real(sum.total()),
            Accumulator::Sum(_, sum) if sum.count == 0 => Value::Null,
            Accumulator::Sum(AggregateKind::Avg, sum) => {
                Value::real(sum.total() / sum.count as f64)
            }
            Accumulator::Sum(_, sum) if sum.overflow => return Err(Error::new("integer overflow")),
            Accumulator::Sum(_, sum) if sum.approximate => Value::real(sum.total()),
            Accumulator::Sum(_, sum) => Value::Int(sum.int),
            Accumulator::Extreme { best, .. } => best.clone(),
            Accumulator::Concat { text } => text.clone().map_or(Value::Null, Value::text),
            Accumulator::Json(gathered) => gathered.finish()?,
            Accumulator::Percentile(gathered) => gathered.finish(),
        })
    }
}
