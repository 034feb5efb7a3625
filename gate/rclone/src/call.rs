//! The requests to a running `rclone rcd`: one function for each, beside the argument vector of the same name in
//! `argv`, and the meaning of the answers.
//!
//! Invariant: each answer is converted into the end of an equivalent run, so one table of causes serves both.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::argv::{Tree, aside_tree, inventory_tree};
use crate::listener::Listener;
use crate::place::Place;
use base::names::{Remote, ServiceName};
use config::Config;
use host::{Answered, Ended, Exit};

/// The pause between two attempts of an upload.
const BETWEEN_UPLOADS: Duration = Duration::from_secs(5);

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The path of the request.
    pub path: &'static str,
    /// The parameters.
    pub parameters: Value,
    /// The number of attempts. rclone repeats single requests to the remote by itself; a run repeats all its work.
    pub tries: u8,
    /// The pause between two attempts.
    pub between: Duration,
    answer: Printed,
}

/// The part of an answer that a run would print.
#[derive(Debug, Clone, Copy)]
enum Printed {
    Nothing,
    Field(&'static str),
    All,
}

fn once(path: &'static str, parameters: Value) -> Call {
    Call {
        path,
        parameters,
        tries: 1,
        between: Duration::ZERO,
        answer: Printed::Nothing,
    }
}

/// Sets the number of attempts of a whole run.
fn again(config: &Config, call: Call) -> Call {
    Call {
        tries: config.rclone.retries,
        ..call
    }
}

fn listing(folder: &Place, option: &str) -> Call {
    let parameters = json!({
        "fs": folder.top,
        "remote": folder.rest,
        "opt": { option: true, "noModTime": true, "noMimeType": true },
    });
    Call {
        answer: Printed::Field("list"),
        ..once("operations/list", parameters)
    }
}

/// Lists the files of a remote folder.
#[must_use]
pub fn list(folder: &Place) -> Call {
    listing(folder, "filesOnly")
}

/// Lists the files of a remote folder, with a hash of each that the remote tells.
#[must_use]
pub fn list_with_hash(folder: &Place, hash: &str) -> Call {
    let mut call = list(folder);
    if let Some(Value::Object(options)) = call.parameters.get_mut("opt") {
        options.insert("showHash".into(), true.into());
        options.insert("hashTypes".into(), json!([hash]));
    }
    call
}

/// Lists the folders in a remote folder.
#[must_use]
pub fn days(folder: &Place) -> Call {
    listing(folder, "dirsOnly")
}

/// Copies a file of a local folder to a remote folder, under the same name.
#[must_use]
pub fn upload(folder: &str, file: &str, to: &Place) -> Call {
    let parameters = json!({
        "srcFs": folder,
        "srcRemote": file,
        "dstFs": to.top,
        "dstRemote": to.below(file),
    });
    Call {
        tries: 3,
        between: BETWEEN_UPLOADS,
        ..once("operations/copyfile", parameters)
    }
}

/// Copies a file of a local folder to a remote folder in which no file has its name.
#[must_use]
pub fn put(folder: &str, file: &str, to: &Place) -> Call {
    let mut call = upload(folder, file, to);
    add(&mut call, "_config", json!({ "NoCheckDest": true }));
    call
}

fn add(call: &mut Call, key: &str, value: Value) {
    if let Value::Object(fields) = &mut call.parameters {
        fields.insert(key.into(), value);
    }
}

/// Copies the files of a local folder to a remote folder, without a look at the files there.
#[must_use]
pub fn send(folder: &str, to: &str) -> Call {
    let parameters = json!({
        "srcFs": folder,
        "dstFs": to,
        "_config": { "NoCheckDest": true, "NoTraverse": true, "NoUnicodeNormalization": true },
    });
    once("sync/copy", parameters)
}

/// Removes a folder with all empty folders in it.
#[must_use]
pub fn remove_empty(folder: &Place) -> Call {
    let parameters = json!({ "fs": folder.top, "remote": folder.rest });
    once("operations/rmdirs", parameters)
}

/// Asks for the size of a file on the remote.
#[must_use]
pub fn look(folder: &Place, file: &str) -> Call {
    let parameters = json!({
        "fs": folder.top,
        "remote": folder.below(file),
        "opt": { "noMimeType": true },
    });
    Call {
        answer: Printed::Field("item"),
        ..once("operations/stat", parameters)
    }
}

/// Moves a file on the remote. rclone refuses to replace another file, if the remote supports that.
#[must_use]
pub fn rename(config: &Config, from: (&Place, &str), to: (&Place, &str)) -> Call {
    let parameters = json!({
        "srcFs": from.0.top,
        "srcRemote": from.0.below(from.1),
        "dstFs": to.0.top,
        "dstRemote": to.0.below(to.1),
        "_config": { "NoCheckDest": true },
    });
    again(config, once("operations/movefile", parameters))
}

/// Removes a file on the remote.
#[must_use]
pub fn delete(config: &Config, folder: &Place, file: &str) -> Call {
    let parameters = json!({ "fs": folder.top, "remote": folder.below(file) });
    again(config, once("operations/deletefile", parameters))
}

/// Removes a folder on the remote with all its contents.
#[must_use]
pub fn purge(config: &Config, folder: &Place) -> Call {
    let parameters = json!({ "fs": folder.top, "remote": folder.rest });
    again(config, once("operations/purge", parameters))
}

/// Asks a remote for its supported hashes.
#[must_use]
pub fn hashes(folder: &Place) -> Call {
    Call {
        answer: Printed::Field("Hashes"),
        ..once("operations/fsinfo", json!({ "fs": folder.top }))
    }
}

fn stat(folder: &str, file: &str, hash: &str) -> Call {
    let parameters = json!({
        "fs": folder,
        "remote": file,
        "opt": { "noModTime": true, "noMimeType": true, "showHash": true, "hashTypes": [hash] },
    });
    Call {
        answer: Printed::Field("item"),
        ..once("operations/stat", parameters)
    }
}

/// Asks for the size and one hash of a file on the remote.
#[must_use]
pub fn remote_hash(folder: &Place, file: &str, hash: &str) -> Call {
    stat(&folder.top, &folder.below(file), hash)
}

/// Asks for the size and one hash of a file in a local folder.
#[must_use]
pub fn local_hash(folder: &str, file: &str, hash: &str) -> Call {
    stat(folder, file, hash)
}

/// Lists the inventory of a remote, or of one service on it.
#[must_use]
pub fn inventory(remote: &Remote, service: Option<&ServiceName>) -> Call {
    tree(&inventory_tree(remote, service))
}

/// Lists the archives that retention put aside.
#[must_use]
pub fn put_aside(remote: &Remote, service: Option<&ServiceName>) -> Call {
    tree(&aside_tree(remote, service))
}

fn tree(tree: &Tree) -> Call {
    let parameters = json!({
        "fs": tree.folder,
        "remote": "",
        "opt": {
            "recurse": true,
            "filesOnly": tree.files_only,
            "noModTime": true,
            "noMimeType": true,
        },
        "_config": { "MaxDepth": tree.depth },
        "_filter": { "FilterRule": tree.rules },
    });
    Call {
        answer: Printed::Field("list"),
        ..once("operations/list", parameters)
    }
}

/// Counts the files below a remote folder, and their bytes.
#[must_use]
pub fn size(folder: &str) -> Call {
    Call {
        answer: Printed::All,
        ..once("operations/size", json!({ "fs": folder }))
    }
}

/// The path of the progress request.
pub const PROGRESS: &str = "core/stats";

impl Call {
    /// The same request with one attempt.
    #[must_use]
    pub fn once(self) -> Self {
        Self { tries: 1, ..self }
    }

