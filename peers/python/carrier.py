"""A server on the official Python SDK (`mcp` 2) that says texts in every place that the protocol has for one, in both eras, and
notes what it hears. Run as `carrier.py TEXTS HEARD ERA`: a JSON array of `{"text": .., "label": .., "escaped": ..}`, the file that
gets a line of JSON for each message of a client, and `legacy` for a server that does not know the modern era."""

import base64
import json
import sys
import warnings

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata

warnings.simplefilter("ignore", MCPDeprecationWarning)

with open(sys.argv[1], encoding="utf-8") as file:
    TEXTS = json.load(file)
HEARD = open(sys.argv[2], "a", encoding="utf-8")

# What is said once the client tells that its roots have changed: in no call.
LATER = []
# Answers of legacy clients may be long in coming, but not as long as this.
PATIENCE_S = 60


def note(method, params):
    HEARD.write(json.dumps({"method": method, "params": params}) + "\n")
    HEARD.flush()


def letters(text):
    return base64.b64encode(text.encode()).decode()


def plain(text):
    return types.TextContent(text=text)


def form(text):
    """A question whose every text is the text."""
    return types.ElicitRequestFormParams(
        message=text,
        requested_schema={
            "type": "object",
            "properties": {"reply": {"type": "string", "title": text, "description": text, "default": text}},
        },
    )


def sample(text):
    return types.CreateMessageRequestParams(
        messages=[types.SamplingMessage(role="user", content=plain(text))], system_prompt=text, max_tokens=8
    )


async def ask(ctx, request, result_type):
    """A question to the user: in the midst of the call to a legacy client, as the result of it to a modern one."""
    if ctx.protocol_version < "2026":
        of = ServerMessageMetadata(related_request_id=ctx.request_id)
        answer = await ctx.session.send_request(request, result_type, PATIENCE_S, of)
        return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
    return None


async def say(ctx, place, at, params):
    entry = TEXTS[at]
    text = entry["text"]
    match place:
        case "text":
            return types.CallToolResult(content=[plain(text)])
        case "structured":
            return types.CallToolResult(content=[], structured_content={"rows": [{"deep": {"value": text}}]})
        case "field":
            return types.CallToolResult(content=[], structured_content={"rows": [{entry["label"]: text}]})
        case "key":
            return types.CallToolResult(content=[], structured_content={text: True})
        case "embedded text":
            resource = types.TextResourceContents(uri="carrier://embedded", text=text)
            return types.CallToolResult(content=[types.EmbeddedResource(resource=resource)])
        case "embedded blob":
            resource = types.BlobResourceContents(uri="carrier://embedded", blob=letters(text))
            return types.CallToolResult(content=[types.EmbeddedResource(resource=resource)])
        case "image":
            return types.CallToolResult(content=[types.ImageContent(data=letters(text), mime_type="image/png")])
        case "audio":
            return types.CallToolResult(content=[types.AudioContent(data=letters(text), mime_type="audio/wav")])
        case "link":
            link = types.ResourceLink(name="linked", uri="carrier://linked", title=text, description=text)
            return types.CallToolResult(content=[link])
        case "meta":
            return types.CallToolResult(content=[], _meta={"org.example/note": text})
        case "tool error":
            return types.CallToolResult(content=[plain(text)], is_error=True)
        case "error message":
            raise MCPError(-32001, text)
        case "error data":
            raise MCPError(-32001, "refused", {"why": [text]})
        case "progress":
            await ctx.session.report_progress(1, 2, text)
            return types.CallToolResult(content=[])
        case "log":
            await ctx.session.send_log_message("warning", text, "carrier", ctx.request_id)
            await ctx.session.send_log_message("warning", {"why": [text]}, "carrier", ctx.request_id)
            return types.CallToolResult(content=[])
        case "log of no call" | "elicitation of no call":
            LATER.append((place, text))
            return types.CallToolResult(content=[])
        case "elicitation" | "sampling":
            answers = getattr(params, "input_responses", None)
            if place == "elicitation":
                request, result_type = types.ElicitRequest(params=form(text)), types.ElicitResult
            else:
                request, result_type = types.CreateMessageRequest(params=sample(text)), types.CreateMessageResult
            answer = await ask(ctx, request, result_type)
            if answer is None and answers is None:
                return types.InputRequiredResult(input_requests={"question": request}, request_state="state")
            note("answer", answer or {})
            return types.CallToolResult(content=[plain("thanks")])
    raise MCPError(-32602, f"no place {place}")


