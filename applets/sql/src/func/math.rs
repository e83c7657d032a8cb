//! Mathematical functions: round, sign and those of the C library.

use super::{Context, Scalar};
use crate::error::Result;
use crate::number;
use crate::value::{Owned, Value};

macro_rules! one {
    ($($name:literal $code:expr;)*) => {
        pub(super) static FUNCTIONS: &[Scalar] = &[
            Scalar { name: "round", min_args: 1, max_args: 2, code: round, pure: true },
            Scalar { name: "sign", min_args: 1, max_args: 1, code: sign, pure: true },
            Scalar { name: "pi", min_args: 0, max_args: 0, code: pi, pure: true },
            Scalar { name: "ceil", min_args: 1, max_args: 1, code: ceil, pure: true },
            Scalar { name: "ceiling", min_args: 1, max_args: 1, code: ceil, pure: true },
            Scalar { name: "floor", min_args: 1, max_args: 1, code: floor, pure: true },
            Scalar { name: "trunc", min_args: 1, max_args: 1, code: trunc, pure: true },
            Scalar { name: "log", min_args: 1, max_args: 2, code: log, pure: true },
            Scalar { name: "pow", min_args: 2, max_args: 2, code: pow, pure: true },
            Scalar { name: "power", min_args: 2, max_args: 2, code: pow, pure: true },
            Scalar { name: "mod", min_args: 2, max_args: 2, code: modulo, pure: true },
            Scalar { name: "atan2", min_args: 2, max_args: 2, code: atan2, pure: true },
            $(Scalar {
                name: $name,
                min_args: 1,
                max_args: 1,
                code: |_, args| {
                    let f: fn(f64) -> f64 = $code;
                    Ok(real(&args[0]).map_or(Value::Null, |v| Value::real(f(v))))
                },
                pure: true,
            },)*
        ];
    };
}

one! {
    "acos" f64::acos;
    "acosh" f64::acosh;
    "asin" f64::asin;
    "asinh" f64::asinh;
    "atan" f64::atan;
    "atanh" f64::atanh;
    "cos" f64::cos;
    "cosh" f64::cosh;
    "degrees" f64::to_degrees;
    "exp" f64::exp;
    "ln" |v| if v <= 0.0 { f64::NAN } else { v.ln() };
    "log10" |v| if v <= 0.0 { f64::NAN } else { v.log10() };
    "log2" |v| if v <= 0.0 { f64::NAN } else { v.log2() };
    "radians" f64::to_radians;
    "sin" f64::sin;
    "sinh" f64::sinh;
    "sqrt" f64::sqrt;
    "tan" f64::tan;
    "tanh" f64::tanh;
}

/// The argument as a number; `None` for NULL and for text that is none.
fn numeric(value: &Value<'_>) -> Option<Value<'static>> {
    match value {
        Value::Int(v) => Some(Value::Int(*v)),
        Value::Real(v) => Some(Value::Real(*v)),
        Value::Text(v) => {
            let prefix = number::prefix(v);
            prefix.whole.then(|| Value::from(prefix.value))
        }
        _ => None,
    }
}

fn real(value: &Value<'_>) -> Option<f64> {
    numeric(value).map(|value| value.to_real())
}

fn round(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    if args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let digits = args.get(1).map_or(0, Value::to_int).clamp(0, 30) as usize;
    let value = args[0].to_real();
    if value.abs() > 4_503_599_627_370_496.0 {
        return Ok(Value::Real(value));
    }
    if digits == 0 {
        let half = if value < 0.0 { -0.5 } else { 0.5 };
        return Ok(Value::Real((value + half).trunc()));
    }
    Ok(Value::Real(round_decimal(value, digits)))
}

/// Rounds on the decimal text, as SQLite's formatter does.
fn round_decimal(value: f64, digits: usize) -> f64 {
    let style = number::Style { precision: digits, bang: true, ..number::Style::default() };
    style.show(value).parse().unwrap_or(value)
}

fn sign(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(real(&args[0]).map_or(Value::Null, |v| Value::Int(i64::from(v > 0.0) - i64::from(v < 0.0))))
}

fn pi(_: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Real(std::f64::consts::PI))
}

fn whole(args: &[Value<'_>], cut: fn(f64) -> f64) -> Result<Owned> {
    Ok(match numeric(&args[0]) {
        Some(Value::Real(v)) => Value::Real(cut(v)),
        Some(other) => other,
        None => Value::Null,
    })
}

fn ceil(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    whole(args, f64::ceil)
}

fn floor(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    whole(args, f64::floor)
}

fn trunc(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    whole(args, f64::trunc)
}

fn two(args: &[Value<'_>], code: fn(f64, f64) -> f64) -> Result<Owned> {
    Ok(match (real(&args[0]), real(&args[1])) {
        (Some(x), Some(y)) => Value::real(code(x, y)),
        _ => Value::Null,
    })
}

fn log(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    if args.len() == 1 {
        let value = real(&args[0]).filter(|v| *v > 0.0);
        return Ok(value.map_or(Value::Null, |v| Value::real(v.log10())));
    }
    two(args, |base, x| {
        let (x, base) = (x.ln(), base.ln());
        if base <= 0.0 || !x.is_finite() || !base.is_finite() { f64::NAN } else { x / base }
    })
}

fn pow(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    two(args, f64::powf)
}

fn modulo(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    two(args, |x, y| x % y)
}

fn atan2(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    two(args, f64::atan2)
}
