//! Places on the earth as numbers that sort: the bits of latitude and longitude, interleaved.
//!
//! A number of 52 bits is the score of a member of a geo set. An area is the same with fewer bits;
//! a search takes the area around its centre with the eight beside it, and measures what is inside.

use std::f64::consts::PI;

/// The radius of the earth that the incumbents reckon with, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560856;
/// Half the length of the equator in the Mercator projection, in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;
/// Bits of each of the two in a score.
pub const STEP_MAX: u32 = 26;
/// Longitudes that can be told.
pub const LONGITUDES: (f64, f64) = (-180.0, 180.0);
/// Latitudes that can be told: those of the Mercator projection.
pub const LATITUDES: (f64, f64) = (-85.05112878, 85.05112878);

/// An area: the first `step` bits of latitude and of longitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// The bits, latitude's in the even places.
    pub bits: u64,
    /// How many of each.
    pub step: u32,
}

/// Edges of an area.
#[derive(Clone, Copy, Debug)]
struct Edges {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

/// Spreads 32 bits over the even places of 64.
fn spread(value: u32) -> u64 {
    [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ]
    .iter()
    .fold(u64::from(value), |x, (shift, mask)| (x | x << shift) & mask)
}

/// Takes the bits in the even places together.
fn gather(value: u64) -> u32 {
    [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ]
    .iter()
    .fold(value & 0x5555_5555_5555_5555, |x: u64, (shift, mask)| (x | x >> shift) & mask) as u32
}

/// The area of `step` bits that a place is in, counted between these edges.
pub fn encode(
    (longitude, latitude): (f64, f64),
    longitudes: (f64, f64),
    latitudes: (f64, f64),
    step: u32,
) -> Area {
    let share = |value: f64, (min, max): (f64, f64)| {
        ((value - min) / (max - min) * (1u64 << step) as f64) as u32
    };
    let (y, x) = (share(latitude, latitudes), share(longitude, longitudes));
    Area { bits: spread(y) | spread(x) << 1, step }
}

/// The score of a place.
pub fn score(place: (f64, f64)) -> u64 {
    encode(place, LONGITUDES, LATITUDES, STEP_MAX).bits
}

/// The place of a score.
pub fn place(score: f64) -> (f64, f64) {
    Area { bits: score as u64, step: STEP_MAX }.centre()
}

impl Area {
    fn edges(self) -> Edges {
        let cells = (1u64 << self.step) as f64;
        let edge = |number: u32, (min, max): (f64, f64)| {
            let at = |number: f64| min + number / cells * (max - min);
            (at(f64::from(number)), at(f64::from(number) + 1.0))
        };
        Edges {
            longitude: edge(gather(self.bits >> 1), LONGITUDES),
            latitude: edge(gather(self.bits), LATITUDES),
        }
    }

    fn centre(self) -> (f64, f64) {
        let edges = self.edges();
        let middle = |(min, max): (f64, f64), (low, high): (f64, f64)| {
            f64::midpoint(min, max).clamp(low, high)
        };
        (middle(edges.longitude, LONGITUDES), middle(edges.latitude, LATITUDES))
    }

    /// The area beside it, so many to the east and to the north.
    fn beside(self, east: i32, north: i32) -> Area {
        let unused = 64 - self.step * 2;
        let (odd, even) = (0xaaaa_aaaa_aaaa_aaaa_u64, 0x5555_5555_5555_5555_u64);
        let moved = |own: u64, own_mask: u64, other_mask: u64, by: i32| {
            let fill = other_mask >> unused;
            let sum = match by {
                0 => return own,
                1 => own.wrapping_add(fill + 1),
                _ => (own | fill).wrapping_sub(fill + 1),
            };
            sum & own_mask >> unused
        };
        let x = moved(self.bits & odd, odd, even, east);
        let y = moved(self.bits & even, even, odd, north);
        Area { bits: x | y, step: self.step }
    }

    /// First score of the area, and first behind it.
    pub fn scores(self) -> (u64, u64) {
        let shift = 52 - self.step * 2;
        (self.bits << shift, (self.bits + 1) << shift)
    }
}

/// Metres along a meridian.
fn latitude_distance(one: f64, other: f64) -> f64 {
    EARTH_RADIUS * (radians(other) - radians(one)).abs()
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// Metres between two places, by the haversine formula.
pub fn distance(one: (f64, f64), other: (f64, f64)) -> f64 {
    let (lat1, lat2) = (radians(one.1), radians(other.1));
    let v = ((radians(other.0) - radians(one.0)) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance(one.1, other.1);
    }
    let u = ((lat2 - lat1) / 2.0).sin();
    let a = u * u + lat1.cos() * lat2.cos() * v * v;
    2.0 * EARTH_RADIUS * a.sqrt().asin()
}

/// What is searched; lengths in metres.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// All within a radius.
    Circle(f64),
    /// All within a box of this width and height.
    Box(f64, f64),
}

impl Shape {
    /// The distance of a place from the centre, if it is inside.
    pub fn measure(self, centre: (f64, f64), place: (f64, f64)) -> Option<f64> {
        match self {
            Shape::Circle(radius) => Some(distance(centre, place)).filter(|far| *far <= radius),
            Shape::Box(width, height) => {
                let inside = latitude_distance(place.1, centre.1) <= height / 2.0
                    && distance(place, (centre.0, place.1)) <= width / 2.0;
                inside.then(|| distance(centre, place))
            }
        }
    }

