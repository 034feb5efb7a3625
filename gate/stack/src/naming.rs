//! The service of a name: `immich-server`, `immich_redis_1` and `immich` are names of `immich`.
//!
//! A service has the name of its folder, and compose makes another one of that for its containers: in small letters,
//! without dots. So `nextcloud-db` is of `Nextcloud`, and `myapp_db_1` of `my.app`.
//!
//! Invariant: a name is of the longest service name that fits, so `immich-kiosk` is no part of `immich` once both
//! are services; of equally long ones it is of the one that is spelled as it is.

use base::names::ServiceName;

/// The spellings of a service's name in units, containers and projects: its own, in small letters, and as compose makes a
/// project's name of a folder's.
#[must_use]
pub fn spellings(service: &ServiceName) -> Vec<String> {
    let own = service.to_string();
    let small = own.to_ascii_lowercase();
    let project = small.replace('.', "");
    let mut all = vec![own];
    for other in [small, project] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

/// The service that a name is of, if it is of any: the whole name, or its beginning up to a `-` or `_`.
#[must_use]
pub fn service_of<'a>(name: &str, services: &'a [ServiceName]) -> Option<&'a ServiceName> {
    best(services, |spelling| {
        name.strip_prefix(spelling)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

/// The service that has exactly this name.
#[must_use]
pub fn service_named<'a>(name: &str, services: &'a [ServiceName]) -> Option<&'a ServiceName> {
    best(services, |spelling| name == spelling)
}

fn best(services: &[ServiceName], fits: impl Fn(&str) -> bool) -> Option<&ServiceName> {
    let mut found: Option<(&ServiceName, (usize, bool))> = None;
    for service in services {
        for (number, spelling) in spellings(service).iter().enumerate() {
            let rank = (spelling.len(), number == 0);
            if fits(spelling) && found.is_none_or(|(_, best)| rank > best) {
                found = Some((service, rank));
            }
        }
    }
    found.map(|(service, _)| service)
}

/// True if systemctl may get a name as that of a unit. The output of a user's own manager is not trusted.
#[must_use]
pub fn is_unit(name: &str) -> bool {
    name.len() <= 255
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

/// True if podman may get a name as that of a container.
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
    fn folders_with_capitals_and_dots_have_the_containers_that_compose_names() {
        let services: Vec<ServiceName> = ["Nextcloud", "my.app", "myapp", "my"]
            .iter()
            .map(|name| ServiceName::parse(name).unwrap())
            .collect();
        let of = |name| service_of(name, &services).map(ServiceName::as_str);
        for name in [
            "Nextcloud",
            "nextcloud-db",
            "Nextcloud_redis_1",
            "nextcloud",
        ] {
            assert_eq!(of(name), Some("Nextcloud"), "{name}");
        }
        assert_eq!(of("my.app-db"), Some("my.app"));
        // A service of exactly that name has it.
        assert_eq!(of("myapp-db"), Some("myapp"));
        assert_eq!(of("my-db"), Some("my"));
        let alone = &services[..2];
        assert_eq!(
            service_of("myapp_db_1", alone).map(ServiceName::as_str),
            Some("my.app")
        );
        assert_eq!(
            service_named("myapp", alone).map(ServiceName::as_str),
            Some("my.app")
        );
        for name in ["NEXTCLOUD", "my.application", "nextcloud.db"] {
            assert_eq!(service_of(name, alone), None, "{name}");
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
