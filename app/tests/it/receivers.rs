//! The receivers of notifications in tests: a web server and a mail server, with and without
//! TLS, each on a thread of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A request as the web server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// An authority of the test's own and its certificate for `localhost`.
pub(crate) struct Tls {
    pub(crate) bundle: PathBuf,
    config: Arc<rustls::ServerConfig>,
}

impl Tls {
    pub(crate) fn new(folder: &Path) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&own_key, &issuer)
            .unwrap();
        Self::serving(folder, &authority.pem(), &own, &own_key)
    }

    /// A certificate of the form that `openssl req -x509` makes: self-signed, an authority's, for `name` alone.
    pub(crate) fn self_signed(folder: &Path, name: &str, in_common_name: bool) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
        let key = KeyPair::generate().unwrap();
        let names = match in_common_name {
            true => Vec::new(),
            false => vec![name.to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.self_signed(&key).unwrap();
        Self::serving(folder, &own.pem(), &own, &key)
    }

    fn serving(
        folder: &Path,
        trusted: &str,
        own: &rcgen::Certificate,
        own_key: &rcgen::KeyPair,
    ) -> Self {
        let bundle = folder.join("authorities.pem");
        std::fs::write(&bundle, trusted).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        Self {
            bundle,
            config: Arc::new(config),
        }
    }

    fn accept(
        config: &Arc<rustls::ServerConfig>,
        stream: TcpStream,
    ) -> rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        rustls::StreamOwned::new(connection, stream)
    }
}

/// A web server that answers everything with one status.
pub(crate) struct WebServer {
    pub(crate) address: String,
    status: Arc<AtomicU16>,
    requests: mpsc::Receiver<Received>,
}

impl WebServer {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(tls: Option<&Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(200));
        let (sender, requests) = mpsc::channel();
        let (answer, tls) = (status.clone(), tls.map(|tls| tls.config.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let received = match &tls {
                    None => serve(stream, &answer),
                    Some(config) => serve(Tls::accept(config, stream), &answer),
                };
                if let Some(received) = received
                    && sender.send(received).is_err()
                {
                    return;
                }
            }
        });
        Self {
            address: format!("localhost:{port}"),
            status,
            requests,
        }
    }

    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The next request.
    #[track_caller]
    pub(crate) fn next(&self) -> Received {
        self.requests
            .recv_timeout(crate::harness::PATIENCE)
            .expect("nothing came")
    }

    /// The body of a request that came already.
    pub(crate) fn body_if_any(&self) -> Option<String> {
        self.requests.try_recv().ok().map(|request| request.body)
    }

    /// Reports if nothing came so far.
    pub(crate) fn is_quiet(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn serve(mut stream: impl Read + Write, status: &AtomicU16) -> Option<Received> {
    let (mut head, mut line) = (String::new(), String::new());
    let mut reader = BufReader::new(&mut stream);
    reader.read_line(&mut line).ok()?;
    loop {
        let mut next = String::new();
        reader.read_line(&mut next).ok()?;
        if next.trim().is_empty() {
            break;
        }
        head.push_str(&next);
    }
    let length = head.to_ascii_lowercase();
    let length = length
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, body) = (
        status.load(Ordering::SeqCst),
        String::from_utf8(body).unwrap(),
    );
    // Some servers repeat the request.
    let said = format!("said: {}", line.trim());
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    )
    .ok()?;
    stream.flush().ok()?;
    Some(Received {
        line: line.trim().to_owned(),
        head,
        body,
    })
}

/// A mail as the mail server got it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) commands: Vec<String>,
    pub(crate) text: String,
    /// True if TLS was on when the mail came.
    pub(crate) secure: bool,
}

/// The protection of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Clear,
    StartTls,
    Tls,
}

/// A mail server with one user, `ann`.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    mails: mpsc::Receiver<Mail>,
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(crate) fn start(tls: &Tls, speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mails) = mpsc::channel();
        let (config, seen) = (tls.config.clone(), Arc::new(Mutex::new(Vec::new())));
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let mail = match speaks {
                    Speaks::Clear => talk(stream, &log, false, true, false),
                    Speaks::Tls => talk(Tls::accept(&config, stream), &log, true, true, false),
                    Speaks::StartTls => {
                        let again = stream.try_clone().unwrap();
                        match talk(again, &log, false, true, true) {
                            Some(mail) if mail.commands.last().is_some_and(|c| c == "STARTTLS") => {
                                talk(Tls::accept(&config, stream), &log, true, false, false)
                            }
                            other => other,
                        }
                    }
                };
                if let Some(mail) = mail
                    && sender.send(mail).is_err()
                {
                    return;
                }
            }
        });
        Self { port, mails, seen }
    }

    #[track_caller]
    pub(crate) fn next(&self) -> Mail {
        self.mails
            .recv_timeout(crate::harness::PATIENCE)
            .expect("no mail came")
    }
}

/// How often a command came.
fn seen(log: &Mutex<Vec<String>>, command: &str) -> usize {
    let log = log.lock().unwrap();
    log.iter().filter(|other| *other == command).count()
}

fn talk(
    stream: impl Read + Write,
    log: &Mutex<Vec<String>>,
    secure: bool,
    greet: bool,
    offer_tls: bool,
) -> Option<Mail> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail {
        secure,
        ..Mail::default()
    };
    let say = |stream: &mut BufReader<_>, text: &str| {
        let inner: &mut dyn Write = stream.get_mut();
        inner
            .write_all(text.as_bytes())
            .and_then(|()| inner.flush())
            .ok()
    };
    fn line(stream: &mut impl BufRead) -> Option<String> {
        let mut line = String::new();
        (stream.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }
    if greet {
        say(&mut stream, "220 test ready\r\n")?;
    }
    while let Some(command) = line(&mut stream) {
        log.lock().unwrap().push(command.clone());
        mail.commands.push(command.clone());
        let reply = match command.split(' ').next().unwrap() {
            "EHLO" if offer_tls => "250-test\r\n250 STARTTLS\r\n",
            "EHLO" => "250-test greets you\r\n250-SIZE 1000000\r\n250 AUTH LOGIN PLAIN\r\n",
            "STARTTLS" => {
                say(&mut stream, "220 go on\r\n")?;
                return Some(mail);
            }
            // \0ann\0mail-secret
            "AUTH" if command == "AUTH PLAIN AGFubgBtYWlsLXNlY3JldA==" => "235 welcome\r\n",
            "AUTH" => "535 5.7.8 who are you?\r\n",
            "RCPT" if command.contains("dead") => "550 5.1.1 no such user\r\n",
            "RCPT" if command.contains("later") && seen(log, &command) == 1 => {
                "450 4.2.0 come again\r\n"
            }
            "MAIL" | "RCPT" => "250 fine\r\n",
            "DATA" => {
                say(&mut stream, "354 go on\r\n")?;
                while let Some(text) = line(&mut stream).filter(|text| text != ".") {
                    mail.text.push_str(&text);
                    mail.text.push('\n');
                }
                "250 taken\r\n"
            }
            "QUIT" => {
                say(&mut stream, "221 bye\r\n")?;
                return Some(mail);
            }
            _ => "502 what?\r\n",
        };
        say(&mut stream, reply)?;
    }
    None
}
