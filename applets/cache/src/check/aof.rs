//! An append-only file: requests one behind the other, perhaps with a snapshot in front and
//! timestamps (`#TS:SECONDS`) in between; or all files of a manifest.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use box_kit::exit::kernel_words;

use super::Fix;
use super::rdb::{self, say};
use crate::client::Stop;
use crate::persist::manifest::Manifest;

/// The longest line in front of an argument.
const LINE_MAX: u64 = 128;

/// Checks the file or manifest at `path`; whether all is well, or has been made so.
///
/// # Errors
/// A file cannot be opened, or the person does not want it cut.
pub fn check(out: &mut impl Write, path: &Path, fix: Fix) -> Result<bool, Stop> {
    let name = path.display().to_string();
    let mut front = [0; 5];
    let length =
        open(path, &name)?.read(&mut front).map_err(|error| cannot("read", &name, &error))?;
    if front.get(..length).is_some_and(|front| front.starts_with(b"file ")) {
        return manifest(out, path, fix);
    }
    say(out, "Start checking Old-Style AOF\n")?;
    Single { path, name: &name, kind: "AOF", fix, last: true }.check(out)
}

fn open(path: &Path, name: &str) -> Result<File, Stop> {
    File::open(path).map_err(|error| cannot("open", name, &error))
}

fn cannot(what: &str, name: &str, error: &io::Error) -> Stop {
    Stop::said(format!("Cannot {what} file {name}: {}", kernel_words(error)))
}

fn manifest(out: &mut impl Write, path: &Path, fix: Fix) -> Result<bool, Stop> {
    say(out, "Start checking Multi Part AOF\n")?;
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| cannot("read", &name, &error))?;
    let manifest = Manifest::parse(&String::from_utf8_lossy(&text))
        .map_err(|reason| Stop::said(format!("Invalid AOF manifest {name}: {reason}")))?;
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if let Some(base) = &manifest.base {
        let path = folder.join(&base.name);
        let format = if base.name.ends_with(".rdb") { "RDB" } else { "RESP" };
        say(out, &format!("Start to check BASE AOF ({format} format).\n"))?;
        let last = manifest.incr.is_empty();
        if !(Single { path: &path, name: &base.name, kind: "BASE AOF", fix, last }.check(out)?) {
            return Ok(false);
        }
    }
    if !manifest.incr.is_empty() {
        say(out, "Start to check INCR files.\n")?;
    }
    for (index, part) in manifest.incr.iter().enumerate() {
        let (path, last) = (folder.join(&part.name), index + 1 == manifest.incr.len());
        if !(Single { path: &path, name: &part.name, kind: "INCR AOF", fix, last }.check(out)?) {
            return Ok(false);
        }
    }
    say(out, "All AOF files and manifest are valid\n")?;
    Ok(true)
}

/// One file.
struct Single<'a> {
    path: &'a Path,
    name: &'a str,
    kind: &'static str,
    fix: Fix,
    /// Only the newest file of a manifest may be cut.
    last: bool,
}

