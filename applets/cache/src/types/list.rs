//! A list: a queue of listpacks ("quicklist"), so that both ends and the middle change at the cost
//! of one node. An element that is too big for a listpack is a node of its own.

use std::collections::VecDeque;

use box_wire::rdb::listpack::{Item, ListPack};

/// Bytes of a node where the limit is a count of elements.
const SAFE_BYTES: usize = 8192;

/// Which end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The left one.
    Head,
    /// The right one.
    Tail,
}

/// A run of elements.
#[derive(Clone, Debug)]
pub enum Node {
    /// Many small ones.
    Packed(ListPack),
    /// One big one.
    Plain(Vec<u8>),
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Packed(pack) => pack.len(),
            Node::Plain(_) => 1,
        }
    }

    fn get(&self, index: usize) -> Option<Item<'_>> {
        match self {
            Node::Packed(pack) => pack.seek(index as i64).map(|at| pack.get(at)),
            Node::Plain(text) => (index == 0).then_some(Item::Bytes(text)),
        }
    }

    /// Whether one more element of `bytes` may be put in.
    fn has_room(&self, bytes: usize, limit: i64) -> bool {
        let Node::Packed(pack) = self else { return false };
        let size = pack.as_bytes().len() + bytes + 11;
        match byte_limit(limit) {
            Some(most) => size <= most,
            None => size <= SAFE_BYTES && (pack.len() as i64) < limit,
        }
    }
}

/// The bytes a node may have where the limit is a size: -1 to -5 mean 4 KiB to 64 KiB.
fn byte_limit(limit: i64) -> Option<usize> {
    (limit < 0).then(|| 2048 << (-limit).clamp(1, 5))
}

fn is_big(text: &[u8], limit: i64) -> bool {
    text.len() > byte_limit(limit).unwrap_or(SAFE_BYTES)
}

/// A list of byte strings.
#[derive(Clone, Debug, Default)]
pub struct List {
    nodes: VecDeque<Node>,
    len: usize,
}

impl List {
    /// An empty one.
    pub fn new() -> List {
        List::default()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many nodes.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes, for saving.
    pub fn iter_nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Bytes of all nodes.
    pub fn bytes(&self) -> usize {
        let size = |node: &Node| match node {
            Node::Packed(pack) => pack.as_bytes().len(),
            Node::Plain(text) => text.len(),
        };
        self.iter_nodes().map(size).sum()
    }

    /// Adds a node, when loading.
    pub fn push_node(&mut self, node: Node) {
        self.len += node.len();
        self.nodes.push_back(node);
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, text: &[u8], limit: i64) {
        self.len += 1;
        let big = is_big(text, limit);
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        };
        if let Some(node) = node
            && !big
            && node.has_room(text.len(), limit)
            && let Node::Packed(pack) = node
        {
            match end {
                End::Head => pack.push_front(text),
                End::Tail => pack.push(text),
            }
            return;
        }
        let node = new_node(text, big);
        match end {
            End::Head => self.nodes.push_front(node),
            End::Tail => self.nodes.push_back(node),
        }
    }

