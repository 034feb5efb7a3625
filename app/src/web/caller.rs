//! What somebody may do, as types: a handler that takes one of these was called by somebody
//! who may. Each also says who it was, for the audit trail.

use super::error::ApiError;
use crate::domain::audit::Actor;
use crate::store::{Principal, Role, Scope};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// By what somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// They opened the socket in the data directory.
    Local,
    /// The session of that number, whose secret has this hash.
    Session { id: i64, hash: Vec<u8> },
    /// The token whose secret has this hash.
    Token { hash: Vec<u8> },
    /// They logged in at the reverse proxy.
    Proxy { user: String },
}

/// What a request proved about whoever sent it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) principal: Principal,
    pub(super) credential: Credential,
}

/// Somebody, or nobody.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Option<Known>);

impl<S: Send + Sync> FromRequestParts<S> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>() {
            Some(Caller(Some(known))) => Ok(known.clone()),
            _ => Err(ApiError::Unauthorized),
        }
    }
}

/// Somebody who may look at everything.
pub(super) struct Viewer(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Known { principal, .. } = Known::from_request_parts(parts, state).await?;
        match principal.scope {
            Scope::Everything => Ok(Self(principal)),
            Scope::Tasks(_) => Err(ApiError::OutOfScope),
        }
    }
}

/// Somebody who may look at some tasks, or at all.
#[derive(Clone)]
pub(super) struct Watcher(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Watcher {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Known { principal, .. } = Known::from_request_parts(parts, state).await?;
        Ok(Self(principal))
    }
}

impl Watcher {
    /// Whether this is one of the tasks.
    pub(super) fn sees(&self, task: &str) -> bool {
        self.0.sees(task)
    }

    /// Refuses to show another task.
    ///
    /// # Errors
    /// [`ApiError::OutOfScope`].
    pub(super) fn look(&self, task: &str) -> Result<(), ApiError> {
        if self.sees(task) {
            Ok(())
        } else {
            Err(ApiError::OutOfScope)
        }
    }
}

/// Somebody who may start and cancel runs of some tasks, or of all.
#[derive(Clone)]
pub(super) struct Operator(Watcher);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let watcher = Watcher::from_request_parts(parts, state).await?;
        if watcher.0.role >= Role::Operator {
            Ok(Self(watcher))
        } else {
            Err(ApiError::NeedsOperator)
        }
    }
}

impl Operator {
    /// Refuses to act on another task.
    ///
    /// # Errors
    /// [`ApiError::OutOfScope`].
    pub(super) fn act_on(&self, task: &str) -> Result<(), ApiError> {
        self.0.look(task)
    }

    /// Who this is.
    pub(super) fn actor(&self) -> &Actor {
        &self.0.0.actor
    }
}

/// Somebody who may change everything.
#[derive(Clone)]
pub(super) struct Admin(Actor);

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Viewer(principal) = Viewer::from_request_parts(parts, state).await?;
        match principal.role {
            Role::Admin => Ok(Self(principal.actor)),
            Role::Viewer | Role::Operator => Err(ApiError::Forbidden),
        }
    }
}

impl Admin {
    /// Who this is.
    pub(super) fn actor(&self) -> &Actor {
        &self.0
    }
}

/// A person who logged in here, and not a program or somebody at the socket.
pub(super) struct Person {
    pub(super) principal: Principal,
    /// The number of the session.
    pub(super) session: i64,
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let known = Known::from_request_parts(parts, state).await?;
        match known.credential {
            Credential::Session { id, .. } => Ok(Self {
                principal: known.principal,
                session: id,
            }),
            _ => Err(ApiError::NoPassword),
        }
    }
}
