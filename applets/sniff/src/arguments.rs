//! Words to settings, as getopt_long reads them: flags in clusters, values attached or apart, long
//! names abbreviated, options behind the expression, `--` ends them.

use std::ffi::OsString;

use box_kit::Failure;
use box_wire::link::LinkType;
use box_wire::pcap::Precision;

use crate::dissect::{Options, Payload};
use crate::report::{Output, follow, stats};
use crate::time::stamp::Form;

/// The snapshot length that stands for "all of it".
pub const MAX_SNAPLEN: u32 = 262_144;

/// What to do first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Capture or read, print or write.
    #[default]
    Packets,
    /// `-h`
    Help,
    /// `--version`
    Version,
    /// `-D`
    ListInterfaces,
    /// `-L`
    ListLinkTypes,
    /// `-J`
    ListStampTypes,
    /// `--fp-type` or `--time-t-size`: facts that the incumbent's test runner asks for.
    Fact(&'static str),
}

/// The bytes behind a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// `-x`, counted.
    pub hex: u32,
    /// `-X`, counted.
    pub hex_ascii: u32,
    /// `-A`, counted.
    pub ascii: u32,
}

/// Which packets of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// All.
    #[default]
    Both,
    /// Those that came in.
    In,
    /// Those that went out.
    Out,
}

/// All that the command line says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to do.
    pub task: Task,
    /// `-i`
    pub interface: Option<String>,
    /// `-r`, `-V`: files, `-` for standard input.
    pub read: Vec<String>,
    /// Whether `-r` or `-V` was given.
    pub reads: bool,
    /// `-w`
    pub write: Option<String>,
    /// `--print`
    pub print: bool,
    /// `-c`
    pub count: Option<u64>,
    /// `--count`
    pub count_only: bool,
    /// `-#`
    pub number: bool,
    /// `-n`, counted.
    pub numeric: u32,
    /// `-N`
    pub short_names: bool,
    /// `-f`
    pub foreign_numeric: bool,
    /// What dissection is to show.
    pub options: Options,
    /// `-t`, counted.
    pub stamps: u32,
    /// `-x`, `-X`, `-A`
    pub dump: Dump,
    /// `-s`
    pub snaplen: u32,
    /// `-y`
    pub link_type: Option<LinkType>,
    /// `-p`
    pub promiscuous: bool,
    /// `-Q`
    pub direction: Direction,
    /// `-B`, in KiB.
    pub buffer_kib: Option<u32>,
    /// `-l`
    pub line_buffered: bool,
    /// `-U`
    pub packet_buffered: bool,
    /// `--immediate-mode`
    pub immediate: bool,
    /// `-d`, counted.
    pub dump_filter: u32,
    /// `-O` not given.
    pub optimize: bool,
    /// `-F`
    pub filter_file: Option<String>,
    /// `-C` in bytes.
    pub rotate_bytes: u64,
    /// `-G`
    pub rotate_seconds: u64,
    /// `-W`
    pub rotate_count: u64,
    /// `-z`
    pub rotate_command: Option<String>,
    /// `-Z`
    pub user: Option<String>,
    /// `--pcapng`, or by our own name a `-w` that ends in `.pcapng`.
    pub pcapng: bool,
    /// `--strict-vlan`
    pub strict_vlan: bool,
    /// `-I`
    pub monitor: bool,
    /// `-j`
    pub stamp_type: Option<String>,
    /// `--lengths`
    pub lengths: bool,
    /// `--skip`
    pub skip: u64,
    /// `--print-sampling`
    pub sampling: Option<u64>,
    /// `--where`
    pub display: Option<String>,
    /// `--json`, `--fields`, `--stats`, `--follow`
    pub output: Output,
    /// `--hex`, `--raw`
    pub follow_form: follow::Form,
    /// Called by our own name rather than by the incumbent's.
    pub own_name: bool,
    /// `--nano`
    pub precision: Precision,
    /// The expression, its words joined.
    pub expression: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            task: Task::Packets,
            interface: None,
            read: Vec::new(),
            reads: false,
            write: None,
            print: false,
            count: None,
            count_only: false,
            number: false,
            numeric: 0,
            short_names: false,
            foreign_numeric: false,
            options: Options::default(),
            stamps: 0,
            dump: Dump::default(),
            snaplen: MAX_SNAPLEN,
            link_type: None,
            promiscuous: true,
            direction: Direction::Both,
            buffer_kib: None,
            line_buffered: false,
            packet_buffered: false,
            immediate: false,
            dump_filter: 0,
            optimize: true,
            filter_file: None,
            rotate_bytes: 0,
            rotate_seconds: 0,
            rotate_count: 0,
            rotate_command: None,
            user: None,
            pcapng: false,
            strict_vlan: false,
            monitor: false,
            stamp_type: None,
            lengths: false,
            skip: 0,
            sampling: None,
            display: None,
            output: Output::Text,
            follow_form: follow::Form::Ascii,
            own_name: false,
            precision: Precision::Micro,
            expression: String::new(),
        }
    }
}

