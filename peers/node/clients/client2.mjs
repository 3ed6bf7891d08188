// The official TypeScript client, line 2 (`@modelcontextprotocol/client`), which speaks both eras.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { pages, probe } from "./probe.mjs";

await probe("typescript-client 2", async (job) => {
  const client = new Client({ name: "portcullis-probe", version: "1" }, { versionNegotiation: { mode: job.era } });
  const headers = job.token ? { Authorization: `Bearer ${job.token}` } : {};
  const [command, ...args] = job.command ?? [];
  const transport = job.url
    ? new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, cwd: job.cwd, stderr: "ignore", env: process.env });
  await client.connect(transport);
  return {
    revision: client.getNegotiatedProtocolVersion(),
    listTools: () => pages((params) => client.listTools(params)),
    callTool: (params) => client.callTool(params),
    async close() {
      await transport.terminateSession?.();
      await client.close();
    },
  };
});
