//! Sessions that are not one's own: planted before the login, or read on their way.

use crate::harness::Server;
use crate::people::{FORM, OURS, RIGHT, add_user, session};

#[test]
fn a_session_that_somebody_else_chose_is_never_used() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let planted = ("Cookie", "lightflow=0123456789abcdef0123456789abcdef");
    let head = [FORM, OURS, planted];
    let first = server
        .network
        .send("POST", "/login", &head, RIGHT.as_bytes());
    let first = session(&first.expect(303));
    assert!(!first.contains("0123456789abcdef"), "{first}");
    server.network.send("GET", "/", &[planted], b"").expect(303);
    server
        .network
        .send("GET", "/", &[("Cookie", &first)], b"")
        .expect(200);
    // A second login gets another one as well.
    let head = [FORM, OURS, ("Cookie", first.as_str())];
    let second = server
        .network
        .send("POST", "/login", &head, RIGHT.as_bytes());
    assert_ne!(session(&second.expect(303)), first);
}

#[test]
fn over_tls_the_cookie_is_bound_to_this_host_and_to_tls() {
    let server = Server::start_with(&[("LIGHTFLOW_TLS", "on")]);
    add_user(&server, "ann", "admin");
    let answer = server
        .over_tls()
        .send("POST", "/login", &[FORM, OURS], RIGHT.as_bytes())
        .expect(303);
    let mut values = answer.headers.iter().map(|(_, value)| value);
    let cookie = values
        .find(|value| value.starts_with("__Host-lightflow="))
        .unwrap_or_else(|| panic!("{:?}", answer.headers));
    for flag in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(
            cookie.split("; ").any(|part| part == flag),
            "{flag}: {cookie}"
        );
    }
    assert!(!cookie.to_lowercase().contains("domain="), "{cookie}");
}
