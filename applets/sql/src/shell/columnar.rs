//! The modes that align their columns: column, table, box, markdown.

use unicode_width::UnicodeWidthChar;

use super::mode::{Layout, Mode, c_text, literal};
use crate::value::Owned;

/// The pieces a table is drawn with.
struct Frame {
    left: &'static str,
    between: &'static str,
    right: &'static str,
    /// Rules: above, below the header, between rows of several lines, below. Each is left, fill,
    /// cross and right.
    rules: Option<[[&'static str; 4]; 3]>,
}

const COLUMN: Frame = Frame { left: "", between: "  ", right: "", rules: None };
const MARKDOWN: Frame = Frame { left: "| ", between: " | ", right: " |", rules: None };
const TABLE: Frame = Frame {
    left: "| ",
    between: " | ",
    right: " |",
    rules: Some([["+", "-", "+", "+"], ["+", "-", "+", "+"], ["+", "-", "+", "+"]]),
};
const BOX: Frame = Frame {
    left: "│ ",
    between: " │ ",
    right: " │",
    rules: Some([["┌", "─", "┬", "┐"], ["├", "─", "┼", "┤"], ["└", "─", "┴", "┘"]]),
};

/// A cell, broken into lines.
type Cell = Vec<String>;

/// Appends the whole table. Nothing is written for a query without rows.
pub fn write(out: &mut Vec<u8>, layout: &Layout, names: &[Vec<u8>], rows: &[Vec<Owned>]) {
    if rows.is_empty() || names.is_empty() {
        return;
    }
    let wanted = |column: usize| layout.widths.get(column).copied().unwrap_or(0);
    let wrap_at = |column: usize| {
        let width = wanted(column).unsigned_abs() as usize;
        if width > 0 {
            width
        } else if layout.wrap > 0 {
            layout.wrap
        } else {
            usize::MAX
        }
    };
    let header: Vec<Cell> = names
        .iter()
        .enumerate()
        .map(|(column, name)| broken(c_text(name), wrap_at(column), layout.word_wrap))
        .collect();
    let body: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .enumerate()
                .map(|(column, value)| {
                    broken(&shown(layout, value), wrap_at(column), layout.word_wrap)
                })
                .collect()
        })
        .collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|column| {
            let cells = body.iter().filter_map(|row| row.get(column)).chain(header.get(column));
            let content = cells.flatten().map(|line| width(line)).max().unwrap_or(0);
            content.max(wanted(column).unsigned_abs() as usize)
        })
        .collect();
    let right: Vec<bool> = (0..names.len()).map(|column| wanted(column) < 0).collect();
    Drawing { out, layout, widths, right }.draw(&header, &body);
}

fn shown(layout: &Layout, value: &Owned) -> Vec<u8> {
    let mut text = Vec::new();
    match value {
        value if layout.quote => match value {
            Owned::Blob(bytes) => super::quoting::blob(&mut text, b'x', bytes),
            Owned::Real(_) => text = value.to_text().into_owned(),
            value => literal(&mut text, value),
        },
        Owned::Null => text.extend_from_slice(&layout.null),
        value => text.extend_from_slice(c_text(&value.to_text())),
    }
    text
}

/// Lines of at most `limit` columns: at line ends, and where a line is too long.
fn broken(text: &[u8], limit: usize, words: bool) -> Cell {
    let text = String::from_utf8_lossy(text);
    let mut lines = Vec::new();
    let mut rest: &str = &text;
    loop {
        let (line, behind) = first_line(rest, limit, words);
        lines.push(line);
        match behind {
            Some(behind) => rest = behind,
            None => return lines,
        }
    }
}

/// The first line and what follows it, if anything does.
fn first_line(text: &str, limit: usize, words: bool) -> (String, Option<&str>) {
    let mut line = String::new();
    let mut columns = 0;
    let mut last_blank = None;
    for (at, letter) in text.char_indices() {
        let behind = text.get(at + letter.len_utf8()..).unwrap_or_default();
        match letter {
            '\n' => return (line, (!behind.is_empty()).then_some(behind)),
            '\r' if behind.starts_with('\n') => {
                let behind = behind.get(1..).unwrap_or_default();
                return (line, (!behind.is_empty()).then_some(behind));
            }
            _ => {}
        }
        let letter_columns =
            if letter == '\t' { 8 - columns % 8 } else { letter.width().unwrap_or(0) };
        if columns + letter_columns > limit && columns > 0 {
            return match last_blank.filter(|_| words) {
                Some((kept, behind)) => {
                    line.truncate(kept);
                    (line, Some(behind))
                }
                None => (line, text.get(at..)),
            };
        }
        columns += letter_columns;
        match letter {
            '\t' => line.extend(std::iter::repeat_n(' ', letter_columns)),
            letter => line.push(letter),
        }
        if letter == ' ' {
            last_blank = Some((line.len(), behind));
        }
    }
    (line, None)
}

