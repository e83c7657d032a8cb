//! Changing JSONB: set, insert, replace, remove, merge. Nodes that a change goes through get a new
//! header; all others keep their bytes.

use super::path::{BadPath, Path, Step, child, label_at};
use super::{Kind, MAX_DEPTH, Node, push_header, push_node};

/// What a change may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only where nothing is.
    Insert,
    /// Only where something is.
    Replace,
    /// Both.
    Set,
    /// A new element before the one at the place.
    ArrayInsert,
}

/// Why a change cannot be made.
#[derive(Debug)]
pub enum Refused {
    BadPath,
    /// `json_array_insert()` of what is no element.
    NoElement,
    /// The blob is no JSONB.
    Malformed,
}

impl From<BadPath> for Refused {
    fn from(_: BadPath) -> Refused {
        Refused::BadPath
    }
}

/// Puts `value` at the place of a path.
///
/// # Errors
/// A malformed path.
pub fn set(blob: &[u8], path: &Path, value: &[u8], change: Change) -> Result<Vec<u8>, Refused> {
    let root = Node::at(blob, 0).ok_or(Refused::Malformed)?;
    let mut out = Vec::with_capacity(blob.len() + value.len());
    Setter { blob, value, change }.set(&root, &path.steps, &mut out)?;
    Ok(out)
}

struct Setter<'s> {
    blob: &'s [u8],
    value: &'s [u8],
    change: Change,
}

impl Setter<'_> {
    fn set(&self, node: &Node, steps: &[Step], out: &mut Vec<u8>) -> Result<(), Refused> {
        let blob = self.blob;
        let Some((step, rest)) = steps.split_first() else {
            out.extend_from_slice(match self.change {
                Change::Insert | Change::ArrayInsert => node.bytes(blob),
                _ => self.value,
            });
            return Ok(());
        };
        let inserts = rest.is_empty() && self.change == Change::ArrayInsert;
        if inserts && matches!(step, Step::Label { .. }) {
            return Err(Refused::NoElement);
        }
        if let Some(target) = child(blob, node, step)? {
            let mut inner = blob[node.body..target.start].to_vec();
            if inserts {
                inner.extend_from_slice(self.value);
                inner.extend_from_slice(target.bytes(blob));
            } else {
                self.set(&target, rest, &mut inner)?;
            }
            inner.extend_from_slice(&blob[target.end..node.end]);
            push_node(out, node.kind, &inner);
            return Ok(());
        }
        match self.addition(node, step, rest)? {
            Some(addition) => {
                push_header(out, node.kind, node.end - node.body + addition.len());
                out.extend_from_slice(node.payload(blob));
                out.extend_from_slice(&addition);
            }
            None => out.extend_from_slice(node.bytes(blob)),
        }
        Ok(())
    }

    /// What is put at the end of a node for a step that leads nowhere yet.
    fn addition(
        &self,
        node: &Node,
        step: &Step,
        rest: &[Step],
    ) -> Result<Option<Vec<u8>>, Refused> {
        if self.change == Change::Replace {
            return Ok(None);
        }
        let mut out = Vec::new();
        match (step, node.kind) {
            (Step::Label { name, spelled }, Kind::Object) => push_label(&mut out, name, spelled),
            (Step::Index(n), Kind::Array) if *n == node.children(self.blob).count() => {}
            (Step::FromEnd(0), Kind::Array) => {}
            _ => return Ok(None),
        }
        let built = built(rest, self.value)?;
        Ok(built.map(|built| {
            out.extend(built);
            out
        }))
    }
}

/// Appends the label that a step of a path stands for.
fn push_label(out: &mut Vec<u8>, name: &[u8], spelled: &Option<Vec<u8>>) {
    match spelled {
        Some(spelled) => push_node(out, Kind::Text5, spelled),
        None => push_node(out, Kind::TextRaw, name),
    }
}