impl Settings {
    /// How stamps are shown.
    pub fn form(&self) -> Form {
        Form::of_count(self.stamps).unwrap_or(Form::Clock)
    }

    /// Whether lines go to standard output.
    pub fn prints(&self) -> bool {
        !self.count_only && (self.write.is_none() || self.print)
    }
}

/// Options with a value.
const WITH_VALUE: &str = "BCEFGijmMQrsTVwWyzZc";
/// Options of a long name alone, with a value.
const NAMED_WITH_VALUE: &[&str] =
    &["time-stamp-precision", "skip", "print-sampling", "fields", "follow", "stats", "where"];
/// Options without one.
const FLAGS: &str = "aAbdDefghHIJKlLnNOpqStuUvxXY#";

/// Long names, and the short option each stands for, or a name of its own.
const LONG: &[(&str, &str)] = &[
    ("absolute-tcp-sequence-numbers", "S"),
    ("ascii", "ascii"),
    ("buffer-size", "B"),
    ("count", "count"),
    ("debug-filter-parser", "Y"),
    ("direction", "Q"),
    ("dont-verify-checksums", "K"),
    ("fields", "fields"),
    ("follow", "follow"),
    ("fp-type", "fp-type"),
    ("help", "h"),
    ("hex", "hex"),
    ("immediate-mode", "immediate-mode"),
    ("interface", "i"),
    ("ip-oneline", "g"),
    ("json", "json"),
    ("lengths", "lengths"),
    ("linktype", "y"),
    ("list-data-link-types", "L"),
    ("list-interfaces", "D"),
    ("list-time-stamp-types", "J"),
    ("micro", "micro"),
    ("monitor-mode", "I"),
    ("nano", "nano"),
    ("no-optimize", "O"),
    ("no-promiscuous-mode", "p"),
    ("number", "#"),
    ("packet-buffered", "U"),
    ("pcapng", "pcapng"),
    ("print", "print"),
    ("print-sampling", "print-sampling"),
    ("raw", "raw"),
    ("relinquish-privileges", "Z"),
    ("skip", "skip"),
    ("snapshot-length", "s"),
    ("stats", "stats"),
    ("strict-vlan", "strict-vlan"),
    ("time-stamp-precision", "time-stamp-precision"),
    ("time-stamp-type", "j"),
    ("time-t-size", "time-t-size"),
    ("version", "version"),
    ("where", "where"),
];

/// Why the words are refused.
#[derive(Debug)]
pub enum Misuse {
    /// An option that is not there, or a value that is missing: the message, then the usage.
    Usage(String),
    /// A value that cannot be.
    Value(Failure),
}

impl From<Failure> for Misuse {
    fn from(failure: Failure) -> Misuse {
        Misuse::Value(failure)
    }
}

