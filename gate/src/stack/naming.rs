//! Which service a name is of: `immich-server`, `immich_redis_1` and `immich` are names of `immich`.
//!
//! Invariant: a name is of the longest service name that fits, so `immich-kiosk` is no part of `immich` once both
//! are services.

use crate::names::ServiceName;

/// The service that a name is of, if it is of any: the whole name, or its beginning up to a `-` or `_`.
#[must_use]
pub fn service_of<'a>(name: &str, services: &'a [ServiceName]) -> Option<&'a ServiceName> {
    let fits = |service: &&ServiceName| {
        name.strip_prefix(service.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    services
        .iter()
        .filter(fits)
        .max_by_key(|service| service.as_str().len())
}

/// Whether a name may go to systemctl as that of a unit. What a user's own manager prints is not to be believed.
#[must_use]
pub fn is_unit(name: &str) -> bool {
    name.len() <= 255
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

/// Whether a name may go to podman as that of a container.
#[must_use]
pub fn is_container(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    name.len() <= 255
        && name.bytes().all(plain)
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_the_longest_service_that_fits() {
        let services: Vec<ServiceName> = ["immich", "immich-kiosk", "n8n"]
            .iter()
            .map(|name| ServiceName::parse(name).unwrap())
            .collect();
        let of = |name| service_of(name, &services).map(ServiceName::as_str);
        for name in ["immich", "immich-server", "immich_redis_1", "immich-kios"] {
            assert_eq!(of(name), Some("immich"), "{name}");
        }
        for name in ["immich-kiosk", "immich-kiosk-db", "immich-kiosk_web"] {
            assert_eq!(of(name), Some("immich-kiosk"), "{name}");
        }
        for name in ["immichx", "n8n2", "", "-immich", "my-immich"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_could_be_options_or_several_words_are_none() {
        assert!(is_unit("immich-server.service") && is_unit(r"a\x2db@1.service"));
        for name in ["-a.service", "a b.service", "a\n.service", "ä.service"] {
            assert!(!is_unit(name), "{name}");
        }
        assert!(is_container("immich_db-1.x"));
        for name in ["", "-a", "--all", "a b", "a/b", "_a", &"a".repeat(256)] {
            assert!(!is_container(name), "{name}");
        }
    }
}
