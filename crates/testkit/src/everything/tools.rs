//! The tools. Each is written once, for both eras: what differs is in `ask`.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, JsonObject,
        ResourceContents,
    },
    task_manager::{TaskContext, TaskExit, TaskOptions},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Everything,
    ask::{Answers, Call, Question, Stop, action},
    catalog::{PNG, WAV},
    notices::{log, progress},
    resources::WATCHED,
};

/// The pause between two notices, so that a client can see them one by one.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a client should look at a task, in milliseconds.
const POLL_MS: u64 = 200;
/// The longest that a tool works, in seconds.
const SECONDS_MAX: f64 = 3_600.0;

/// Calls the tool `name`.
///
/// # Errors
/// No such tool, a missing argument or capability, or the caller must be asked first.
pub(super) async fn run(
    server: &Everything,
    name: &str,
    arguments: JsonObject,
    call: &Call<'_>,
) -> Result<CallToolResponse, Stop> {
    let argument = |key: &str| {
        let text = arguments.get(key).and_then(Value::as_str);
        text.ok_or_else(|| Stop::Failed(format!("argument `{key}` is missing")))
    };
    let result = match name {
        "test_simple_text" => success("This is a simple text response for testing."),
        "test_image_content" => CallToolResult::success(vec![ContentBlock::image(PNG, "image/png")]),
        "test_audio_content" => CallToolResult::success(vec![ContentBlock::audio(WAV, "audio/wav")]),
        "test_embedded_resource" => {
            let resource = ResourceContents::text("This is an embedded resource content.", "test://example-resource");
            CallToolResult::success(vec![ContentBlock::resource(resource)])
        }
        "test_multiple_content_types" => {
            let data = json!({"test": "data", "value": 123}).to_string();
            let resource =
                ResourceContents::text(data, "test://mixed-content-resource").with_mime_type("application/json");
            CallToolResult::success(vec![
                ContentBlock::text("Multiple content types test:"),
                ContentBlock::image(PNG, "image/png"),
                ContentBlock::resource(resource),
            ])
        }
        "test_error_handling" => failure("This tool intentionally returns an error for testing"),

        "test_tool_with_logging" => {
            for (turn, text) in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ]
            .into_iter()
            .enumerate()
            {
                if turn > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                log(server, call, text).await;
            }
            success("Tool with logging executed successfully")
        }
        "test_tool_with_progress" => {
            progress(call, 0.0, 100.0).await;
            tokio::time::sleep(PAUSE).await;
            progress(call, 50.0, 100.0).await;
            tokio::time::sleep(PAUSE).await;
            progress(call, 100.0, 100.0).await;
            success("Tool with progress executed successfully")
        }
        "test_logging_tool" => {
            log(server, call, "The caller asked for log messages").await;
            success("Logged if asked")
        }
        "test_reconnection" => {
            tokio::time::sleep(PAUSE).await;
            success("Reconnection test completed successfully")
        }

        "test_sampling" => {
            let answers = call
                .ask(vec![Question::model("model", argument("prompt")?, 100)?])
                .await?;
            success(format!("LLM response: {}", answers.model_text("model")))
        }
        "test_elicitation" => {
            let schema = json!({
                "type": "object",
                "properties": {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"},
                },
                "required": ["username", "email"],
            });
            let answers = call
                .ask(vec![Question::form("user", argument("message")?, schema)?])
                .await?;
            described("User response:", answers.get("user"))
        }
        "test_elicitation_sep1034_defaults" => {
            let question = Question::form("user", "Please review these values", defaults_schema())?;
            described("Elicitation completed:", call.ask(vec![question]).await?.get("user"))
        }
        "test_elicitation_sep1330_enums" => {
            let question = Question::form("user", "Please choose", enums_schema())?;
            described("Elicitation completed:", call.ask(vec![question]).await?.get("user"))
        }

        "test_input_required_result_elicitation" => greeting(&call.ask(vec![name_question()?]).await?)?,
        "test_input_required_result_sampling" => {
            let question = Question::model("capital_question", "What is the capital of France?", 100)?;
            success(call.ask(vec![question]).await?.model_text("capital_question"))
        }
        "test_input_required_result_list_roots" => {
            let answers = call.ask(vec![Question::roots("client_roots")?]).await?;
            success(format!("Roots: {}", answers.roots("client_roots")))
        }
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            let question = Question::form("confirm", "Please confirm", form(&[("ok", "boolean")]))?;
            let answers = call.ask_sealed(vec![question], Some(&"state")).await?;
            described("state-ok", answers.get("confirm"))
        }
        "test_input_required_result_multiple_inputs" => {
            let questions = vec![
                name_question()?,
                Question::model("greeting", "Generate a greeting", 50)?,
                Question::roots("client_roots")?,
            ];
            let answers = call.ask_sealed(questions, Some(&"state")).await?;
            let name = answers.field("user_name", "name")?;
            let (words, roots) = (answers.model_text("greeting"), answers.roots("client_roots"));
            success(format!("{words} {name}, your roots: {roots}"))
        }
        "test_input_required_result_multi_round" => two_rounds(call).await?,
        "test_input_required_result_capabilities" => {
            let mut questions = Vec::new();
            if call.can("sampling") {
                questions.push(Question::model("model", "Say hello", 50)?);
            }
            if call.can("elicitation") {
                questions.push(name_question()?);
            }
            if call.can("roots") {
                questions.push(Question::roots("client_roots")?);
            }
            let asked = questions.len();
            if asked > 0 {
                call.ask(questions).await?;
            }
            success(format!("{asked} of 3 kinds of input were available"))
        }
        "test_streaming_elicitation" => {
            progress(call, 0.0, 1.0).await;
            greeting(&call.ask(vec![name_question()?]).await?)?
        }

        "test_missing_capability" if call.can("sampling") => success("The client declared sampling"),
        "test_missing_capability" => return Err(call.lacks("sampling")),
        "test_trigger_tool_change" => announced(server, Change::Tools),
        "test_trigger_prompt_change" => announced(server, Change::Prompts),
        "test_trigger_resource_change" => announced(server, Change::Resources),
        "test_trigger_resource_update" => {
            announced(server, Change::Resource(argument("uri").unwrap_or(WATCHED).to_owned()))
        }

        "test_custom_header" => success(format!("Header value: {}", argument("value")?)),
        "json_schema_2020_12_tool" => success(format!("Called with {}", Value::Object(arguments))),

        "greet" => success(format!("Hello, {}!", argument("name")?)),
        "slow_compute" => {
            let seconds = arguments
                .get("seconds")
                .and_then(Value::as_f64)
                .unwrap_or(0.0)
                .clamp(0.0, SECONDS_MAX);
            let label = arguments
                .get("label")
                .and_then(Value::as_str)
                .unwrap_or("work")
                .to_owned();
            let work = move || async move {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
                success(format!("{label}: computed for {seconds} s"))
            };
            if seconds > 0.0 && has_tasks(call) {
                return Ok(task(server, |_| async move { Ok(work().await) }));
            }
            work().await
        }
        "failing_job" => {
            require_tasks(call)?;
            return Ok(task(server, |_| async {
                tokio::time::sleep(PAUSE).await;
                Ok(failure("The job failed"))
            }));
        }
        "protocol_error_job" => {
            require_tasks(call)?;
            return Ok(task(server, |_| async {
                tokio::time::sleep(PAUSE).await;
                Err(TaskExit::Error(ErrorData::internal_error("the job broke down", None)))
            }));
        }
        "confirm_delete" => {
            let filename = argument("filename")?.to_owned();
            let question = Question::form(
                "confirm",
                &format!("Delete {filename}?"),
                form(&[("confirm", "boolean")]),
            )?;
            if has_tasks(call) {
                return Ok(task(server, move |context| async move {
                    let (key, request) = question.into_parts();
                    let answer = context.request_input(key, request).await?;
                    Ok(deleted(&filename, &answer))
                }));
            }
            deleted(&filename, call.ask(vec![question]).await?.get("confirm"))
        }
        "multi_input" => {
            let first = Question::form("first", "First name?", form(&[("name", "string")]))?;
            let second = Question::form("second", "Second name?", form(&[("name", "string")]))?;
            if has_tasks(call) {
                return Ok(task(server, move |context| async move {
                    let ((first_key, first), (second_key, second)) = (first.into_parts(), second.into_parts());
                    let (first, second) = tokio::try_join!(
                        context.request_input(first_key, first),
                        context.request_input(second_key, second),
                    )?;
                    Ok(success(format!(
                        "Both answered: {} {}",
                        action(&first),
                        action(&second)
                    )))
                }));
            }
            let answers = call.ask(vec![first, second]).await?;
            success(format!(
                "Both answered: {} {}",
                action(answers.get("first")),
                action(answers.get("second"))
            ))
        }
        "test_tool_with_task" => {
            let name = call.ask(vec![name_question()?]).await?.field("user_name", "name")?;
            if call.is_modern() {
                require_tasks(call)?;
                return Ok(task(server, |_| async move {
                    tokio::time::sleep(PAUSE).await;
                    Ok(success(format!("Hello, {name}!")))
                }));
            }
            success(format!("Hello, {name}!"))
        }
        _ => return Err(ErrorData::invalid_params(format!("no tool `{name}`"), None).into()),
    };
    Ok(result.into())
}