/// Parses the words behind the program's name; `program` stands in getopt's own messages, and is
/// our own name or the incumbent's.
///
/// # Errors
/// [`Misuse`]
pub fn parse(program: &str, words: &[OsString], own_name: bool) -> Result<Settings, Misuse> {
    let mut settings = Settings { own_name, ..Settings::default() };
    let mut expression: Vec<String> = Vec::new();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--" {
            expression.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, mut value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let option = long_option(program, name)?;
            let needs_value = WITH_VALUE.contains(option) || NAMED_WITH_VALUE.contains(&option);
            if needs_value && value.is_none() {
                value = words.next();
                if value.is_none() {
                    return Err(Misuse::Usage(format!(
                        "{program}: option '--{name}' requires an argument"
                    )));
                }
            }
            settings.apply(option, value.unwrap_or_default())?;
        } else if word.len() > 1 && word.starts_with('-') {
            let letters = word.char_indices().skip(1);
            for (at, letter) in letters {
                let option = &word[at..at + letter.len_utf8()];
                if WITH_VALUE.contains(letter) {
                    let rest = &word[at + letter.len_utf8()..];
                    let value = if rest.is_empty() { words.next() } else { Some(rest.to_owned()) };
                    let Some(value) = value else {
                        return Err(Misuse::Usage(format!(
                            "{program}: option requires an argument -- '{letter}'"
                        )));
                    };
                    settings.apply(option, value)?;
                    break;
                }
                if !FLAGS.contains(letter) {
                    return Err(Misuse::Usage(format!("{program}: invalid option -- '{letter}'")));
                }
                settings.apply(option, String::new())?;
            }
        } else {
            expression.push(word);
        }
    }
    settings.expression = expression.join(" ");
    settings.check()?;
    Ok(settings)
}

/// The option of a long name or of an abbreviation that fits one alone.
fn long_option(program: &str, name: &str) -> Result<&'static str, Misuse> {
    if let Some(row) = LONG.iter().find(|row| row.0 == name) {
        return Ok(row.1);
    }
    let fitting: Vec<_> = LONG.iter().filter(|row| row.0.starts_with(name)).collect();
    match fitting[..] {
        [row] => Ok(row.1),
        [] => Err(Misuse::Usage(format!("{program}: unrecognized option '--{name}'"))),
        _ => {
            let all: String = fitting.iter().map(|row| format!(" '--{}'", row.0)).collect();
            let text = format!("{program}: option '--{name}' is ambiguous; possibilities:{all}");
            Err(Misuse::Usage(text))
        }
    }
}

fn number<T: std::str::FromStr>(what: &str, value: &str) -> Result<T, Failure> {
    value.parse().map_err(|_| Failure::new(format!("invalid {what} {value}")))
}

