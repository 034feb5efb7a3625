//! `lightflow demo`: a server with sample tasks on this machine, to try it out.
//!
//! It needs no configuration and no rights, listens on this machine only, and leaves
//! nothing behind unless it is told where.

use super::address::{self, Address};
use super::client::{ApiClient, Body, path, query};
use super::error::{CliError, notice};
use super::output::Out;
use super::serve::{self, Server};
use crate::config::{self, Config, Transport};
use crate::view::VariableBody;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use hyper::Method;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const SAMPLES: &str = include_str!("demo.toml");
/// The demo's address if it is free.
const LISTEN: &str = "127.0.0.1:8080";

/// Try Lightflow out: a server with sample tasks, gone at Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_help = "Three sample tasks are run at once: one succeeds, one has a failing step and a\n\
        step that runs always, and one prints slowly so that its live log can be\n\
        watched. With --data-dir DIR everything is kept there.\n\n\
        Examples:\n  lightflow demo\n  \
        lightflow demo --listen 127.0.0.1:9000 --data-dir /tmp/lightflow"
)]
pub(super) struct Demo {
    /// Address on this machine [default: 127.0.0.1:8080, or a free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(demo: &Demo, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    super::init::listen();
    if std::env::var_os("LIGHTFLOW_LOG").is_some() {
        serve::start_logging().map_err(|error| CliError::Usage(error.to_string()))?;
    }
    let listen = listen(demo.listen.as_deref())?;
    let folder = Folder::new(matches)?;
    let mut config = Config::from_env(|key| match key {
        "LIGHTFLOW_TZ" | "TZ" => std::env::var(key).ok(),
        _ => None,
    })
    .map_err(|error| failed(&error))?;
    config.data = folder.path().to_owned();
    config.listen = config::Listen::Tcp(listen);
    config.transport = Transport::Plain;

    let runtime = serve::runtime().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let socket = config.socket();
        let server = Server::start(config)
            .await
            .map_err(|error| failed(&error))?;
        let client = ApiClient::new(Address::Socket(socket));
        let shown = match fill(&client).await {
            Ok(()) => welcome(&server, &folder),
            Err(error) => Err(error),
        };
        match shown {
            // The output was cut short; the server matters more.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => {
                server.stop().await;
                return Err(error);
            }
        }
        hang_up_politely();
        server.until_told_to_stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Closing the terminal ends the demo as Ctrl-C does, so that its files go too.
fn hang_up_politely() {
    if let Ok(mut hang_up) = signal(SignalKind::hangup()) {
        tokio::spawn(async move {
            hang_up.recv().await;
            // Nothing can be done where a process may not signal itself.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM);
        });
    }
}

fn failed(error: &anyhow::Error) -> CliError {
    CliError::Local(format!("the demo cannot run: {error:#}"))
}

/// The demo speaks plain HTTP and gives its setup link away, so it stays on this machine.
fn listen(asked: Option<&str>) -> Result<SocketAddr, CliError> {
    let Some(text) = asked else {
        let usual = config::address(LISTEN).map_err(|error| failed(&error))?;
        return Ok(match TcpListener::bind(usual) {
            Ok(_) => usual,
            Err(_) => SocketAddr::new(usual.ip(), 0),
        });
    };
    match config::address(text) {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err(CliError::Usage(format!(
            "--listen {text}: the demo speaks plain HTTP and stays on this machine; use 127.0.0.1:PORT, or run a real server with lightflow serve"
        ))),
        Err(_) => Err(CliError::Usage(format!(
            "--listen {text:?} is not an address; write it like {LISTEN}"
        ))),
    }
}

/// The data directory of the demo.
enum Folder {
    /// Removed at the end.
    Temporary(PathBuf),
    /// Kept: the user named it.
    Kept(PathBuf),
}

impl Folder {
    /// The folder given on the command line, or a fresh one; never the one of a real
    /// server that happens to be in the environment.
    fn new(matches: &ArgMatches) -> Result<Self, CliError> {
        if matches.value_source("data-dir") == Some(ValueSource::CommandLine) {
            return Ok(Self::Kept(address::data_directory(matches)));
        }
        let template = std::env::temp_dir().join("lightflow-demo-XXXXXX");
        nix::unistd::mkdtemp(&template)
            .map(Self::Temporary)
            .map_err(|error| {
                CliError::Local(format!(
                    "cannot make the folder {}: {error}",
                    template.display()
                ))
            })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(path) | Self::Kept(path) => path,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self
            && let Err(error) = fs::remove_dir_all(&*path)
        {
            notice(&format!("cannot remove {}: {error}", path.display()));
        }
    }
}

/// Puts the samples in and runs them.
async fn fill(client: &ApiClient) -> Result<(), CliError> {
    let import = query(&path(&["import"]), &[("dry_run", "false".to_owned())]);
    client
        .send(Method::POST, &import, Body::Toml(SAMPLES.into()))
        .await?;
    let secret = Body::json(&VariableBody {
        value: "correct horse battery".to_owned(),
        secret: true,
    })?;
    client
        .send(Method::PUT, &path(&["variables", "DEMO_PASSWORD"]), secret)
        .await?;
    for task in ["hello", "failing_backup", "slow_report"] {
        let url = path(&["tasks", task, "run"]);
        match client.send(Method::POST, &url, Body::Empty).await {
            Ok(_) => {}
            // In a kept folder it may still be at it.
            Err(CliError::Refused(problem)) if problem.status == 409 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn welcome(server: &Server, folder: &Folder) -> Result<(), CliError> {
    let data = folder.path().display();
    let page = match server.setup_url() {
        Some(url) => format!("Open this page and choose a name and a password:\n\n  {url}"),
        None => format!("Open this page:\n\n  {}", server.url()),
    };
    let end = match folder {
        Folder::Temporary(_) => "Ctrl-C ends the demo and removes its files.",
        Folder::Kept(_) => "Ctrl-C ends the demo; its files stay.",
    };
    Out::new().text(&format!(
        "Lightflow runs three sample tasks now. {page}\n\n\
         Or use another terminal:\n\n  \
         export LIGHTFLOW_DATA_DIR={data}\n  \
         lightflow task list\n  \
         lightflow task run failing_backup --follow\n  \
         lightflow run logs 3 --follow\n\n{end}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_stays_on_this_machine() {
        assert!(listen(Some("127.0.0.1:1")).is_ok());
        assert!(listen(Some("[::1]:1")).is_ok());
        assert_eq!(listen(Some("0.0.0.0:1")).unwrap_err().code(), 2);
        assert_eq!(listen(Some("nonsense")).unwrap_err().code(), 2);
    }

    #[test]
    fn the_samples_are_a_valid_document() {
        let document: crate::view::Document = toml::from_str(SAMPLES).unwrap();
        assert_eq!(document.tasks.len(), 3);
        for task in &document.tasks {
            crate::domain::task::Task::try_from(task).unwrap();
        }
    }
}
