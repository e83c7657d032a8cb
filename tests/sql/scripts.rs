//! Scripts by subject, one statement a line, run through both shells: what they print and the errors
//! they name are compared with the installed sqlite3.

use super::alike::reals;
use super::{bx, reference};
use box_harness::oracle;

#[track_caller]
fn same(script: &str) {
    let ran = bx().feed(["sql", ":memory:"], script);
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let (out, err) = reference(&sqlite3, ":memory:", script);
    assert_eq!(reals(&ran.out()), reals(&out));
    assert_eq!(ran.err(), err);
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                same(include_str!(concat!("scripts/", stringify!($name), ".sql")));
            }
        )*
    };
}

scripts! { alter conflict cte fkey schema trigger update upsert_returning window }
