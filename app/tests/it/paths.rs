//! Paths that lead out of a folder: of scripts, of logs, of assets.

use crate::harness::Server;
use serde_json::json;

#[test]
fn no_path_leads_out_of_a_folder() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo logged", json!({}))]);
    server.run_to_end("t");
    let key = std::fs::read(server.data().join("secret.key")).unwrap();
    std::os::unix::fs::symlink("../secret.key", server.data().join("scripts/link.py")).unwrap();
    let names = [
        "../secret.key",
        "..%2fsecret.key",
        "..%2Fsecret.key",
        "%2e%2e%2fsecret.key",
        "..%5csecret.key",
        "..%252fsecret.key",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "..",
        ".",
        "%2e%2e",
        "link.py",
        "a%00.py",
        ".hidden",
        "a%0a.py",
        "%ff",
        "%c0%ae%c0%ae%c0%afsecret.key",
    ];
    for name in names {
        for path in [
            format!("/api/v1/scripts/{name}"),
            format!("/scripts/{name}"),
            format!("/scripts/{name}/versions"),
            format!("/scripts/{name}/versions/1"),
            format!("/scripts/t/versions/{name}"),
            format!("/assets/{name}"),
            format!("/runs/{name}"),
            format!("/api/v1/runs/{name}"),
            format!("/api/v1/runs/{name}/steps/0/log"),
            format!("/api/v1/runs/1/steps/{name}/log"),
            format!("/api/v1/runs/1/steps/0/log?attempt={name}"),
            format!("/tasks/{name}"),
        ] {
            let answer = server.get(&path);
            // A path that is another path, for example a list, is no way out.
            assert!(
                (400..500).contains(&answer.status)
                    || answer.status == 200
                        && !path.contains("secret")
                        && name.starts_with(['.', '%']),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(
                !answer.body.windows(key.len()).any(|part| part == key),
                "{path}"
            );
            assert!(!answer.text().contains("root:x:"), "{path}");
        }
        let path = format!("/api/v1/scripts/{name}");
        let put = server.socket.send("PUT", &path, &[], b"changed");
        if name != "link.py" {
            assert!(
                (400..500).contains(&put.status),
                "PUT {path}: {}",
                put.status
            );
            let gone = server.socket.send("DELETE", &path, &[], b"");
            assert!(
                (400..500).contains(&gone.status),
                "DELETE {path}: {}",
                gone.status
            );
        }
    }
    // Written over, a link is a file; its target is unchanged.
    assert_eq!(
        std::fs::read(server.data().join("secret.key")).unwrap(),
        key
    );
    assert!(!std::path::Path::new("/etc/passwd").is_symlink());
    assert!(!server.data().join("scripts/link.py").is_symlink());
    assert_eq!(server.get("/api/v1/runs/1/steps/0/log").text(), "logged\n");
}