/// A tool error with one text.
pub(super) fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn success(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// How far the caller came in the tool of two rounds; sealed in its state.
#[derive(Default, Deserialize, Serialize)]
struct Rounds {
    name: Option<String>,
}

async fn two_rounds(call: &Call<'_>) -> Result<CallToolResult, Stop> {
    let so_far = call.state::<Rounds>()?.unwrap_or_default();
    let name = match so_far.name {
        Some(name) => name,
        None => {
            let question = Question::form("step1", "Step 1: What is your name?", form(&[("name", "string")]))?;
            call.ask_sealed(vec![question], Some(&Rounds::default()))
                .await?
                .field("step1", "name")?
        }
    };
    let question = Question::form(
        "step2",
        "Step 2: What is your favorite color?",
        form(&[("color", "string")]),
    )?;
    let answers = call
        .ask_sealed(
            vec![question],
            Some(&Rounds {
                name: Some(name.clone()),
            }),
        )
        .await?;
    Ok(success(format!("{name} likes {}", answers.field("step2", "color")?)))
}

fn name_question() -> Result<Question, Stop> {
    Question::form("user_name", "What is your name?", form(&[("name", "string")]))
}

fn greeting(answers: &Answers) -> Result<CallToolResult, Stop> {
    Ok(success(format!("Hello, {}!", answers.field("user_name", "name")?)))
}

fn deleted(filename: &str, answer: &Value) -> CallToolResult {
    let confirmed = answer.pointer("/content/confirm") == Some(&Value::Bool(true));
    success(if confirmed {
        format!("Deleted {filename}")
    } else {
        format!("Kept {filename}")
    })
}

fn described(lead: &str, answer: &Value) -> CallToolResult {
    success(format!(
        "{lead} action={}, content={}",
        action(answer),
        answer.get("content").unwrap_or(&Value::Null)
    ))
}

fn announced(server: &Everything, change: Change) -> CallToolResult {
    let text = format!("Announced: {change:?}");
    server.notices.announce(change);
    success(text)
}

fn has_tasks(call: &Call<'_>) -> bool {
    call.is_modern() && call.capabilities().supports_tasks()
}

fn require_tasks(call: &Call<'_>) -> Result<(), Stop> {
    if has_tasks(call) {
        return Ok(());
    }
    let tasks = ClientCapabilities::builder().enable_tasks().build();
    Err(ErrorData::missing_required_client_capability(tasks).into())
}

/// Starts a task; a cancelled one stops wherever it is.
fn task<W>(server: &Everything, work: impl FnOnce(TaskContext) -> W) -> CallToolResponse
where
    W: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let task = server
        .tasks
        .spawn(TaskOptions::new().with_poll_interval_ms(POLL_MS), |context| {
            let work = work(context.clone());
            Box::pin(async move {
                tokio::select! {
                    result = work => result,
                    () = context.cancelled() => Err(TaskExit::Cancelled),
                }
            })
        });
    CreateTaskResult::new(task).into()
}

fn form(fields: &[(&str, &str)]) -> Value {
    let properties: JsonObject = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({"type": kind})))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn defaults_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "User name", "default": "John Doe"},
            "age": {"type": "integer", "description": "User age", "default": 30},
            "score": {"type": "number", "description": "User score", "default": 95.5},
            "status": {
                "type": "string", "description": "User status",
                "enum": ["active", "inactive", "pending"], "default": "active",
            },
            "verified": {"type": "boolean", "description": "Verified", "default": true},
        },
        "required": [],
    })
}

fn enums_schema() -> Value {
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
        "required": [],
    })
}
