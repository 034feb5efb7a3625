//! A small WebDriver client (W3C WebDriver) for a real headless Chromium.

use crate::harness::{processes, wait_for};
use crate::http::Address;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser that is closed when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    address: Address,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser; none where Chromium or its driver is not installed.
    pub(crate) fn start() -> Option<Self> {
        for program in ["/usr/bin/chromium", "/usr/bin/chromedriver"] {
            if !Path::new(program).exists() {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        // It takes a free port for IPv4 and ends when another program has the same one for IPv6 by then.
        let (driver, port) = (0..5)
            .find_map(|_| start_driver())
            .expect("chromedriver says its port");
        let address = Address::Tcp(format!("127.0.0.1:{port}"));
        let profile = tempfile::tempdir().unwrap();
        let options = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage",
                format!("--user-data-dir={}", profile.path().display()),
            ]}
        }}});
        let answer = address.send("POST", "/session", &[], options.to_string().as_bytes());
        let session = answer.json()["value"]["sessionId"]
            .as_str()
            .map(str::to_owned);
        let browser = Self {
            driver,
            address,
            session: session.unwrap_or_default(),
            profile,
        };
        assert!(!browser.session.is_empty(), "no session: {}", answer.text());
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: Value) -> Result<Value, Value> {
        let path = format!("/session/{}{path}", self.session);
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.address.send(method, &path, &[], body.as_bytes());
        let value = answer.json()["value"].clone();
        if answer.status == 200 {
            Ok(value)
        } else {
            Err(value)
        }
    }

    #[track_caller]
    pub(crate) fn goto(&self, url: &str) {
        self.call("POST", "/url", json!({"url": url})).unwrap();
    }

    fn element(&self, css: &str) -> Option<String> {
        let found = self.call(
            "POST",
            "/element",
            json!({"using": "css selector", "value": css}),
        );
        Some(found.ok()?[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Does something to an element once it is there.
    #[track_caller]
    fn act(&self, css: &str, action: &str, body: Value) {
        wait_for(css, || {
            let id = self.element(css)?;
            // The page may replace the element between finding and using it.
            self.call("POST", &format!("/element/{id}/{action}"), body.clone())
                .ok()
        });
    }

    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        self.act(css, "click", json!({}));
    }

    /// Clicks a link of the navigation, in its menu where it is one.
    #[track_caller]
    pub(crate) fn navigate(&self, href: &str) {
        let menu = "return document.querySelector('header .menu')?.checkVisibility() ?? false";
        self.wait_present("#nav");
        if self.script(menu) == json!(true) {
            self.click("header .menu");
        }
        self.click(&format!("#nav a[href='{href}']"));
    }

    #[track_caller]
    pub(crate) fn type_into(&self, css: &str, text: &str) {
        self.act(css, "clear", json!({}));
        self.act(css, "value", json!({"text": text}));
    }

    /// Presses keys one after the other, several times.
    pub(crate) fn press_each(&self, keys: &[&str], times: usize) {
        let once = keys.iter().flat_map(|key| {
            ["keyDown", "keyUp"].map(|action| json!({"type": action, "value": key}))
        });
        let actions: Vec<Value> = std::iter::repeat_n(once, times).flatten().collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.call("POST", "/actions", body).unwrap();
    }

    /// Presses keys where the focus is.
    pub(crate) fn press(&self, keys: &[&str]) {
        let actions: Vec<Value> = keys
            .iter()
            .map(|key| json!({"type": "keyDown", "value": key}))
            .chain(
                keys.iter()
                    .rev()
                    .map(|key| json!({"type": "keyUp", "value": key})),
            )
            .collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.call("POST", "/actions", body).unwrap();
    }

    /// Drags one element onto another with the mouse.
    #[track_caller]
    pub(crate) fn drag(&self, from: &str, to: &str) {
        let place = |css: &str| json!({ELEMENT: self.element(css).unwrap()});
        let moved = |css: &str| json!({"type": "pointerMove", "origin": place(css), "x": 0, "y": 0, "duration": 50});
        let body = json!({"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
            moved(from), {"type": "pointerDown", "button": 0}, moved(to), {"type": "pointerUp", "button": 0},
        ]}]});
        self.call("POST", "/actions", body).unwrap();
    }

    pub(crate) fn text(&self, css: &str) -> Option<String> {
        let id = self.element(css)?;
        let text = self
            .call("GET", &format!("/element/{id}/text"), json!({}))
            .ok()?;
        Some(text.as_str()?.to_owned())
    }

    /// Waits until an element's text holds `words`.
    #[track_caller]
    pub(crate) fn wait_text(&self, css: &str, words: &str) -> String {
        wait_for(&format!("{words:?} in {css}"), || {
            self.text(css).filter(|text| text.contains(words))
        })
    }

    #[track_caller]
    pub(crate) fn wait_present(&self, css: &str) {
        wait_for(css, || self.element(css));
    }

    pub(crate) fn script(&self, script: &str) -> Value {
        self.script_with(script, json!([]))
    }

    /// Runs the body of a function with arguments.
    #[track_caller]
    pub(crate) fn script_with(&self, script: &str, args: Value) -> Value {
        let body = json!({"script": script, "args": args});
        self.call("POST", "/execute/sync", body).unwrap()
    }

    /// Runs the body of a function that calls its last argument when it is done.
    #[track_caller]
    pub(crate) fn script_until_called(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.call("POST", "/execute/async", body).unwrap()
    }

    /// Waits until a script returns true.
    #[track_caller]
    pub(crate) fn wait_script(&self, script: &str) {
        wait_for(script, || {
            (self.script(script) == json!(true)).then_some(())
        });
    }

    /// Makes the page as wide as a phone, a tablet or a screen, from the next page on.
    pub(crate) fn resize(&self, width: u32) {
        let body = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500,
        }});
        self.call("POST", "/goog/cdp/execute", body).unwrap();
    }

    /// Everything the browser complained about.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self
            .call("POST", "/se/log", json!({"type": "browser"}))
            .unwrap();
        let lines = log.as_array().unwrap().iter();
        lines
            .filter(|line| ["SEVERE", "WARNING"].contains(&line["level"].as_str().unwrap()))
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, params: Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.call("POST", "/goog/cdp/execute", body).unwrap()
    }

    /// Shows pages at a width, in the light or the dark theme, from now on.
    pub(crate) fn look(&self, width: u32, dark: bool) {
        let theme = if dark { "dark" } else { "light" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": theme}]}),
        );
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}),
        );
    }

    /// A picture of the whole page as it is looked at.
    pub(crate) fn picture(&self, width: u32, to: &Path) {
        let height = self
            .script("return Math.min(document.documentElement.scrollHeight, 4000)")
            .as_u64()
            .unwrap()
            .max(900);
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let picture = self.devtools(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true, "clip": clip}),
        );
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, base64(picture["data"].as_str().unwrap())).unwrap();
    }
}

/// Starts a driver on a free port; none when it ended without telling the port.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("/usr/bin/chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    if port.is_none() {
        driver.wait().unwrap();
    }
    Some((driver, port?))
}

/// Decodes base64 (RFC 4648), of which a picture is the only one here.
fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes().filter(|b| *b != b'=') {
        let value = alphabet.iter().position(|a| *a == letter).unwrap();
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

impl Drop for Browser {
    fn drop(&mut self) {
        // No browser stays behind, also after a failed test.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        for process in processes(&self.profile.path().display().to_string()) {
            let pid = process.file_name().and_then(|n| n.to_str()?.parse().ok());
            if let Some(pid) = pid.map(nix::unistd::Pid::from_raw) {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}
