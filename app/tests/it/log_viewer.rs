//! The log viewer and its API: parts that fit together, search, colours, times, a log far
//! larger than a page can hold, and a connection that is cut.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::http::Address;
use crate::webdriver::Browser;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

fn part(server: &Server, query: &str) -> Value {
    let path = format!("/api/v1/runs/1/steps/0/log/part?{query}");
    server.get(&path).expect(200).json()
}

#[test]
fn parts_of_a_log_fit_together_also_around_what_was_dropped() {
    let server = Server::start_with(&[("LIGHTFLOW_LOG_LIMIT", "1048576")]);
    server.shell_task("t", &[("s", "seq 1 400000 | sed 's/$/ é/'", json!({}))]);
    server.run_to_end("t");
    let newest = part(&server, "");
    let length = newest["length"].as_u64().unwrap();
    assert_eq!(newest["end"], length);
    let (from, to) = (&newest["gap"]["from"], &newest["gap"]["to"]);
    let mut texts = vec![newest["text"].as_str().unwrap().to_owned()];
    let mut start = newest["start"].as_u64().unwrap();
    let mut crossed = 0;
    while start > 0 {
        let before = part(&server, &format!("before={start}"));
        if before["end"].as_u64().unwrap() < start {
            assert_eq!(to, start);
            assert_eq!(before["end"], *from);
            crossed += 1;
        }
        start = before["start"].as_u64().unwrap();
        texts.push(before["text"].as_str().unwrap().to_owned());
    }
    assert_eq!(crossed, 1);
    texts.reverse();
    let (mut forward, mut at) = (String::new(), 0);
    while at < length {
        let after = part(&server, &format!("after={at}"));
        forward.push_str(after["text"].as_str().unwrap());
        at = after["end"].as_u64().unwrap();
    }
    assert!(forward == texts.concat(), "the two ways differ");
    let whole = server.step_log(1, 0);
    let kept: String = whole
        .split("\n[… ")
        .flat_map(|t| t.rsplit_once(" …]\n").map_or(Some(t), |(_, t)| Some(t)))
        .collect();
    assert_eq!(forward.len(), kept.len());
    assert!(forward.starts_with("1 é\n2 é\n") && forward.ends_with("\n400000 é\n"));
    // Every part but those beside the dropped range begins and ends with a line.
    let jump = part(&server, &format!("after={}&line=true", length - 5000));
    let first = jump["text"].as_str().unwrap().lines().next().unwrap();
    assert!(
        first.ends_with(" é") && first.len() == "399000 é".len(),
        "{first}"
    );
    assert!(!jump["times"].as_array().unwrap().is_empty());
}

#[test]
fn a_text_is_found_wherever_it_is() {
    let server = Server::start();
    let script = "seq 1 200000; echo A Needle; seq 1 200000; echo another needle";
    server.shell_task("t", &[("s", script, json!({}))]);
    server.run_to_end("t");
    let search = |q: &str| server.get(&format!("/api/v1/runs/1/steps/0/log/search?q={q}"));
    let found = search("NEEDLE").expect(200).json();
    let log = server.step_log(1, 0);
    let expected: Vec<usize> = [log.find("Needle"), log.find("needle")]
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(found["offsets"], json!(expected));
    assert_eq!(found["more"], false);
    let many = search("1").expect(200).json();
    assert_eq!(many["offsets"].as_array().unwrap().len(), 1000);
    assert_eq!(many["more"], true);
    search("").expect(422);
    search("nowhere").expect(200);
}

#[test]
fn colours_times_wrapping_and_search() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let script = r#"printf 'plain \033[1;31mred <b>\033[0m end\n\033[38;5;46mgreen\nstill\033[m\n50%%\r100%%\n\033]0;title\007done\n'; for i in 1 2 3; do echo "found $i"; done"#;
    server.shell_task("t", &[("s", script, json!({}))]);
    server.run_to_end("t");
    set_up(&server, &browser);
    browser.goto(&format!("{}/runs/1", base(&server)));
    browser.wait_text("[data-log-state]", "complete");
    let log = browser.text("pre.log").unwrap();
    assert_eq!(
        log,
        "plain red <b> end\ngreen\nstill\n100%\ndone\nfound 1\nfound 2\nfound 3"
    );
    let spans = browser.script("return [...document.querySelectorAll('.line span')].map(s => [s.className, s.textContent])");
    assert_eq!(
        spans,
        json!([
            ["bold ink1", "red <b>"],
            ["ink2", "green"],
            ["ink2", "still"]
        ])
    );
    browser.click("[data-log-do=times]");
    let time = browser.script("return document.querySelector('.line').dataset.time");
    let time = time.as_str().unwrap();
    assert_eq!(time.split(':').count(), 3, "{time}");
    browser.click("[data-log-do=wrap]");
    assert_eq!(
        browser.script("return document.querySelector('pre.log').className"),
        "log times"
    );
    browser.type_into("[data-log-search] input", "FOUND");
    browser.click("[data-log-search] button");
    browser.wait_text("[data-log-found]", "1 of 3");
    browser.click("[data-log-search] button");
    browser.wait_text("[data-log-found]", "2 of 3");
    assert_eq!(browser.text(".line.here").unwrap(), "found 2");
    browser.click("[data-log-do=previous]");
    browser.wait_text("[data-log-found]", "1 of 3");
    assert_eq!(
        browser.script("return document.querySelectorAll('mark').length"),
        3
    );
    no_complaints(&browser);
}