async def list_tools(ctx, params):
    anything = {"type": "object"}
    return types.ListToolsResult(
        tools=[
            types.Tool(name="say", description="Says a text in a place.", input_schema=anything),
            types.Tool(name="take", description="Takes whatever it is given.", input_schema=anything),
        ]
    )


async def call_tool(ctx, params):
    if params.name == "take":
        return types.CallToolResult(content=[plain("taken")])
    return await say(ctx, params.arguments["place"], params.arguments["at"], params)


async def list_prompts(ctx, params):
    names = ["place", "at", "note"]
    arguments = [types.PromptArgument(name=name, required=False) for name in names]
    return types.ListPromptsResult(prompts=[types.Prompt(name="letter", arguments=arguments)])


async def get_prompt(ctx, params):
    given = params.arguments or {}
    if "at" not in given:
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=plain("taken"))])
    text = TEXTS[int(given["at"])]["text"]
    content, description = plain(text), None
    match given["place"]:
        case "prompt resource":
            content = types.EmbeddedResource(
                resource=types.TextResourceContents(uri="carrier://embedded", text=text)
            )
        case "prompt description":
            content, description = plain("a letter"), text
    return types.GetPromptResult(
        description=description, messages=[types.PromptMessage(role="assistant", content=content)]
    )


async def list_resources(ctx, params):
    return types.ListResourcesResult(resources=[types.Resource(name="first", uri="carrier://text/0")])


async def list_templates(ctx, params):
    template = types.ResourceTemplate(name="any", uri_template="carrier://{form}/{at}")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx, params):
    form_of, at = str(params.uri).removeprefix("carrier://").split("/")
    text = TEXTS[int(at)]["text"]
    if form_of == "blob":
        contents = types.BlobResourceContents(uri=params.uri, blob=letters(text), mime_type="application/octet-stream")
    else:
        contents = types.TextResourceContents(uri=params.uri, text=text, mime_type="text/plain")
    return types.ReadResourceResult(contents=[contents])


async def complete(ctx, params):
    value = params.argument.value
    values = [TEXTS[int(value)]["text"]] if params.argument.name == "at" else []
    return types.CompleteResult(completion=types.Completion(values=values))


async def set_level(ctx, params):
    return types.EmptyResult()


async def roots_changed(ctx, params):
    """Says what was to be said in no call."""
    while LATER:
        place, text = LATER.pop(0)
        if place == "log of no call":
            await ctx.session.send_log_message("warning", text, "carrier")
            await ctx.session.send_log_message("warning", {"why": [text]}, "carrier")
        else:
            answer = await ctx.session.elicit_form(text, form(text).requested_schema)
            note("answer", answer.model_dump(by_alias=True, mode="json", exclude_none=True))


async def listen_in(ctx, call_next):
    """Whatever a client says is noted before anything is made of it."""
    note(ctx.method, ctx.params)
    return await call_next(ctx)


class Reading:
    """Standard input. A server of the legacy era alone does not know `server/discover`; the SDK would fall in with the modern one."""

    def __init__(self, inner, out):
        self.inner, self.out = inner, out

    async def __aiter__(self):
        async for line in self.inner:
            if sys.argv[3] == "legacy" and '"server/discover"' in line:
                refusal = {"code": types.METHOD_NOT_FOUND, "message": "no such method"}
                answer = {"jsonrpc": "2.0", "id": json.loads(line)["id"], "error": refusal}
                await self.out.write(json.dumps(answer) + "\n")
                await self.out.flush()
            else:
                yield line


class Escaping:
    """Standard output, with the texts that want it written in escapes of JSON throughout."""

    def __init__(self, inner):
        self.inner = inner
        self.spellings = []
        for entry in TEXTS:
            if entry["escaped"]:
                units = entry["text"].encode("utf-16-be").hex()
                escaped = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
                self.spellings.append((json.dumps(entry["text"], ensure_ascii=False), f'"{escaped}"'))

    async def write(self, line):
        for spelling, escaped in self.spellings:
            if spelling in line:
                line = line.replace(spelling, escaped)
        await self.inner.write(line)

    async def flush(self):
        await self.inner.flush()


async def main():
    server = Server(
        "carrier",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_completion=complete,
        on_set_logging_level=set_level,
        on_roots_list_changed=roots_changed,
    )
    server.middleware.append(listen_in)
    source = open(sys.stdin.fileno(), encoding="utf-8", closefd=False)
    sink = open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False)
    out = Escaping(anyio.wrap_file(sink))
    async with stdio_server(stdin=Reading(anyio.wrap_file(source), out), stdout=out) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


anyio.run(main)
