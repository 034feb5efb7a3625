//! Answers with a file, a log or a text: the whole of it, one range, or only its tag (RFC 9110, sections 13 and 14).
//!
//! Invariant: two answers with the same strong tag have the same bytes, so a client may join their ranges.

use super::error::ApiError;
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::ops::Range;

/// The conditions of a request.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    method: Method,
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
        })
    }
}

/// The bytes that a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WantedBytes {
    /// All.
    Whole,
    /// A range.
    Part(Range<u64>),
    /// None: the client has them.
    NotModified,
    /// None: the range lies behind the end.
    OutOfRange,
    /// None: the client wanted another state.
    Changed,
}

impl Conditions {
    /// True where the answer has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Decides about something of that length with that tag, which is given without quotes.
    pub(super) fn wanted(&self, tag: &str, length: u64) -> WantedBytes {
        let names_it = |name: HeaderName, weak: bool| {
            let values = self.headers.get_all(name).into_iter();
            let mut tags = values
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','));
            tags.any(|one| one.trim() == "*" || is_tag(one, tag, weak))
        };
        if self.headers.contains_key(header::IF_MATCH) && !names_it(header::IF_MATCH, false) {
            return WantedBytes::Changed;
        }
        if names_it(header::IF_NONE_MATCH, true) {
            return WantedBytes::NotModified;
        }
        let text = |name: HeaderName| self.headers.get(name).and_then(|v| v.to_str().ok());
        // A range is defined for GET alone. A date in If-Range matches nothing here.
        let same = text(header::IF_RANGE).is_none_or(|one| is_tag(one, tag, false));
        match text(header::RANGE) {
            Some(range) if same && self.method == Method::GET => range_of(range, length),
            _ => WantedBytes::Whole,
        }
    }

    /// The answer; `body` makes the bytes of a range.
    pub(super) fn answer(
        &self,
        tag: &str,
        length: u64,
        head: &[(HeaderName, String)],
        body: impl FnOnce(Range<u64>) -> Body,
    ) -> Result<Response, ApiError> {
        let wanted = self.wanted(tag, length);
        let (status, range) = match wanted {
            WantedBytes::Whole => (StatusCode::OK, Some(0..length)),
            WantedBytes::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
            WantedBytes::NotModified => (StatusCode::NOT_MODIFIED, None),
            WantedBytes::OutOfRange => return Ok(out_of_range(tag, length)),
            WantedBytes::Changed => return Err(ApiError::Changed),
        };
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|e| ApiError::Internal(e.to_string()));
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, value(&format!("\"{tag}\""))?);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let Some(range) = range else {
            return Ok((status, headers).into_response());
        };
        for (name, text) in head {
            headers.insert(name, value(text)?);
        }
        headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
        if status == StatusCode::PARTIAL_CONTENT {
            let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            headers.insert(header::CONTENT_RANGE, value(&text)?);
        }
        let body = match self.is_head() {
            true => Body::empty(),
            false => body(range),
        };
        Ok((status, headers, body).into_response())
    }

    /// The answer with bytes that are in memory; their hash is the tag.
    pub(super) fn bytes(
        &self,
        bytes: Vec<u8>,
        head: &[(HeaderName, String)],
    ) -> Result<Response, ApiError> {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let digits = digest.as_ref().iter().take(16);
        let tag: String = digits.map(|byte| format!("{byte:02x}")).collect();
        let length = bytes.len() as u64;
        self.answer(&tag, length, head, move |range| {
            // The length is that of a vector, so both ends fit.
            let (from, to) = (range.start as usize, range.end as usize);
            Body::from(Bytes::from(bytes).slice(from..to))
        })
    }
}

fn out_of_range(tag: &str, length: u64) -> Response {
    let mut answer = ApiError::OutOfRange { length }.into_response();
    let headers = answer.headers_mut();
    if let (Ok(range), Ok(tag)) = (
        HeaderValue::from_str(&format!("bytes */{length}")),
        HeaderValue::from_str(&format!("\"{tag}\"")),
    ) {
        headers.insert(header::CONTENT_RANGE, range);
        headers.insert(header::ETAG, tag);
    }
    answer
}

/// Reports if an entity tag of a header is `tag`; a weak one only where that is enough.
fn is_tag(one: &str, tag: &str, weak: bool) -> bool {
    let one = one.trim();
    let strong = match one.strip_prefix("W/") {
        Some(rest) if weak => rest,
        Some(_) => return false,
        None => one,
    };
    strong
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        == Some(tag)
}

/// The range that a header asks for. Several ranges, other units and nonsense are answered with the whole, which is
/// permitted.
fn range_of(text: &str, length: u64) -> WantedBytes {
    let Some((unit, range)) = text.split_once('=') else {
        return WantedBytes::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return WantedBytes::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return WantedBytes::Whole;
    }
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large lies behind every end.
        true if !text.is_empty() => Some(text.parse::<u64>().unwrap_or(u64::MAX)),
        _ => None,
    };
    let range = match (number(first), number(last)) {
        (None, Some(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        _ => return WantedBytes::Whole,
    };
    match range.start < range.end {
        true => WantedBytes::Part(range),
        false => WantedBytes::OutOfRange,
    }
}

/// Makes the tag of a compressed answer weak: its bytes are not those of the plain one.
pub(super) async fn weaken(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::from_str(&format!("W/{tag}"))
    {
        headers.insert(header::ETAG, weak);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(HeaderName, &str)]) -> WantedBytes {
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            headers.append(name, HeaderValue::from_str(text).unwrap());
        }
        let method = Method::GET;
        Conditions { method, headers }.wanted("abc", 10)
    }

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_behind_it() {
        let range = |text| wanted(&[(header::RANGE, text)]);
        for (text, part) in [
            ("bytes=0-3", 0..4),
            ("bytes=4-", 4..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
            ("Bytes=9-99999999999999999999999", 9..10),
        ] {
            assert_eq!(range(text), WantedBytes::Part(part), "{text}");
        }
        for text in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=18446744073709551615-",
        ] {
            assert_eq!(range(text), WantedBytes::OutOfRange, "{text}");
        }
        for text in [
            "bytes=3-1",
            "bytes=0-1,4-5",
            "bytes=",
            "bytes=-",
            "lines=1-2",
            "bytes=a-b",
            "bytes=+1-2",
            "-1",
        ] {
            assert_eq!(range(text), WantedBytes::Whole, "{text}");
        }
    }

    #[test]
    fn conditions_compare_tags() {
        let none = |text| wanted(&[(header::IF_NONE_MATCH, text)]);
        for text in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(none(text), WantedBytes::NotModified, "{text}");
        }
        for text in ["\"x\"", "abc", "\"abc", ""] {
            assert_eq!(none(text), WantedBytes::Whole, "{text}");
        }
        let both = |text| wanted(&[(header::RANGE, "bytes=1-"), (header::IF_RANGE, text)]);
        assert_eq!(both("\"abc\""), WantedBytes::Part(1..10));
        for text in ["W/\"abc\"", "\"x\"", "Tue, 01 Dec 2026 03:00:00 GMT"] {
            assert_eq!(both(text), WantedBytes::Whole, "{text}");
        }
        assert_eq!(wanted(&[(header::IF_MATCH, "\"x\"")]), WantedBytes::Changed);
        assert_eq!(
            wanted(&[(header::IF_MATCH, "\"x\", \"abc\"")]),
            WantedBytes::Whole
        );
    }
}
