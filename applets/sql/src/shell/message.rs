//! Error messages as sqlite3's shell words them, with the place in the statement below.

use crate::error::Error;

/// When a statement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// While it was compiled.
    Prepare,
    /// While it ran.
    Step,
}

/// Where the statement came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An argument of the command line.
    Argument,
    /// A line of a file or of standard input.
    Line(u64),
    /// A person at the prompt.
    Prompt,
}

/// The whole message, line end included.
pub fn render(error: &Error, phase: Phase, origin: Origin, sql: &[u8]) -> String {
    let code = match error.code() {
        code if code > 1 => format!(" ({code})"),
        _ => String::new(),
    };
    let place = match (phase, error.offset()) {
        (Phase::Prepare, Some(offset)) => context(sql, offset),
        _ => String::new(),
    };
    let lead = match (phase, origin) {
        (Phase::Prepare, Origin::Argument) => "Error: in prepare,".to_owned(),
        (Phase::Step, Origin::Argument) => "Error: stepping,".to_owned(),
        (Phase::Prepare, Origin::Line(line)) => format!("Parse error near line {line}:"),
        (Phase::Step, Origin::Line(line)) => format!("Runtime error near line {line}:"),
        (Phase::Prepare, Origin::Prompt) => "Parse error:".to_owned(),
        (Phase::Step, Origin::Prompt) => "Runtime error:".to_owned(),
    };
    format!("{lead} {error}{code}{place}\n")
}

/// Two lines: the statement around the place, and an arrow to it. At most 50 bytes before and 78
/// in all are shown; line ends are shown as blanks.
fn context(sql: &[u8], offset: usize) -> String {
    if offset >= sql.len() {
        return String::new();
    }
    let continues = |at: usize| sql.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut start = offset.saturating_sub(50);
    while continues(start) {
        start += 1;
    }
    let mut end = sql.len().min(start + 78);
    while end < sql.len() && continues(end) {
        end -= 1;
    }
    let shown: Vec<u8> = sql
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|byte| if byte.is_ascii_whitespace() || *byte == 0x0b { b' ' } else { *byte })
        .collect();
    let shown = String::from_utf8_lossy(&shown);
    let offset = offset - start;
    if offset < 25 {
        format!("\n  {shown}\n  {:offset$}^--- error here", "")
    } else {
        format!("\n  {shown}\n  {:1$}error here ---^", "", offset - 14)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_below() {
        let error = Error::near(b"selec").at(0);
        assert_eq!(
            render(&error, Phase::Prepare, Origin::Line(2), b"selec\n2;"),
            "Parse error near line 2: near \"selec\": syntax error\n  selec 2;\n  ^--- error here\n"
        );
        assert_eq!(
            render(&error, Phase::Prepare, Origin::Argument, b"selec"),
            "Error: in prepare, near \"selec\": syntax error\n  selec\n  ^--- error here\n"
        );
    }

    #[test]
    fn a_long_statement_is_cut_around_the_place() {
        let sql = format!("select {}, x from t where {}", "a".repeat(60), "b".repeat(100));
        let error = Error::new("no such column: x").at(69);
        let text = render(&error, Phase::Prepare, Origin::Prompt, sql.as_bytes());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].len(), 80);
        assert_eq!(lines[2], format!("  {}error here ---^", " ".repeat(36)));
        assert_eq!(lines[1].as_bytes()[lines[2].len() - 1], b'x');
    }

    #[test]
    fn a_code_above_one_is_shown() {
        let error = Error::coded(19, "UNIQUE constraint failed: t.a");
        assert_eq!(
            render(&error, Phase::Step, Origin::Line(4), b""),
            "Runtime error near line 4: UNIQUE constraint failed: t.a (19)\n"
        );
    }
}
