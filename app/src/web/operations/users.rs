//! Acts on users.

use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::names::UserName;
use crate::store::{self, Account, Role, StoreError};
use crate::view::{NewUser, UserView};
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;

/// Adds a user.
pub(in crate::web) async fn create(admin: &Admin, body: NewUser) -> Result<Account, ApiError> {
    let name = UserName::new(body.name)?;
    let role = Role::of_user(&body.role)?;
    let hash = admin.passwords.hash(body.password).await?;
    admin
        .change(move |ledger| insert(ledger, &name, role, &hash))
        .await
}

/// Inserts a user with its audit entry.
pub(in crate::web) fn insert(
    ledger: &Ledger<'_>,
    name: &UserName,
    role: Role,
    hash: &str,
) -> Result<Account, StoreError> {
    store::accounts::add_user(ledger, name, role, hash, ledger.now)?;
    let account = store::accounts::get(ledger, name)?;
    let view = UserView::from(&account);
    ledger.compare(SubjectKind::User, name.as_str(), None, Some(&view))?;
    Ok(account)
}

/// Gives a user another role; the last admin stays one.
pub(in crate::web) async fn set_role(
    admin: &Admin,
    name: &str,
    role: &str,
) -> Result<UserView, ApiError> {
    let name = UserName::new(name)?;
    let role = Role::of_user(role)?;
    admin
        .change(move |ledger| {
            let before = UserView::from(&store::accounts::get(ledger, &name)?);
            store::accounts::set_role(ledger, &name, role)?;
            let after = UserView::from(&store::accounts::get(ledger, &name)?);
            let (kind, name) = (SubjectKind::User, name.as_str());
            ledger.compare(kind, name, Some(&before), Some(&after))?;
            Ok(after)
        })
        .await
}

/// Gives a user another password and ends the user's sessions.
pub(in crate::web) async fn set_password(
    admin: &Admin,
    name: &str,
    password: String,
) -> Result<(), ApiError> {
    let name = UserName::new(name)?;
    let hash = admin.passwords.hash(password).await?;
    admin
        .change(move |ledger| write_password(ledger, &name, &hash, None))
        .await?;
    admin.access.send_replace(());
    Ok(())
}

/// Writes a password with its audit entry, and ends the user's sessions except for `keep`.
pub(in crate::web) fn write_password(
    ledger: &Ledger<'_>,
    name: &UserName,
    hash: &str,
    keep: Option<i64>,
) -> Result<(), StoreError> {
    store::accounts::set_password(ledger, name, hash, keep)?;
    let hidden = || Some(HIDDEN.to_owned());
    let deed = Deed::new(Action::Changed, SubjectKind::User, name.as_str());
    ledger.note(&deed.with("password", hidden(), hidden()))
}

/// Deletes a user; the last admin stays.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = UserName::new(name)?;
    admin
        .change(move |ledger| {
            let gone = UserView::from(&store::accounts::delete_user(ledger, &name)?);
            ledger.compare(SubjectKind::User, name.as_str(), Some(&gone), None)
        })
        .await?;
    admin.access.send_replace(());
    Ok(())
}