#[test]
fn two_hundred_megabytes_stay_usable() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    server.shell_task("t", &[("s", "echo small", json!({}))]);
    server.run_to_end("t");
    // As if the step had printed it.
    let mut text = String::new();
    while text.len() < 1_000_000 {
        text.push_str("a line of a log as long as most of them are, with a few words in it\n");
    }
    let mut file = std::fs::File::create(server.data().join("logs/1/1-1.0.log")).unwrap();
    writeln!(file, "the very first line").unwrap();
    for number in 0..200 {
        if number == 77 {
            writeln!(file, "here is the Needle").unwrap();
        }
        file.write_all(text.as_bytes()).unwrap();
    }
    writeln!(file, "the very last line").unwrap();
    drop(file);
    set_up(&server, &browser);
    browser.goto(&format!("{}/runs/1", base(&server)));
    browser.wait_text("[data-log-state]", "complete");
    let text = |which: &str| {
        browser.script(&format!(
            "return document.querySelector('pre.log').{which}.textContent"
        ))
    };
    let few = || {
        let size = browser.script("return [document.querySelectorAll('.line').length, document.querySelector('pre.log').textContent.length]");
        let [lines, characters] = [&size[0], &size[1]].map(|n| n.as_u64().unwrap());
        assert!(lines <= 8000 && characters <= 800_000, "{size}");
    };
    assert_eq!(text("lastElementChild"), "the very last line");
    few();
    // Upwards by scrolling: more is loaded above, and dropped below.
    for _ in 0..8 {
        let before =
            browser.script("return document.querySelector('pre.log').firstElementChild.offset");
        browser.script("document.querySelector('pre.log').scrollTop = 0");
        browser.wait_script(&format!(
            "return document.querySelector('pre.log').firstElementChild.offset < {before}"
        ));
        few();
    }
    assert_ne!(text("lastElementChild"), "the very last line");
    browser.click("[data-log-do=begin]");
    browser.wait_script("return document.querySelector('pre.log').firstElementChild.textContent === 'the very first line'");
    few();
    browser.type_into("[data-log-search] input", "needle");
    browser.click("[data-log-search] button");
    browser.wait_text("[data-log-found]", "1 of 1");
    assert_eq!(browser.text(".line.here").unwrap(), "here is the Needle");
    few();
    browser.click("[data-log-do=end]");
    browser.wait_script("return document.querySelector('pre.log').lastElementChild.textContent === 'the very last line'");
    few();
    no_complaints(&browser);
}

/// Passes connections on until they are cut.
struct Proxy {
    address: String,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn to(server: &Server) -> Self {
        let Address::Tcp(target) = server.network.clone() else {
            unreachable!()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = streams.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else {
                    return;
                };
                for (mut from, mut to) in [(&near, &far), (&far, &near)]
                    .map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
                {
                    std::thread::spawn(move || {
                        let mut buffer = [0; 4096];
                        while let Ok(n @ 1..) = from.read(&mut buffer) {
                            if to.write_all(&buffer[..n]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                kept.lock().unwrap().extend([near, far]);
            }
        });
        Self { address, streams }
    }

    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_connection_that_is_cut_goes_on_without_gap_or_double_line() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let go = server.data().join("go");
    let script = format!(
        "seq 1 50; while ! test -e {0}.1; do sleep 0.05; done; seq 51 100; while ! test -e {0}.2; do sleep 0.05; done; seq 101 150",
        go.display()
    );
    server.shell_task("t", &[("s", &script, json!({}))]);
    let proxy = Proxy::to(&server);
    set_up(&server, &browser);
    let run = server.trigger("t");
    browser.goto(&format!("http://{}/runs/{run}", proxy.address));
    browser.wait_script(
        "return document.querySelector('pre.log').lastElementChild?.textContent === '50'",
    );
    browser.wait_text("[data-log-state]", "live");
    proxy.cut();
    browser.wait_text("[data-log-state]", "connection lost");
    std::fs::write(go.with_extension("1"), "").unwrap();
    browser.wait_script(
        "return document.querySelector('pre.log').lastElementChild.textContent === '100'",
    );
    // A reader who looks elsewhere is not dragged to the end.
    browser.script("document.querySelector('pre.log').scrollTop = 0");
    std::fs::write(go.with_extension("2"), "").unwrap();
    browser.wait_text("[data-log-state]", "complete");
    let top = browser.script("return document.querySelector('pre.log').scrollTop");
    assert_eq!(top, 0);
    let lines = browser
        .script("return [...document.querySelectorAll('.line')].map(l => Number(l.textContent))");
    assert_eq!(lines, json!((1..=150).collect::<Vec<_>>()));
}
