"""The official Python client (`mcp` 2), which speaks both eras. The job and the line are those of `probe.mjs`."""

import asyncio
import json
import os
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport(job):
    """The way to the job's target."""
    if "url" in job:
        headers = {"Authorization": f"Bearer {job['token']}"} if job.get("token") else {}
        client = httpx2.AsyncClient(headers=headers, timeout=30)
        return streamable_http_client(job["url"], http_client=client)
    command, *args = job["command"]
    return stdio_client(
        StdioServerParameters(command=command, args=args, cwd=job.get("cwd"), env=dict(os.environ)),
        errlog=open(os.devnull, "w"),
    )


async def probe(job, line):
    async with Client(transport(job), mode=job["era"]) as client:
        line["revision"] = client.protocol_version
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        line["tools"] = len(tools)
        if not any(tool.name == job["tool"] for tool in tools):
            raise RuntimeError(f"`{job['tool']}` is not among the {len(tools)} tools listed")
        result = await client.call_tool(job["tool"], job.get("arguments", {}))
        text = " ".join(getattr(block, "text", "") for block in result.content)
        if result.is_error:
            raise RuntimeError(f"tool error: {text}")
        if job["expect"] not in text:
            raise RuntimeError(f"`{job['expect']}` is not in {text[:400]}")
    line["ok"] = True


def main():
    line = {"ok": False, "client": "python 2"}
    try:
        asyncio.run(asyncio.wait_for(probe(json.loads(sys.argv[1]), line), 60))
    except BaseException as error:  # every failure is the line's to tell
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        line.update(ok=False, error=f"{type(error).__name__}: {error}")
    print(json.dumps(line))
    sys.exit(0 if line["ok"] else 1)


main()
