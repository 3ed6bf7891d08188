//! The prompts.

use rmcp::{
    ErrorData,
    model::{ContentBlock, GetPromptResult, JsonObject, PromptMessage, ResourceContents, Role},
};
use serde_json::{Value, json};

use super::{
    ask::{Call, Question, Stop},
    catalog::PNG,
};

/// Renders the prompt `name`.
///
/// # Errors
/// No such prompt, an argument is missing, or the user must be asked first.
pub(super) async fn get(name: &str, arguments: &JsonObject, call: &Call<'_>) -> Result<GetPromptResult, Stop> {
    let argument = |key: &str| {
        let text = arguments.get(key).and_then(Value::as_str);
        text.ok_or_else(|| ErrorData::invalid_params(format!("argument `{key}` is missing"), None))
    };
    let blocks = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1")?, argument("arg2")?);
            vec![text(format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = ResourceContents::text("Embedded resource content for testing.", argument("resourceUri")?);
            vec![
                ContentBlock::resource(resource),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => {
            vec![
                ContentBlock::image(PNG, "image/png"),
                text("Please analyze the image above."),
            ]
        }
        "test_input_required_result_prompt" => {
            let schema =
                json!({"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]});
            let question = Question::form("user_context", "What context should the prompt use?", schema)?;
            let context = call.ask(vec![question]).await?.field("user_context", "context")?;
            vec![text(format!("Prompt with context: {context}"))]
        }
        _ => return Err(ErrorData::invalid_params(format!("no prompt `{name}`"), None).into()),
    };
    Ok(GetPromptResult::new(
        blocks
            .into_iter()
            .map(|block| PromptMessage::new(Role::User, block))
            .collect(),
    ))
}

fn text(text: impl Into<String>) -> ContentBlock {
    ContentBlock::text(text)
}
