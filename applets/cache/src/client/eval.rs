//! `--eval FILE KEY... , ARGUMENT...`: a script from a file.

use std::path::Path;

use box_kit::Exit;
use box_kit::exit::kernel_words;

use super::Stop;
use super::options::Options;
use super::session::{Sent, Session};

/// Sends the script and prints its reply.
///
/// # Errors
/// The file cannot be read, or there is no reply.
pub fn run(mut session: Session<'_>, options: &Options, file: &Path) -> Result<Exit, Stop> {
    let script = std::fs::read(file).map_err(|error| {
        Stop::said(format!("Can't open file '{}': {}", file.display(), kernel_words(&error)))
    })?;
    match session.issue(&request(script, &options.command), options.repeat)? {
        Sent::Done => Ok(Exit::DONE),
        Sent::Lost | Sent::Interrupted => Ok(Exit::FAILED),
    }
}

/// EVAL with the keys in front of the comma and the arguments behind it.
fn request(script: Vec<u8>, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let comma = words.iter().position(|word| word == b",");
    let keys = comma.unwrap_or(words.len());
    let mut args = vec![b"EVAL".to_vec(), script, keys.to_string().into_bytes()];
    args.extend(words.iter().take(keys).cloned());
    args.extend(words.iter().skip(keys + 1).cloned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comma_parts_keys_from_arguments() {
        let words = |text: &str| text.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(request(b"s".to_vec(), &words("a b , c ,")), words("EVAL s 2 a b c ,"));
        assert_eq!(request(b"s".to_vec(), &words("a b, c")), words("EVAL s 3 a b, c"));
        assert_eq!(request(b"s".to_vec(), &[]), words("EVAL s 0"));
    }
}