    fn reach(self) -> (f64, f64) {
        match self {
            Shape::Circle(radius) => (radius, radius),
            Shape::Box(width, height) => (width / 2.0, height / 2.0),
        }
    }

    /// The edges of what is searched, as if the earth were flat there.
    fn edges(self, (longitude, latitude): (f64, f64)) -> Edges {
        let (width, height) = self.reach();
        let high = degrees(height / EARTH_RADIUS);
        let wide_at = |latitude: f64| degrees(width / EARTH_RADIUS / radians(latitude).cos());
        let south = latitude < 0.0;
        let wide = wide_at(if south { latitude - high } else { latitude + high });
        Edges {
            longitude: (longitude - wide, longitude + wide),
            latitude: (latitude - high, latitude + high),
        }
    }

    /// The areas that cover it, in the order in which the incumbents look at them.
    pub fn areas(self, centre: (f64, f64)) -> Vec<Area> {
        let wanted = self.edges(centre);
        let radius = match self {
            Shape::Circle(radius) => radius,
            Shape::Box(width, height) => (width / 2.0).hypot(height / 2.0),
        };
        let mut step = steps(radius, centre.1);
        let mut home = encode(centre, LONGITUDES, LATITUDES, step);
        let short = home.beside(0, 1).edges().latitude.1 < wanted.latitude.1
            || home.beside(0, -1).edges().latitude.0 > wanted.latitude.0
            || home.beside(1, 0).edges().longitude.1 < wanted.longitude.1
            || home.beside(-1, 0).edges().longitude.0 > wanted.longitude.0;
        if step > 1 && short {
            step -= 1;
            home = encode(centre, LONGITUDES, LATITUDES, step);
        }
        let edges = home.edges();
        let useful = |(east, north): &(i32, i32)| {
            step < 2
                || !((*north < 0 && edges.latitude.0 < wanted.latitude.0)
                    || (*north > 0 && edges.latitude.1 > wanted.latitude.1)
                    || (*east < 0 && edges.longitude.0 < wanted.longitude.0)
                    || (*east > 0 && edges.longitude.1 > wanted.longitude.1))
        };
        let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut areas: Vec<Area> = around
            .iter()
            .filter(|way| useful(way))
            .map(|(east, north)| home.beside(*east, *north))
            .filter(|area| *area != Area::default())
            .collect();
        // Around a whole earth the neighbours are the same.
        areas.dedup();
        areas
    }
}

/// How many bits an area has of which nine cover a radius.
fn steps(mut radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEP_MAX;
    }
    let mut step = 1i32;
    while radius < MERCATOR_MAX {
        radius *= 2.0;
        step += 1;
    }
    step -= 2;
    // Areas are narrower towards the poles.
    if latitude.abs() > 66.0 {
        step -= 1;
    }
    if latitude.abs() > 80.0 {
        step -= 1;
    }
    step.clamp(1, STEP_MAX as i32) as u32
}

/// The text of a place as others write geohashes: latitudes up to the poles, 32 digits.
pub fn text(place: (f64, f64)) -> [u8; 11] {
    const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = encode(place, LONGITUDES, (-90.0, 90.0), STEP_MAX).bits;
    // 52 bits are ten digits and a rest, for which a zero stands.
    std::array::from_fn(|at| match at {
        10 => b'0',
        at => DIGITS[(bits >> (52 - (at + 1) * 5)) as usize & 31],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palermo_and_catania_are_where_the_documentation_has_them() {
        let (palermo, catania) = ((13.361389, 38.115556), (15.087269, 37.502669));
        assert_eq!(score(palermo), 3_479_099_956_230_698);
        assert_eq!(&text(place(score(palermo) as f64)), b"sqc8b49rny0");
        let far = distance(place(score(palermo) as f64), place(score(catania) as f64));
        assert!((far - 166_274.151_6).abs() < 0.001, "{far}");
    }

    #[test]
    fn neighbours_wrap_around_the_earth() {
        let home = Area { bits: 0, step: 2 };
        assert_eq!(home.beside(1, 0).beside(-1, 0), home);
        assert_eq!(home.beside(-1, 0).beside(1, 0), home);
        assert_eq!(home.beside(0, -1).beside(0, 1), home);
    }

    #[test]
    fn every_place_inside_is_in_one_of_the_areas() {
        let mut state = 5u64;
        let mut random = |low: f64, high: f64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            low + (high - low) * ((state >> 11) as f64 / (1u64 << 53) as f64)
        };
        for _ in 0..20_000 {
            let centre = (random(-170.0, 170.0), random(-60.0, 60.0));
            let shape = Shape::Circle(random(0.0, 500_000.0));
            let near = (centre.0 + random(-5.0, 5.0), centre.1 + random(-5.0, 5.0));
            if shape.measure(centre, near).is_some() {
                let at = score(near);
                let found = shape.areas(centre).iter().any(|area| {
                    let (from, to) = area.scores();
                    (from..to).contains(&at)
                });
                assert!(found, "{centre:?} {shape:?} {near:?}");
            }
        }
    }
}