/// `value` inside of new objects and arrays.
fn built(steps: &[Step], value: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let Some((step, rest)) = steps.split_first() else { return Ok(Some(value.to_vec())) };
    if matches!(step, Step::Bad { .. }) {
        return Err(Refused::BadPath);
    }
    let Some(inner) = built(rest, value)? else { return Ok(None) };
    let mut out = Vec::new();
    match step {
        Step::Label { name, spelled } => {
            let mut member = Vec::new();
            push_label(&mut member, name, spelled);
            member.extend(inner);
            push_node(&mut out, Kind::Object, &member);
        }
        Step::Index(0) | Step::FromEnd(0) => push_node(&mut out, Kind::Array, &inner),
        _ => return Ok(None),
    }
    Ok(Some(out))
}

/// Takes the node of a path out; `None`: that was the whole.
///
/// # Errors
/// A malformed path.
pub fn remove(blob: &[u8], path: &Path) -> Result<Option<Vec<u8>>, Refused> {
    if path.steps.is_empty() {
        return Ok(None);
    }
    let root = Node::at(blob, 0).ok_or(Refused::Malformed)?;
    let mut out = Vec::with_capacity(blob.len());
    remove_at(blob, &root, &path.steps, &mut out)?;
    Ok(Some(out))
}

fn remove_at(blob: &[u8], node: &Node, steps: &[Step], out: &mut Vec<u8>) -> Result<(), Refused> {
    let found = match steps.split_first() {
        Some((step, rest)) => child(blob, node, step)?.map(|target| (target, rest)),
        None => None,
    };
    let Some((target, rest)) = found else {
        out.extend_from_slice(node.bytes(blob));
        return Ok(());
    };
    let mut inner = blob[node.body..target.start].to_vec();
    if rest.is_empty() {
        if node.kind == Kind::Object {
            // The label goes with its value.
            let label = node.members(blob).find(|(_, value)| value.start == target.start);
            inner.truncate(label.map_or(inner.len(), |(label, _)| label.start - node.body));
        }
    } else {
        remove_at(blob, &target, rest, &mut inner)?;
    }
    inner.extend_from_slice(&blob[target.end..node.end]);
    push_node(out, node.kind, &inner);
    Ok(())
}

/// Merges a patch into a target (RFC 7396).
pub fn patch(target: &[u8], patch: &[u8]) -> Option<Vec<u8>> {
    let (to, from) = (Node::at(target, 0)?, Node::at(patch, 0)?);
    let mut out = Vec::with_capacity(target.len() + patch.len());
    merge(target, Some(&to), patch, &from, 0, &mut out)?;
    Some(out)
}

fn merge(
    target: &[u8],
    to: Option<&Node>,
    patch: &[u8],
    from: &Node,
    depth: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    if from.kind != Kind::Object {
        out.extend_from_slice(from.bytes(patch));
        return Some(());
    }
    let to = to.filter(|to| to.kind == Kind::Object);
    let changes: Vec<(Node, Node)> = from.members(patch).collect();
    let mut used = vec![false; changes.len()];
    let mut inner = Vec::new();
    for (label, value) in to.iter().flat_map(|to| to.members(target)) {
        let name = label.label(target);
        // Of equal labels in the patch the last one counts.
        let found = changes.iter().rposition(|(l, _)| label_at(patch, l, &name));
        let Some(found) = found else {
            inner.extend_from_slice(label.bytes(target));
            inner.extend_from_slice(value.bytes(target));
            continue;
        };
        for (n, (label, _)) in changes.iter().enumerate() {
            used[n] |= label_at(patch, label, &name);
        }
        let change = changes[found].1;
        if change.kind != Kind::Null {
            inner.extend_from_slice(label.bytes(target));
            merge(target, Some(&value), patch, &change, depth + 1, &mut inner)?;
        }
    }
    for ((label, value), used) in changes.iter().zip(used) {
        if !used && value.kind != Kind::Null {
            inner.extend_from_slice(label.bytes(patch));
            merge(target, None, patch, value, depth + 1, &mut inner)?;
        }
    }
    push_node(out, Kind::Object, &inner);
    Some(())
}
