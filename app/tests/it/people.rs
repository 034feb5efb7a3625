//! People and programs that come to a server over the network, as tests need them.

use crate::harness::{Server, encoded};
use crate::http::Answer;
use serde_json::{Value, json};

/// The content type of a page's form.
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// The content type of a program's request.
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The header of a browser for a request of one of the server's own pages.
pub(crate) const OURS: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct-horse";
/// The form in which ann says who she is.
pub(crate) const RIGHT: &str = "name=ann&password=correct-horse";

pub(crate) fn add_user(server: &Server, name: &str, role: &str) {
    let user = json!({"name": name, "password": PASSWORD, "role": role});
    server.post("/api/v1/users", user).expect(201);
}

/// Sends the form of the login page, as a browser does.
pub(crate) fn try_log_in(
    server: &Server,
    name: &str,
    password: &str,
    more: &[(&str, &str)],
) -> Answer {
    let body = encoded(&[("name", name), ("password", password)]);
    let mut head = vec![FORM, OURS];
    head.extend(more);
    server
        .network
        .send("POST", "/login", &head, body.as_bytes())
}

/// Logs in, and returns the cookies.
pub(crate) fn log_in(server: &Server, name: &str) -> String {
    cookies(&try_log_in(server, name, PASSWORD, &[]).expect(303))
}

/// The cookies that an answer sets, as a browser sends them back.
pub(crate) fn cookies(answer: &Answer) -> String {
    let set = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let pairs = set.map(|(_, value)| value.split(';').next().unwrap().to_owned());
    // One without a value was taken away.
    let kept = pairs.filter(|pair| !pair.ends_with('='));
    kept.collect::<Vec<_>>().join("; ")
}

/// The cookie of the session that an answer sets.
pub(crate) fn session(answer: &Answer) -> String {
    let all = cookies(answer);
    let mut each = all.split("; ");
    let names = ["lightflow=", "__Host-lightflow="];
    let own = each.find(|pair| names.iter().any(|name| pair.starts_with(name)));
    own.expect("a session").to_owned()
}

/// Creates a token with that role, and returns the header's value.
pub(crate) fn token(server: &Server, role: &str) -> String {
    make_token(server, json!({"name": role, "role": role}))
}

/// Makes a token as it is described, and returns the header's value.
pub(crate) fn make_token(server: &Server, body: Value) -> String {
    let made = server.post("/api/v1/tokens", body).expect(201).json();
    format!("Bearer {}", made["token"].as_str().unwrap())
}
