//! Whether a blob is JSONB.

use super::{Kind, MAX_DEPTH, Node};

/// Whether it looks like JSONB: the outermost node fills it.
pub fn is_plausible(blob: &[u8]) -> bool {
    Node::at(blob, 0).is_some_and(|node| {
        let empty = matches!(node.kind, Kind::Null | Kind::True | Kind::False);
        node.end == blob.len() && (!empty || node.body == node.end)
    })
}

/// Whether every node of it is well-formed.
pub fn is_strict(blob: &[u8]) -> bool {
    Node::at(blob, 0).is_some_and(|node| node.end == blob.len() && strict(blob, &node, 0))
}

fn strict(blob: &[u8], node: &Node, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let payload = node.payload(blob);
    match node.kind {
        Kind::Null | Kind::True | Kind::False => payload.is_empty(),
        Kind::Int | Kind::Float => {
            let parsed = super::parse(payload);
            parsed.is_ok_and(|p| {
                !p.json5 && Node::at(&p.blob, 0).is_some_and(|n| n.kind == node.kind)
            })
        }
        Kind::Int5 | Kind::Float5 => super::parse(payload)
            .is_ok_and(|p| Node::at(&p.blob, 0).is_some_and(|n| n.kind == node.kind)),
        Kind::Text => payload.iter().all(|b| *b >= 0x20 && !matches!(b, b'"' | b'\\')),
        Kind::TextJ | Kind::Text5 => {
            let quoted = [b"\"", payload, b"\""].concat();
            let parsed = super::parse(&quoted);
            parsed.is_ok_and(|p| node.kind == Kind::Text5 || !p.json5)
        }
        Kind::TextRaw => true,
        Kind::Array | Kind::Object => {
            let mut at = node.body;
            for (n, child) in node.children(blob).enumerate() {
                let label = node.kind == Kind::Object && n % 2 == 0;
                if label && !child.kind.is_text() || !strict(blob, &child, depth + 1) {
                    return false;
                }
                at = child.end;
            }
            let whole = node.kind == Kind::Array || node.children(blob).count().is_multiple_of(2);
            at == node.end && whole
        }
    }
}
