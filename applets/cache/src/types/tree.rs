//! A counted B+tree of members in the order of score and name: the order statistics of a sorted
//! set. Every range is a range of ranks, found by walking down once.
//!
//! ```text
//! inner  [(count, first element, child) ...]      at most 32 children
//! leaf   [(score, member) ...]                    at most 64 elements
//! ```
//!
//! Scores lie in the leaves, so that a search follows a member's pointer only where scores tie.

use std::cmp::Ordering;

use crate::store::pair::PairRef;

const LEAF_MAX: usize = 64;
const INNER_MAX: usize = 32;

/// A member with its score. The name belongs to the set's table.
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// Its score, never NaN.
    pub score: f64,
    /// Its name.
    pub member: PairRef,
}

/// Order by score, then by name.
pub fn order(score: f64, member: &[u8], other: &Ranked) -> Ordering {
    // Scores are never NaN; 0 and -0 are equal, as they are for the incumbents.
    score
        .partial_cmp(&other.score)
        .unwrap_or(Ordering::Equal)
        .then_with(|| member.cmp(other.member.key()))
}

#[derive(Debug)]
struct Child {
    count: usize,
    first: Ranked,
    node: Box<Node>,
}

#[derive(Debug)]
enum Node {
    Leaf(Vec<Ranked>),
    Inner(Vec<Child>),
}

/// The tree.
#[derive(Debug)]
pub struct Tree {
    root: Node,
    len: usize,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { root: Node::Leaf(Vec::new()), len: 0 }
    }
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    fn first(&self) -> Option<Ranked> {
        match self {
            Node::Leaf(elements) => elements.first().copied(),
            Node::Inner(children) => children.first().map(|child| child.first),
        }
    }

    fn into_child(self) -> Option<Child> {
        Some(Child { count: self.count(), first: self.first()?, node: Box::new(self) })
    }

    /// Inserts `element`; the right half if the node had to be split.
    fn insert(&mut self, element: Ranked) -> Option<Node> {
        let before =
            |other: &Ranked| order(element.score, element.member.key(), other) == Ordering::Greater;
        match self {
            Node::Leaf(elements) => {
                let at = elements.partition_point(before);
                elements.insert(at, element);
                if elements.len() <= LEAF_MAX {
                    return None;
                }
                // Ascending input would leave half-empty leaves behind: split at the end then.
                let cut = if at == LEAF_MAX { LEAF_MAX - 4 } else { LEAF_MAX / 2 };
                let right = elements.split_off(cut);
                Some(Node::Leaf(right))
            }
            Node::Inner(children) => {
                let at = children.partition_point(|child| before(&child.first)).saturating_sub(1);
                let child = children.get_mut(at)?;
                let split = child.node.insert(element);
                child.count += 1;
                if order(element.score, element.member.key(), &child.first) == Ordering::Less {
                    child.first = element;
                }
                if let Some(right) = split.and_then(Node::into_child) {
                    child.count -= right.count;
                    children.insert(at + 1, right);
                }
                if children.len() <= INNER_MAX {
                    return None;
                }
                Some(Node::Inner(children.split_off(INNER_MAX / 2)))
            }
        }
    }

    /// Removes the element of rank `rank`.
    fn remove(&mut self, mut rank: usize) -> Option<Ranked> {
        match self {
            Node::Leaf(elements) => (rank < elements.len()).then(|| elements.remove(rank)),
            Node::Inner(children) => {
                let at = children.iter().position(|child| {
                    let here = rank < child.count;
                    if !here {
                        rank -= child.count;
                    }
                    here
                })?;
                let child = children.get_mut(at)?;
                let removed = child.node.remove(rank);
                child.count -= 1;
                match child.node.first() {
                    Some(first) => child.first = first,
                    None => {
                        children.remove(at);
                        return removed;
                    }
                }
                merge_with_next(children, at);
                removed
            }
        }
    }

    /// How many elements are in front of the first for which `in_front` is false.
    fn rank_of(&self, in_front: &dyn Fn(&Ranked) -> bool) -> usize {
        match self {
            Node::Leaf(elements) => elements.partition_point(in_front),
            Node::Inner(children) => {
                let at = children.partition_point(|child| in_front(&child.first)).saturating_sub(1);
                let before: usize = children.iter().take(at).map(|child| child.count).sum();
                before + children.get(at).map_or(0, |child| child.node.rank_of(in_front))
            }
        }
    }

    /// The leaf that holds rank `rank`, and the place in it.
    fn leaf(&self, mut rank: usize) -> (&[Ranked], usize) {
        match self {
            Node::Leaf(elements) => (elements, rank),
            Node::Inner(children) => {
                for child in children {
                    if rank < child.count {
                        return child.node.leaf(rank);
                    }
                    rank -= child.count;
                }
                (&[], 0)
            }
        }
    }
}