impl Single<'_> {
    fn check(&self, out: &mut impl Write) -> Result<bool, Stop> {
        let name = self.name;
        let failed = |error: io::Error| cannot("read", name, &error);
        let mut file = open(self.path, name)?;
        let size = file.metadata().map_err(failed)?.len();
        if size == 0 {
            say(out, &format!("{} {name} is empty\n", self.kind))?;
            return Ok(true);
        }
        let Some(start) = self.preamble(out, &mut file)? else {
            say(out, "RDB preamble of AOF file is not sane, aborting.\n")?;
            return Ok(false);
        };
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut scan = Scan::new(BufReader::with_capacity(1 << 16, file), start);
        let until = match self.fix {
            Fix::Timestamp(until) => Some(until),
            _ => None,
        };
        let problem = scan.run(until).map_err(failed)?;
        if let (Some(until), Some(at)) = (until, scan.late) {
            return self.cut_late(out, at, until);
        }
        if let Some(problem) = problem {
            let text = match problem {
                Problem::NoRequest => format!("AOF {name} format error\n"),
                Problem::At(offset, what) => format!("0x{offset:>16x}: {what}\n"),
                Problem::Transaction(offset, what) => {
                    format!("0x{offset:>16x}: {what} in AOF {}\n", self.path.display())
                }
            };
            say(out, &text)?;
        }
        let (kept, line) = (scan.whole, scan.line);
        let diff = size - kept;
        if diff > 0 || until.is_none() {
            say(
                out,
                &format!(
                    "AOF analyzed: filename={name}, size={size}, ok_up_to={kept}, \
                     ok_up_to_line={line}, diff={diff}\n"
                ),
            )?;
        }
        self.conclude(out, size, kept)
    }

    /// Checks a snapshot in front; where the requests begin, if it is whole.
    fn preamble(&self, out: &mut impl Write, file: &mut File) -> Result<Option<u64>, Stop> {
        let failed = |error: io::Error| cannot("read", self.name, &error);
        let mut magic = Vec::new();
        Read::by_ref(file).take(5).read_to_end(&mut magic).map_err(failed)?;
        if magic != b"REDIS" && magic != b"VALKE" {
            return Ok(Some(0));
        }
        file.read_to_end(&mut magic).map_err(failed)?;
        say(out, &format!("[offset 0] Checking RDB file {}\n", self.name))?;
        let Some(end) = rdb::check(out, &magic)? else { return Ok(None) };
        say(out, "RDB preamble is OK, proceeding with AOF tail...\n")?;
        Ok(Some(end as u64))
    }

    fn conclude(&self, out: &mut impl Write, size: u64, kept: u64) -> Result<bool, Stop> {
        let (kind, name) = (self.kind, self.name);
        if size == kept {
            if let Fix::Timestamp(until) = self.fix {
                say(out, &format!("Truncate nothing in AOF {name} to timestamp {until}\n"))?;
            }
            say(out, &format!("{kind} {name} is valid\n"))?;
            return Ok(true);
        }
        if self.fix != Fix::Tail {
            let advice = "Use the --fix option to try fixing it.";
            say(out, &format!("AOF {name} is not valid. {advice}\n"))?;
            return Ok(false);
        }
        if !self.last {
            say(out, &format!("Failed to truncate AOF {name} because it is not the last file\n"))?;
            return Ok(false);
        }
        let question = format!(
            "This will shrink the AOF {name} from {size} bytes, with {} bytes, to {kept} bytes\n\
             Continue? [y/N]: ",
            size - kept
        );
        say(out, &question)?;
        out.flush().map_err(|error| cannot("write", "standard output", &error))?;
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| cannot("read", "standard input", &error))?;
        if !answer.starts_with(['y', 'Y']) {
            say(out, "Aborting...\n")?;
            return Ok(false);
        }
        self.truncate(kept)?;
        say(out, &format!("Successfully truncated AOF {name}\n"))?;
        Ok(true)
    }

    fn cut_late(&self, out: &mut impl Write, at: u64, until: i64) -> Result<bool, Stop> {
        let name = self.name;
        if at == 0 {
            let path = self.path.display();
            let text = format!("AOF {path} has nothing before timestamp {until}, aborting...\n");
            say(out, &text)?;
            return Ok(false);
        }
        if !self.last {
            say(
                out,
                &format!(
                    "Failed to truncate AOF {name} to timestamp {until} to offset {at} because it is not the last file.\n"
                ),
            )?;
            return Ok(false);
        }
        self.truncate(at)?;
        say(out, &format!("Successfully truncated AOF {name} to timestamp {until}\n"))?;
        Ok(true)
    }

    /// Cuts the file; durable when this returns.
    fn truncate(&self, length: u64) -> Result<(), Stop> {
        let file = OpenOptions::new().write(true).open(self.path);
        let cut = file.and_then(|file| file.set_len(length).and_then(|()| file.sync_all()));
        cut.map_err(|error| {
            Stop::said(format!("Failed to truncate AOF {}: {}", self.name, kernel_words(&error)))
        })
    }
}

