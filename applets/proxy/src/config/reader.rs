//! TOML with places: every complaint names file, line and column.

use std::ops::Range;

use box_kit::Failure;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longer words are no misspelled ones.
const LONGEST_WORD: usize = 40;

/// A file and its text.
pub struct Source<'t> {
    /// As it was named.
    pub name: &'t str,
    /// What it holds.
    pub text: &'t str,
}

impl Source<'_> {
    /// A complaint about a place.
    pub fn complain(&self, span: Range<usize>, reason: impl std::fmt::Display) -> Failure {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Failure::new(reason).about(format!("{}:{line}:{column}", self.name))
    }
}

/// A value with its place.
#[derive(Clone)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

/// A table of which every key is known.
pub struct Section<'s, 't> {
    source: &'s Source<'t>,
    table: &'s DeTable<'t>,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<'s, 't> Section<'s, 't> {
    /// The whole file.
    ///
    /// # Errors
    /// A key that is not in `known`.
    pub fn root(
        source: &'s Source<'t>,
        root: &'s Spanned<DeTable<'t>>,
        known: &[&str],
    ) -> Result<Section<'s, 't>, Failure> {
        Section { source, table: root.get_ref(), span: root.span() }.checked(known)
    }

    fn checked(self, known: &[&str]) -> Result<Section<'s, 't>, Failure> {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint = nearest(name, known)
                    .map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"));
                return Err(self
                    .source
                    .complain(key.span(), format!("unknown key \"{name}\"{hint}")));
            }
        }
        Ok(self)
    }

    fn value(&self, key: &str) -> Option<&'s Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    fn wrong<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'t>>,
        wanted: &str,
    ) -> Result<T, Failure> {
        let found = value.get_ref().type_str();
        Err(self.source.complain(value.span(), format!("\"{key}\" is {wanted}, not {found}")))
    }

    /// A complaint about the section.
    pub fn complain(&self, reason: impl std::fmt::Display) -> Failure {
        self.source.complain(self.span.clone(), reason)
    }

    /// A complaint about a place in it.
    pub fn complain_at(&self, span: &Range<usize>, reason: impl std::fmt::Display) -> Failure {
        self.source.complain(span.clone(), reason)
    }

    /// A string.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&self, key: &str) -> Result<Option<Placed<&'s str>>, Failure> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some(Placed { value: text, span: value.span() })),
            None => self.wrong(key, value, "a string"),
        }
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// It is not, or is something else.
    pub fn required(&self, key: &str) -> Result<Placed<&'s str>, Failure> {
        self.text(key)?.ok_or_else(|| self.complain(format!("\"{key}\" is missing")))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, key: &str, otherwise: bool) -> Result<bool, Failure> {
        let Some(value) = self.value(key) else { return Ok(otherwise) };
        match value.get_ref().as_bool() {
            Some(flag) => Ok(flag),
            None => self.wrong(key, value, "true or false"),
        }
    }

    /// A number in a range.
    ///
    /// # Errors
    /// It is not in the range, or is something else.
    pub fn number(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<Option<f64>, Failure> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return self.wrong(key, value, "a number"),
        };
        match text.replace('_', "").parse::<f64>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (first, last) = range.into_inner();
                let reason = format!("\"{key}\" is a number from {first} to {last}");
                Err(self.source.complain(value.span(), reason))
            }
        }
    }

    /// An array of strings; one string stands for an array of one.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, key: &str) -> Result<Vec<Placed<&'s str>>, Failure> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let one = |value: &'s Spanned<DeValue<'t>>| {
            value.get_ref().as_str().map(|text| Placed { value: text, span: value.span() })
        };
        if let Some(text) = one(value) {
            return Ok(vec![text]);
        }
        let Some(array) = value.get_ref().as_array() else {
            return self.wrong(key, value, "a string or an array of strings");
        };
        array
            .iter()
            .map(|item| one(item).map_or_else(|| self.wrong(key, item, "an array of strings"), Ok))
            .collect()
    }

    /// An array of which each item is a string, or a table with these keys.
    ///
    /// # Errors
    /// It is something else.
    pub fn items(&self, key: &str, known: &[&str]) -> Result<Vec<Item<'s, 't>>, Failure> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let Some(array) = value.get_ref().as_array() else {
            return self.wrong(key, value, "an array");
        };
        let item = |value: &'s Spanned<DeValue<'t>>| match value.get_ref() {
            DeValue::String(text) => Ok(Item::Text(Placed { value: &**text, span: value.span() })),
            DeValue::Table(table) => {
                let section = Section { source: self.source, table, span: value.span() };
                section.checked(known).map(Item::Section)
            }
            _ => self.wrong(key, value, "an array of strings or tables"),
        };
        array.iter().map(item).collect()
    }

    /// `[[key]]`: tables with these keys.
    ///
    /// # Errors
    /// It is something else.
    pub fn sections(&self, key: &str, known: &[&str]) -> Result<Vec<Section<'s, 't>>, Failure> {
        let section = |item| match item {
            Item::Section(section) => Ok(section),
            Item::Text(text) => {
                Err(self.source.complain(text.span, format!("\"{key}\" is a table")))
            }
        };
        self.items(key, known)?.into_iter().map(section).collect()
    }

    /// `[key]`: a table with these keys.
    ///
    /// # Errors
    /// It is something else.
    pub fn section(&self, key: &str, known: &[&str]) -> Result<Option<Section<'s, 't>>, Failure> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let Some(table) = value.get_ref().as_table() else {
            return self.wrong(key, value, "a table");
        };
        Section { source: self.source, table, span: value.span() }.checked(known).map(Some)
    }
}

/// An item of an array.
pub enum Item<'s, 't> {
    /// A string.
    Text(Placed<&'s str>),
    /// A table.
    Section(Section<'s, 't>),
}

/// The known word that a misspelled one is nearest to, if it is near.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let nearest = known.iter().min_by_key(|known| distance(word, known))?;
    (distance(word, nearest) <= 1 + word.len() / 4).then_some(*nearest)
}

/// Letters to change, to add, to take away or to swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, _) | (_, 0) => i + j,
                _ => {
                    let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swapped = if swaps { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    changed.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_named_and_a_far_one_is_not() {
        let known = ["policy", "servers", "health"];
        assert_eq!(nearest("polcy", &known), Some("policy"));
        assert_eq!(nearest("server", &known), Some("servers"));
        assert_eq!(nearest("heatlh", &known), Some("health"));
        assert_eq!(nearest("colour", &known), None);
    }
}
