//! A data folder of PostgreSQL: its major version, and the checksum of its control file.
//!
//! `global/pg_control` holds the state of the whole cluster. PostgreSQL refuses to start when its CRC-32C is wrong. The
//! place of the checksum differs by version, so it is looked for: it stands right behind the bytes that it covers. See
//! src/include/catalog/pg_control.h of PostgreSQL.
//!
//! Invariant: a folder passes only with a checksum that fits.

use std::fs::File;
use std::io::Read;

use base::error::Failure;

/// The size of the file; only its beginning is in use.
const MOST: u64 = 8192;

/// The places at which a version of PostgreSQL may have the checksum.
const PLACES: std::ops::Range<usize> = 64..1024;

/// The state of a cluster after a clean stop, and of a standby after one: `DB_SHUTDOWNED`, `DB_SHUTDOWNED_IN_RECOVERY`.
const CLEAN: [u32; 2] = [1, 2];

/// Checks the folder with these two files. Returns a sentence about it, or a fault.
pub(super) fn check(
    version: &mut File,
    control: &mut File,
) -> Result<Result<String, String>, Failure> {
    let read = |file: &mut File, most| {
        let mut bytes = Vec::new();
        let read = file.take(most).read_to_end(&mut bytes);
        read.map(|_| bytes)
            .map_err(Failure::io("reading a data folder of PostgreSQL"))
    };
    let (version, control) = (read(version, 64)?, read(control, MOST)?);
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    let is_version =
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !is_version {
        return Ok(Err("PG_VERSION holds no version of PostgreSQL".into()));
    }
    Ok(match state(&control) {
        None => Err(format!(
            "global/pg_control of PostgreSQL {version} is damaged: its checksum does not fit"
        )),
        Some(state) if CLEAN.contains(&state) => Ok(format!(
            "a data folder of PostgreSQL {version} after a clean stop; the checksum of global/pg_control fits"
        )),
        Some(_) => Ok(format!(
            "a data folder of PostgreSQL {version} that was in use; the checksum of global/pg_control fits, and its next start recovers it"
        )),
    })
}

/// The state of the cluster, if the checksum fits.
fn state(control: &[u8]) -> Option<u32> {
    let number = |at: usize| {
        let bytes = control.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut crc = Crc::default();
    let mut done = 0;
    for at in PLACES.step_by(4) {
        crc.update(control.get(done..at)?);
        done = at;
        if number(at) == Some(crc.value()) {
            return number(16);
        }
    }
    None
}

/// CRC-32C (Castagnoli), bit by bit: the file is small.
struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let carry = self.0 & 1;
                self.0 >>= 1;
                if carry == 1 {
                    self.0 ^= 0x82f6_3b78;
                }
            }
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        let mut crc = Crc::default();
        crc.update(b"12345");
        crc.update(b"6789");
        assert_eq!(crc.value(), 0xe306_9283);
    }

    #[test]
    fn one_flipped_bit_of_a_control_file_is_found() {
        let mut control = vec![0; 288];
        control[16] = 1;
        control[100] = 7;
        let mut crc = Crc::default();
        crc.update(&control);
        control.extend(crc.value().to_le_bytes());
        control.resize(8192, 0);
        assert_eq!(state(&control), Some(1));
        for at in [0, 16, 100, 288] {
            let mut bad = control.clone();
            bad[at] ^= 4;
            assert_eq!(state(&bad), None, "{at}");
        }
        assert_eq!(state(&control[..200]), None);
    }
}