/// Why reading has ended before the end.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    /// Neither a request nor a timestamp begins here.
    NoRequest,
    /// At this offset something else was expected.
    At(u64, String),
    /// The name of the command at this offset begins or ends a transaction out of turn.
    Transaction(u64, &'static str),
}

/// A way through the requests of a file.
struct Scan<R> {
    input: R,
    offset: u64,
    /// The number of the line that is being read.
    line: u64,
    /// All in front of this offset is whole: commands, and transactions to their EXEC.
    whole: u64,
    in_multi: bool,
    /// Where the first timestamp behind the wanted one stands.
    late: Option<u64>,
}

/// An I/O error, or a problem with what was read.
type Step<T> = io::Result<Result<T, Problem>>;

impl<R: BufRead> Scan<R> {
    fn new(input: R, offset: u64) -> Scan<R> {
        Scan { input, offset, line: 1, whole: offset, in_multi: false, late: None }
    }

    /// Reads to the end, to a problem, or to a timestamp behind `until`.
    fn run(&mut self, until: Option<i64>) -> io::Result<Option<Problem>> {
        loop {
            if !self.in_multi {
                self.whole = self.offset;
            }
            let step = match self.input.fill_buf()?.first() {
                None if self.in_multi => {
                    let what = "Reached EOF before reading EXEC for MULTI".to_owned();
                    return Ok(Some(Problem::At(self.offset, what)));
                }
                None => return Ok(None),
                Some(b'#') => self.annotation(until)?,
                Some(b'*') => self.request()?,
                Some(_) => return Ok(Some(Problem::NoRequest)),
            };
            match step {
                Ok(()) if self.late.is_some() => return Ok(None),
                Ok(()) => {}
                Err(problem) => return Ok(Some(problem)),
            }
        }
    }

    fn annotation(&mut self, until: Option<i64>) -> Step<()> {
        let at = self.offset;
        let line = match self.text_line()? {
            Ok(line) => line,
            Err(problem) => return Ok(Err(problem)),
        };
        // As the incumbent counts them, lines are those of requests.
        self.line -= 1;
        let time = line.strip_prefix(b"#TS:").map(String::from_utf8_lossy);
        let time = time.map(|time| crate::client::leading_integer(&time));
        if until.zip(time).is_some_and(|(until, time)| time > until) {
            self.late = Some(at);
        }
        Ok(Ok(()))
    }

    fn request(&mut self) -> Step<()> {
        let count = match self.number(b'*')? {
            Ok(count) => count,
            Err(problem) => return Ok(Err(problem)),
        };
        for index in 0..count {
            let length = match self.number(b'$')? {
                Ok(length) => length.max(0) as u64,
                Err(problem) => return Ok(Err(problem)),
            };
            let at = self.offset;
            let name = match self.argument(length)? {
                Ok(name) => name,
                Err(problem) => return Ok(Err(problem)),
            };
            if index == 0
                && let Some(what) = self.transaction(&name)
            {
                return Ok(Err(Problem::Transaction(at, what)));
            }
        }
        Ok(Ok(()))
    }

