//! What sqlite3 3.40 prints otherwise than 3.54, whose level `box sql` keeps, made alike.

/// Reals with 17 digits (3.54) or 15 (3.40), in one form of 15 digits.
pub fn reals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        match real_at(bytes, at) {
            Some(end) => {
                out.push_str(&fifteen(&text[at..end]));
                at = end;
            }
            None => {
                let next = text[at..].chars().next().map_or(1, char::len_utf8);
                out.push_str(&text[at..at + next]);
                at += next;
            }
        }
    }
    out
}

/// The end of the real that begins at `at`: digits, a point, digits, an exponent of two digits.
fn real_at(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(at);
    let leading_zero = whole > 1 && bytes[at] == b'0';
    if whole == 0 || leading_zero || bytes.get(at + whole) != Some(&b'.') {
        return None;
    }
    let fraction = digits(at + whole + 1);
    if fraction == 0 {
        return None;
    }
    let end = at + whole + 1 + fraction;
    let exponent = bytes.get(end) == Some(&b'e')
        && matches!(bytes.get(end + 1), Some(b'+' | b'-'))
        && end + 4 <= bytes.len()
        && digits(end + 2) >= 2;
    Some(if exponent { end + 4 } else { end })
}

fn fifteen(real: &str) -> String {
    let value: f64 = real.parse().expect("a real");
    let scientific = format!("{value:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    format!("{}e{exponent}", mantissa.trim_end_matches('0'))
}

#[test]
fn reals_of_both_versions_become_alike() {
    assert_eq!(reals("a|0.30000000000000004|x"), reals("a|0.3|x"));
    assert_eq!(reals("1000000000000000.0"), reals("1.0e+15"));
    assert_eq!(reals("09.2233720368547758e+18"), reals("09.22337203685478e+18"));
    assert_eq!(reals("é 2024-01-02 10"), "é 2024-01-02 10");
}
