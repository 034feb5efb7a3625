//! Callers by permission. A handler that takes one of these types was called by someone with
//! that permission, and reaches the server through it: nothing is changed without an actor.

use super::App;
use super::change::Ledger;
use super::error::ApiError;
use crate::domain::audit::{Actor, Deed};
use crate::domain::task::TaskId;
use crate::store::{self, Found, Principal, Role, StoreError, StoredTask};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::ops::Deref;
use std::sync::Arc;

/// The proof of identity that came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// The socket in the data directory.
    Local,
    /// The session of that number, with the hash of its secret.
    Session { id: i64, hash: Vec<u8> },
    /// The token, with the hash of its secret.
    Token { hash: Vec<u8> },
    /// A login at the reverse proxy.
    Proxy { user: String },
}

/// A caller with a valid credential.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) principal: Principal,
    pub(super) credential: Credential,
}

impl Known {
    /// The number of the session in which the request was sent.
    pub(super) fn session(&self) -> Option<i64> {
        match self.credential {
            Credential::Session { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// A caller, with or without a credential.
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

/// A caller who may view some tasks, or everything.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) app: Arc<App>,
    pub(super) principal: Principal,
}

impl Deref for Watcher {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl FromRequestParts<Arc<App>> for Watcher {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Known { principal, .. } = Known::from_request_parts(parts, app).await?;
        let app = app.clone();
        Ok(Self { app, principal })
    }
}

impl Watcher {
    /// Reports if the caller may view this task.
    pub(super) fn sees(&self, task: TaskId) -> bool {
        self.principal.sees(task)
    }

    /// Refuses to show another task.
    ///
    /// # Errors
    /// [`ApiError::OutOfScope`].
    pub(super) fn look(&self, task: TaskId) -> Result<(), ApiError> {
        if self.sees(task) {
            Ok(())
        } else {
            Err(ApiError::OutOfScope)
        }
    }

    /// The task of that name, if the caller may view it. A caller with some tasks does not learn which others exist.
    ///
    /// # Errors
    /// [`ApiError::OutOfScope`], and those of the store.
    pub(super) async fn task(&self, name: &str) -> Result<StoredTask, ApiError> {
        let wanted = name.to_owned();
        let found = self
            .app
            .store
            .read(move |tx| store::tasks::by_name(tx, &wanted).found());
        let missing = || StoreError::NotFound {
            what: "task",
            name: name.to_owned(),
        };
        match (found.await?, &self.principal.tasks) {
            (None, Some(_)) => Err(ApiError::OutOfScope),
            (None, None) => Err(missing().into()),
            (Some(task), _) => self.look(task.id).map(|()| task),
        }
    }

    /// The name that the audit trail gives to the caller.
    pub(super) fn actor(&self) -> &Actor {
        &self.principal.actor
    }
}

/// Declares a caller with more permission than the one it is made from.
macro_rules! caller {
    ($(#[$doc:meta])* $name:ident($weaker:ident), $check:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub(super) struct $name($weaker);

        impl Deref for $name {
            type Target = $weaker;

            fn deref(&self) -> &$weaker {
                &self.0
            }
        }

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(
                parts: &mut Parts,
                app: &Arc<App>,
            ) -> Result<Self, ApiError> {
                let caller = $weaker::from_request_parts(parts, app).await?;
                let check: fn(&Principal) -> Result<(), ApiError> = $check;
                check(&caller.principal)?;
                Ok(Self(caller))
            }
        }
    };
}

caller!(
    /// A caller who may view everything.
    Viewer(Watcher),
    |principal| match principal.tasks {
        None => Ok(()),
        Some(_) => Err(ApiError::OutOfScope),
    }
);

caller!(
    /// A caller who may start and cancel runs of some tasks, or of all.
    Operator(Watcher),
    |principal| match principal.role {
        Role::Admin | Role::Operator => Ok(()),
        Role::Viewer => Err(ApiError::NeedsOperator),
    }
);

caller!(
    /// A caller who may change everything.
    Admin(Viewer),
    |principal| match principal.role {
        Role::Admin => Ok(()),
        Role::Viewer | Role::Operator => Err(ApiError::Forbidden),
    }
);

impl Admin {
    /// The same caller with the permission to start and cancel runs.
    pub(super) fn operator(&self) -> Operator {
        Operator(Watcher::clone(self))
    }

    /// Makes a change and its audit entries in one transaction.
    pub(super) async fn change<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.app.change(self.actor(), work).await
    }

    /// Audits an act outside the database.
    pub(super) async fn note(&self, deed: Deed) -> Result<(), ApiError> {
        self.app.note(self.actor(), deed).await
    }
}

/// A person who logged in here: no program, and not the socket.
pub(super) struct Person {
    pub(super) principal: Principal,
    /// The number of the session.
    pub(super) session: i64,
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let known = Known::from_request_parts(parts, state).await?;
        match known.session() {
            Some(session) => Ok(Self {
                principal: known.principal,
                session,
            }),
            None => Err(ApiError::NoPassword),
        }
    }
}