fn width(line: &str) -> usize {
    line.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

struct Drawing<'a> {
    out: &'a mut Vec<u8>,
    layout: &'a Layout,
    widths: Vec<usize>,
    right: Vec<bool>,
}

impl Drawing<'_> {
    fn draw(&mut self, header: &[Cell], body: &[Vec<Cell>]) {
        let frame = match self.layout.mode {
            Mode::Table => TABLE,
            Mode::Box => BOX,
            Mode::Markdown => MARKDOWN,
            _ => COLUMN,
        };
        // A blank line, or a rule, parts the rows once any of them has several lines.
        let tall = body.iter().flatten().any(|cell| cell.len() > 1);
        if let Some([above, ..]) = frame.rules {
            self.rule(above);
        }
        let framed = self.layout.mode != Mode::Column;
        if self.layout.headers || framed {
            self.row(&frame, header, framed);
            self.below_header(&frame);
        }
        for (index, row) in body.iter().enumerate() {
            if index > 0 && tall {
                match (self.layout.mode, frame.rules) {
                    (Mode::Column, _) => self.out.push(b'\n'),
                    (_, Some([_, between, _])) => self.rule(between),
                    _ => {}
                }
            }
            self.row(&frame, row, false);
        }
        if let Some([.., below]) = frame.rules {
            self.rule(below);
        }
    }

    fn below_header(&mut self, frame: &Frame) {
        match (self.layout.mode, frame.rules) {
            (Mode::Column, _) => {
                let dashes: Vec<String> = self.widths.iter().map(|w| "-".repeat(*w)).collect();
                self.out.extend_from_slice(dashes.join("  ").as_bytes());
                self.out.push(b'\n');
            }
            (_, Some([_, below, _])) => self.rule(below),
            _ => self.rule(["|", "-", "|", "|"]),
        }
    }

    fn rule(&mut self, [left, fill, cross, right]: [&str; 4]) {
        let runs: Vec<String> = self.widths.iter().map(|width| fill.repeat(width + 2)).collect();
        self.out.extend_from_slice(format!("{left}{}{right}\n", runs.join(cross)).as_bytes());
    }

    fn row(&mut self, frame: &Frame, cells: &[Cell], centred: bool) {
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        for line in 0..height {
            self.out.extend_from_slice(frame.left.as_bytes());
            for (column, width_wanted) in self.widths.iter().copied().enumerate() {
                if column > 0 {
                    self.out.extend_from_slice(frame.between.as_bytes());
                }
                let cell = cells.get(column).and_then(|cell| cell.get(line));
                let text = cell.map_or("", String::as_str);
                let blanks = width_wanted.saturating_sub(width(text));
                let before = match (centred, self.right.get(column)) {
                    (true, _) => blanks / 2,
                    (false, Some(true)) => blanks,
                    _ => 0,
                };
                self.out.resize(self.out.len() + before, b' ');
                self.out.extend_from_slice(text.as_bytes());
                self.out.resize(self.out.len() + blanks - before, b' ');
            }
            self.out.extend_from_slice(frame.right.as_bytes());
            self.out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(mode: Mode, change: impl Fn(&mut Layout)) -> String {
        let mut layout = Layout::new();
        layout.set_mode(mode);
        change(&mut layout);
        let text = |text: &str| Owned::Text(text.as_bytes().to_vec().into());
        let rows = [
            vec![Owned::Int(1), text("the quick brown fox")],
            vec![Owned::Null, text("two\nlines")],
        ];
        let mut out = Vec::new();
        write(&mut out, &layout, &[b"a".to_vec(), b"bb".to_vec()], &rows);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_of_several_lines_are_parted() {
        assert_eq!(
            table(Mode::Column, |_| ()),
            "a  bb                 \n-  -------------------\n1  the quick brown fox\n\n   two                \n   lines              \n"
        );
        assert_eq!(
            table(Mode::Markdown, |_| ()),
            "| a |         bb          |\n|---|---------------------|\n| 1 | the quick brown fox |\n|   | two                 |\n|   | lines               |\n"
        );
    }

    #[test]
    fn words_are_kept_whole_when_asked() {
        let wrapped = table(Mode::Table, |layout| {
            layout.wrap = 12;
            layout.word_wrap = true;
            layout.widths = vec![-3];
        });
        assert!(wrapped.contains("|   1 | the quick  |\n|     | brown fox  |\n"), "{wrapped}");
    }
}
