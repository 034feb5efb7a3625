use super::*;

fn fields(parts: TargetBody) -> Vec<String> {
    match Target::try_from(&parts) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|e| e.field).collect(),
    }
}

fn mail() -> TargetBody {
    TargetBody {
        kind: "email".into(),
        host: "smtp.example.org".into(),
        from: "a@example.org".into(),
        to: "b@example.org, c@example.org".into(),
        ..TargetBody::default()
    }
}

#[test]
fn every_field_of_mail_is_checked_at_once() {
    let parts = TargetBody {
        kind: "email".into(),
        port: "0".into(),
        security: "ssl".into(),
        user: "u".into(),
        ..TargetBody::default()
    };
    assert_eq!(
        fields(parts),
        ["host", "security", "port", "password", "from", "to"]
    );
}

#[test]
fn a_password_never_travels_in_clear() {
    let clear = TargetBody {
        security: "none".into(),
        user: "u".into(),
        password: "pw-secret".into(),
        ..mail()
    };
    assert_eq!(fields(clear.clone()), ["security"]);
    let local = TargetBody {
        host: "127.0.0.1".into(),
        ..clear
    };
    assert!(fields(local).is_empty());
}

#[test]
fn the_port_follows_the_protection() {
    for (security, port) in [("tls", 465), ("starttls", 587), ("none", 25), ("", 587)] {
        let parts = TargetBody {
            security: security.into(),
            ..mail()
        };
        let Ok(Target::Email(email)) = Target::try_from(&parts) else {
            panic!("refused");
        };
        assert_eq!((email.port, email.to.len()), (port, 2));
    }
}

#[test]
fn ntfy_needs_a_topic_and_gotify_a_token() {
    let parts = |kind: &str, url: &str| TargetBody {
        kind: kind.into(),
        url: url.into(),
        ..TargetBody::default()
    };
    assert_eq!(fields(parts("ntfy", "https://ntfy.sh/")), ["url"]);
    assert_eq!(fields(parts("gotify", "https://g")), ["token"]);
    assert_eq!(fields(parts("pigeon", "https://g")), ["kind"]);
    assert!(fields(parts("ping", "https://hc-ping.com/x")).is_empty());
}