    /// Takes the element at an end.
    pub fn pop(&mut self, end: End) -> Option<Vec<u8>> {
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        }?;
        let text = match node {
            Node::Plain(text) => std::mem::take(text),
            Node::Packed(pack) => {
                let at = match end {
                    End::Head => pack.first(),
                    End::Tail => pack.last(),
                }?;
                let text = pack.get(at).to_vec();
                pack.remove(at, 1);
                text
            }
        };
        self.len -= 1;
        let empty = match node {
            Node::Plain(_) => true,
            Node::Packed(pack) => pack.is_empty(),
        };
        if empty {
            match end {
                End::Head => self.nodes.pop_front(),
                End::Tail => self.nodes.pop_back(),
            };
        }
        Some(text)
    }

    /// Node and place within it of element number `index`.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut before = 0;
            for (number, node) in self.nodes.iter().enumerate() {
                let len = node.len();
                if index < before + len {
                    return Some((number, index - before));
                }
                before += len;
            }
        } else {
            let mut start = self.len;
            for (number, node) in self.nodes.iter().enumerate().rev() {
                start -= node.len();
                if index >= start {
                    return Some((number, index - start));
                }
            }
        }
        None
    }

    /// Element number `index`.
    pub fn get(&self, index: usize) -> Option<Item<'_>> {
        let (node, within) = self.locate(index)?;
        self.nodes.get(node)?.get(within)
    }

    /// The elements from number `index` on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = Item<'_>> {
        let (first, within) = self.locate(index).unwrap_or((self.nodes.len(), 0));
        self.nodes.iter().skip(first).enumerate().flat_map(move |(number, node)| {
            NodeIter::forward(node, if number == 0 { within } else { 0 })
        })
    }

    /// The elements from number `index` on to the front.
    pub fn iter_back_from(&self, index: usize) -> impl Iterator<Item = Item<'_>> {
        let (first, within) = self.locate(index).unwrap_or((0, usize::MAX));
        let count = if within == usize::MAX { 0 } else { first + 1 };
        (0..count).rev().flat_map(move |number| {
            let node = &self.nodes[number];
            let from = if number == first { within } else { node.len() - 1 };
            NodeIter::backward(node, from)
        })
    }

    /// Replaces element number `index`; whether there is one.
    pub fn set(&mut self, index: usize, text: &[u8], limit: i64) -> bool {
        let Some((number, within)) = self.locate(index) else { return false };
        let big = is_big(text, limit);
        match &mut self.nodes[number] {
            Node::Plain(old) if big => *old = text.to_vec(),
            node @ Node::Plain(_) => *node = new_node(text, false),
            Node::Packed(pack) if !big => {
                if let Some(at) = pack.seek(within as i64) {
                    pack.replace(at, text);
                }
            }
            Node::Packed(_) => {
                self.split_at(number, within);
                // The element now begins node `number + 1` (or `number` if it was the first).
                let number = if within == 0 { number } else { number + 1 };
                self.split_at(number, 1);
                self.nodes[number] = new_node(text, true);
            }
        }
        true
    }

    /// Splits node `number` so that its elements from `within` on are the next node.
    fn split_at(&mut self, number: usize, within: usize) {
        let Some(Node::Packed(pack)) = self.nodes.get_mut(number) else { return };
        if within == 0 || within >= pack.len() {
            return;
        }
        let mut tail = ListPack::new();
        pack.iter().skip(within).for_each(|item| match item {
            Item::Int(value) => tail.push_int(value),
            Item::Bytes(text) => tail.push(text),
        });
        if let Some(at) = pack.seek(within as i64) {
            pack.remove(at, tail.len());
        }
        self.nodes.insert(number + 1, Node::Packed(tail));
    }

    /// Puts `text` in front of or behind the first element that is `pivot`; whether there is one.
    pub fn insert(&mut self, pivot: &[u8], before: bool, text: &[u8], limit: i64) -> bool {
        let found = self.nodes.iter().enumerate().find_map(|(number, node)| {
            let within = NodeIter::forward(node, 0).position(|item| item.is(pivot))?;
            Some((number, within))
        });
        let Some((number, within)) = found else { return false };
        self.insert_at(number, if before { within } else { within + 1 }, text, limit);
        true
    }

    fn insert_at(&mut self, number: usize, within: usize, text: &[u8], limit: i64) {
        self.len += 1;
        let big = is_big(text, limit);
        let node = &mut self.nodes[number];
        if !big && node.has_room(text.len(), limit) {
            if let Node::Packed(pack) = node {
                match pack.seek(within as i64) {
                    Some(at) => pack.insert_before(at, text),
                    None => pack.push(text),
                }
            }
            return;
        }
        let len = node.len();
        let place = if within == 0 {
            number
        } else {
            if within < len {
                self.split_at(number, within);
            }
            number + 1
        };
        self.nodes.insert(place, new_node(text, big));
    }

    /// Removes up to `count` elements that are `text` (all if 0), from an end; how many.
    pub fn remove(&mut self, text: &[u8], count: usize, from: End) -> usize {
        let count = if count == 0 { usize::MAX } else { count };
        let mut removed = 0;
        let total = self.nodes.len();
        for step in 0..total {
            if removed == count {
                break;
            }
            let number = if from == End::Head { step } else { total - 1 - step };
            removed += remove_in(&mut self.nodes[number], text, count - removed, from);
        }
        self.len -= removed;
        self.nodes.retain(|node| match node {
            Node::Packed(pack) => !pack.is_empty(),
            Node::Plain(_) => true,
        });
        removed
    }

    /// Keeps `count` elements from number `start` on.
    pub fn trim(&mut self, start: usize, count: usize) {
        let end = start.saturating_add(count).min(self.len);
        let behind = self.len - end;
        self.drop_at(End::Tail, behind);
        self.drop_at(End::Head, start.min(self.len));
    }

    fn drop_at(&mut self, end: End, mut count: usize) {
        self.len -= count;
        while count > 0 {
            let node =
                if end == End::Head { self.nodes.front_mut() } else { self.nodes.back_mut() };
            let Some(node) = node else { return };
            let len = node.len();
            if len <= count {
                count -= len;
                if end == End::Head {
                    self.nodes.pop_front()
                } else {
                    self.nodes.pop_back()
                };
                continue;
            }
            if let Node::Packed(pack) = node {
                let first = if end == End::Head { 0 } else { (len - count) as i64 };
                if let Some(at) = pack.seek(first) {
                    pack.remove(at, count);
                }
            }
            return;
        }
    }
}

