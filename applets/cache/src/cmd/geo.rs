//! Places: members of a sorted set whose scores are geohashes.

use box_wire::decimal::push_i64;
use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is, parse, zset};
use crate::cmd::reply::Out;
use crate::types::Zset;
use crate::types::geohash::{self, LATITUDES, LONGITUDES};

/// Two arguments as longitude and latitude.
pub fn place(longitude: &[u8], latitude: &[u8]) -> Result<(f64, f64), Error> {
    let (x, y) = (parse::float(longitude)?, parse::float(latitude)?);
    let inside = |value: f64, (min, max): (f64, f64)| (min..=max).contains(&value);
    if inside(x, LONGITUDES) && inside(y, LATITUDES) {
        return Ok((x, y));
    }
    Err(Error::made(format!("ERR invalid longitude,latitude pair {x:.6},{y:.6}")))
}

/// A unit in metres.
pub fn unit(word: &[u8]) -> Result<f64, Error> {
    let units = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let found = units.iter().find(|(name, _)| is(word, name));
    found
        .map(|(_, metres)| *metres)
        .ok_or(Error::fixed("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// The place of a member.
pub fn place_of(zset: Option<&Zset>, member: &[u8]) -> Option<(f64, f64)> {
    zset.and_then(|zset| zset.score(member)).map(geohash::place)
}

/// Writes a distance.
pub fn push_distance(out: &mut Out, distance: f64) {
    out.bulk(format!("{distance:.4}").as_bytes());
}

/// Writes longitude and latitude, with as many digits as they have.
pub fn push_place(out: &mut Out, (longitude, latitude): (f64, f64)) {
    out.array(2);
    for value in [longitude, latitude] {
        let text = format!("{value:.17}");
        out.double_text(text.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
}

/// `GEOADD key [NX|XX] [CH] longitude latitude member [...]`
pub fn geoadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut first, mut only_new, mut only_old) = (2, false, false);
    while let Some(word) = args.get(first) {
        match () {
            () if is(word, "nx") => only_new = true,
            () if is(word, "xx") => only_old = true,
            () if is(word, "ch") => {}
            () => break,
        }
        first += 1;
    }
    if !(args.len() - first).is_multiple_of(3) || (only_new && only_old) {
        return Err(SYNTAX);
    }
    // From here on it is a ZADD.
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    let mut push = |write: &dyn Fn(&mut Vec<u8>)| {
        let start = bytes.len();
        write(&mut bytes);
        ranges.push(start..bytes.len());
    };
    push(&|bytes| bytes.extend_from_slice(b"ZADD"));
    for word in args.iter().take(first).skip(1) {
        push(&|bytes| bytes.extend_from_slice(word));
    }
    for at in (first..args.len()).step_by(3) {
        let score = geohash::score(place(args.at(at), args.at(at + 1))?) as i64;
        push(&|bytes| push_i64(bytes, score));
        push(&|bytes| bytes.extend_from_slice(args.at(at + 2)));
    }
    zset::zadd(ctx, Args::new(&bytes, &ranges))
}

/// `GEOPOS key [member ...]`
pub fn geopos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let zset = db.zset(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match place_of(zset, member) {
            Some(place) => push_place(out, place),
            None => out.nil_array(),
        }
    }
    Ok(())
}

/// `GEOHASH key [member ...]`
pub fn geohash(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let zset = db.zset(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match place_of(zset, member) {
            Some(place) => out.bulk(&geohash::text(place)),
            None => out.nil(),
        }
    }
    Ok(())
}

/// `GEODIST key member member [unit]`
pub fn geodist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let metres = match args.len() {
        4 => 1.0,
        5 => unit(args.at(4))?,
        _ => return Err(SYNTAX),
    };
    let Ctx { db, out, .. } = ctx;
    let zset = db.zset(args.at(1))?;
    match (place_of(zset, args.at(2)), place_of(zset, args.at(3))) {
        (Some(one), Some(other)) => {
            push_distance(out, geohash::distance(one, other) / metres);
        }
        _ => out.nil(),
    }
    Ok(())
}
