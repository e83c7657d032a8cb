//! LCS: the longest common subsequence of two strings.

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is, parse};

/// The table of lengths may have this many cells.
const CELLS_MAX: usize = 1 << 30;

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]`
pub fn lcs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wrong = Error::fixed("ERR The specified keys must contain string values");
    let mut texts = [Vec::new(), Vec::new()];
    for (number, text) in texts.iter_mut().enumerate() {
        let found = ctx.db.text(args.at(number + 1)).map_err(|_| wrong.clone())?;
        if let Some(found) = found {
            *text = found.bytes(&mut Vec::new()).to_vec();
        }
    }
    let (mut len_only, mut index, mut with_len, mut min_len) = (false, false, false, 0);
    let mut at = 3;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            _ if is(word, "idx") => index = true,
            _ if is(word, "len") => len_only = true,
            _ if is(word, "withmatchlen") => with_len = true,
            Some(value) if is(word, "minmatchlen") => {
                min_len = parse::int(value)?.max(0);
                at += 1;
            }
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    if index && len_only {
        return Err(Error::fixed(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let [a, b] = &texts;
    if (a.len() + 1).saturating_mul(b.len() + 1) > CELLS_MAX {
        return Err(Error::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let lengths = Lengths::of(a, b);
    let total = lengths.get(a.len(), b.len());
    if len_only {
        ctx.out.int(i64::from(total));
        return Ok(());
    }
    let (common, matches) = walk_back(a, b, &lengths);
    if !index {
        ctx.out.bulk(&common);
        return Ok(());
    }
    let shown: Vec<_> = matches.iter().filter(|m| m.len as i64 >= min_len).collect();
    ctx.out.map(2);
    ctx.out.bulk(b"matches");
    ctx.out.array(shown.len());
    for m in shown {
        ctx.out.array(2 + usize::from(with_len));
        for start in [m.a, m.b] {
            ctx.out.array(2);
            ctx.out.count(start);
            ctx.out.count(start + m.len - 1);
        }
        if with_len {
            ctx.out.count(m.len);
        }
    }
    ctx.out.bulk(b"len");
    ctx.out.int(i64::from(total));
    Ok(())
}

/// Length of the common subsequence of all pairs of prefixes.
struct Lengths {
    cells: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn of(a: &[u8], b: &[u8]) -> Lengths {
        let width = b.len() + 1;
        let mut lengths = Lengths { cells: vec![0; (a.len() + 1) * width], width };
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let cell = if x == y {
                    lengths.get(i, j) + 1
                } else {
                    lengths.get(i, j + 1).max(lengths.get(i + 1, j))
                };
                lengths.cells[(i + 1) * width + j + 1] = cell;
            }
        }
        lengths
    }

    fn get(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }
}

/// A run that both strings share.
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// The subsequence, and the runs it consists of, last one first.
fn walk_back(a: &[u8], b: &[u8], lengths: &Lengths) -> (Vec<u8>, Vec<Match>) {
    let (mut i, mut j) = (a.len(), b.len());
    let mut common = Vec::new();
    let mut matches: Vec<Match> = Vec::new();
    let mut open = false;
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            common.push(a[i - 1]);
            match matches.last_mut() {
                Some(m) if open && m.a == i && m.b == j => {
                    (m.a, m.b, m.len) = (i - 1, j - 1, m.len + 1);
                }
                _ => matches.push(Match { a: i - 1, b: j - 1, len: 1 }),
            }
            open = true;
            i -= 1;
            j -= 1;
        } else {
            open = false;
            if lengths.get(i - 1, j) > lengths.get(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }
    common.reverse();
    (common, matches)
}