    /// The bytes of the request. `group` names the request in progress queries.
    #[must_use]
    pub fn body(&self, group: &str) -> Vec<u8> {
        let mut parameters = self.parameters.clone();
        if let Value::Object(fields) = &mut parameters {
            fields.insert("_group".into(), group.into());
        }
        parameters.to_string().into_bytes()
    }

    /// Converts the answer into the end of an equivalent run, and passes an error to `heard`.
    #[must_use]
    pub fn end(&self, answered: Answered, heard: &mut Listener) -> Ended {
        let (status, body, last_words) = match answered {
            Answered::Ended(ended) => return ended,
            Answered::Broken { last_words } => (0, Vec::new(), last_words),
            Answered::Answer {
                status,
                body,
                last_words,
            } => (status, body, last_words),
        };
        let done = |exit, stdout| Ended {
            exit,
            stdout,
            last_words,
        };
        let unreadable = |heard: &mut Listener| heard.answered("its answer cannot be read");
        if status == 200 {
            let Ok(Value::Object(mut answer)) = serde_json::from_slice::<Value>(&body) else {
                unreadable(heard);
                return done(Exit::Code(1), Vec::new());
            };
            let printed = match self.answer {
                Printed::Nothing => Vec::new(),
                Printed::All => body,
                Printed::Field(field) => {
                    let value = answer.remove(field).unwrap_or_default();
                    value.to_string().into_bytes()
                }
            };
            return done(Exit::Code(0), printed);
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => {
                heard.answered(&refusal.error);
                done(Exit::Code(code(&refusal.error)), Vec::new())
            }
            Err(_) => {
                unreadable(heard);
                done(Exit::Code(1), Vec::new())
            }
        }
    }
}

/// Converts the answer to a request for a file into the end of a run that wrote the file to its standard output.
#[must_use]
pub fn end_of_file(answered: &Answered, heard: &mut Listener) -> Ended {
    let (exit, last_words) = match answered {
        Answered::Ended(ended) => return ended.clone(),
        Answered::Answer {
            status: 200 | 206,
            last_words,
            ..
        } => (0, last_words),
        Answered::Answer {
            body, last_words, ..
        } => match serde_json::from_slice::<Refusal>(body) {
            Ok(refusal) => {
                heard.answered(&refusal.error);
                (code(&refusal.error), last_words)
            }
            Err(_) => {
                if heard.errors().is_empty() {
                    heard.answered("its answer cannot be read");
                }
                (1, last_words)
            }
        },
        Answered::Broken { last_words } => {
            if heard.errors().is_empty() {
                heard.answered("unexpected EOF");
            }
            (1, last_words)
        }
    };
    Ended {
        exit: Exit::Code(exit),
        stdout: Vec::new(),
        last_words: last_words.clone(),
    }
}

/// The answer to a request that failed.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// The exit code of a run with this error.
fn code(error: &str) -> i32 {
    if error.ends_with("directory not found") {
        3
    } else if error.ends_with("object not found") {
        4
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::progress::Phase;

    fn config() -> Config {
        Config::parse("remotes = [\"a:/B\", \"a:/B/C\"]").unwrap()
    }

    fn end(status: u16, body: &str) -> (Ended, Listener) {
        let mut heard = Listener::new(Phase::Uploading);
        let answered = Answered::Answer {
            status,
            body: body.as_bytes().to_vec(),
            last_words: Vec::new(),
        };
        let call = list(&Place::of(&config(), "a:/B/app"));
        (call.end(answered, &mut heard), heard)
    }

    #[test]
    fn an_answer_is_what_a_run_prints() {
        let (ended, heard) = end(200, r#"{"list":[{"Name":"a"}],"x":1}"#);
        assert!(ended.ok() && heard.errors().is_empty());
        assert_eq!(ended.stdout, br#"[{"Name":"a"}]"#);
    }

    #[test]
    fn an_error_ends_as_a_run_does() {
        for (error, code) in [
            ("error in ListJSON: directory not found", 3),
            ("object not found", 4),
            ("nameAlreadyExists: Name already exists", 1),
        ] {
            let body = json!({ "error": error, "status": 404 }).to_string();
            let (ended, heard) = end(404, &body);
            assert_eq!(ended.exit, Exit::Code(code), "{error}");
            assert_eq!(heard.errors(), [error]);
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        for (status, body) in [
            (200, ""),
            (200, "[]"),
            (200, "{"),
            (500, "no"),
            (404, "{}"),
            (302, ""),
        ] {
            let (ended, heard) = end(status, body);
            assert_eq!(ended.exit, Exit::Code(1), "{status} {body}");
            assert_eq!(heard.errors().len(), 1);
        }
        // The reader of the output refuses a missing field.
        assert_eq!(end(200, "{}").0.stdout, b"null");
    }
}