    fn transaction(&mut self, name: &[u8]) -> Option<&'static str> {
        if name.eq_ignore_ascii_case(b"multi") {
            return std::mem::replace(&mut self.in_multi, true).then_some("Unexpected MULTI");
        }
        if name.eq_ignore_ascii_case(b"exec") {
            return (!std::mem::replace(&mut self.in_multi, false)).then_some("Unexpected EXEC");
        }
        None
    }

    /// A line with its `\r\n`, which it must have.
    fn text_line(&mut self) -> Step<Vec<u8>> {
        let (at, mut line) = (self.offset, Vec::new());
        let length = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        self.offset += length as u64;
        if !line.ends_with(b"\r\n") {
            return Ok(Err(Problem::At(at, "Expected a line that ends with \\r\\n".into())));
        }
        self.line += 1;
        Ok(Ok(line))
    }

    fn number(&mut self, prefix: u8) -> Step<i64> {
        let at = self.offset;
        let line = match self.text_line()? {
            Ok(line) => line,
            Err(problem) => return Ok(Err(problem)),
        };
        match line.split_first() {
            Some((&first, digits)) if first == prefix => {
                let digits = String::from_utf8_lossy(digits);
                Ok(Ok(crate::client::leading_integer(&digits)))
            }
            first => {
                let got = char::from(first.map_or(0, |(first, _)| *first));
                let what = format!("Expected prefix '{}', got: '{got}'", char::from(prefix));
                Ok(Err(Problem::At(at, what)))
            }
        }
    }

    /// An argument and the `\r\n` behind it; of a long one only the front is returned.
    fn argument(&mut self, length: u64) -> Step<Vec<u8>> {
        let (at, wanted) = (self.offset, length + 2);
        let mut front = Vec::new();
        let kept = wanted.min(LINE_MAX);
        let mut got = self.input.by_ref().take(kept).read_to_end(&mut front)? as u64;
        if kept < wanted {
            // All but the line end is of no interest.
            got += io::copy(&mut self.input.by_ref().take(wanted - kept - 2), &mut io::sink())?;
            front.clear();
            got += self.input.by_ref().take(2).read_to_end(&mut front)? as u64;
        }
        self.offset += got;
        if got < wanted {
            let what = format!("Expected to read {wanted} bytes, got {got} bytes");
            return Ok(Err(Problem::At(at, what)));
        }
        if let [.., cr, lf] = front.as_slice()
            && (*cr, *lf) != (b'\r', b'\n')
        {
            let what = format!("Expected \\r\\n, got: {cr:02x}{lf:02x}");
            return Ok(Err(Problem::At(at + length, what)));
        }
        front.truncate(front.len().saturating_sub(2));
        self.line += 1;
        Ok(Ok(front))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8], until: Option<i64>) -> (Option<Problem>, u64, u64, Option<u64>) {
        let mut scan = Scan::new(text, 0);
        let problem = scan.run(until).unwrap();
        (problem, scan.whole, scan.line, scan.late)
    }

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
    const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

    #[test]
    fn every_cut_keeps_whole_commands_and_transactions() {
        let text = [SET, MULTI, SET, EXEC, SET].concat();
        let ends = [0, SET.len(), text.len() - SET.len(), text.len()];
        for cut in 0..=text.len() {
            let (problem, whole, ..) = scan(&text[..cut], None);
            let expected = ends.iter().rfind(|end| **end <= cut).copied().unwrap();
            assert_eq!(whole as usize, expected, "cut at {cut}");
            assert_eq!(problem.is_none(), ends.contains(&cut), "cut at {cut}: {problem:?}");
        }
    }

    #[test]
    fn long_arguments_are_passed_over() {
        let value = vec![b'x'; 100_000];
        let text = [&b"*2\r\n$3\r\nGET\r\n$100000\r\n"[..], &value, b"\r\n"].concat();
        assert_eq!(scan(&text, None), (None, text.len() as u64, 6, None));
        let (problem, ..) = scan(&text[..text.len() - 1], None);
        let what = "Expected to read 100002 bytes, got 100001 bytes".to_owned();
        assert_eq!(problem, Some(Problem::At(22, what)));
    }

    #[test]
    fn timestamps_tell_where_to_cut() {
        let text = [b"#TS:100\r\n", SET, b"#TS:200\r\n", SET].concat();
        assert_eq!(scan(&text, Some(150)).3, Some((9 + SET.len()) as u64));
        assert_eq!(scan(&text, Some(200)).3, None);
        assert_eq!(scan(&text, None).1, text.len() as u64);
    }

    #[test]
    fn no_mutation_makes_it_panic() {
        let seed = [SET, MULTI, b"#TS:1\r\n", SET, EXEC].concat();
        let mut state = 99u64;
        for _ in 0..20_000 {
            let mut text = seed.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (state >> 33) as usize % text.len();
                text[at] = (state >> 24) as u8;
            }
            let _ = scan(&text, Some(5));
        }
    }
}