fn new_node(text: &[u8], big: bool) -> Node {
    if big {
        return Node::Plain(text.to_vec());
    }
    let mut pack = ListPack::new();
    pack.push(text);
    Node::Packed(pack)
}

fn remove_in(node: &mut Node, text: &[u8], most: usize, from: End) -> usize {
    let pack = match node {
        Node::Plain(plain) if plain == text => {
            // An empty listpack takes its place: the caller removes it with the others.
            *node = Node::Packed(ListPack::new());
            return 1;
        }
        Node::Plain(_) => return 0,
        Node::Packed(pack) => pack,
    };
    let mut removed = 0;
    if from == End::Head {
        let mut at = pack.first();
        while let Some(found) = pack.find(text, at, 0) {
            pack.remove(found, 1);
            removed += 1;
            if removed == most {
                break;
            }
            at = pack.is_element(found).then_some(found);
        }
    } else {
        let mut at = pack.last();
        while let Some(here) = at {
            at = pack.prev(here);
            if pack.get(here).is(text) {
                pack.remove(here, 1);
                removed += 1;
                if removed == most {
                    break;
                }
            }
        }
    }
    removed
}

/// The elements of a node from one on.
struct NodeIter<'a> {
    node: &'a Node,
    at: Option<usize>,
    backward: bool,
}

impl<'a> NodeIter<'a> {
    fn forward(node: &'a Node, from: usize) -> NodeIter<'a> {
        NodeIter { node, at: NodeIter::start(node, from), backward: false }
    }

    fn backward(node: &'a Node, from: usize) -> NodeIter<'a> {
        NodeIter { node, at: NodeIter::start(node, from), backward: true }
    }

    fn start(node: &Node, from: usize) -> Option<usize> {
        match node {
            Node::Packed(pack) => pack.seek(from as i64),
            Node::Plain(_) => (from == 0).then_some(0),
        }
    }
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let at = self.at?;
        match self.node {
            Node::Packed(pack) => {
                self.at = if self.backward { pack.prev(at) } else { pack.next(at) };
                Some(pack.get(at))
            }
            Node::Plain(text) => {
                self.at = None;
                Some(Item::Bytes(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &List) -> Vec<Vec<u8>> {
        list.iter_from(0).map(|item| item.to_vec()).collect()
    }

    #[test]
    fn it_behaves_as_a_vector() {
        for limit in [-2, -1, 3, 1] {
            let (mut list, mut model) = (List::new(), VecDeque::<Vec<u8>>::new());
            let mut state = 9u64;
            for _ in 0..4000 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let text = match state >> 58 {
                    0 => vec![b'b'; 9000],
                    n => format!("{}", n % 20).into_bytes(),
                };
                let index = (state >> 20) as usize % (model.len() + 1);
                match (state >> 40) % 9 {
                    0 | 1 => {
                        list.push(End::Head, &text, limit);
                        model.push_front(text);
                    }
                    2 | 3 => {
                        list.push(End::Tail, &text, limit);
                        model.push_back(text);
                    }
                    4 => assert_eq!(list.pop(End::Head), model.pop_front()),
                    5 => assert_eq!(list.pop(End::Tail), model.pop_back()),
                    6 if index < model.len() => {
                        assert!(list.set(index, &text, limit));
                        model[index] = text;
                    }
                    7 if index < model.len() => {
                        let pivot = model[index].clone();
                        let at = model.iter().position(|t| *t == pivot).unwrap();
                        let before = state >> 63 == 0;
                        assert!(list.insert(&pivot, before, &text, limit));
                        model.insert(if before { at } else { at + 1 }, text);
                    }
                    8 if index < model.len() => {
                        let from = if state >> 63 == 0 { End::Head } else { End::Tail };
                        assert_eq!(list.remove(&model[index].clone(), 1, from), 1);
                        let same = |t: &Vec<u8>| *t == model[index];
                        let at = match from {
                            End::Head => model.iter().position(same),
                            End::Tail => model.iter().rposition(same),
                        };
                        model.remove(at.unwrap());
                    }
                    _ => {
                        assert_eq!(list.get(index).map(|i| i.to_vec()), model.get(index).cloned());
                    }
                }
                assert_eq!(list.len(), model.len());
            }
            assert!(all(&list).iter().eq(model.iter()));
            let back: Vec<_> = list.iter_back_from(list.len() - 1).map(|i| i.to_vec()).collect();
            assert!(back.iter().rev().eq(model.iter()));
            list.trim(5, 20);
            assert!(all(&list).iter().eq(model.iter().skip(5).take(20)));
        }
    }
}