impl Settings {
    fn apply(&mut self, option: &str, value: String) -> Result<(), Failure> {
        match option {
            "a" | "H" | "Y" => {}
            "m" => {
                let program = if self.own_name { "box: sniff" } else { "tcpdump" };
                eprintln!("{program}: ignoring option `-m {value}' (no libsmi support)");
            }
            "I" => self.monitor = true,
            "j" => self.stamp_type = Some(value),
            "g" => self.options.one_line = true,
            "z" => self.rotate_command = Some(value),
            "lengths" => self.lengths = true,
            "json" => self.output = Output::Json,
            "fields" => self.output = Output::fields(&value)?,
            "stats" => self.output = Output::Statistics(stats::Kind::list(&value)?),
            "follow" => self.output = Output::Follow(follow::Wanted::named(&value)?),
            "where" => self.display = Some(value),
            "ascii" => self.follow_form = follow::Form::Ascii,
            "hex" => self.follow_form = follow::Form::Hex,
            "raw" => self.follow_form = follow::Form::Raw,
            "pcapng" => self.pcapng = true,
            "strict-vlan" => self.strict_vlan = true,
            "skip" => self.skip = number("packet skip count", &value)?,
            "print-sampling" => match number::<u64>("print sampling", &value)? {
                0 => return Err(Failure::new("invalid print sampling 0")),
                every => self.sampling = Some(every),
            },
            // As an incumbent that is built without a library of ciphers.
            "E" | "M" => {
                let program = if self.own_name { "box sniff" } else { "tcpdump" };
                eprintln!("{program}: WARNING: crypto code not compiled in");
            }
            "A" => self.dump.ascii += 1,
            "b" => self.options.as_dot = true,
            "B" => {
                let size: u32 = number("packet buffer size", &value)?;
                if size == 0 {
                    return Err(Failure::new(format!("invalid packet buffer size {value}")));
                }
                self.buffer_kib = Some(size);
            }
            "c" => match number::<u64>("packet count", &value)? {
                0 => return Err(Failure::new("invalid packet count 0")),
                count => self.count = Some(count),
            },
            "C" => self.rotate_bytes = file_size(&value)?,
            "count" => self.count_only = true,
            "d" => self.dump_filter += 1,
            "D" => self.task = Task::ListInterfaces,
            "e" => self.options.link_header = true,
            "f" => self.foreign_numeric = true,
            "F" => self.filter_file = Some(value),
            "fp-type" => self.task = Task::Fact("9877.895"),
            "time-t-size" => self.task = Task::Fact("64"),
            "G" => match number::<u64>("number of seconds", &value)? {
                0 => return Err(Failure::new("invalid number of seconds 0")),
                seconds => self.rotate_seconds = seconds,
            },
            "h" => self.task = Task::Help,
            "version" => self.task = Task::Version,
            "i" => {
                if value.is_empty() {
                    return Err(Failure::new("Invalid interface ''"));
                }
                self.interface = Some(value);
            }
            "immediate-mode" => self.immediate = true,
            "K" => self.options.unchecked = true,
            "l" => self.line_buffered = true,
            "L" => self.task = Task::ListLinkTypes,
            "J" => self.task = Task::ListStampTypes,
            "n" => self.numeric += 1,
            "N" => self.short_names = true,
            "O" => self.optimize = false,
            "p" => self.promiscuous = false,
            "print" => self.print = true,
            "q" => self.options.quiet += 1,
            "Q" => {
                self.direction = match value.to_ascii_lowercase().as_str() {
                    "in" => Direction::In,
                    "out" => Direction::Out,
                    "inout" => Direction::Both,
                    _ => return Err(Failure::new(format!("unknown capture direction '{value}'"))),
                }
            }
            "r" => {
                self.reads = true;
                self.read = vec![value];
            }
            "V" => {
                self.reads = true;
                self.read = file_list(&value)?;
            }
            "s" => {
                let length: u32 = number("snaplen", &value)?;
                if length > MAX_SNAPLEN {
                    let text =
                        format!("invalid snaplen {value} (must be >= 0 and <= {MAX_SNAPLEN})");
                    return Err(Failure::new(text));
                }
                self.snaplen = if length == 0 { MAX_SNAPLEN } else { length };
            }
            "S" => self.options.absolute_sequence = true,
            "t" => self.stamps += 1,
            "T" => self.options.payload = Some(payload(&value)?),
            "u" => self.options.undecoded_handles = true,
            "U" => self.packet_buffered = true,
            "v" => self.options.verbose += 1,
            "w" => self.write = Some(value),
            "W" => match number::<u64>("number of output files", &value)? {
                0 => return Err(Failure::new("invalid number of output files 0")),
                count => self.rotate_count = count,
            },
            "x" => self.dump.hex += 1,
            "X" => self.dump.hex_ascii += 1,
            "y" => {
                let unknown = || Failure::new(format!("invalid data link type {value}"));
                self.link_type = Some(LinkType::by_name(&value).ok_or_else(unknown)?);
            }
            "Z" => self.user = Some(value),
            "#" => self.number = true,
            "micro" => self.precision = Precision::Micro,
            "nano" => self.precision = Precision::Nano,
            "time-stamp-precision" => {
                self.precision = match value.as_str() {
                    "micro" => Precision::Micro,
                    "nano" => Precision::Nano,
                    _ => return Err(Failure::new("unsupported time stamp precision")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What options cannot stand together.
    fn check(&mut self) -> Result<(), Failure> {
        let Dump { hex, hex_ascii, ascii } = self.dump;
        let refuse = |text: &str| Err(Failure::new(text));
        if ascii > 0 && hex > 0 {
            return refuse("-A and -x[x] are mutually exclusive.");
        }
        if ascii > 0 && hex_ascii > 0 {
            return refuse("-A and -X[X] are mutually exclusive.");
        }
        if hex > 0 && hex_ascii > 0 {
            return refuse("-x[x] and -X[X] are mutually exclusive.");
        }
        if self.stamps > 5 {
            return refuse("only -t, -tt, -ttt, -tttt, and -ttttt are supported");
        }
        if self.rotate_seconds > 0 && self.write.is_none() {
            return refuse("-G cannot be used without -w.");
        }
        if self.rotate_bytes > 0 && self.write.is_none() {
            return refuse("-C cannot be used without -w.");
        }
        if self.foreign_numeric && self.reads {
            return refuse("-f can not be used with -V or -r");
        }
        if self.count_only && self.write.is_some() {
            return refuse("--count and -w are mutually exclusive.");
        }
        if self.count_only && !self.reads && self.task == Task::Packets && self.dump_filter == 0 {
            return refuse("--count can be used only with -r or -V.");
        }
        if self.own_name && self.write.as_deref().is_some_and(|path| path.ends_with(".pcapng")) {
            self.pcapng = true;
        }
        if !self.output.is_text() {
            // Fields do not depend on how little the text shows, nor names on a server.
            self.options.quiet = 0;
            self.numeric = self.numeric.max(1);
        }
        if let Output::Follow(wanted) = &mut self.output {
            wanted.form = self.follow_form;
        }
        if let Some(path) = &self.filter_file {
            self.expression = filter_text(path)?;
        }
        Ok(())
    }
}

/// `-C`: millions of bytes, or with a unit its power of 1024.
fn file_size(value: &str) -> Result<u64, Failure> {
    let invalid = || Failure::new(format!("invalid file size {value}"));
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1_000_000,
        "k" | "kb" | "kib" => 1024,
        "m" | "mb" | "mib" => 1024 * 1024,
        "g" | "gb" | "gib" => 1024 * 1024 * 1024,
        _ => return Err(invalid()),
    };
    let size: u64 = digits.parse().map_err(|_| invalid())?;
    if size == 0 {
        return Err(invalid());
    }
    size.checked_mul(factor).ok_or_else(|| Failure::new(format!("file size {value} is too large")))
}

/// `-V`: a name a line.
fn file_list(path: &str) -> Result<Vec<String>, Failure> {
    let text = if path == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(Failure::os(path))?;
    let files: Vec<String> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if files.is_empty() {
        return Err(Failure::new(format!("Nothing in {path}")));
    }
    Ok(files)
}

/// `-F`: the text without its comments.
fn filter_text(path: &str) -> Result<String, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("can't open {path}: {}", kernel(&error))))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .fold(String::new(), |all, line| all + line + "\n"))
}

