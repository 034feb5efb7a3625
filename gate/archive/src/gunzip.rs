//! A gzip file → its content: members one after the other, and zeros behind the last.
//!
//! Tapes and some tools pad a file with zeros to a whole block. gzip ignores them, and so does this.
//!
//! Invariant: each member's checksum is compared, and the input is read to its end.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// The content of a gzip file.
pub struct Gunzip<R> {
    member: Option<GzDecoder<BufReader<R>>>,
    /// Between two members, and behind the last.
    between: Option<BufReader<R>>,
    padded: bool,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(input: R, buffer: usize) -> Self {
        Self {
            member: Some(GzDecoder::new(BufReader::with_capacity(buffer, input))),
            between: None,
            padded: false,
        }
    }

    /// The input; `None` never, since one of both holds it.
    pub(super) fn into_inner(self) -> Option<R> {
        let between = self.between.or(self.member.map(GzDecoder::into_inner));
        between.map(BufReader::into_inner)
    }

    /// True if another member follows; zeros are skipped.
    fn follows(&mut self) -> io::Result<bool> {
        let Some(input) = self.between.as_mut() else {
            return Ok(false);
        };
        loop {
            let bytes = match input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if bytes.is_empty() {
                return Ok(false);
            }
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                break;
            }
            self.padded = true;
            input.consume(zeros);
        }
        if self.padded {
            let words = "something stands behind its padding";
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(true)
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(member) = self.member.as_mut() {
                let read = member.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                self.between = self.member.take().map(GzDecoder::into_inner);
            }
            if !self.follows()? {
                return Ok(0);
            }
            self.member = self.between.take().map(GzDecoder::new);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(bytes, 7).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_and_padding_are_read_to_the_end() {
        let two = [member(b"one"), member(b""), member(b"two")].concat();
        assert_eq!(read(&two).unwrap(), b"onetwo");
        let padded = [two.clone(), vec![0; 10_240]].concat();
        assert_eq!(read(&padded).unwrap(), b"onetwo");
        for wrong in [
            Vec::new(),
            two[..two.len() - 1].to_vec(),
            [two.clone(), b"x".to_vec()].concat(),
            [two.clone(), vec![0; 9], member(b"more")].concat(),
        ] {
            assert!(read(&wrong).is_err(), "{} bytes", wrong.len());
        }
    }
}
