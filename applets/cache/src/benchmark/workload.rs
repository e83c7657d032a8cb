//! The tests, and the bytes of their requests.

use box_wire::resp::push_request;

use super::options::Options;

/// Where a random number is put: twelve digits.
const PLACEHOLDER: &[u8] = b"__rand_int__";

/// A test: its title and the request it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// As results show it.
    pub title: String,
    /// One request.
    pub request: Vec<u8>,
}

/// The tests that `options` ask for, in their order.
pub fn tests(options: &Options) -> Vec<Test> {
    if !options.command.is_empty() {
        let words = options.command.iter().map(|word| String::from_utf8_lossy(word));
        let title = words.collect::<Vec<_>>().join(" ");
        return vec![Test { title, request: request(&options.command) }];
    }
    let wanted = |names: &[&str]| match &options.tests {
        None => true,
        Some(chosen) => names.iter().any(|name| chosen.iter().any(|c| c == name)),
    };
    let all = standard(&value(options.size), options.keyspace.is_some());
    all.into_iter().filter(|(names, _)| wanted(names)).map(|(_, test)| test).collect()
}

/// Text of `size` letters.
fn value(size: usize) -> Vec<u8> {
    let mut state = 1234u32;
    let letter = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        b'0' + ((state >> 16) & 63) as u8
    };
    std::iter::repeat_with(letter).take(size).collect()
}

type Named = (&'static [&'static str], Test);

/// The tests of redis-benchmark 7.0, with the names that `-t` knows each by.
fn standard(value: &[u8], random: bool) -> Vec<Named> {
    let test = |names, title: &str, args: &[&[u8]]| -> Named {
        (names, Test { title: title.into(), request: request(args) })
    };
    let ping = Test { title: "PING_INLINE".into(), request: b"PING\r\n".to_vec() };
    let score: &[u8] = if random { PLACEHOLDER } else { b"0" };
    let (key, element): (&[u8], &[u8]) = (b"key:__rand_int__", b"element:__rand_int__");
    let mut all: Vec<Named> = vec![
        (&["ping_inline", "ping"], ping),
        test(&["ping_mbulk", "ping"], "PING_MBULK", &[b"PING"]),
        test(&["set"], "SET", &[b"SET", key, value]),
        test(&["get"], "GET", &[b"GET", key]),
        test(&["incr"], "INCR", &[b"INCR", b"counter:__rand_int__"]),
        test(&["lpush"], "LPUSH", &[b"LPUSH", b"mylist", value]),
        test(&["rpush"], "RPUSH", &[b"RPUSH", b"mylist", value]),
        test(&["lpop"], "LPOP", &[b"LPOP", b"mylist"]),
        test(&["rpop"], "RPOP", &[b"RPOP", b"mylist"]),
        test(&["sadd"], "SADD", &[b"SADD", b"myset", element]),
        test(&["hset"], "HSET", &[b"HSET", b"myhash", element, value]),
        test(&["spop"], "SPOP", &[b"SPOP", b"myset"]),
        test(&["zadd"], "ZADD", &[b"ZADD", b"myzset", score, element]),
        test(&["zpopmin"], "ZPOPMIN", &[b"ZPOPMIN", b"myzset"]),
        test(
            &["lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"],
            "LPUSH (needed to benchmark LRANGE)",
            &[b"LPUSH", b"mylist", value],
        ),
    ];
    let ranges: [(&[&str], u32); 4] = [
        (&["lrange", "lrange_100"], 100),
        (&["lrange", "lrange_300"], 300),
        (&["lrange", "lrange_500"], 500),
        (&["lrange", "lrange_600"], 600),
    ];
    for (names, count) in ranges {
        let (title, last) =
            (format!("LRANGE_{count} (first {count} elements)"), (count - 1).to_string());
        all.push(test(names, &title, &[b"LRANGE", b"mylist", b"0", last.as_bytes()]));
    }
    let mut mset: Vec<&[u8]> = vec![b"MSET"];
    (0..10).for_each(|_| mset.extend([key, value]));
    all.push(test(&["mset"], "MSET (10 keys)", &mset));
    all
}

fn request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_request(&mut bytes, args.iter());
    bytes
}

/// The bytes of a pipeline of one request, with the places of its random numbers.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    /// Length of one request.
    unit: usize,
    /// Offsets of the placeholders in one request.
    places: Vec<usize>,
}

impl Template {
    /// Of `count` times `request`; placeholders stay what they are unless they are `random`.
    pub fn new(request: &[u8], count: usize, random: bool) -> Template {
        let places = if random {
            memchr::memmem::find_iter(request, PLACEHOLDER).collect()
        } else {
            Vec::new()
        };
        Template { bytes: request.repeat(count), unit: request.len(), places }
    }

    /// The first `count` requests.
    #[inline]
    pub fn requests(&self, count: usize) -> &[u8] {
        self.bytes.get(..count * self.unit).unwrap_or(&self.bytes)
    }

    /// Puts new numbers below `limit` into the first `count` requests.
    #[inline]
    pub fn randomize(&mut self, count: usize, limit: u64, random: &mut Random) {
        for request in self.bytes.chunks_exact_mut(self.unit.max(1)).take(count) {
            for place in &self.places {
                let Some(digits) = request.get_mut(*place..place + PLACEHOLDER.len()) else {
                    continue;
                };
                let mut rest = random.below(limit);
                for digit in digits.iter_mut().rev() {
                    *digit = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
            }
        }
    }
}

/// Random numbers that a seed repeats (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`, which is not 0.
    #[inline]
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper half of the product is uniform below `limit`, without a division.
        ((u128::from(z ^ (z >> 31)) * u128::from(limit)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_twelve_digits_below_the_limit() {
        let request = request(&[&b"MSET"[..], b"a:__rand_int__", b"__rand_int__"]);
        let mut template = Template::new(&request, 3, true);
        template.randomize(2, 10, &mut Random(7));
        let text = String::from_utf8_lossy(template.requests(3)).into_owned();
        assert_eq!(text.matches("00000000000").count(), 4, "{text}");
        assert_eq!(text.matches("__rand_int__").count(), 2, "the third is left alone: {text}");
        assert_eq!(template.requests(1).len(), request.len());
    }

    #[test]
    fn without_a_keyspace_they_stay() {
        let mut template = Template::new(b"PING __rand_int__\r\n", 1, false);
        template.randomize(1, 10, &mut Random(7));
        assert_eq!(template.requests(1), b"PING __rand_int__\r\n");
    }

    #[test]
    fn a_seed_repeats_itself_and_all_of_the_range_is_hit() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..1000).map(|_| random.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..10).all(|number| draw(1).contains(&number)));
    }
}
