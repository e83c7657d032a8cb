//! JSON as SQLite keeps it: JSONB, a tree of nodes of which each is a header and a payload
//! (<https://sqlite.org/jsonb.html>). All JSON functions work on it; text is parsed into it first.
//!
//! ```text
//! +-----------+---------+- - - - -+   size 0-11: the payload's own size
//! | size|type | [size]  | payload |   12, 13, 14, 15: 1, 2, 4, 8 bytes of size follow
//! +-----------+---------+- - - - -+   arrays: elements; objects: labels and values in turn
//! ```
//!
//! Numbers and strings keep the spelling of the text, which their type tells: `INT5` is
//! hexadecimal, `TEXTJ` has escapes, `TEXTRAW` is what SQL gave and needs escapes yet.

mod edit;
mod parse;
mod path;
mod scalar;
mod text;
mod valid;

pub use edit::{Change, Refused, patch, remove, set};
pub use parse::parse;
pub use path::{BadPath, Path, look_up};
pub use scalar::unescape;
pub use text::{append_string, pretty, to_text};
pub use valid::{is_plausible, is_strict};

/// How deep arrays and objects may nest (JSON_MAX_DEPTH).
pub const MAX_DEPTH: usize = 1000;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Null,
    True,
    False,
    Int,
    Int5,
    Float,
    Float5,
    Text,
    TextJ,
    Text5,
    TextRaw,
    Array,
    Object,
}

const KINDS: [Kind; 13] = [
    Kind::Null,
    Kind::True,
    Kind::False,
    Kind::Int,
    Kind::Int5,
    Kind::Float,
    Kind::Float5,
    Kind::Text,
    Kind::TextJ,
    Kind::Text5,
    Kind::TextRaw,
    Kind::Array,
    Kind::Object,
];

impl Kind {
    /// Any of the four kinds of text.
    pub fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::TextJ | Kind::Text5 | Kind::TextRaw)
    }

    /// What `json_type()` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::True => "true",
            Kind::False => "false",
            Kind::Int | Kind::Int5 => "integer",
            Kind::Float | Kind::Float5 => "real",
            Kind::Text | Kind::TextJ | Kind::Text5 | Kind::TextRaw => "text",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// A node within a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// Where its header begins.
    pub start: usize,
    /// Where its payload begins.
    pub body: usize,
    /// Where it ends.
    pub end: usize,
}

impl Node {
    /// The node whose header stands at `start`; `None` where there is none that fits.
    pub fn at(blob: &[u8], start: usize) -> Option<Node> {
        let first = *blob.get(start)?;
        let kind = *KINDS.get(usize::from(first & 15))?;
        let extra = match first >> 4 {
            12 => 1,
            13 => 2,
            14 => 4,
            15 => 8,
            _ => 0,
        };
        let body = start + 1 + extra;
        let size = if extra == 0 {
            u64::from(first >> 4)
        } else {
            let bytes = blob.get(start + 1..body)?;
            bytes.iter().fold(0u64, |size, byte| size << 8 | u64::from(*byte))
        };
        let end = usize::try_from(size).ok().and_then(|size| body.checked_add(size))?;
        (end <= blob.len()).then_some(Node { kind, start, body, end })
    }

    /// Its payload.
    pub fn payload<'b>(&self, blob: &'b [u8]) -> &'b [u8] {
        blob.get(self.body..self.end).unwrap_or_default()
    }

    /// All its bytes.
    pub fn bytes<'b>(&self, blob: &'b [u8]) -> &'b [u8] {
        blob.get(self.start..self.end).unwrap_or_default()
    }

    /// The nodes inside: elements, or labels and values in turn. Ends early where one is damaged.
    pub fn children<'b>(&self, blob: &'b [u8]) -> impl Iterator<Item = Node> + use<'b> {
        let (mut at, end) = (self.body, self.end);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let node = Node::at(blob, at).filter(|node| node.end <= end)?;
            at = node.end;
            Some(node)
        })
    }

    /// The labels and values of an object.
    pub fn members<'b>(&self, blob: &'b [u8]) -> impl Iterator<Item = (Node, Node)> + use<'b> {
        let mut children = self.children(blob);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }
}

/// Appends a node of `kind` with that payload.
pub fn push_node(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    push_header(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// Appends the shortest header for a payload of `size` bytes.
fn push_header(out: &mut Vec<u8>, kind: Kind, size: usize) {
    let kind = kind as u8;
    match size {
        0..=11 => out.push((size as u8) << 4 | kind),
        12..=0xff => out.extend_from_slice(&[0xc0 | kind, size as u8]),
        0x100..=0xffff => {
            out.push(0xd0 | kind);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        _ => {
            out.push(0xe0 | kind);
            out.extend_from_slice(&(size as u32).to_be_bytes());
        }
    }
}
