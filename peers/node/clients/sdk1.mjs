// The official TypeScript SDK, line 1 (`@modelcontextprotocol/sdk`), which speaks the legacy era only.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { pages, probe } from "./probe.mjs";

await probe("typescript-sdk 1", async (job) => {
  const client = new Client({ name: "portcullis-probe", version: "1" });
  const headers = job.token ? { Authorization: `Bearer ${job.token}` } : {};
  const [command, ...args] = job.command ?? [];
  const transport = job.url
    ? new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, cwd: job.cwd, stderr: "ignore", env: process.env });
  // The SDK tells a transport the revision; the one for stdio does not keep it.
  let revision;
  const told = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => {
    revision = version;
    told?.(version);
  };
  await client.connect(transport);
  return {
    revision,
    listTools: () => pages((params) => client.listTools(params)),
    callTool: (params) => client.callTool(params),
    async close() {
      await transport.terminateSession?.();
      await client.close();
    },
  };
});
