//! Acts on API tokens.

use crate::domain::audit::SubjectKind;
use crate::domain::names::{TokenName, check_new_label};
use crate::secrets::{random_token, token_hash};
use crate::store;
use crate::view::{NewToken, TokenBody, TokenView};
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// Creates an API token. Only this answer holds it.
pub(in crate::web) async fn create(admin: &Admin, body: &NewToken) -> Result<TokenBody, ApiError> {
    let info = body.check(admin.clock.now())?;
    check_new_label("name", info.name.as_str())?;
    let token = format!("lf_{}", random_token()?);
    let hash = token_hash(&token);
    let name = info.name.to_string();
    admin
        .change(move |ledger| {
            store::tokens::add(ledger, &info, &hash)?;
            let view = TokenView::from(&info);
            ledger.compare(SubjectKind::Token, info.name.as_str(), None, Some(&view))
        })
        .await
        .map_err(ApiError::about_tasks)?;
    Ok(TokenBody { name, token })
}

/// Deletes an API token and closes the streams that it holds open.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = TokenName::new(name)?;
    admin
        .change(move |ledger| {
            let gone = TokenView::from(&store::tokens::delete(ledger, &name)?);
            ledger.compare(SubjectKind::Token, name.as_str(), Some(&gone), None)
        })
        .await?;
    admin.access.send_replace(());
    Ok(())
}
