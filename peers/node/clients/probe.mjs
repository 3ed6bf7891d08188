// What the two TypeScript clients have in common: one job in, one line of JSON out.
//
// The job is the first argument, as JSON:
//   url or command   the target; `command` is a list of words, `cwd` its working directory
//   token            a bearer token for `url`, optional
//   era              "legacy" or "auto"
//   tool, arguments  the call to make
//   expect           a text that the result must contain
//
// The line has `ok`, `client`, `revision`, `tools` (how many were listed) and `error` where it failed. Exit code 1 then.

export async function probe(client, connect) {
  const job = JSON.parse(process.argv[2]);
  const line = { ok: false, client };
  let session;
  try {
    session = await connect(job);
    line.revision = session.revision;
    const tools = await session.listTools();
    line.tools = tools.length;
    if (!tools.some((tool) => tool.name === job.tool)) {
      throw new Error(`\`${job.tool}\` is not among the ${tools.length} tools listed`);
    }
    const result = await session.callTool({ name: job.tool, arguments: job.arguments ?? {} });
    const text = JSON.stringify(result.content);
    if (result.isError) throw new Error(`tool error: ${text}`);
    if (!text.includes(JSON.stringify(job.expect).slice(1, -1))) {
      throw new Error(`\`${job.expect}\` is not in ${text.slice(0, 400)}`);
    }
    line.ok = true;
  } catch (error) {
    line.error = String(error?.message ?? error);
  }
  await Promise.race([session?.close(), new Promise((done) => setTimeout(done, 2000))]).catch(() => {});
  console.log(JSON.stringify(line));
  process.exit(line.ok ? 0 : 1);
}

/** Every page of a list. */
export async function pages(list) {
  const items = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? {} : { cursor });
    items.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}
