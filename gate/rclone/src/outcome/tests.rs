use super::*;
use base::error::ExitStatus;
use base::progress::Phase;
use host::Ear;

fn judged(code: i32, line: &str) -> Result<(), Failure> {
    let mut heard = Listener::new(Phase::Mirroring);
    heard.hear(line);
    let ended = Ended {
        exit: Exit::Code(code),
        stdout: Vec::new(),
        last_words: Vec::new(),
    };
    let remote = "onedrive:/OdroidBackup/extra/docs";
    judge(
        "mirroring /srv/docs",
        remote,
        &ended,
        &heard,
        &Config::default(),
    )
}

fn error(text: &str) -> String {
    serde_json::json!({ "level": "error", "msg": text }).to_string()
}

#[test]
fn each_trouble_has_its_status_and_says_what_to_do() {
    for (text, status, advice) in [
        (
            "couldn't fetch token - maybe it has expired? - refresh with \"rclone config reconnect onedrive:\": oauth2: cannot fetch token: 400 Bad Request",
            ExitStatus::Unavailable,
            "`sudo /usr/local/lib/backupctl/rclone --config /etc/backupctl/rclone.conf config reconnect onedrive:`",
        ),
        (
            "couldn't fetch token - maybe it has expired? - refresh with \"rclone config reconnect onedrive:\": Post \"https://login.microsoftonline.com\": dial tcp: lookup login.microsoftonline.com: no such host",
            ExitStatus::Unavailable,
            "name resolution",
        ),
        (
            "couldn't fetch token - maybe it has expired? - refresh with \"rclone config reconnect onedrive:\": no reason",
            ExitStatus::Unavailable,
            "could not be renewed",
        ),
        (
            "couldn't fetch token - maybe it has expired? - refresh with \"rclone config reconnect onedrive:\": unexpected EOF",
            ExitStatus::Unavailable,
            "connections to the remote break",
        ),
        (
            "Failed to copy: unauthenticated: Unauthenticated",
            ExitStatus::Unavailable,
            "before 1.67",
        ),
        (
            "failed to get root: invalidRequest: ObjectHandle is Invalid",
            ExitStatus::Unavailable,
            "choose the drive called OneDrive",
        ),
        (
            "Failed to copy: accessDenied: Access Denied",
            ExitStatus::Unavailable,
            "right to write",
        ),
        (
            "Failed to copy: activityLimitReached: The request has been throttled",
            ExitStatus::Unavailable,
            "rclone.tpslimit",
        ),
        (
            "Failed to copy: quotaLimitReached: Insufficient Space Available",
            ExitStatus::CannotCreate,
            "make room",
        ),
        (
            "Failed to copy: insufficient storage: 507 Insufficient Storage",
            ExitStatus::CannotCreate,
            "make room",
        ),
        (
            "Failed to create file system for \"onedrive:/OdroidBackup\": didn't find section in config file",
            ExitStatus::Unavailable,
            "knows no remote 'onedrive'",
        ),
        (
            "Get \"https://graph.microsoft.com\": dial tcp: lookup graph.microsoft.com: no such host",
            ExitStatus::Unavailable,
            "name resolution",
        ),
        (
            "x509: certificate has expired or is not yet valid",
            ExitStatus::Unavailable,
            "clock",
        ),
        (
            "couldn't fetch token: Post \"https://sso.example:8443\": dial tcp 192.0.2.1:8443: connect: permission denied",
            ExitStatus::Unavailable,
            "rclone.ports",
        ),
        (
            "failed to make directory: mkdir /mnt/usb/app: permission denied",
            ExitStatus::Unavailable,
            "rclone.local_folders",
        ),
        ("something else", ExitStatus::Unavailable, "something else"),
    ] {
        let failure = judged(1, &error(text)).unwrap_err();
        assert_eq!(failure.status(), status, "{text}");
        let words = failure.to_string();
        assert!(words.contains(advice), "{words}");
        assert!(
            words.starts_with("mirroring /srv/docs") || words.starts_with("no space: mirroring"),
            "{words}"
        );
    }
}

#[test]
fn a_name_of_a_file_is_not_taken_for_trouble() {
    let line = r#"{"level":"error","msg":"Failed to copy: input/output error","object":"invalid_grant quotaLimitReached"}"#;
    assert!(matches!(judged(1, line), Err(Failure::Tool { .. })));
}

#[test]
fn throttling_that_was_overcome_is_no_failure() {
    assert!(judged(0, &error("429 Too Many Requests")).is_ok());
}

#[test]
fn exit_codes_are_explained() {
    let words = judged(5, &error("try again")).unwrap_err().to_string();
    assert!(words.contains("exit code 5, a temporary error"), "{words}");
}
