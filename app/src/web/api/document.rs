//! The OpenAPI document, made from the handlers and built only when a caller asks for it.

use super::{
    audit, certificate, connection, events, libraries, notifications, pools, runs, scripts,
    sessions, settings, snapshots, tasks, tokens, transfer, users, variables,
};
use crate::web::error::ApiError;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, RefOr, Required};

/// The OpenAPI document: its head, and every handler with its own description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lightflow",
        description = "Tasks, runs, logs, pools, variables and scripts of a Lightflow server. Errors are RFC 9457 problem details."
    ),
    servers((url = "/api/v1")),
    paths(
        tasks::list, tasks::create, tasks::show, tasks::replace, tasks::patch, tasks::delete, tasks::run,
        tasks::pause_all, tasks::resume_all,
        runs::list, runs::show, runs::remove, runs::cancel, runs::retry, runs::log, runs::log_part, runs::log_search, runs::log_stream,
        events::stream,
        pools::list, pools::create, pools::replace, pools::delete,
        variables::list, variables::show, variables::set, variables::delete,
        libraries::list, libraries::install, libraries::remove,
        connection::test,
        scripts::list, scripts::show, scripts::put, scripts::delete, scripts::run, scripts::adopt,
        users::list, users::add, users::patch, users::set_password, users::delete, users::set_own_password,
        tokens::list, tokens::add, tokens::delete,
        sessions::list, sessions::delete,
        audit::list,
        settings::show, settings::replace,
        certificate::show, certificate::replace, certificate::renew,
        snapshots::list, snapshots::take, snapshots::download, snapshots::delete,
        notifications::list, notifications::create, notifications::show, notifications::replace,
        notifications::delete, notifications::test, notifications::deliveries,
        transfer::export, transfer::import
    ),
    components(schemas(
        crate::view::Problem,
        crate::view::LogChunk,
        crate::view::LogGap,
        crate::view::LogEnd,
        crate::view::ProgressView,
        crate::view::NoticeView
    )),
    modifiers(&Bearer, &Complete),
    security(("bearer" = []))
)]
pub(super) struct ApiDocument;

/// The OpenAPI document as JSON.
pub(in crate::web) fn document() -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(ApiDocument::openapi()).map_err(|e| ApiError::Internal(e.to_string()))
}

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Completes each operation: the name of its group, an id of its own, the parameters of its path, and a description of each answer.
struct Complete;

impl utoipa::Modify for Complete {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
                &mut item.patch,
            ];
            for operation in operations.into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
}

fn complete(path: &str, operation: &mut Operation) {
    let group = path.split('/').nth(1).unwrap_or_default();
    operation.tags = Some(vec![group.to_owned()]);
    if let Some(id) = &mut operation.operation_id {
        *id = format!("{group}_{id}");
    }
    let names: Vec<&str> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .collect();
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        // The derive takes every field for a part of the path.
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in != ParameterIn::Header
            && !names.contains(&parameter.name.as_str())
        {
            parameter.parameter_in = ParameterIn::Query;
            parameter.required = Required::False;
        }
    }
    for (place, name) in names.into_iter().enumerate() {
        if parameters
            .iter()
            .any(|known| matches!(known, RefOr::T(known) if known.name == name && known.parameter_in == ParameterIn::Path))
        {
            continue;
        }
        let kind = match name {
            "id" | "position" => Type::Integer,
            _ => Type::String,
        };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .build();
        parameters.insert(place, RefOr::T(parameter));
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(Required::True);
        body.content.iter_mut().for_each(describe);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            if response.description.is_empty() {
                response.description = meaning(status).to_owned();
            }
            response.content.iter_mut().for_each(describe);
        }
    }
}

/// Gives bytes and texts a schema: generated clients leave out a body without one.
fn describe((kind, content): (&String, &mut RefOr<Content>)) {
    let RefOr::T(content) = content else {
        return;
    };
    if content.schema.is_some() {
        return;
    }
    let text = ObjectBuilder::new().schema_type(Type::String);
    let schema = match kind.as_str() {
        "application/octet-stream" => {
            text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        }
        _ => text,
    };
    content.schema = Some(RefOr::T(schema.into()));
}

/// An answer in words, by its status.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done; the body holds the result.",
        "201" => "Created.",
        "202" => "Accepted; the work goes on.",
        "204" => "Done.",
        "206" => "The range that was asked for.",
        "304" => "The client has this state already.",
        "400" => "The request cannot be read.",
        "401" => "No valid credential.",
        "403" => "The credential does not permit this.",
        "404" => "Nothing has that name or number.",
        "409" => "The present state does not permit this.",
        "412" => "Another version than that of `If-Match` is there now.",
        "413" => "The body is too large.",
        "416" => "The range begins behind the end.",
        "422" => "Fields were refused; `errors` names them.",
        "502" => "The other server did not take it.",
        "503" => "Not possible at the moment.",
        _ => "See the status.",
    }
}
