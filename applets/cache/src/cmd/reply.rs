//! Writes replies, in RESP2 or RESP3 as the client has chosen.

use box_wire::decimal::push_i64;
use box_wire::resp::push_bulk;

use super::Error;
use crate::types::double;

/// The bytes on their way to a client.
#[derive(Debug, Default)]
pub struct Out {
    /// What has been written.
    pub bytes: Vec<u8>,
    /// Whether the client speaks RESP3.
    pub resp3: bool,
}

/// The place of a header that is written when its count is known.
#[derive(Clone, Copy, Debug)]
pub struct Later(usize);

impl Out {
    /// An empty one.
    pub fn new(resp3: bool) -> Out {
        Out { bytes: Vec::new(), resp3 }
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    fn header(&mut self, kind: u8, count: i64) {
        self.bytes.push(kind);
        push_i64(&mut self.bytes, count);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status.
    pub fn status(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    /// An error; line ends in it become spaces.
    pub fn error(&mut self, error: &Error) {
        self.bytes.push(b'-');
        let text = error.0.strip_suffix(b"\r\n").unwrap_or(&error.0);
        self.bytes.extend(
            text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }),
        );
        self.raw(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A count.
    #[inline]
    pub fn count(&mut self, count: usize) {
        self.header(b':', count as i64);
    }

    /// 1 or 0.
    #[inline]
    pub fn flag(&mut self, value: bool) {
        self.raw(if value { b":1\r\n" } else { b":0\r\n" });
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        push_bulk(&mut self.bytes, bytes);
    }

    /// A number as a bulk string.
    pub fn bulk_int(&mut self, value: i64) {
        let mut text = Vec::with_capacity(20);
        push_i64(&mut text, value);
        self.bulk(&text);
    }

    /// Text with its format: verbatim in RESP3.
    pub fn verbatim(&mut self, text: &[u8]) {
        if self.resp3 {
            self.header(b'=', text.len() as i64 + 4);
            self.raw(b"txt:");
            self.raw(text);
            self.raw(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// A bulk string, or nothing.
    pub fn bulk_or_nil(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.nil(),
        }
    }

    /// Nothing, where a string was expected.
    #[inline]
    pub fn nil(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Nothing, where an array was expected.
    pub fn nil_array(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The start of an array.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count as i64);
    }

    /// The start of a set.
    pub fn set(&mut self, count: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, count as i64);
    }

    /// The start of a map of `count` pairs.
    pub fn map(&mut self, count: usize) {
        if self.resp3 {
            self.header(b'%', count as i64);
        } else {
            self.header(b'*', count as i64 * 2);
        }
    }

    /// The start of a push message.
    pub fn push(&mut self, count: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, count as i64);
    }

    /// A floating-point number.
    pub fn double(&mut self, value: f64) {
        let text = double::text(value);
        if self.resp3 {
            self.bytes.push(b',');
            self.raw(&text);
            self.raw(b"\r\n");
        } else {
            self.bulk(&text);
        }
    }

    /// The text of a floating-point number.
    pub fn double_text(&mut self, text: &[u8]) {
        if self.resp3 {
            self.bytes.push(b',');
            self.raw(text);
            self.raw(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        if self.resp3 {
            self.raw(if value { b"#t\r\n" } else { b"#f\r\n" });
        } else {
            self.flag(value);
        }
    }

    /// Begins an aggregate whose count is not known yet.
    pub fn later(&self) -> Later {
        Later(self.bytes.len())
    }

    /// Writes the header of an array that began at `later`.
    pub fn array_at(&mut self, later: Later, count: usize) {
        self.header_at(later, b'*', count);
    }

    /// Writes the header of a map of `count` pairs that began at `later`.
    pub fn map_at(&mut self, later: Later, count: usize) {
        if self.resp3 {
            self.header_at(later, b'%', count);
        } else {
            self.header_at(later, b'*', count * 2);
        }
    }

    fn header_at(&mut self, later: Later, kind: u8, count: usize) {
        let mut header = vec![kind];
        push_i64(&mut header, count as i64);
        header.extend_from_slice(b"\r\n");
        self.bytes.splice(later.0..later.0, header);
    }

    /// Lines of a HELP subcommand.
    pub fn help(&mut self, command: &str, lines: &[&str]) {
        self.array(lines.len() + 3);
        let title = format!("{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        self.status(&title);
        lines.iter().for_each(|line| self.status(line));
        self.status("HELP");
        self.status("    Prints this help.");
    }
}
