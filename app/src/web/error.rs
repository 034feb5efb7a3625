//! Every error of the web layer, and the one table that turns it into a status.

use crate::blocking::BlockingError;
use crate::domain::field::FieldError;
use crate::engine::{CancelError, TriggerError};
use crate::notify::SendError;
use crate::secrets::SecretError;
use crate::store::{Obstacle, StoreError};
use crate::view::{Problem, ProblemField};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error on its way to the caller.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("log in first, or send a token: Authorization: Bearer …")]
    Unauthorized,
    #[error("user name or password is wrong")]
    WrongLogin,
    #[error("too many people are logging in just now; try again in a few seconds")]
    TooManyLogins,
    #[error("there were too many wrong passwords; try again in {0} s")]
    SlowDown(u64),
    #[error("the setup link is used up or wrong; restart the server for a new one")]
    WrongSetupLink,
    #[error("this needs the role admin")]
    Forbidden,
    #[error("this needs the role operator or admin")]
    NeedsOperator,
    #[error("this token is for some tasks only, and this is none of them")]
    OutOfScope,
    #[error(
        "only somebody who logged in with a password has one to change, and sessions to look at"
    )]
    NoPassword,
    #[error("only the reverse proxy may say who logged in; see LIGHTFLOW_TRUSTED_PROXY")]
    NotTheProxy,
    #[error("the reverse proxy let {0:?} in, who is no user here; an admin can add that user")]
    UnknownAtProxy(String),
    #[error("a page of another site sent this request; use the pages of this server")]
    CrossSite,
    #[error("nothing is at this address")]
    NoRoute,
    #[error("this address takes no {0} request; a form or a program sends another one")]
    NoMethod(axum::http::Method),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("the body is not what was expected: {0}")]
    Malformed(String),
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the form is larger than what is taken here")]
    FormTooLarge,
    #[error("Not saved: syntax error.")]
    Syntax(String),
    #[error(
        "Not saved: another person or program saved this script while you edited it. Save anyway replaces that text, which stays among the versions."
    )]
    Overtaken,
    #[error("it is {length} bytes long, and the range begins behind its end")]
    OutOfRange { length: u64 },
    #[error("it is no longer what If-Match names")]
    Changed,
    #[error("some fields were refused")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    #[error(transparent)]
    Cancel(#[from] CancelError),
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("{0}")]
    NotSent(SendError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    NotReady(String),
    #[error("{0}")]
    Internal(String),
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Told beside the field in which the name was typed.
            StoreError::UnknownPool { .. } => FieldError::new("pool", error.to_string()).into(),
            StoreError::File(error) => Self::Io(error),
            other => Self::Store(other),
        }
    }
}

impl ApiError {
    /// Reports if the thing is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.table().0 == StatusCode::NOT_FOUND
    }

    /// Puts the error about a missing task beside the field in which it was named.
    pub(super) fn about_tasks(self) -> Self {
        match self {
            Self::Store(error @ StoreError::NotFound { what: "task", .. }) => {
                FieldError::new("tasks", error.to_string()).into()
            }
            other => other,
        }
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Store(error) => error.into(),
            other => Self::NotSent(other),
        }
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<Vec<FieldError>> for ApiError {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Invalid(errors)
    }
}

