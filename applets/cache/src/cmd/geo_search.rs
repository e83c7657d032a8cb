//! Searching places: GEOSEARCH and the older GEORADIUS.

use box_wire::resp::Args;

use super::geo::{place, place_of, push_distance, push_place, unit};
use super::reply::Out;
use super::{Ctx, Done, Error, SYNTAX, is, parse, zrange};
use crate::types::Zset;
use crate::types::geohash::{self, Shape};
use crate::types::zset::ScoreBound;

/// Which of the commands it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Radius { by_member: bool, stores: bool },
    Search { stores: bool },
}

#[derive(Default)]
struct Options {
    centre: Option<(f64, f64)>,
    /// A centre was named, though the set is not there to find it in.
    named: bool,
    shape: Option<Shape>,
    /// The unit of the answer, in metres.
    metres: f64,
    with: [bool; 3],
    any: bool,
    count: usize,
    down: Option<bool>,
    dest: Option<Vec<u8>>,
    distances: bool,
}

const NO_MEMBER: Error = Error::fixed("ERR could not decode requested zset member");

fn length(text: &[u8], error: &'static str) -> Result<f64, Error> {
    parse::float(text).map_err(|_| Error::fixed(error))
}

fn radius(args: Args<'_>, at: usize) -> Result<(f64, f64), Error> {
    let radius = length(args.at(at), "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Error::fixed("ERR radius cannot be negative"));
    }
    Ok((radius, unit(args.at(at + 1))?))
}

fn sides(args: Args<'_>, at: usize) -> Result<(f64, f64, f64), Error> {
    let width = length(args.at(at), "ERR need numeric width")?;
    let height = length(args.at(at + 1), "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(Error::fixed("ERR height or width cannot be negative"));
    }
    Ok((width, height, unit(args.at(at + 2))?))
}

impl Options {
    fn parse(form: Form, args: Args<'_>, zset: Option<&Zset>) -> Result<Options, Error> {
        let mut options = Options { metres: 1.0, ..Options::default() };
        let mut at = match form {
            Form::Radius { by_member, .. } => {
                options.radius_head(args, zset, by_member)?;
                if by_member { 5 } else { 6 }
            }
            Form::Search { stores: false } => 2,
            Form::Search { stores: true } => {
                options.dest = Some(args.at(1).to_vec());
                3
            }
        };
        while let Some(word) = args.get(at) {
            at += 1 + options.word(form, word, args, at, zset)?;
        }
        options.check(form, args)?;
        Ok(options)
    }

    fn radius_head(&mut self, args: Args<'_>, zset: Option<&Zset>, by_member: bool) -> Done {
        let at = if by_member {
            self.named = true;
            if zset.is_none() {
                return Ok(());
            }
            self.centre = Some(place_of(zset, args.at(2)).ok_or(NO_MEMBER)?);
            3
        } else {
            self.centre = Some(place(args.at(2), args.at(3))?);
            4
        };
        let (far, metres) = radius(args, at)?;
        self.shape = Some(Shape::Circle(far * metres));
        self.metres = metres;
        Ok(())
    }

    /// Takes an option; how many arguments it has.
    fn word(
        &mut self,
        form: Form,
        word: &[u8],
        args: Args<'_>,
        at: usize,
        zset: Option<&Zset>,
    ) -> Result<usize, Error> {
        let left = args.len() - at - 1;
        let searches = matches!(form, Form::Search { .. });
        match () {
            () if is(word, "withdist") => self.with[0] = true,
            () if is(word, "withhash") => self.with[1] = true,
            () if is(word, "withcoord") => self.with[2] = true,
            () if is(word, "any") => self.any = true,
            () if is(word, "asc") => self.down = Some(false),
            () if is(word, "desc") => self.down = Some(true),
            () if is(word, "count") && left >= 1 => {
                let count = parse::int(args.at(at + 1))?;
                let error = Error::fixed("ERR COUNT must be > 0");
                self.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(error)?;
                return Ok(1);
            }
            () if searches => return self.search_word(form, word, args, at, zset),
            () if form.may_store() && left >= 1 && is(word, "store") => {
                self.dest = Some(args.at(at + 1).to_vec());
                self.distances = false;
                return Ok(1);
            }
            () if form.may_store() && left >= 1 && is(word, "storedist") => {
                self.dest = Some(args.at(at + 1).to_vec());
                self.distances = true;
                return Ok(1);
            }
            () => return Err(SYNTAX),
        }
        Ok(0)
    }

    fn search_word(
        &mut self,
        form: Form,
        word: &[u8],
        args: Args<'_>,
        at: usize,
        zset: Option<&Zset>,
    ) -> Result<usize, Error> {
        let left = args.len() - at - 1;
        let (by_member, by_place) = (self.named, self.centre.is_some() && !self.named);
        let (circle, rectangle) = match self.shape {
            Some(Shape::Circle(_)) => (true, false),
            Some(Shape::Box(..)) => (false, true),
            None => (false, false),
        };
        match () {
            () if is(word, "frommember") && left >= 1 && !by_place => {
                self.named = true;
                if zset.is_some() {
                    self.centre = Some(place_of(zset, args.at(at + 1)).ok_or(NO_MEMBER)?);
                }
                Ok(1)
            }
            () if is(word, "fromlonlat") && left >= 2 && !by_member => {
                self.centre = Some(place(args.at(at + 1), args.at(at + 2))?);
                Ok(2)
            }
            () if is(word, "byradius") && left >= 2 && !rectangle => {
                let (far, metres) = radius(args, at + 1)?;
                self.shape = Some(Shape::Circle(far * metres));
                self.metres = metres;
                Ok(2)
            }
            () if is(word, "bybox") && left >= 3 && !circle => {
                let (width, height, metres) = sides(args, at + 1)?;
                self.shape = Some(Shape::Box(width * metres, height * metres));
                self.metres = metres;
                Ok(3)
            }
            () if form == (Form::Search { stores: true }) && is(word, "storedist") => {
                self.distances = true;
                Ok(0)
            }
            () => Err(SYNTAX),
        }
    }

