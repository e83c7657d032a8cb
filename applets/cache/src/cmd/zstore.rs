//! Set algebra on sorted sets: union, intersection, difference. Sets take part with scores of 1.

use std::collections::HashMap;

use box_wire::resp::Args;

use super::db::Db;
use super::zset::{WEIGHT_NOT_FLOAT, write_pairs};
use super::{Ctx, Done, Error, SYNTAX, WRONG_TYPE, is, parse, zrange};
use crate::store::entry::Value;
use crate::types::zset::compare;
use crate::types::{Object, double};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            // inf + -inf is 0 here, as the incumbents have it.
            Aggregate::Sum => {
                let sum = a + b;
                if sum.is_nan() { 0.0 } else { sum }
            }
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

struct Plan {
    sources: Vec<HashMap<Vec<u8>, f64>>,
    /// Members of the first source, for DIFF and INTER.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

fn source(db: &mut Db<'_>, key: &[u8]) -> Result<HashMap<Vec<u8>, f64>, Error> {
    let mut members = HashMap::new();
    match db.read(key).map(|entry| entry.value()) {
        None => {}
        Some(Value::Object(Object::Zset(zset))) => {
            zset.range(0, usize::MAX, false, |member, score| {
                members.insert(member.to_vec(), score);
            });
        }
        Some(Value::Object(Object::Set(set))) => {
            set.each(|member| drop(members.insert(member.to_vec(), 1.0)));
        }
        Some(_) => return Err(WRONG_TYPE),
    }
    Ok(members)
}

fn plan(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    at: usize,
    name: &str,
    op: Op,
    store: bool,
) -> Result<Plan, Error> {
    let card = name == "zintercard";
    let count = parse::int(args.at(at))?;
    if count < 1 {
        return Err(Error::made(if card {
            "ERR numkeys should be greater than 0".to_owned()
        } else {
            format!("ERR at least 1 input key is needed for '{name}' command")
        }));
    }
    if count > (args.len() - at - 1) as i64 {
        return Err(SYNTAX);
    }
    let count = count as usize;
    let mut sources = Vec::new();
    for number in 0..count {
        sources.push(source(&mut ctx.db, args.at(at + 1 + number))?);
    }
    let mut plan = Plan {
        sources,
        weights: vec![1.0; count],
        aggregate: Aggregate::Sum,
        with_scores: false,
        limit: 0,
    };
    plan.options(args, at + 1 + count, op, store, card)?;
    Ok(plan)
}

impl Plan {
    fn options(&mut self, args: Args<'_>, mut at: usize, op: Op, store: bool, card: bool) -> Done {
        let count = self.weights.len();
        while let Some(word) = args.get(at) {
            let left = args.len() - at - 1;
            if op != Op::Diff && !card && is(word, "weights") && left >= count {
                for (number, weight) in self.weights.iter_mut().enumerate() {
                    *weight = double::parse(args.at(at + 1 + number)).ok_or(WEIGHT_NOT_FLOAT)?;
                }
                at += count;
            } else if op != Op::Diff && !card && is(word, "aggregate") && left >= 1 {
                self.aggregate = match args.at(at + 1) {
                    word if is(word, "sum") => Aggregate::Sum,
                    word if is(word, "min") => Aggregate::Min,
                    word if is(word, "max") => Aggregate::Max,
                    _ => return Err(SYNTAX),
                };
                at += 1;
            } else if !store && !card && is(word, "withscores") {
                self.with_scores = true;
            } else if card && is(word, "limit") && left >= 1 {
                let limit = args.at(at + 1);
                let limit = parse::int_in(limit, 0, i64::MAX, "ERR LIMIT can't be negative")?;
                self.limit = limit as usize;
                at += 1;
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        Ok(())
    }

    fn weighted(&self, source: usize, score: f64) -> f64 {
        let value = self.weights[source] * score;
        if value.is_nan() { 0.0 } else { value }
    }

    fn run(&self, op: Op) -> Vec<(Vec<u8>, f64)> {
        let mut result: HashMap<&Vec<u8>, f64> = HashMap::new();
        match op {
            Op::Union => {
                for (number, source) in self.sources.iter().enumerate() {
                    for (member, score) in source {
                        let score = self.weighted(number, *score);
                        let sum = result.get(member).copied();
                        let sum = sum.map_or(score, |sum| self.aggregate.apply(sum, score));
                        result.insert(member, sum);
                    }
                }
            }
            Op::Inter => {
                // Smallest first, in the order the incumbents take them, as float sums depend on it.
                let mut order: Vec<usize> = (0..self.sources.len()).collect();
                order.sort_by_key(|number| self.sources[*number].len());
                let Some((first, rest)) = order.split_first() else { return Vec::new() };
                for (member, score) in &self.sources[*first] {
                    let start = Some(self.weighted(*first, *score));
                    let sum = rest.iter().fold(start, |sum, number| {
                        let score = self.sources[*number].get(member)?;
                        Some(self.aggregate.apply(sum?, self.weighted(*number, *score)))
                    });
                    if let Some(sum) = sum {
                        result.insert(member, sum);
                    }
                }
            }
            Op::Diff => {
                let Some((first, rest)) = self.sources.split_first() else { return Vec::new() };
                for (member, score) in first {
                    if !rest.iter().any(|source| source.contains_key(member)) {
                        result.insert(member, *score);
                    }
                }
            }
        }
        let mut pairs: Vec<_> =
            result.into_iter().map(|(member, score)| (member.clone(), score)).collect();
        pairs.sort_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
        pairs
    }
}

fn reply(ctx: &mut Ctx<'_>, args: Args<'_>, op: Op, name: &str) -> Done {
    let plan = plan(ctx, args, 1, name, op, false)?;
    write_pairs(ctx.out, &plan.run(op), plan.with_scores);
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, args: Args<'_>, op: Op, name: &'static str) -> Done {
    let plan = plan(ctx, args, 2, name, op, true)?;
    let pairs = plan.run(op);
    let count = pairs.len();
    zrange::store(ctx, args.at(1), pairs, name);
    ctx.out.count(count);
    Ok(())
}

/// `ZUNION numkeys key [key ...] [WEIGHTS …] [AGGREGATE …] [WITHSCORES]`
pub fn zunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    reply(ctx, args, Op::Union, "zunion")
}

/// `ZINTER numkeys key [key ...] [WEIGHTS …] [AGGREGATE …] [WITHSCORES]`
pub fn zinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    reply(ctx, args, Op::Inter, "zinter")
}

/// `ZDIFF numkeys key [key ...] [WITHSCORES]`
pub fn zdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    reply(ctx, args, Op::Diff, "zdiff")
}

/// `ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS …] [AGGREGATE …]`
pub fn zunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    store(ctx, args, Op::Union, "zunionstore")
}

/// `ZINTERSTORE destination numkeys key [key ...] [WEIGHTS …] [AGGREGATE …]`
pub fn zinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    store(ctx, args, Op::Inter, "zinterstore")
}

/// `ZDIFFSTORE destination numkeys key [key ...]`
pub fn zdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    store(ctx, args, Op::Diff, "zdiffstore")
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT n]`
pub fn zintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let plan = plan(ctx, args, 1, "zintercard", Op::Inter, false)?;
    let count = plan.run(Op::Inter).len();
    ctx.out.count(if plan.limit == 0 { count } else { count.min(plan.limit) });
    Ok(())
}