impl ApiError {
    /// The status, a stable name and a title for each kind of error.
    pub(super) fn table(&self) -> (StatusCode, &'static str, &'static str) {
        const NOT_FOUND: (StatusCode, &str, &str) =
            (StatusCode::NOT_FOUND, "not-found", "Not found");
        const CLOSING: (StatusCode, &str, &str) = (
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting-down",
            "The server is shutting down",
        );
        const INTERNAL: (StatusCode, &str, &str) = (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here",
        );
        match self {
            Self::Unauthorized | Self::WrongLogin => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "Not logged in")
            }
            Self::WrongSetupLink => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "The link is not valid",
            ),
            Self::TooManyLogins | Self::SlowDown(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-logins",
                "Too many logins",
            ),
            Self::Forbidden
            | Self::NeedsOperator
            | Self::OutOfScope
            | Self::NoPassword
            | Self::NotTheProxy
            | Self::UnknownAtProxy(_)
            | Self::CrossSite => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NoRoute | Self::NotFound(_) => NOT_FOUND,
            Self::NoMethod(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "no-such-method",
                "Nothing to show here",
            ),
            Self::Malformed(_) => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "The request cannot be read",
            ),
            Self::TooLarge { .. } | Self::FormTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::Overtaken => (
                StatusCode::CONFLICT,
                "overtaken",
                "It was changed meanwhile",
            ),
            Self::OutOfRange { .. } => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "out-of-range",
                "The range lies behind the end",
            ),
            Self::Changed => (
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "It was changed meanwhile",
            ),
            Self::Invalid(_) | Self::Syntax(_) | Self::Trigger(TriggerError::NoStep { .. }) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The request was refused",
            ),
            Self::Trigger(TriggerError::Busy { .. }) => (
                StatusCode::CONFLICT,
                "already-running",
                "The task is running",
            ),
            Self::Cancel(CancelError::NotRunning(_)) => (
                StatusCode::CONFLICT,
                "not-running",
                "The run is not running",
            ),
            Self::Trigger(TriggerError::Closing) | Self::Cancel(CancelError::Closing) => CLOSING,
            Self::Trigger(TriggerError::Store(error)) | Self::Store(error) => match error {
                StoreError::NotFound { .. } | StoreError::RemovedRun(_) => NOT_FOUND,
                StoreError::Duplicate { .. } => {
                    (StatusCode::CONFLICT, "duplicate", "The name is taken")
                }
                StoreError::UnknownPool { .. } => (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid",
                    "The request was refused",
                ),
                StoreError::InUse(_) => (StatusCode::CONFLICT, "in-use", "It is in use"),
                StoreError::Overtaken { .. } => (
                    StatusCode::PRECONDITION_FAILED,
                    "overtaken",
                    "It was changed meanwhile",
                ),
                StoreError::AlreadyClaimed => {
                    (StatusCode::CONFLICT, "already-run", "It ran already")
                }
                StoreError::Closed => CLOSING,
                StoreError::Panicked(_) => INTERNAL,
                StoreError::Open { .. }
                | StoreError::ReadOnly(_)
                | StoreError::Corrupt { .. }
                | StoreError::Sqlite(_) => error.obstacle().map_or(INTERNAL, refused_by),
                StoreError::File(error) => Obstacle::of_file(error).map_or(INTERNAL, refused_by),
            },
            Self::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The file is too large",
            ),
            Self::NotSent(_) => (
                StatusCode::BAD_GATEWAY,
                "not-sent",
                "The notification was not sent",
            ),
            Self::NotReady(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not-ready",
                "The server has a problem",
            ),
            Self::Blocking(BlockingError::NoThread(_)) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no-threads",
                "The server is out of threads",
            ),
            Self::Io(error) => Obstacle::of_file(error).map_or(INTERNAL, refused_by),
            Self::Secret(_) | Self::Internal(_) | Self::Blocking(BlockingError::Panicked(_)) => {
                INTERNAL
            }
        }
    }

    /// After how many seconds it may go better.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyLogins | Self::Blocking(BlockingError::NoThread(_)) => Some(5),
            Self::SlowDown(seconds) => Some(*seconds),
            _ => None,
        }
    }

    /// The error as problem details. An internal error is logged, not sent.
    pub(super) fn problem(self) -> Problem {
        let (status, kind, title) = self.table();
        let detail = if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "a request failed");
            "an internal error; the server's log says more".to_owned()
        } else {
            self.to_string()
        };
        let errors = match self {
            Self::Invalid(errors) => errors.into_iter().map(ProblemField::from).collect(),
            _ => Vec::new(),
        };
        Problem {
            kind: format!("urn:lightflow:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            errors,
        }
    }
}

/// The answer to a change that the disk or the database did not take.
fn refused_by(obstacle: Obstacle) -> (StatusCode, &'static str, &'static str) {
    match obstacle {
        Obstacle::Full => (
            StatusCode::INSUFFICIENT_STORAGE,
            "no-space",
            "The disk of the server is full",
        ),
        Obstacle::Locked => (
            StatusCode::SERVICE_UNAVAILABLE,
            "database-locked",
            "Another program locks the database",
        ),
        Obstacle::ReadOnly => (
            StatusCode::SERVICE_UNAVAILABLE,
            "database-read-only",
            "The data directory cannot be written",
        ),
        Obstacle::Fault => (
            StatusCode::SERVICE_UNAVAILABLE,
            "disk-fault",
            "The disk of the server reports an error",
        ),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, ..) = self.table();
        let retry = self.retry_after();
        let problem = self.problem();
        let mut response = (status, Json(&problem)).into_response();
        // For a browser, which gets a page; see `pages/problem_page.rs`.
        response.extensions_mut().insert(problem);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
