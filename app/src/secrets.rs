//! Secret values: sealed at rest with a key that lies outside the database, and
//! masked in the output of every step.

mod mask;

pub use mask::{Mask, Masker};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// First byte of a sealed value, so that another scheme can follow one day.
const SCHEME: u8 = 1;
const KEY_LEN: usize = 32;

/// The reasons why a secret cannot be sealed or opened, or its key not be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The key file is not usable.
    #[error("{path}: {why}")]
    KeyFile {
        /// The file.
        path: String,
        /// The problem and its remedy.
        why: String,
    },
    /// The system gave no randomness.
    #[error("the system's random number generator failed")]
    Random,
    /// The value was sealed with another key, or was changed.
    #[error(
        "the secret {0:?} cannot be opened with secret.key: set it again, or restore the secret.key that belongs to this database"
    )]
    Sealed(String),
}

/// The key that seals secret variables.
pub struct SecretKey {
    key: LessSafeKey,
    random: SystemRandom,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl SecretKey {
    /// Reads the key file at `path`, or makes one (mode 0600) where there is none.
    ///
    /// # Errors
    /// Refuses a file of the wrong size, and one that others may read.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        let bytes = match File::open(path) {
            Ok(file) => read_key(path, file)?,
            Err(e) if e.kind() == ErrorKind::NotFound => create_key(path)?,
            Err(e) => return Err(key_file(path, format!("cannot be read: {e}"))),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| key_file(path, "is not a key".to_owned()))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// Seals `value`; `name` is bound in, so that a sealed value cannot be moved to
    /// another variable.
    ///
    /// # Errors
    /// [`SecretError::Random`].
    pub fn seal(&self, name: &str, value: &str) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| SecretError::Random)?;
        let mut body = value.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .map_err(|_| SecretError::Random)?;
        let mut sealed = vec![SCHEME];
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens a value that [`Self::seal`] sealed for the same `name`.
    ///
    /// # Errors
    /// [`SecretError::Sealed`] where key, name or bytes do not belong together.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<String, SecretError> {
        let refused = || SecretError::Sealed(name.to_owned());
        let (&scheme, rest) = sealed.split_first().ok_or_else(refused)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        if scheme != SCHEME {
            return Err(refused());
        }
        let mut body = body.to_vec();
        let clear = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .map_err(|_| refused())?;
        String::from_utf8(clear.to_vec()).map_err(|_| refused())
    }
}

/// A random secret of 32 bytes in hexadecimal, for tokens, sessions and setup links.
///
/// # Errors
/// [`SecretError::Random`].
pub fn random_token() -> Result<String, SecretError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SecretError::Random)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// The stored form of a random secret: its SHA-256. The secret has 256 bits of its own, so a
/// slow hash would add nothing.
pub fn token_hash(token: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, token.as_bytes())
        .as_ref()
        .to_vec()
}

fn read_key(path: &Path, mut file: File) -> Result<[u8; KEY_LEN], SecretError> {
    let failed = |e: std::io::Error| key_file(path, format!("cannot be read: {e}"));
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(key_file(
            path,
            format!(
                "may be read by others (mode {:03o}); run chmod 600 on it",
                mode & 0o777
            ),
        ));
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file)
        .take(KEY_LEN as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    bytes.try_into().map_err(|_| {
        key_file(
            path,
            format!("must hold exactly {KEY_LEN} bytes; restore it from a backup, or remove it and set every secret variable again"),
        )
    })
}

fn create_key(path: &Path) -> Result<[u8; KEY_LEN], SecretError> {
    let mut bytes = [0; KEY_LEN];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SecretError::Random)?;
    let failed = |e: std::io::Error| key_file(path, format!("cannot be made: {e}"));
    let (folder, name) = path
        .parent()
        .zip(path.file_name().and_then(|name| name.to_str()))
        .ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    // A key that is cut short by a full disk or a power cut would make every secret useless.
    let folder = File::open(folder).map_err(failed)?;
    durable::replace(&folder, name, &bytes).map_err(failed)?;
    Ok(bytes)
}

fn key_file(path: &Path, why: String) -> SecretError {
    SecretError::KeyFile {
        path: path.display().to_string(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_secret_opens_only_under_its_own_name_and_key() {
        let dir = folder();
        let key = SecretKey::load_or_create(&dir.path().join("a")).unwrap();
        let sealed = key.seal("KEY", "s3cret\nline").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"s3cret"));
        assert_eq!(key.open("KEY", &sealed).unwrap(), "s3cret\nline");
        assert!(key.open("OTHER", &sealed).is_err());
        let again = SecretKey::load_or_create(&dir.path().join("a")).unwrap();
        assert_eq!(again.open("KEY", &sealed).unwrap(), "s3cret\nline");
        let other = SecretKey::load_or_create(&dir.path().join("b")).unwrap();
        assert!(other.open("KEY", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(key.open("KEY", &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = folder();
        let path = dir.path().join("secret.key");
        SecretKey::load_or_create(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = SecretKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_key_file_is_never_replaced() {
        let dir = folder();
        let path = dir.path().join("secret.key");
        std::fs::write(&path, b"short").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(SecretKey::load_or_create(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