/// Joins a small node with its right neighbour if both fit into one.
fn merge_with_next(children: &mut Vec<Child>, at: usize) {
    let fits = match children.get(at..at + 2) {
        Some([one, two]) => match (&*one.node, &*two.node) {
            (Node::Leaf(a), Node::Leaf(b)) => a.len() + b.len() <= LEAF_MAX / 2,
            (Node::Inner(a), Node::Inner(b)) => a.len() + b.len() <= INNER_MAX / 2,
            _ => false,
        },
        _ => false,
    };
    if !fits {
        return;
    }
    let next = children.remove(at + 1);
    let Some(child) = children.get_mut(at) else { return };
    child.count += next.count;
    match (&mut *child.node, *next.node) {
        (Node::Leaf(a), Node::Leaf(b)) => a.extend(b),
        (Node::Inner(a), Node::Inner(b)) => a.extend(b),
        _ => {}
    }
}

impl Tree {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds an element that is not there.
    pub fn insert(&mut self, element: Ranked) {
        self.len += 1;
        if let Some(right) = self.root.insert(element) {
            let left = std::mem::replace(&mut self.root, Node::Inner(Vec::new()));
            let children = [left, right].into_iter().filter_map(Node::into_child).collect();
            self.root = Node::Inner(children);
        }
    }

    /// Removes the element of rank `rank`.
    pub fn remove(&mut self, rank: usize) -> Option<Ranked> {
        let removed = self.root.remove(rank)?;
        self.len -= 1;
        while let Node::Inner(children) = &mut self.root {
            match children.len() {
                0 => self.root = Node::Leaf(Vec::new()),
                1 => match children.pop() {
                    Some(only) => self.root = *only.node,
                    None => break,
                },
                _ => break,
            }
        }
        Some(removed)
    }

    /// How many elements are in front of the first for which `in_front` is false.
    pub fn rank_of(&self, in_front: impl Fn(&Ranked) -> bool) -> usize {
        self.root.rank_of(&in_front)
    }

    /// The rank of an element that is there.
    pub fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.rank_of(|other| order(score, member, other) == Ordering::Greater)
    }

    /// The elements from rank `rank` on, upwards or downwards.
    pub fn iter_from(&self, rank: usize, down: bool) -> Iter<'_> {
        Iter { tree: self, rank: (rank < self.len).then_some(rank), down, leaf: &[], place: 0 }
    }
}

/// Walks a [`Tree`].
pub struct Iter<'a> {
    tree: &'a Tree,
    /// Rank of the next element.
    rank: Option<usize>,
    down: bool,
    leaf: &'a [Ranked],
    place: usize,
}

impl Iterator for Iter<'_> {
    type Item = Ranked;

    fn next(&mut self) -> Option<Ranked> {
        let rank = self.rank?;
        if self.leaf.is_empty() {
            (self.leaf, self.place) = self.tree.root.leaf(rank);
        }
        let element = *self.leaf.get(self.place)?;
        if self.down {
            self.rank = rank.checked_sub(1);
            match self.place.checked_sub(1) {
                Some(place) => self.place = place,
                None => self.leaf = &[],
            }
        } else {
            self.rank = (rank + 1 < self.tree.len).then_some(rank + 1);
            self.place += 1;
            if self.place == self.leaf.len() {
                self.leaf = &[];
            }
        }
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::pair::Pair;

    #[test]
    fn ranks_and_order_are_those_of_a_sorted_vector() {
        let pairs: Vec<Pair> = (0..3000).map(|n| Pair::scored(format!("m{n}").as_bytes(), 0.0)).collect();
        let (mut tree, mut model): (Tree, Vec<Ranked>) = (Tree::default(), Vec::new());
        let mut state = 3u64;
        for (step, pair) in pairs.iter().enumerate() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let score = if step < 500 { step as f64 } else { (state >> 55) as f64 };
            let element = Ranked { score, member: pair.share() };
            let at = model.partition_point(|e| order(score, element.member.key(), e) == Ordering::Greater);
            assert_eq!(tree.rank(score, element.member.key()), at);
            tree.insert(element);
            model.insert(at, element);
            if step % 3 == 0 {
                let rank = (state >> 20) as usize % model.len();
                let gone = tree.remove(rank).unwrap();
                assert_eq!(gone.member, model.remove(rank).member);
            }
            assert_eq!(tree.len(), model.len());
        }
        let names = |list: &mut dyn Iterator<Item = Ranked>| list.map(|e| e.member).collect::<Vec<_>>();
        let want = names(&mut model.iter().copied());
        assert_eq!(names(&mut tree.iter_from(0, false)), want);
        let down: Vec<_> = names(&mut tree.iter_from(model.len() - 1, true)).into_iter().rev().collect();
        assert_eq!(down, want);
        while tree.len() > 0 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let rank = (state >> 20) as usize % model.len();
            assert_eq!(tree.remove(rank).unwrap().member, model.remove(rank).member);
        }
    }
}
