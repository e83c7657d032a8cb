//! Ranges of sorted sets, by rank, score or name.

use box_wire::resp::Args;

use super::db::event;
use super::zset::{RANGE_NOT_FLOAT, write_pairs};
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::entry::NewValue;
use crate::types::zset::{NameBound, ScoreBound};
use crate::types::{Object, Zset, double};

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

struct Query {
    by: By,
    down: bool,
    with_scores: bool,
    offset: i64,
    count: i64,
}

enum Range {
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Names(NameBound, NameBound),
}

fn score_bound(text: &[u8]) -> Result<ScoreBound, Error> {
    let (text, exclusive) = match text {
        [b'(', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    // strtod would skip spaces in front here.
    let score = double::parse(text.trim_ascii_start()).ok_or(RANGE_NOT_FLOAT)?;
    Ok(ScoreBound { score, exclusive })
}

fn name_bound(text: &[u8]) -> Result<NameBound, Error> {
    match text {
        b"-" => Ok(NameBound::Lowest),
        b"+" => Ok(NameBound::Highest),
        [b'(', name @ ..] => Ok(NameBound::Exclusive(name.to_vec())),
        [b'[', name @ ..] => Ok(NameBound::Inclusive(name.to_vec())),
        _ => Err(Error::fixed("ERR min or max not valid string range item")),
    }
}

impl Range {
    fn parse(by: By, low: &[u8], high: &[u8]) -> Result<Range, Error> {
        Ok(match by {
            By::Rank => Range::Ranks(parse::int(low)?, parse::int(high)?),
            By::Score => Range::Scores(score_bound(low)?, score_bound(high)?),
            By::Name => Range::Names(name_bound(low)?, name_bound(high)?),
        })
    }

    /// First rank inside and first rank behind.
    fn ranks(&self, zset: &Zset, down: bool) -> (usize, usize) {
        match self {
            Range::Ranks(start, end) => match parse::range(*start, *end, zset.len()) {
                Some((from, to)) if down => (zset.len() - to, zset.len() - from),
                Some(range) => range,
                None => (0, 0),
            },
            Range::Scores(min, max) => zset.score_range(*min, *max),
            Range::Names(min, max) => zset.name_range(min, max),
        }
    }
}

impl Query {
    /// Start rank, count and direction of the walk that gives the result.
    fn walk(&self, range: &Range, zset: &Zset) -> (usize, usize, bool) {
        let (from, to) = range.ranks(zset, self.down);
        let found = to - from;
        if self.offset < 0 || self.offset as usize >= found {
            return (0, 0, self.down);
        }
        let offset = self.offset as usize;
        let left = found - offset;
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(left);
        let start = if self.down { to - 1 - offset } else { from + offset };
        (start, count, self.down)
    }

    fn of(by: By, down: bool) -> Query {
        Query { by, down, with_scores: false, offset: 0, count: -1 }
    }

    /// Reads the options from argument `at` on; ZRANGE's own (BYSCORE, BYLEX, REV) if `full`.
    fn options(&mut self, args: Args<'_>, mut at: usize, full: bool, store: bool) -> Done {
        let mut limited = false;
        while let Some(word) = args.get(at) {
            match word {
                _ if !store && is(word, "withscores") => self.with_scores = true,
                _ if is(word, "limit") && args.len() > at + 2 => {
                    self.offset = parse::int(args.at(at + 1))?;
                    self.count = parse::int(args.at(at + 2))?;
                    limited = true;
                    at += 2;
                }
                _ if full && is(word, "rev") => self.down = true,
                _ if full && is(word, "bylex") => self.by = By::Name,
                _ if full && is(word, "byscore") => self.by = By::Score,
                _ => return Err(SYNTAX),
            }
            at += 1;
        }
        if limited && self.by == By::Rank && self.count != -1 {
            return Err(Error::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX",
            ));
        }
        if self.with_scores && self.by == By::Name {
            return Err(Error::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(())
    }
}

fn query(ctx: &mut Ctx<'_>, args: Args<'_>, query: &Query, low: usize, high: usize) -> Done {
    let range = Range::parse(query.by, args.at(low), args.at(high))?;
    let pairs = collect(ctx, args.at(1), query, &range)?;
    write_pairs(ctx.out, &pairs, query.with_scores);
    Ok(())
}

fn collect(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    query: &Query,
    range: &Range,
) -> Result<Vec<(Vec<u8>, f64)>, Error> {
    let mut pairs = Vec::new();
    if let Some(zset) = ctx.db.zset(key)? {
        let (start, count, down) = query.walk(range, zset);
        if count > 0 {
            zset.range(start, count, down, |member, score| pairs.push((member.to_vec(), score)));
        }
    }
    Ok(pairs)
}

/// The bounds' argument numbers: REV swaps them for scores and names.
fn bounds(query: &Query, first: usize) -> (usize, usize) {
    if query.down && query.by != By::Rank { (first + 1, first) } else { (first, first + 1) }
}

/// `ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub fn zrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Rank, false);
    wanted.options(args, 4, true, false)?;
    let (low, high) = bounds(&wanted, 2);
    query(ctx, args, &wanted, low, high)
}

/// `ZREVRANGE key start stop [WITHSCORES]`
pub fn zrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Rank, true);
    wanted.options(args, 4, false, false)?;
    query(ctx, args, &wanted, 2, 3)
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
pub fn zrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Score, false);
    wanted.options(args, 4, false, false)?;
    query(ctx, args, &wanted, 2, 3)
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
pub fn zrevrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Score, true);
    wanted.options(args, 4, false, false)?;
    query(ctx, args, &wanted, 3, 2)
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
pub fn zrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Name, false);
    wanted.options(args, 4, false, false)?;
    query(ctx, args, &wanted, 2, 3)
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
pub fn zrevrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Name, true);
    wanted.options(args, 4, false, false)?;
    query(ctx, args, &wanted, 3, 2)
}

