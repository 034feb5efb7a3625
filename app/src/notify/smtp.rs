//! Hands one mail to a mail server (RFC 5321), with TLS and a login where they are wanted.
//!
//! Small on purpose: one message a connection, nothing queued, nothing parsed but the
//! replies. Without the protection that was asked for, nothing but EHLO is ever sent.

use super::parts::Delivered;
use super::tls::{NetStream, connect, protect};
use super::{NotifierParts, SendError};
use crate::domain::target::{Email, Security};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Longest line of a reply, in bytes (RFC 5321 says 512; some servers talk more).
const LONGEST_LINE: u64 = 4096;
/// Most lines of one reply.
const MOST_LINES: usize = 100;

/// Sends `text`, a whole mail with its head, to the addresses `to`. A recipient that the server refuses keeps the mail
/// from no other.
pub(super) async fn send(
    parts: &NotifierParts,
    email: &Email,
    to: &[String],
    text: &str,
) -> Result<Delivered, SendError> {
    let (host, port) = (email.host.as_str(), email.port);
    let place = format!("{host}:{port}");
    let stream = connect(host, port).await?;
    let own = own_name(&stream);
    let mut session = if email.security == Security::StartTls {
        let mut clear = SmtpSession::new(stream, place.clone());
        clear.expect(220).await?;
        if !clear.ehlo(&own).await?.has("STARTTLS") {
            return Err(clear.protocol("it does not offer STARTTLS"));
        }
        clear.command("STARTTLS", 220).await?;
        if !clear.stream.buffer().is_empty() {
            // Bytes in clear that an attacker wants to pass off as the server's answer.
            return Err(clear.protocol("it goes on talking in clear after STARTTLS"));
        }
        let stream = protect(clear.stream.into_inner(), host, port, &parts.authorities).await?;
        SmtpSession::new(stream, place)
    } else {
        let stream: Box<dyn NetStream> = match email.security {
            Security::Tls => protect(stream, host, port, &parts.authorities).await?,
            Security::StartTls | Security::None => Box::new(stream),
        };
        let mut session = SmtpSession::new(stream, place);
        session.expect(220).await?;
        session
    };
    let offers = session.ehlo(&own).await?;
    if let Some((user, password)) = &email.login {
        session.log_in(&offers, user, password).await?;
    }
    session
        .command(&format!("MAIL FROM:<{}>", email.from.as_str()), 250)
        .await?;
    let (mut delivered, mut refused) = (Delivered::default(), Vec::new());
    for to in to {
        match session.command(&format!("RCPT TO:<{to}>"), 250).await {
            Ok(_) => delivered.some = true,
            Err(SendError::Refused {
                answer, is_final, ..
            }) => {
                refused.push(format!("{to}: {answer}"));
                if !is_final {
                    delivered.again.push(to.clone());
                }
            }
            Err(other) => return Err(other),
        }
    }
    delivered.refused = (!refused.is_empty()).then(|| refused.join("; "));
    if delivered.some {
        session.command("DATA", 354).await?;
        session.write(text).await?;
        session.command(".", 250).await?;
    }
    // It has the mail; how it says good-bye changes nothing.
    let _ = session.command("QUIT", 221).await;
    Ok(delivered)
}

/// Our name: the address from which we connect, since a name of ours in a home
/// network means nothing to others.
fn own_name(stream: &tokio::net::TcpStream) -> String {
    match stream.local_addr().map(|address| address.ip()) {
        Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Ok(ip) => format!("[{ip}]"),
        Err(_) => "localhost".to_owned(),
    }
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn has(&self, word: &str) -> bool {
        self.words(word).is_some()
    }

    /// The parameters of a keyword of EHLO.
    fn words(&self, word: &str) -> Option<Vec<String>> {
        self.lines.iter().find_map(|line| {
            let mut words = line.split([' ', '=']).map(str::to_ascii_uppercase);
            (words.next()? == word).then(|| words.collect())
        })
    }
}

struct SmtpSession<S> {
    stream: BufReader<S>,
    place: String,
}

impl<S: NetStream> SmtpSession<S> {
    fn new(stream: S, place: String) -> Self {
        Self {
            stream: BufReader::with_capacity(4096, stream),
            place,
        }
    }

    fn protocol(&self, why: &str) -> SendError {
        SendError::Protocol {
            place: self.place.clone(),
            why: why.to_owned(),
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), SendError> {
        let written = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.protocol(&error.to_string())),
        }
    }

    async fn reply(&mut self) -> Result<Reply, SendError> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
                .await;
            if let Err(error) = read {
                return Err(self.protocol(&error.to_string()));
            }
            let line = String::from_utf8_lossy(&line);
            let (code, rest) = line.split_at_checked(3).unwrap_or_default();
            let Ok(code) = code.parse::<u16>() else {
                return Err(self.protocol(if line.is_empty() {
                    "it closed the connection"
                } else {
                    "its reply begins with no number"
                }));
            };
            let text: String = rest.chars().skip(1).filter(|c| !c.is_control()).collect();
            lines.push(text);
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
            if lines.len() > MOST_LINES {
                return Err(self.protocol("its reply does not end"));
            }
        }
    }

    async fn expect(&mut self, code: u16) -> Result<Reply, SendError> {
        let reply = self.reply().await?;
        // 251 says that it forwards the mail, which is as good.
        if reply.code == code || (code == 250 && reply.code == 251) {
            return Ok(reply);
        }
        Err(SendError::Refused {
            place: self.place.clone(),
            answer: format!("{} {}", reply.code, reply.lines.join(" ")),
            // RFC 5321, 4.2.1: the same command will be refused again.
            is_final: reply.code / 100 == 5,
        })
    }

    async fn command(&mut self, line: &str, code: u16) -> Result<Reply, SendError> {
        self.write(&format!("{line}\r\n")).await?;
        self.expect(code).await
    }

    async fn ehlo(&mut self, own: &str) -> Result<Reply, SendError> {
        self.command(&format!("EHLO {own}"), 250).await
    }

    async fn log_in(
        &mut self,
        offers: &Reply,
        user: &str,
        password: &str,
    ) -> Result<(), SendError> {
        let ways = offers.words("AUTH").unwrap_or_default();
        let offered = |way: &str| ways.iter().any(|offered| offered == way);
        if offered("PLAIN") {
            let words = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command(&format!("AUTH PLAIN {words}"), 235).await?;
        } else if offered("LOGIN") {
            self.command("AUTH LOGIN", 334).await?;
            self.command(&STANDARD.encode(user), 334).await?;
            self.command(&STANDARD.encode(password), 235).await?;
        } else {
            return Err(self.protocol("it offers no login that we know (PLAIN or LOGIN)"));
        }
        Ok(())
    }
}
