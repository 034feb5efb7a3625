//! Messages of a real rclone about faulty remotes, and the gate's reaction.
//!
//! The remotes are servers of a few lines that speak WebDAV, or OAuth, on this host.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::{World, have_rclone};

struct Asked {
    method: String,
    path: String,
    body: Vec<u8>,
}

struct Answered {
    status: &'static str,
    headers: &'static str,
    body: String,
}

fn answer(status: &'static str) -> Answered {
    Answered {
        status,
        headers: "",
        body: String::new(),
    }
}

/// Serves every connection until the test's process ends.
fn serve(handle: impl Fn(&Asked) -> Answered + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || while exchange(&stream, &*handle).is_some() {});
        }
    });
    port
}

/// One request and its answer; `None` at the end of the connection.
fn exchange(stream: &TcpStream, handle: &dyn Fn(&Asked) -> Answered) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    let answer = handle(&Asked { method, path, body });
    write!(
        &*stream,
        "HTTP/1.1 {}\r\n{}Content-Length: {}\r\n\r\n{}",
        answer.status,
        answer.headers,
        answer.body.len(),
        answer.body
    )
    .ok()
}

fn webdav(port: u16) -> String {
    format!("type = webdav\nurl = http://127.0.0.1:{port}/dav\nvendor = other\n")
}

fn properties(path: &str, kind: &str) -> Answered {
    Answered {
        status: "207 Multi-Status",
        headers: "Content-Type: application/xml\r\n",
        body: format!(
            "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\"><d:response><d:href>{path}</d:href><d:propstat><d:prop>{kind}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
        ),
    }
}

const FOLDER: &str = "<d:resourcetype><d:collection/></d:resourcetype>";

#[test]
fn a_remote_that_throttles_is_recognised() {
    if !have_rclone() {
        return;
    }
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let world = World::new();
        let port = serve(move |_| Answered {
            headers: "Retry-After: 1\r\n",
            ..answer(status)
        });
        world.remote_at(port, &webdav(port));
        // The service stays down, so waiting for the remote has a limit.
        world.configure_app("early_start = false");
        world.on_host(&["--stop", "app"]).expect(0);
        for line in [world.sync(), world.archive()] {
            let answer = world.request(&line).expect(69);
            assert!(answer.err.contains("throttled"), "{}", answer.err);
            assert!(answer.err.contains("rclone.tpslimit"), "{}", answer.err);
        }
    }
}

#[test]
fn a_full_remote_is_recognised() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let port = serve(|asked| match asked.method.as_str() {
        "PROPFIND" => properties(&asked.path, FOLDER),
        "MKCOL" => answer("201 Created"),
        _ => answer("507 Insufficient Storage"),
    });
    world.remote_at(port, &webdav(port));
    let answer = world.request(&world.sync()).expect(73);
    assert!(answer.err.contains("the remote is full"), "{}", answer.err);
}

#[test]
fn a_sign_in_that_is_refused_is_recognised() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let port = serve(|_| answer("401 Unauthorized"));
    world.remote_at(port, &webdav(port));
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("sign-in"), "{}", answer.err);
}

/// The real OneDrive backend, with a refresh token that is no longer valid.
#[test]
fn an_expired_token_of_onedrive_is_recognised_and_the_way_out_is_named() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let port = serve(|asked| {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(body.contains("refresh_token=former"), "{body}");
        Answered {
            headers: "Content-Type: application/json\r\n",
            body: r#"{"error":"invalid_grant","error_description":"AADSTS70008: The refresh token has expired"}"#.into(),
            ..answer("400 Bad Request")
        }
    });
    world.remote_at(
        port,
        &format!(
            "type = onedrive\nclient_id = id\nclient_secret = secret\ntoken_url = http://127.0.0.1:{port}/token\nauth_url = http://127.0.0.1:{port}/auth\ndrive_id = d\ndrive_type = personal\ntoken = {{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"refresh_token\":\"former\",\"expiry\":\"2020-01-01T00:00:00Z\"}}\n"
        ),
    );
    let renew = format!(
        "`sudo /usr/bin/rclone --config {} config reconnect onedrive:`",
        world.path("rclone.conf").display()
    );
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains(&renew), "{}", answer.err);
}

#[test]
fn a_remote_that_is_not_there_and_one_that_is_not_set_up_are_told_apart() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    world.remote_at(port, &webdav(port));
    world.on_host(&["--stop", "app"]).expect(0);
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("cannot be reached"), "{}", answer.err);
    world.write("rclone.conf", "[other]\ntype = alias\nremote = /nowhere\n");
    let answer = world.request(&world.sync()).expect(69);
    assert!(
        answer.err.contains("rclone knows no remote 'onedrive'"),
        "{}",
        answer.err
    );
}

/// An almost complete WebDAV server: it accepts files and folders, and throttles the first and the fourth request.
#[test]
fn throttling_that_is_overcome_is_no_failure() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let held = Arc::new(Mutex::new((
        0_u32,
        BTreeMap::<String, Option<usize>>::new(),
    )));
    let store = Arc::clone(&held);
    let port = serve(move |asked| {
        let mut held = store.lock().unwrap();
        let (count, files) = &mut *held;
        *count += u32::from(asked.method == "PROPFIND");
        if asked.method == "PROPFIND" && [1, 4].contains(count) {
            return Answered {
                headers: "Retry-After: 0\r\n",
                ..answer("429 Too Many Requests")
            };
        }
        let path = asked.path.trim_end_matches('/').to_owned();
        match asked.method.as_str() {
            "PUT" => {
                files.insert(path, Some(asked.body.len()));
                answer("201 Created")
            }
            "MKCOL" => {
                files.insert(path, None);
                answer("201 Created")
            }
            "PROPFIND" => match files.get(&path) {
                Some(None) => properties(&format!("{path}/"), FOLDER),
                Some(Some(size)) => properties(
                    &path,
                    &format!(
                        "<d:resourcetype/><d:getcontentlength>{size}</d:getcontentlength><d:getlastmodified>Mon, 01 Jan 2024 00:00:00 GMT</d:getlastmodified>"
                    ),
                ),
                None => answer("404 Not Found"),
            },
            _ => answer("405 Method Not Allowed"),
        }
    });
    world.remote_at(port, &webdav(port));
    world.request(&world.sync()).expect(0);
    let held = held.lock().unwrap();
    assert!(held.0 > 4);
    let stored = |name: &str| held.1.get(&format!("/dav/OdroidBackup/app/data/{name}"));
    assert_eq!(stored("file"), Some(&Some("content".len())));
    assert_eq!(stored("folder/second"), Some(&Some("more content".len())));
}
