//! Forms: the typed values and the refused ones. Nothing typed is lost: a refused
//! form comes back as it was, with a message beside each field that has to be mended.

use super::{PageError, html};
use crate::domain::field::FieldError;
use crate::store::StoreError;
use crate::web::error::ApiError;
use crate::web::extract::Form;
use askama::Template;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// The fields of a form in the order in which they were sent; a name may come several times.
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state).await?;
        Ok(Self::new(pairs))
    }
}

impl Fields {
    /// Browsers send line ends of text areas as CR LF (HTML, 4.10.5.5), which would end up
    /// inside keys and scripts.
    fn new(pairs: Vec<(String, String)>) -> Self {
        let unix = |text: String| text.replace("\r\n", "\n").replace('\r', "\n");
        Self(pairs.into_iter().map(|(k, v)| (k, unix(v))).collect())
    }

    /// Every field.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The text of a field, as typed; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> String {
        let found = self.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// The text of a field of one line, without spaces around it.
    pub(super) fn line(&self, name: &str) -> String {
        self.text(name).trim().to_owned()
    }

    /// Reports if a box was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.iter().any(|(key, _)| key == name)
    }
}

/// The ticked tasks of a form.
pub(super) fn ticked_tasks(fields: &Fields) -> Vec<String> {
    let ticked = fields.iter().filter(|(key, _)| *key == "task");
    ticked.map(|(_, name)| name.to_owned()).collect()
}

/// The tasks that a form is limited to; none for everything.
///
/// # Errors
/// Ticked tasks beside "everything": one of the two is a mistake, and a guess could give too much.
pub(super) fn chosen_tasks(fields: &Fields) -> Result<Option<Vec<String>>, FieldError> {
    let ticked = ticked_tasks(fields);
    match (fields.text("scope").as_str(), ticked.len()) {
        ("some", _) => Ok(Some(ticked)),
        (_, 0) => Ok(None),
        (_, count) => Err(FieldError::new(
            "tasks",
            format!(
                "{count} ticked, but the choice above means all tasks; choose “only these”, or untick them"
            ),
        )),
    }
}

/// Reads a whole number.
pub(super) fn number(field: &str, text: &str) -> Result<u32, FieldError> {
    text.trim()
        .parse()
        .map_err(|_| FieldError::new(field, format!("{text:?} is not a whole number")))
}

/// The refusals of a form.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    general: Option<String>,
    /// The words of a program that refused it, if one did.
    said: Option<String>,
    /// True if another change came before this one.
    overtaken: bool,
    fields: Vec<FieldError>,
}

impl Refusals {
    /// The refusals that the person who filled in the form can correct.
    ///
    /// # Errors
    /// Hands back any other error, which is not about the form.
    pub(super) fn new(error: ApiError) -> Result<Self, ApiError> {
        match error {
            ApiError::Invalid(fields) => Ok(Self {
                fields,
                ..Self::default()
            }),
            ApiError::Store(StoreError::Duplicate { .. }) => {
                Ok(FieldError::new("name", error.to_string()).into())
            }
            ApiError::Syntax(ref said) => Ok(Self {
                said: Some(said.clone()),
                ..Self::general(&error.to_string())
            }),
            ApiError::Store(StoreError::Overtaken { what }) => Ok(Self {
                overtaken: true,
                ..Self::general(&format!(
                    "Not saved: another person or program changed this {what} while you edited it. Both versions are below."
                ))
            }),
            other if other.table().0 == StatusCode::CONFLICT => {
                Ok(Self::general(&other.to_string()))
            }
            other => Err(other),
        }
    }

    /// Something about the form as a whole.
    pub(super) fn general(text: &str) -> Self {
        Self {
            general: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// The words of the program that refused it.
    pub(super) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Reports if another change came before this one.
    pub(super) fn is_overtaken(&self) -> bool {
        self.overtaken
    }

    /// Reports if it is about the form as a whole.
    pub(super) fn is_general(&self) -> bool {
        self.general.is_some()
    }

    /// The message of a field, as markup; nothing where it was not refused.
    pub(super) fn of(&self, field: &str) -> FieldMessage {
        let found = self.fields.iter().find(|e| fits(&e.field, field));
        FieldMessage {
            id: id(field),
            text: found.map(|error| error.problem.clone()),
        }
    }

    /// Attributes that tie a field to its message.
    pub(super) fn attributes(&self, field: &str) -> Attributes {
        Attributes {
            id: self.has(field).then(|| id(field)),
        }
    }

    /// Reports if a field was refused.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|e| fits(&e.field, field))
    }

    /// As [`Self::of`], for a field of the step at `position`.
    pub(super) fn step(&self, position: &usize, field: &str) -> FieldMessage {
        self.of(&in_step(position, field))
    }

    /// As [`Self::attributes`], for a field of the step at `position`.
    pub(super) fn step_attributes(&self, position: &usize, field: &str) -> Attributes {
        self.attributes(&in_step(position, field))
    }

    /// As [`Self::has`], for a field of the step at `position`.
    pub(super) fn in_step(&self, position: &usize, field: &str) -> bool {
        self.has(&in_step(position, field))
    }

    /// The message above the form.
    pub(super) fn summary(&self) -> Option<String> {
        match (&self.general, self.fields.len()) {
            (Some(general), _) => Some(general.clone()),
            (None, 0) => None,
            (None, 1) => Some("One field was refused; nothing was changed.".to_owned()),
            (None, n) => Some(format!("{n} fields were refused; nothing was changed.")),
        }
    }
}

/// Reports if a message about `refused` belongs beside `field`: one about `env.KEY` belongs
/// beside `env`.
fn fits(refused: &str, field: &str) -> bool {
    refused
        .strip_prefix(field)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn in_step(position: &usize, field: &str) -> String {
    format!("steps[{position}].{field}")
}

fn id(field: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("refused-{}", field.chars().map(plain).collect::<String>())
}

impl From<FieldError> for Refusals {
    fn from(error: FieldError) -> Self {
        Self {
            fields: vec![error],
            ..Self::default()
        }
    }
}

/// The message beside a field.
#[derive(Template)]
#[template(
    source = r#"{% if let Some(text) = text %}<span class="error" id="{{ id }}">{{ text }}</span>{% endif %}"#,
    ext = "html"
)]
pub(super) struct FieldMessage {
    id: String,
    text: Option<String>,
}

/// The attributes that tie a field to its message.
#[derive(Template)]
#[template(
    source = r#"{% if let Some(id) = id %} aria-invalid="true" aria-describedby="{{ id }}"{% endif %}"#,
    ext = "html"
)]
pub(super) struct Attributes {
    id: Option<String>,
}

/// A refused form.
pub(super) fn refused(page: &impl Template) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_lines_keep_their_ends_as_unix_writes_them() {
        let fields = Fields::new(vec![("value".into(), "-----BEGIN\r\nabc\r\n".into())]);
        assert_eq!(fields.text("value"), "-----BEGIN\nabc\n");
    }

    #[test]
    fn a_message_stands_beside_its_field_and_is_no_markup() {
        let refusals = Refusals::from(FieldError::new("steps[0].env.A", "is <b>bad</b>"));
        assert!(refusals.of("steps[0].name").to_string().is_empty());
        let message = refusals.of("steps[0].env").to_string();
        assert!(message.contains("is &#60;b&#62;bad"), "{message}");
        assert!(refusals.of("steps[0].en").to_string().is_empty());
    }
}