fn kernel(error: &std::io::Error) -> String {
    box_kit::exit::kernel_words(error)
}

fn payload(name: &str) -> Result<Payload, Failure> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "domain" => Payload::Domain,
        "rtp" => Payload::Rtp,
        "rtcp" => Payload::Rtcp,
        "quic" => Payload::Quic,
        "resp" => Payload::Resp,
        "tftp" => Payload::Tftp,
        "vxlan" => Payload::Vxlan,
        "carp" => Payload::Carp,
        "someip" => Payload::Someip,
        "aodv" | "cnfp" | "lmp" | "pgm" | "pgm_zmtp1" | "ptp" | "radius" | "rpc" | "snmp"
        | "vat" | "wb" | "zmtp1" => Payload::Other,
        _ => return Err(Failure::new(format!("unknown packet type '{name}'"))),
    })
}

/// The incumbent's usage.
pub fn usage(program: &str) -> String {
    let indent = "\n\t\t";
    format!(
        "Usage: {program} [-AbdDefghHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]\
         {indent}[ -C file_size ] [ -E algo:secret ] [ -F file ] [ -G seconds ]\
         {indent}[ -i interface ] [ --immediate-mode ] [ -j tstamptype ]\
         {indent}[ -M secret ] [ --number ] [ --print ] [ -Q in|out|inout ]\
         {indent}[ -r file ] [ -s snaplen ] [ -T type ] [ --version ]\
         {indent}[ -V file ] [ -w file ] [ -W filecount ] [ -y datalinktype ]\
         {indent}[ --time-stamp-precision precision ] [ --micro ] [ --nano ]\
         {indent}[ -z postrotate-command ] [ -Z user ] [ expression ]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &[&str]) -> Settings {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        parse("tcpdump", &words, false).unwrap()
    }

    fn refused(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        match parse("tcpdump", &words, false) {
            Err(Misuse::Usage(text)) => text,
            Err(Misuse::Value(failure)) => failure.to_string(),
            Ok(_) => "accepted".to_owned(),
        }
    }

    #[test]
    fn flags_stand_in_clusters_and_values_are_attached_or_apart() {
        let set = settings(&["-nnvvXSs0", "-ttttr", "f.pcap", "-c7", "tcp", "port", "80", "-e"]);
        assert_eq!((set.numeric, set.options.verbose, set.stamps), (2, 2, 4));
        assert_eq!((set.dump.hex_ascii, set.snaplen, set.count), (1, MAX_SNAPLEN, Some(7)));
        assert!(set.options.absolute_sequence && set.options.link_header);
        assert_eq!(set.read, ["f.pcap"]);
        assert_eq!(set.expression, "tcp port 80");
    }

    #[test]
    fn long_names_may_be_abbreviated() {
        assert!(settings(&["--num", "-r", "f"]).number);
        assert_eq!(settings(&["--snapshot-length=96", "-i", "lo"]).snaplen, 96);
        assert_eq!(settings(&["-r", "f", "--", "-n"]).expression, "-n");
        assert_eq!(refused(&["--nope"]), "tcpdump: unrecognized option '--nope'");
        assert!(refused(&["--no"]).starts_with("tcpdump: option '--no' is ambiguous"));
    }

    #[test]
    fn what_cannot_be_is_refused_in_the_incumbents_words() {
        assert_eq!(refused(&["-c", "0"]), "invalid packet count 0");
        assert_eq!(refused(&["-x", "-A"]), "-A and -x[x] are mutually exclusive.");
        assert_eq!(refused(&["-G", "5"]), "-G cannot be used without -w.");
        assert_eq!(refused(&["-k"]), "tcpdump: invalid option -- 'k'");
        assert_eq!(refused(&["-r"]), "tcpdump: option requires an argument -- 'r'");
        assert_eq!(refused(&["-y", "NOPE"]), "invalid data link type NOPE");
        assert_eq!(refused(&["--count"]), "--count can be used only with -r or -V.");
    }

    #[test]
    fn file_sizes_have_units() {
        assert_eq!(file_size("3").unwrap(), 3_000_000);
        assert_eq!(file_size("3k").unwrap(), 3072);
        assert_eq!(file_size("1GiB").unwrap(), 1 << 30);
        assert!(file_size("0").is_err() && file_size("3x").is_err());
    }
}
