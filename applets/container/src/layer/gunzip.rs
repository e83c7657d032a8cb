//! Gzip of one member or many (RFC 1952 section 2.2), with whatever padding follows the last one:
//! parallel compressors write members, and archives on tape are padded.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reads members until something else follows.
pub struct Gunzip<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    /// Of a source that starts with a member.
    pub fn new(source: R) -> Gunzip<R> {
        Gunzip { member: Some(GzDecoder::new(source)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let Some(member) = self.member.take() else { break };
            let mut source = member.into_inner();
            if source.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
                self.member = Some(GzDecoder::new(source));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_are_joined_and_padding_passed_over() {
        let bytes = [member(b"one "), member(b"two"), vec![0; 512]].concat();
        let mut text = String::new();
        Gunzip::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn a_member_that_is_cut_is_an_error() {
        let bytes = member(&[7; 1000]);
        for cut in [5, 12, bytes.len() - 1] {
            assert!(Gunzip::new(&bytes[..cut]).read_to_end(&mut Vec::new()).is_err(), "{cut}");
        }
    }
}
