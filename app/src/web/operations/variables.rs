//! Acts on variables.

use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::names::VariableKey;
use crate::domain::variable::Variable;
use crate::engine::Change;
use crate::store::{self, Content, Found, StoreError, StoredVariable};
use crate::view::{VariableBody, VariableView};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected};

/// Sets a variable, new or not, if it is the expected one. Steps that start from now on see it.
pub(in crate::web) async fn set(
    admin: &Admin,
    key: &str,
    body: VariableBody,
    expected: Expected,
) -> Result<StoredVariable, ApiError> {
    let variable = Variable::new(VariableKey::new(key)?, body.value, body.secret)?;
    let stored = seal(admin, variable)?;
    let stored = admin
        .change(move |ledger| {
            check(&expected, ledger, &stored.key)?;
            write(ledger, &stored)?;
            Ok(stored)
        })
        .await?;
    admin.engine.feed().publish(Change::Variables);
    Ok(stored)
}

/// Adds several variables, all or none.
pub(in crate::web) async fn add_all(
    admin: &Admin,
    variables: Vec<(VariableKey, String)>,
    secret: bool,
) -> Result<(), ApiError> {
    let sealed = |(key, value)| seal(admin, Variable::new(key, value, secret)?);
    let all = variables
        .into_iter()
        .map(sealed)
        .collect::<Result<Vec<_>, ApiError>>()?;
    admin
        .change(move |ledger| all.iter().try_for_each(|stored| write(ledger, stored)))
        .await?;
    admin.engine.feed().publish(Change::Variables);
    Ok(())
}

/// Refuses to change another version of a variable than the expected one.
fn check(expected: &Expected, ledger: &Ledger<'_>, key: &VariableKey) -> Result<(), StoreError> {
    let present = store::variables::get(ledger, key).found()?;
    let tag = present.as_ref().map(etag::of_variable);
    expected.check("variable", tag.as_deref().unwrap_or("none"))
}

/// Deletes a variable.
pub(in crate::web) async fn delete(
    admin: &Admin,
    key: &str,
    expected: Expected,
) -> Result<(), ApiError> {
    let key = VariableKey::new(key)?;
    admin
        .change(move |ledger| {
            let gone = VariableView::from(&store::variables::get(ledger, &key)?);
            check(&expected, ledger, &key)?;
            store::variables::delete(ledger, &key)?;
            let value = gone.value.unwrap_or_else(|| HIDDEN.to_owned());
            let deed = Deed::new(Action::Removed, SubjectKind::Variable, key.as_str());
            ledger.note(&deed.with("value", Some(value), None))
        })
        .await?;
    admin.engine.feed().publish(Change::Variables);
    Ok(())
}

/// The form in which a variable is stored: a secret is sealed.
pub(super) fn seal(app: &App, variable: Variable) -> Result<StoredVariable, ApiError> {
    let content = if variable.secret {
        Content::Sealed(app.secrets.seal(variable.key.as_str(), &variable.value)?)
    } else {
        Content::Plain(variable.value)
    };
    Ok(StoredVariable {
        key: variable.key,
        content,
        updated_at: app.clock.now(),
    })
}

/// Writes a variable with its audit entry. When it becomes a secret, its earlier values are
/// removed from the audit trail, too.
pub(super) fn write(ledger: &Ledger<'_>, stored: &StoredVariable) -> Result<(), StoreError> {
    let key = stored.key.as_str();
    let old = store::variables::get(ledger, &stored.key).found()?;
    store::variables::set(ledger, stored)?;
    let secret = matches!(stored.content, Content::Sealed(_));
    if secret {
        store::audit::hide(ledger, SubjectKind::Variable, key, "value")?;
    }
    let value = |content: &Content| match content {
        Content::Plain(value) if !secret => value.clone(),
        _ => HIDDEN.to_owned(),
    };
    let is_secret = |content: &Content| matches!(content, Content::Sealed(_)).to_string();
    let action = match old {
        None => Action::Added,
        Some(_) => Action::Changed,
    };
    let mut deed = Deed::new(action, SubjectKind::Variable, key);
    let before = old.as_ref().map(|old| &old.content);
    // Two sealed values cannot be compared here.
    if before != Some(&stored.content) {
        let after = Some(value(&stored.content));
        deed = deed.with("value", before.map(value), after);
    }
    let (before, after) = (before.map(is_secret), Some(is_secret(&stored.content)));
    if before != after {
        deed = deed.with("secret", before, after);
    }
    match deed.changes.is_empty() {
        true => Ok(()),
        false => ledger.note(&deed),
    }
}
