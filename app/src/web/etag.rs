//! Entity tags of definitions: a change that names the tag of the version that it was made from is refused with 412 when
//! another change came in between (RFC 9110, 13.1.1).
//!
//! The tag stands for the definition alone; a new run of a task leaves it as it is.

use super::extract::Json;
use crate::store::{Content, StoreError, StoredVariable};
use crate::view::TaskBody;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use ring::digest::{Context, SHA256};
use std::convert::Infallible;

/// Bytes of the hash that a tag keeps: enough that two versions of one thing never share a tag.
const KEPT: usize = 12;

/// An answer with the tag of its version.
pub(super) type Tagged<T> = ([(header::HeaderName, String); 1], Json<T>);

/// The tag of a task's definition.
pub(super) fn of_task(task: &TaskBody) -> String {
    // A definition is text and numbers, which can always be written.
    let text = serde_json::to_vec(task).unwrap_or_default();
    tag(&[&text])
}

/// The tag of a variable.
pub(super) fn of_variable(variable: &StoredVariable) -> String {
    let (kind, value): (&[u8], &[u8]) = match &variable.content {
        Content::Plain(value) => (b"plain", value.as_bytes()),
        Content::Sealed(sealed) => (b"sealed", sealed),
    };
    tag(&[kind, value])
}

fn tag(parts: &[&[u8]]) -> String {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finish();
    let digits: String = hash.as_ref()[..KEPT]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{digits}\"")
}

/// The tags of which one must be that of the present version; none for any version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected(Option<String>);

impl Expected {
    /// The version that a form was made from; an empty text expects none.
    pub(super) fn of_form(tag: &str) -> Self {
        Self(Some(tag.to_owned()).filter(|tag| !tag.is_empty()))
    }

    /// Refuses a change that was made from another version than the present one.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`].
    pub(super) fn check(&self, what: &'static str, present: &str) -> Result<(), StoreError> {
        let Some(wanted) = &self.0 else {
            return Ok(());
        };
        // A proxy that compresses marks a tag as weak.
        let fits = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == present;
        match wanted.split(',').any(|tag| fits(tag.trim())) {
            true => Ok(()),
            false => Err(StoreError::Overtaken { what }),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Expected {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_MATCH).into_iter();
        let values: Vec<&str> = values
            .map(|value| value.to_str().unwrap_or("unreadable"))
            .collect();
        Ok(Self(Some(values.join(",")).filter(|text| !text.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_refused_unless_it_names_the_present_version() {
        let expect = |text: &str| Expected::of_form(text).check("task", "\"ab\"").is_ok();
        for good in ["", "*", "\"ab\"", "W/\"ab\"", "\"x\", \"ab\""] {
            assert!(expect(good), "{good}");
        }
        for bad in ["ab", "\"x\"", "\"a\", \"b\""] {
            assert!(!expect(bad), "{bad}");
        }
    }
}