    fn check(&mut self, form: Form, args: Args<'_>) -> Done {
        if self.dest.is_some() && self.with.contains(&true) {
            let what = match form {
                Form::Search { .. } => "GEOSEARCHSTORE",
                Form::Radius { .. } => "STORE option in GEORADIUS",
            };
            return Err(Error::made(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let name = || String::from_utf8_lossy(args.at(0)).into_owned();
        if self.centre.is_none() && !self.named {
            return Err(Error::made(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {}",
                name()
            )));
        }
        if self.shape.is_none() && matches!(form, Form::Search { .. }) {
            return Err(Error::made(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {}",
                name()
            )));
        }
        if self.any && self.count == 0 {
            return Err(Error::fixed("ERR the ANY argument requires COUNT argument"));
        }
        if self.count > 0 && self.down.is_none() && !self.any {
            self.down = Some(false);
        }
        Ok(())
    }
}

impl Form {
    fn may_store(self) -> bool {
        matches!(self, Form::Radius { stores: true, .. })
    }
}

/// A member that was found.
struct Point {
    member: Vec<u8>,
    score: f64,
    place: (f64, f64),
    far: f64,
}

fn find(zset: &Zset, options: &Options) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let (Some(centre), Some(shape)) = (options.centre, options.shape) else { return points };
    let enough = |points: &[Point]| options.any && points.len() >= options.count;
    for area in shape.areas(centre) {
        let (from, to) = area.scores();
        let bound = |score: u64, exclusive| ScoreBound { score: score as f64, exclusive };
        let (start, end) = zset.score_range(bound(from, false), bound(to, true));
        zset.range(start, end - start, false, |member, score| {
            let place = geohash::place(score);
            if !enough(&points)
                && let Some(far) = shape.measure(centre, place)
            {
                points.push(Point { member: member.to_vec(), score, place, far });
            }
        });
        if enough(&points) {
            break;
        }
    }
    points
}

fn push(out: &mut Out, points: &[Point], options: &Options) {
    let [far, hash, place] = options.with;
    let extras = options.with.iter().filter(|on| **on).count();
    out.array(points.len());
    for point in points {
        if extras > 0 {
            out.array(extras + 1);
        }
        out.bulk(&point.member);
        if far {
            push_distance(out, point.far / options.metres);
        }
        if hash {
            out.int(point.score as i64);
        }
        if place {
            push_place(out, point.place);
        }
    }
}

fn search(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> Done {
    let source = args.at(if form == (Form::Search { stores: true }) { 2 } else { 1 });
    let zset = ctx.db.zset(source)?;
    let options = Options::parse(form, args, zset)?;
    let mut points = zset.map(|zset| find(zset, &options)).unwrap_or_default();
    if let Some(down) = options.down {
        points.sort_by(|one, other| {
            let order = one.far.total_cmp(&other.far);
            if down { order.reverse() } else { order }
        });
    }
    if options.count > 0 {
        points.truncate(options.count);
    }
    let Some(dest) = &options.dest else {
        push(ctx.out, &points, &options);
        return Ok(());
    };
    ctx.out.count(points.len());
    let pairs = points.into_iter().map(|point| {
        let score = if options.distances { point.far / options.metres } else { point.score };
        (point.member, score)
    });
    let searched = matches!(form, Form::Search { .. });
    let name = if searched { "geosearchstore" } else { "georadiusstore" };
    zrange::store(ctx, dest, pairs.collect(), name);
    Ok(())
}

/// `GEOSEARCH key FROMMEMBER m|FROMLONLAT x y BYRADIUS r unit|BYBOX w h unit [ASC|DESC] [COUNT n [ANY]] [WITH…]`
pub fn geosearch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Search { stores: false })
}

/// `GEOSEARCHSTORE destination source … [STOREDIST]`
pub fn geosearchstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Search { stores: true })
}

/// `GEORADIUS key longitude latitude radius unit [WITH…] [COUNT n [ANY]] [ASC|DESC] [STORE key] [STOREDIST key]`
pub fn georadius(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Radius { by_member: false, stores: true })
}

/// `GEORADIUS_RO …`
pub fn georadius_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Radius { by_member: false, stores: false })
}

/// `GEORADIUSBYMEMBER key member radius unit …`
pub fn georadiusbymember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Radius { by_member: true, stores: true })
}

/// `GEORADIUSBYMEMBER_RO …`
pub fn georadiusbymember_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    search(ctx, args, Form::Radius { by_member: true, stores: false })
}
