//! `median()`, `percentile()`, `percentile_cont()`, `percentile_disc()`.

use crate::error::{Error, Result};
use crate::number::{self, Number};
use crate::value::{Owned, Value};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    Median,
    Hundredths,
    Continuous,
    Discrete,
}

impl Percentile {
    fn name(self) -> &'static str {
        match self {
            Percentile::Median => "median",
            Percentile::Hundredths => "percentile",
            Percentile::Continuous => "percentile_cont",
            Percentile::Discrete => "percentile_disc",
        }
    }

    fn whole(self) -> f64 {
        if self == Percentile::Hundredths { 100.0 } else { 1.0 }
    }
}

/// The values so far.
#[derive(Clone, Debug)]
pub struct Gathered {
    which: Percentile,
    fraction: Option<f64>,
    values: Vec<f64>,
}

fn numeric(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(v) => Some(*v as f64),
        Value::Real(v) => Some(*v),
        Value::Text(text) => match number::prefix(text) {
            prefix if !prefix.whole => None,
            prefix => Some(match prefix.value {
                Number::Int(v) => v as f64,
                Number::Real(v) => v,
            }),
        },
        _ => None,
    }
}

impl Gathered {
    /// Nothing yet.
    pub fn new(which: Percentile) -> Gathered {
        Gathered { which, fraction: None, values: vec![] }
    }

    /// Takes a row in.
    ///
    /// # Errors
    /// What is no number, a fraction out of range or not the same in every row.
    pub fn step(&mut self, args: &[Value<'_>]) -> Result<()> {
        let name = self.which.name();
        let whole = self.which.whole();
        let fraction = match args.get(1) {
            None => 0.5,
            Some(fraction) => numeric(fraction)
                .filter(|fraction| (0.0..=whole).contains(fraction))
                .map(|fraction| fraction / whole)
                .ok_or_else(|| {
                    Error::new(format!(
                        "the fraction argument to {name}() is not between 0.0 and {whole:.1}"
                    ))
                })?,
        };
        if self.fraction.is_some_and(|known| (known - fraction).abs() > 0.001) {
            let text = "is not the same for all input rows";
            return Err(Error::new(format!("the fraction argument to {name}() {text}")));
        }
        self.fraction = Some(fraction);
        let Some(value) = args.first().filter(|value| !value.is_null()) else { return Ok(()) };
        let value = numeric(value)
            .ok_or_else(|| Error::new(format!("input to {name}() is not numeric")))?;
        if value.is_infinite() {
            return Err(Error::new(format!("Inf input to {name}()")));
        }
        self.values.push(value);
        Ok(())
    }

    /// The value at the fraction.
    pub fn finish(&self) -> Owned {
        let mut values = self.values.clone();
        values.sort_unstable_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { return Value::Null };
        let place = self.fraction.unwrap_or(0.5) * last as f64;
        let at = place as usize;
        let low = values[at];
        if self.which == Percentile::Discrete {
            return Value::Real(low);
        }
        let high = values.get(at + 1).copied().unwrap_or(low);
        Value::Real(low + (high - low) * (place - at as f64))
    }
}
