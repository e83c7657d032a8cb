//! Paths: `$`, `.label`, `."label"`, `[n]`, `[#]`, `[#-n]`.

use super::{Kind, Node};

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A member: its name, and how the path spells it where that has escapes.
    Label { name: Vec<u8>, spelled: Option<Vec<u8>> },
    /// An element from the front.
    Index(usize),
    /// An element from the back; 0 is behind the last.
    FromEnd(usize),
    /// What cannot be read: an error where the walk comes this far; for `[` only at an array.
    Bad { at_array: bool },
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub steps: Vec<Step>,
}

/// A path that is none.
#[derive(Debug)]
pub struct BadPath;

impl Path {
    /// Parses a path that begins with `$`. A malformed step is told when a walk meets it.
    ///
    /// # Errors
    /// It does not begin so.
    pub fn parse(text: &[u8]) -> Result<Path, BadPath> {
        let mut rest = text.strip_prefix(b"$").ok_or(BadPath)?;
        let mut steps = Vec::new();
        while let Some((first, tail)) = rest.split_first() {
            let step = match first {
                b'.' => label(tail),
                b'[' => index(tail),
                _ => None,
            };
            let Some((step, behind)) = step else {
                steps.push(Step::Bad { at_array: *first == b'[' });
                break;
            };
            steps.push(step);
            rest = behind;
        }
        Ok(Path { steps })
    }
}

fn label(text: &[u8]) -> Option<(Step, &[u8])> {
    if text.first() == Some(&b'"') {
        let mut end = 1;
        while *text.get(end)? != b'"' {
            end += 1 + usize::from(text[end] == b'\\' && end + 1 < text.len());
        }
        let spelled = &text[1..end];
        let name = super::unescape(spelled);
        let escapes = spelled.contains(&b'\\');
        let step = Step::Label { name, spelled: escapes.then(|| spelled.to_vec()) };
        return Some((step, &text[end + 1..]));
    }
    let end = text.iter().position(|b| matches!(b, b'.' | b'[')).unwrap_or(text.len());
    let name = text[..end].to_vec();
    (end > 0).then_some((Step::Label { name, spelled: None }, &text[end..]))
}

fn index(text: &[u8]) -> Option<(Step, &[u8])> {
    let close = memchr::memchr(b']', text)?;
    let (inner, behind) = (&text[..close], &text[close + 1..]);
    let number = |digits: &[u8]| {
        let text = str::from_utf8(digits).ok()?;
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let step = match inner {
        b"#" => Step::FromEnd(0),
        [b'#', b'-', digits @ ..] => Step::FromEnd(number(digits)?),
        digits => Step::Index(number(digits)?),
    };
    Some((step, behind))
}

/// The child of a node to which a step leads, where there is one.
///
/// # Errors
/// The step is malformed.
pub(super) fn child(blob: &[u8], node: &Node, step: &Step) -> Result<Option<Node>, BadPath> {
    Ok(match step {
        Step::Label { name, .. } if node.kind == Kind::Object => node
            .members(blob)
            .find(|(label, _)| label_at(blob, label, name))
            .map(|(_, value)| value),
        Step::Index(n) if node.kind == Kind::Array => node.children(blob).nth(*n),
        Step::FromEnd(n) if node.kind == Kind::Array => {
            let count = node.children(blob).count();
            count.checked_sub(*n).and_then(|n| node.children(blob).nth(n))
        }
        Step::Bad { at_array } if !at_array || node.kind == Kind::Array => return Err(BadPath),
        _ => None,
    })
}

/// Whether a label is that name.
pub fn label_at(blob: &[u8], label: &Node, name: &[u8]) -> bool {
    match label.kind {
        Kind::Text | Kind::TextRaw => label.payload(blob) == name,
        _ => label.label(blob) == name,
    }
}

/// The node that a path leads to.
///
/// # Errors
/// A step is malformed.
pub fn look_up(blob: &[u8], path: &Path) -> Result<Option<Node>, BadPath> {
    let Some(mut node) = Node::at(blob, 0) else { return Ok(None) };
    for step in &path.steps {
        let Some(next) = child(blob, &node, step)? else { return Ok(None) };
        node = next;
    }
    Ok(Some(node))
}
