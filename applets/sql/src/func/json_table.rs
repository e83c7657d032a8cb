//! `json_each()` and `json_tree()`: the nodes of a JSON value as rows.

use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::json::{self, Kind, Node, Path};
use crate::value::{Owned, Value};

/// The columns, without the hidden `json` and `root`.
pub const COLUMNS: &[&str] = &["key", "value", "type", "atom", "id", "parent", "fullkey", "path"];
/// `value`
pub const VALUE: u16 = 1;
/// A column without a name behind the hidden ones: arrays and objects of `value` as JSONB.
pub const VALUE_BLOB: u16 = 10;

struct Walk<'w> {
    blob: &'w [u8],
    deep: bool,
    binary: bool,
    json: &'w Owned,
    root: &'w Owned,
    rows: Vec<Vec<Owned>>,
}

/// What a node is called in the container it stands in.
struct Place {
    key: Owned,
    /// The offset of the label, or of the node.
    id: usize,
    parent: Owned,
    fullkey: Vec<u8>,
    path: Vec<u8>,
}

/// The rows of `json_each()` (or `json_tree()` where `deep`).
///
/// # Errors
/// Malformed JSON, a malformed path.
pub fn rows(_: &Exec<'_>, args: &[Owned], deep: bool, binary: bool) -> Result<Vec<Vec<Owned>>> {
    let Some(given) = args.first().filter(|json| !json.is_null()) else { return Ok(vec![]) };
    let malformed = || Error::new("malformed JSON");
    let blob = match given {
        Value::Blob(bytes) if json::is_plausible(bytes) => bytes.to_vec(),
        other => json::parse(&other.to_text()).map_err(|_| malformed())?.blob,
    };
    let default = Value::text("$");
    let root = args.get(1).unwrap_or(&default);
    let Some(text) = root.to_bytes() else { return Ok(vec![]) };
    let bad = || {
        let quoted = super::printf::sql_quote(&text);
        Error::new(format!("bad JSON path: {}", String::from_utf8_lossy(&quoted)))
    };
    let path = Path::parse(&text).map_err(|_| bad())?;
    let Some(node) = json::look_up(&blob, &path).map_err(|_| bad())? else { return Ok(vec![]) };
    let mut walk = Walk { blob: &blob, deep, binary, json: given, root, rows: vec![] };
    let container = matches!(node.kind, Kind::Array | Kind::Object);
    if deep {
        let place = walk.place_of_root(&node, &text);
        walk.node(&node, place);
    } else if container {
        walk.children(&node, &text, &Value::Null);
    } else {
        let place = Place {
            key: Value::Null,
            id: node.start,
            parent: Value::Null,
            fullkey: text.to_vec(),
            path: text.to_vec(),
        };
        walk.node(&node, place);
    }
    Ok(walk.rows)
}

impl Walk<'_> {
    /// The place of the node that the path leads to: told by the last step of its text.
    fn place_of_root(&self, node: &Node, text: &[u8]) -> Place {
        let at = last_step(text);
        let (path, step) = text.split_at(at);
        let key = match step {
            [b'[', digits @ .., b']'] => {
                let index = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                index.map_or(Value::Null, Value::Int)
            }
            [b'.', b'"', name @ .., b'"'] => Value::text(json::unescape(name)),
            [b'.', name @ ..] => Value::text(name),
            _ => Value::Null,
        };
        let id = match key {
            Value::Text(_) => label_before(self.blob, node).unwrap_or(node.start),
            _ => node.start,
        };
        let path = if path.is_empty() { text.to_vec() } else { path.to_vec() };
        Place { key, id, parent: Value::Null, fullkey: text.to_vec(), path }
    }

    fn node(&mut self, node: &Node, place: Place) {
        let container = matches!(node.kind, Kind::Array | Kind::Object);
        let bytes = || Value::blob(node.bytes(self.blob));
        let value = match node.value(self.blob) {
            Some(value) => value,
            None if self.binary => bytes(),
            None => json::to_text(self.blob, node).map_or(Value::Null, Value::text),
        };
        let atom = if container { Value::Null } else { value.clone() };
        let nested = if container { bytes() } else { value.clone() };
        let id = Value::Int(place.id as i64);
        self.rows.push(vec![
            place.key,
            value,
            Value::text(node.kind.name()),
            atom,
            id.clone(),
            place.parent,
            Value::text(place.fullkey.clone()),
            Value::text(place.path),
            self.json.clone(),
            self.root.clone(),
            nested,
        ]);
        if self.deep && container {
            self.children(node, &place.fullkey, &id);
        }
    }

    fn children(&mut self, node: &Node, path: &[u8], parent: &Owned) {
        let parent = if self.deep { parent.clone() } else { Value::Null };
        let place = |key: Owned, id: usize, step: Vec<u8>| Place {
            key,
            id,
            parent: parent.clone(),
            fullkey: [path, &*step].concat(),
            path: path.to_vec(),
        };
        if node.kind == Kind::Object {
            for (label, value) in node.members(self.blob) {
                let step = label_step(label.payload(self.blob));
                let key = Value::text(label.label(self.blob));
                self.node(&value, place(key, label.start, step));
            }
            return;
        }
        for (n, value) in node.children(self.blob).enumerate() {
            let step = format!("[{n}]").into_bytes();
            self.node(&value, place(Value::Int(n as i64), value.start, step));
        }
    }
}

/// A label as a step of a path: in quotes unless it is a word.
fn label_step(label: &[u8]) -> Vec<u8> {
    let word = label.first().is_some_and(u8::is_ascii_alphabetic)
        && label.iter().all(u8::is_ascii_alphanumeric);
    if word { [b".", label].concat() } else { [b".\"", label, b"\""].concat() }
}

/// Where the last step of a path begins.
fn last_step(path: &[u8]) -> usize {
    let mut quoted = false;
    let mut last = 0;
    for (at, byte) in path.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'.' | b'[' if !quoted => last = at,
            _ => {}
        }
    }
    last
}

/// The label of a member, found from the outermost node down.
fn label_before(blob: &[u8], wanted: &Node) -> Option<usize> {
    let mut node = Node::at(blob, 0)?;
    loop {
        if node.kind == Kind::Object {
            let (label, value) = node.members(blob).find(|(_, value)| value.end >= wanted.end)?;
            if value.start == wanted.start {
                return Some(label.start);
            }
            node = value;
        } else {
            node = node.children(blob).find(|child| child.end >= wanted.end)?;
        }
        if node.start >= wanted.start {
            return None;
        }
    }
}
