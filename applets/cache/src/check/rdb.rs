//! A snapshot, read to its end.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use box_kit::Failure;
use box_wire::rdb::read::{Broken, Piece, Reader};

use crate::client::Stop;

/// What has been read.
#[derive(Debug, Default)]
struct Counts {
    keys: u64,
    expires: u64,
    expired: u64,
}

/// Checks the file at `path`; whether it is whole.
///
/// # Errors
/// It cannot be read.
pub fn check_file(out: &mut impl Write, path: &Path) -> Result<bool, Stop> {
    let name = path.display().to_string();
    say(out, &format!("[offset 0] Checking RDB file {name}\n"))?;
    let bytes = std::fs::read(path).map_err(Failure::os(&name))?;
    Ok(check(out, &bytes)?.is_some())
}

/// Checks a snapshot at the front of `bytes`; the length of a whole one.
///
/// # Errors
/// Standard output is closed.
pub fn check(out: &mut impl Write, bytes: &[u8]) -> Result<Option<usize>, Stop> {
    let mut counts = Counts::default();
    let result = walk(out, bytes, &mut counts)?;
    if let Err((broken, doing)) = &result {
        say(
            out,
            &format!(
                "--- RDB ERROR DETECTED ---\n[offset {}] {}\n[additional info] While doing: {doing}\n",
                broken.offset,
                words(broken)
            ),
        )?;
    }
    let Counts { keys, expires, expired } = counts;
    say(
        out,
        &format!(
            "[info] {keys} keys read\n[info] {expires} expires\n[info] {expired} already expired\n"
        ),
    )?;
    Ok(result.ok())
}

type Walked = Result<usize, (Broken, &'static str)>;

fn walk(out: &mut impl Write, bytes: &[u8], counts: &mut Counts) -> Result<Walked, Stop> {
    let mut reader = match Reader::file(bytes) {
        Ok(reader) => reader,
        Err(broken) => return Ok(Err((broken, "start"))),
    };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as i64);
    loop {
        let piece = match reader.piece() {
            Ok(piece) => piece,
            Err(broken) => {
                let doing =
                    if broken.reason == WRONG_CHECKSUM { "check-sum" } else { "read-object-value" };
                return Ok(Err((broken, doing)));
            }
        };
        let at = reader.offset();
        match piece {
            Piece::Aux(name, value) => {
                let (name, value) =
                    (String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
                say(out, &format!("[offset {at}] AUX FIELD {name} = '{value}'\n"))?;
            }
            Piece::SelectDb(db) => say(out, &format!("[offset {at}] Selecting DB ID {db}\n"))?,
            Piece::ResizeDb(..) | Piece::Function(_) => {}
            Piece::Key { expire_ms, .. } => {
                counts.keys += 1;
                counts.expires += u64::from(expire_ms.is_some());
                counts.expired += u64::from(expire_ms.is_some_and(|at| at < now_ms));
            }
            Piece::End => {
                let sum = at.checked_sub(8).and_then(|from| bytes.get(from..at));
                let checked = if sum == Some(&[0; 8]) {
                    "RDB file was saved with checksum disabled: no check performed."
                } else {
                    "Checksum OK"
                };
                say(
                    out,
                    &format!("[offset {at}] {checked}\n[offset {at}] \\o/ RDB looks OK! \\o/\n"),
                )?;
                return Ok(Ok(at));
            }
        }
    }
}

/// The reader's reason for a checksum that differs.
const WRONG_CHECKSUM: &str = "Wrong RDB checksum";

/// The incumbent's words for the most frequent reasons.
fn words(broken: &Broken) -> &str {
    match broken.reason {
        WRONG_CHECKSUM => "RDB CRC error",
        "the file is too short" => "Unexpected EOF reading RDB file",
        // Streams and modules: nothing is said about the file.
        "Unknown RDB encoding type" => "A value of a type that cannot be read yet",
        reason => reason,
    }
}

/// Prints.
pub fn say(out: &mut impl Write, text: &str) -> Result<(), Stop> {
    out.write_all(text.as_bytes())
        .map_err(|error| Stop::Failed(Failure::os("standard output")(error)))
}
