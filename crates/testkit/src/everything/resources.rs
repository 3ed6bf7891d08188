//! The resources: two fixed ones, one that can be watched, one template.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, ResourceContents},
};
use serde_json::json;

use super::catalog::PNG;

/// The resource that can be subscribed to.
pub(super) const WATCHED: &str = "test://watched-resource";

/// Reads a resource.
///
/// # Errors
/// There is none at `uri`; the SDK gives the error the code of the caller's revision.
pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        "test://static-text" => ResourceContents::text("This is the content of the static text resource.", uri),
        "test://static-binary" => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        WATCHED => ResourceContents::text("This is the content of the watched resource.", uri),
        _ => match template_id(uri) {
            Some(id) => {
                let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
            }
            None => {
                return Err(ErrorData::resource_not_found(
                    "resource not found",
                    Some(json!({"uri": uri})),
                ));
            }
        },
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

fn template_id(uri: &str) -> Option<&str> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}
