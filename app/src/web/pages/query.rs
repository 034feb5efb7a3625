//! The query of an address, for links that keep the filters of a list.

/// The query with those values that are not empty, with its question mark; empty without any.
pub(super) fn query(parts: &[(&str, &str)]) -> String {
    let encoded = |text: &str| askama::filters::urlencode_strict(text).map(|text| text.to_string());
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", encoded(value).unwrap_or_default()))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("?{}", parts.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_encoded_and_an_empty_one_left_out() {
        assert_eq!(query(&[("q", ""), ("page", "")]), "");
        assert_eq!(
            query(&[("q", "a&b c"), ("page", "2")]),
            "?q=a%26b%20c&page=2"
        );
    }
}
