//! A requirement for pip: a package, its extras and its versions (PEP 508 without URLs,
//! paths and markers).
//!
//! Invariant: the text of a requirement is one argument that pip reads as a requirement; it
//! cannot be an option, a file or an address.

use super::field::FieldError;
use std::fmt;
use std::str::FromStr;

/// Longest requirement accepted, in bytes.
const LONGEST: usize = 200;

/// A package to install, for example `requests[socks]>=2.31,<3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement(String);

impl Requirement {
    /// As it is handed to pip.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Requirement {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refuse = |why: &str| {
            let shown: String = text.chars().take(60).collect();
            FieldError::new(
                "packages",
                format!(
                    "{shown:?} {why}; write a package as requests, requests==2.31.0 or requests[socks]>=2,<3"
                ),
            )
        };
        if text.len() > LONGEST {
            return Err(refuse("is too long"));
        }
        let plain = joined(text).ok_or_else(|| {
            refuse("holds more than one package; write each on a line of its own")
        })?;
        if plain.starts_with('-') {
            return Err(refuse(
                "is an option; pip is not given any (a variable such as PIP_INDEX_URL names another index)",
            ));
        }
        if plain.contains(['/', '@', '\\', ';', ':']) {
            return Err(refuse("is an address, a path or a condition"));
        }
        let (name, rest) = split_name(&plain);
        if !is_name(name) {
            return Err(refuse("does not begin with the name of a package"));
        }
        let versions = match rest.strip_prefix('[') {
            None => rest,
            Some(rest) => {
                let (extras, rest) = rest
                    .split_once(']')
                    .ok_or_else(|| refuse("has no ] after its extras"))?;
                if !extras.split(',').all(is_name) {
                    return Err(refuse("has bad extras"));
                }
                rest
            }
        };
        if !versions.is_empty() && !versions.split(',').all(is_version) {
            return Err(refuse("has a version that cannot be read"));
        }
        Ok(Self(plain))
    }
}

/// Reports if it is the name of a package (PEP 508, `identifier`).
#[must_use]
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

/// The name under which an index knows a package, however it is written (PEP 503).
#[must_use]
pub fn normalized(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// The text without white space, which may stand anywhere but inside of words.
fn joined(text: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut plain = String::new();
    for part in text.split_whitespace() {
        if plain.ends_with(word) && part.starts_with(word) {
            return None;
        }
        plain.push_str(part);
    }
    Some(plain)
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    text.split_at(end.unwrap_or(text.len()))
}

/// `>=2.31`, `==1.*`, `~=1.4.2` (PEP 440).
fn is_version(text: &str) -> bool {
    let version = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"]
        .iter()
        .find_map(|operator| text.strip_prefix(operator));
    version.is_some_and(|version| {
        let fine =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '*' | '+' | '!' | '-' | '_');
        version.starts_with(|c: char| c.is_ascii_alphanumeric()) && version.chars().all(fine)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, plain) in [
            ("requests", "requests"),
            ("requests == 2.31.0", "requests==2.31.0"),
            (
                "ruamel.yaml[jinja2, libyaml] >= 0.17, < 0.19",
                "ruamel.yaml[jinja2,libyaml]>=0.17,<0.19",
            ),
            ("a~=1.4.2", "a~=1.4.2"),
            ("a==1.*", "a==1.*"),
            ("a===1!2.0+local-1", "a===1!2.0+local-1"),
        ] {
            assert_eq!(text.parse::<Requirement>().unwrap().as_str(), plain);
        }
    }

    #[test]
    fn nothing_else_reaches_pip() {
        for bad in [
            "",
            "-r x",
            "--index-url=x",
            "-e .",
            ".",
            "..",
            "./x",
            "/etc/passwd",
            "a @ file:///x",
            "git+https://x/y",
            "a;b",
            "a b",
            "a==",
            "a=1",
            "a[",
            "a[x",
            "a[--x]",
            "a>=1 -r y",
            "a==1,",
            "a\0",
            "a==--x",
            "é",
            "a.",
            "_a",
        ] {
            let result = bad.parse::<Requirement>();
            assert!(result.is_err(), "{bad:?} became {result:?}");
        }
        assert!("x".repeat(201).parse::<Requirement>().is_err());
    }

    #[test]
    fn one_package_has_one_name() {
        assert_eq!(normalized("Ruamel_Yaml"), "ruamel-yaml");
        assert_eq!(normalized("a--b._c"), "a-b-c");
    }
}
