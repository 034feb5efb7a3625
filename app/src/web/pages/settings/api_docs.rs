//! The API for people to read: made from the OpenAPI document at each request.

use crate::web::api::document;
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageError, PageViewer, html};
use askama::Template;
use axum::response::Response;
use serde_json::Value;

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    frame: Frame,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

/// The operations with addresses that begin with the same word.
struct Group {
    name: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    /// The first sentence, and the rest.
    summary: String,
    more: String,
    parameters: Vec<ApiField>,
    body: Option<BodyContent>,
    answers: Vec<(String, Option<BodyContent>)>,
}

/// The body of a request or an answer.
struct BodyContent {
    kind: String,
    shape: Shape,
}

struct Schema {
    name: String,
    about: String,
    fields: Vec<ApiField>,
}

struct ApiField {
    name: String,
    shape: Shape,
    required: bool,
    about: String,
}

/// A type in words, and the schema in it that has its own place on the page.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    words: String,
    link: Option<String>,
}

/// `/settings/api`.
pub(super) async fn page(viewer: PageViewer) -> Result<Response, PageError> {
    let document = document()?;
    Ok(html(&ApiPage {
        frame: Frame::within(&viewer, Part::Api),
        groups: groups(&document),
        schemas: schemas(&document),
    }))
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn groups(document: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        let name = path.split('/').nth(1).unwrap_or_default();
        let found = groups.iter().position(|group| group.name == name);
        let at = found.unwrap_or_else(|| {
            groups.push(Group {
                name: name.to_owned(),
                operations: Vec::new(),
            });
            groups.len() - 1
        });
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(one) = item.get(method) {
                groups[at].operations.push(operation(method, path, one));
            }
        }
    }
    groups
}

fn operation(method: &str, path: &str, one: &Value) -> Operation {
    let parameters = one["parameters"].as_array().into_iter().flatten();
    let id: String = format!("{method}{path}")
        .chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c == '/' { '-' } else { c })
        .collect();
    Operation {
        id,
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&one["summary"]),
        more: text(&one["description"]),
        parameters: parameters
            .map(|parameter| ApiField {
                name: text(&parameter["name"]),
                shape: shape(&parameter["schema"]),
                required: parameter["required"] == true,
                about: match parameter["in"].as_str() {
                    Some("path") => "in the address".to_owned(),
                    _ => text(&parameter["description"]),
                },
            })
            .collect(),
        body: content(&one["requestBody"]["content"]),
        answers: entries(&one["responses"])
            .map(|(status, answer)| (status.clone(), content(&answer["content"])))
            .collect(),
    }
}

fn content(value: &Value) -> Option<BodyContent> {
    let (kind, media) = entries(value).next()?;
    Some(BodyContent {
        kind: kind.clone(),
        shape: shape(&media["schema"]),
    })
}

fn schemas(document: &Value) -> Vec<Schema> {
    entries(&document["components"]["schemas"])
        .map(|(name, schema)| {
            let required = schema["required"].as_array();
            let needs = |field: &str| required.is_some_and(|all| all.iter().any(|r| r == field));
            Schema {
                name: name.clone(),
                about: text(&schema["description"]),
                fields: entries(&schema["properties"])
                    .map(|(field, value)| ApiField {
                        name: field.clone(),
                        shape: shape(value),
                        required: needs(field),
                        about: text(&value["description"]),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// A schema's type in words.
fn shape(schema: &Value) -> Shape {
    let plain = |words: &str| Shape {
        words: words.to_owned(),
        link: None,
    };
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return Shape {
            words: name.to_owned(),
            link: Some(name.to_owned()),
        };
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[key].as_array() {
            let known: Vec<Shape> = all
                .iter()
                .filter(|one| one["type"] != "null")
                .map(shape)
                .collect();
            let words: Vec<&str> = known.iter().map(|one| one.words.as_str()).collect();
            return Shape {
                words: words.join(" or "),
                link: known.iter().find_map(|one| one.link.clone()),
            };
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some("array") => {
            let inner = shape(&schema["items"]);
            Shape {
                words: format!("list of {}", inner.words),
                link: inner.link,
            }
        }
        Some("object") if schema["additionalProperties"].is_object() => {
            let inner = shape(&schema["additionalProperties"]);
            Shape {
                words: format!("object of {}", inner.words),
                link: inner.link,
            }
        }
        Some("string") => plain("text"),
        Some("integer") => plain("whole number"),
        Some("number") => plain("number"),
        Some("boolean") => plain("true or false"),
        Some(other) => plain(other),
        None => plain(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_told_in_words() {
        let told = |schema| shape(&schema).words;
        assert_eq!(told(json!({"type": ["string", "null"]})), "text");
        let list = json!({"type": "array", "items": {"$ref": "#/components/schemas/RunView"}});
        assert_eq!(shape(&list).link.as_deref(), Some("RunView"));
        assert_eq!(told(list), "list of RunView");
        let either = json!({"oneOf": [{"type": "null"}, {"$ref": "#/x/Args"}]});
        assert_eq!(told(either), "Args");
    }
}