/// `ZRANGESTORE dst src start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]`
pub fn zrangestore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut wanted = Query::of(By::Rank, false);
    wanted.options(args, 5, true, true)?;
    let (low, high) = bounds(&wanted, 3);
    let range = Range::parse(wanted.by, args.at(low), args.at(high))?;
    let pairs = collect(ctx, args.at(2), &wanted, &range)?;
    let count = pairs.len();
    store(ctx, args.at(1), pairs, "zrangestore");
    ctx.out.count(count);
    Ok(())
}

/// Stores members as the sorted set at `dest`; none of them removes it.
pub fn store(ctx: &mut Ctx<'_>, dest: &[u8], pairs: Vec<(Vec<u8>, f64)>, name: &'static str) {
    let limits = ctx.db.limits;
    if pairs.is_empty() {
        if ctx.db.exists(dest) {
            ctx.db.remove(dest);
            ctx.db.changed(event::GENERIC, "del", dest);
        }
        return;
    }
    let longest = pairs.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let compact = pairs.len() <= limits.zset_entries && longest <= limits.zset_value;
    let mut zset = if compact {
        Zset::default()
    } else {
        Zset::Indexed(Box::default())
    };
    for (member, score) in pairs {
        zset.set(&member, score, &limits);
    }
    ctx.db.put(dest, NewValue::Object(Box::new(Object::Zset(zset))), None);
    ctx.db.changed(event::ZSET, name, dest);
}

fn count(ctx: &mut Ctx<'_>, args: Args<'_>, by: By) -> Done {
    let range = Range::parse(by, args.at(2), args.at(3))?;
    let count = ctx.db.zset(args.at(1))?.map_or(0, |zset| {
        let (from, to) = range.ranks(zset, false);
        to - from
    });
    ctx.out.count(count);
    Ok(())
}

/// `ZCOUNT key min max`
pub fn zcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    count(ctx, args, By::Score)
}

/// `ZLEXCOUNT key min max`
pub fn zlexcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    count(ctx, args, By::Name)
}

fn remove(ctx: &mut Ctx<'_>, args: Args<'_>, by: By, name: &'static str) -> Done {
    let range = Range::parse(by, args.at(2), args.at(3))?;
    let key = args.at(1);
    let mut removed = 0;
    if let Some(zset) = ctx.db.zset_mut(key)? {
        let (from, to) = range.ranks(zset, false);
        removed = to - from;
        zset.remove_range(from, to);
    }
    if removed > 0 {
        ctx.db.changed(event::ZSET, name, key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.count(removed);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop`
pub fn zremrangebyrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    remove(ctx, args, By::Rank, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max`
pub fn zremrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    remove(ctx, args, By::Score, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max`
pub fn zremrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    remove(ctx, args, By::Name, "zremrangebylex")
}
