//! Tables as docker prints them: columns padded to their widest cell and three spaces apart.

use unicode_width::UnicodeWidthStr;

/// Head and rows as text, a line each.
pub fn render<H, R>(head: &[H], rows: impl IntoIterator<Item = R>) -> String
where
    H: AsRef<str>,
    R: AsRef<[String]>,
{
    let head: Vec<String> = head.iter().map(|cell| cell.as_ref().to_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.into_iter().map(|row| row.as_ref().to_vec())).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let padding = widths.get(column).copied().unwrap_or(0) + 3 - cell.width();
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}
