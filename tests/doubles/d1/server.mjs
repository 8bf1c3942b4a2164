// Copyright (c) 2026 lifeline.recovery contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Cloudflare's API for D1 before the real engine: workerd, run by miniflare.
// Prints its port. Time travel replays what was written; faults are set by POST /control.

import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

// What Node 18 lacks, or has elsewhere.
globalThis.File ??= (await import("node:buffer")).File;
String.prototype.toWellFormed ??= function () {
  return Buffer.from(String(this)).toString();
};
String.prototype.isWellFormed ??= function () {
  return this.toWellFormed() === String(this);
};

const modules = process.argv[2];
const { Miniflare } = await import(pathToFileURL(`${modules}/miniflare/dist/src/index.js`).href);

const SLOTS = 64;
const TOKEN = process.env.D1_TOKEN;

const worker = `export default { async fetch(request, env) {
  const { slot, statements } = await request.json();
  const session = env[slot].alwaysPrimarySession;
  const sql = statements.map((item) => item.sql);
  const params = statements.map((item) => item.params ?? []);
  try {
    return Response.json(await session._send("/query", sql, params, "ROWS_AND_COLUMNS"));
  } catch (error) {
    return Response.json({ success: false, error: String(error.cause?.message ?? error.message) });
  }
} }`;

const d1Databases = Object.fromEntries(Array.from({ length: SLOTS }, (_, number) => [`S${number}`, `s${number}`]));
const miniflare = new Miniflare({ modules: true, script: worker, d1Databases, cf: false });
await miniflare.ready;

const free = Object.keys(d1Databases);
const databases = new Map();
const uploads = new Map();
let rules = [];
let seen = 0;
let log = [];

class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

async function run(slot, statements) {
  const answer = await miniflare.dispatchFetch("http://engine/", {
    method: "POST",
    body: JSON.stringify({ slot, statements }),
  });
  const result = await answer.json();
  if (result.success === false) {
    throw new ApiError(400, 7500, result.error.replace(/^D1_ERROR: /, ""));
  }
  return result;
}

// A bookmark is a point in the list of all batches that wrote.
class Database {
  constructor(name) {
    this.uuid = randomUUID();
    this.name = name;
    this.created_at = new Date().toISOString();
    this.slot = take();
    this.batches = [];
    this.bookmarks = [];
    this.mark();
  }

  mark() {
    const number = (this.bookmarks.length + 1).toString(16).padStart(8, "0");
    const digest = createHash("md5").update(`${this.uuid}${number}`).digest("hex");
    this.bookmarks.push({ id: `${number}-00000000-00004c6d-${digest}`, at: Date.now(), batches: this.batches });
    return this.bookmark;
  }

  get bookmark() {
    return this.bookmarks.at(-1).id;
  }

  async query(statements) {
    const results = await run(this.slot, statements);
    if (results.some((item) => item.meta.changed_db)) {
      this.batches = [...this.batches, statements];
      this.mark();
    }
    return results;
  }

  async restore(found) {
    const previous = this.bookmark;
    const slot = take();
    for (const statements of found.batches) await run(slot, statements);
    this.slot = slot;
    this.batches = found.batches;
    return { bookmark: this.mark(), previous_bookmark: previous, message: `Restored to ${found.id}` };
  }

  shown() {
    return {
      uuid: this.uuid, name: this.name, version: "production", created_at: this.created_at,
      num_tables: 0, file_size: 12288, read_replication: { mode: "disabled" },
    };
  }
}

function take() {
  const slot = free.shift();
  if (slot === undefined) throw new ApiError(400, 7406, "You have reached the maximum number of databases");
  return slot;
}

function find(id) {
  const found = databases.get(id) ?? [...databases.values()].find((item) => item.name === id);
  if (!found) throw new ApiError(404, 7404, `The database ${id} could not be found`);
  return found;
}

// What the service does with several statements in one text; only what tests send needs to be told apart.
function split(sql) {
  const statements = [];
  let start = 0;
  let quote = "";
  let depth = 0;
  for (let at = 0; at < sql.length; at++) {
    const char = sql[at];
    if (quote) {
      if (sql.startsWith(quote, at)) { at += quote.length - 1; quote = ""; }
    } else if (char === "'" || char === '"' || char === "`") quote = char;
    else if (sql.startsWith("--", at)) quote = "\n";
    else if (sql.startsWith("/*", at)) quote = "*/";
    else if (/[A-Za-z]/.test(char)) {
      const word = /^\w+/.exec(sql.slice(at))[0];
      if (/^(begin|case)$/i.test(word)) depth++;
      if (/^end$/i.test(word)) depth = Math.max(0, depth - 1);
      at += word.length - 1;
    } else if (char === ";" && depth === 0) {
      statements.push(sql.slice(start, at + 1));
      start = at + 1;
    }
  }
  statements.push(sql.slice(start));
  return statements.filter((item) => item.replace(/--.*$/gm, "").replaceAll(";", "").trim());
}

function statementsOf(body) {
  if (body.batch) return body.batch.map(({ sql, params }) => ({ sql, params: params ?? [] }));
  if (typeof body.sql !== "string") throw new ApiError(400, 7400, "The request is malformed: sql is missing");
  const statements = split(body.sql);
  if (statements.length === 0) throw new ApiError(400, 7500, "No SQL statements detected.");
  let params = body.params ?? [];
  return statements.map((sql) => {
    const wanted = Math.min(params.length, (sql.match(/\?/g) ?? []).length);
    const item = { sql, params: params.slice(0, wanted) };
    params = params.slice(wanted);
    return item;
  });
}

function meta(given) {
  return {
    served_by: "v3-prod", served_by_region: "EEUR", served_by_colo: "FRA", served_by_primary: true,
    timings: { sql_duration_ms: given.duration }, ...given,
  };
}

function asObjects({ columns, rows }) {
  return rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
}

const operations = {
  async query(database, body) {
    const results = await database.query(statementsOf(body));
    return results.map((item) => ({ results: asObjects(item.results), success: true, meta: meta(item.meta) }));
  },
  async raw(database, body) {
    const results = await database.query(statementsOf(body));
    return results.map((item) => ({ results: item.results, success: true, meta: meta(item.meta) }));
  },
  async import(database, body) {
    if (body.action === "init") {
      const token = randomUUID();
      uploads.set(token, null);
      return { filename: token, upload_url: `http://${host}/upload/${token}`, success: true, type: "import" };
    }
    const polling = { success: true, type: "import", at_bookmark: database.bookmark, messages: [] };
    if (body.action === "poll") return { ...polling, status: "complete", result: database.imported };
    if (body.action !== "ingest") throw new ApiError(400, 7400, "Unknown action");
    const text = uploads.get(body.filename);
    if (text === null || createHash("md5").update(text).digest("hex") !== body.etag) {
      return { ...polling, success: false, status: "error", error: "The uploaded file is not what was announced" };
    }
    try {
      const statements = split(text.toString()).map((sql) => ({ sql, params: [] }));
      await database.query(statements);
      database.imported = { final_bookmark: database.bookmark, num_queries: statements.length, meta: {} };
    } catch (error) {
      return { ...polling, success: false, status: "error", error: error.message };
    }
    return { ...polling, status: "active" };
  },
};

async function route(request, url, body) {
  const [, account, id, action] =
    /^\/client\/v4\/accounts\/([^/]+)\/d1\/database(?:\/([^/]+))?(?:\/(.+))?$/.exec(url.pathname) ?? [];
  if (!account) throw new ApiError(404, 7003, `Could not route to ${url.pathname}, perhaps your object identifier is invalid?`);
  const operation = `${request.method} ${id ? action ?? "one" : "all"}`;
  switch (operation) {
    case "GET all": {
      const wanted = url.searchParams.get("name") ?? "";
      const page = Number(url.searchParams.get("page") ?? 1);
      const size = Number(url.searchParams.get("per_page") ?? 100);
      const found = [...databases.values()].filter((item) => item.name.includes(wanted));
      const shown = found.slice((page - 1) * size, page * size).map((item) => item.shown());
      return { result: shown, result_info: { page, per_page: size, count: shown.length, total_count: found.length } };
    }
    case "POST all": {
      if ([...databases.values()].some((item) => item.name === body.name)) {
        throw new ApiError(400, 7502, `A database with the name '${body.name}' already exists`);
      }
      const made = new Database(body.name);
      databases.set(made.uuid, made);
      return { result: made.shown() };
    }
    case "GET one":
      return { result: find(id).shown() };
    case "DELETE one":
      databases.delete(find(id).uuid);
      return { result: null };
    case "GET time_travel/bookmark": {
      const at = url.searchParams.get("timestamp");
      const marks = find(id).bookmarks.filter((item) => !at || item.at <= Date.parse(at));
      if (marks.length === 0) throw new ApiError(400, 7500, "The timestamp is before the database was created");
      return { result: { bookmark: marks.at(-1).id } };
    }
    case "POST time_travel/restore": {
      const database = find(id);
      const [mark, at] = [url.searchParams.get("bookmark"), url.searchParams.get("timestamp")];
      const found = database.bookmarks.filter((item) => (mark ? item.id === mark : item.at <= Date.parse(at))).at(-1);
      if (!found) throw new ApiError(400, 7500, "The bookmark or timestamp is not within the time travel window");
      return { result: await database.restore(found) };
    }
    default: {
      const work = request.method === "POST" ? operations[action] : undefined;
      if (!work) throw new ApiError(404, 7003, `Could not route to ${url.pathname}`);
      return { result: await work(find(id), body) };
    }
  }
}

const faults = {
  429: () => new ApiError(429, 971, "Please wait and consider throttling your request speed"),
  503: () => new ApiError(503, 10013, "Service unavailable"),
  reset: () => new ApiError(500, 7500, "D1 DB reset because its code was updated."),
  overloaded: () => new ApiError(500, 7500, "D1 DB is overloaded. Requests queued for too long."),
  denied: () => new ApiError(403, 10000, "Authentication error"),
};

async function answer(request, body, url) {
  if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new ApiError(401, 10000, "Authentication error");
  seen += 1;
  log.push(`${request.method} ${url.pathname.split("/").slice(8).join("/")}`);
  const rule = rules.find((item) => item.at === seen || item.at === "always");
  if (rule?.before) throw faults[rule.before]();
  if (rule?.drop === "before") return null;
  const done = await route(request, url, body.length ? JSON.parse(body.toString()) : {});
  if (rule?.drop === "after") return null;
  if (rule?.after) throw faults[rule.after]();
  return done;
}

function send(response, status, document) {
  const data = Buffer.from(JSON.stringify(document));
  const wait = status === 429 ? { "Retry-After": "0" } : {};
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": data.length, ...wait });
  response.end(data);
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const url = new URL(request.url, "http://x");
  if (url.pathname === "/control") {
    const told = JSON.parse(body.toString());
    if (told.rules) [rules, seen, log] = [told.rules, 0, []];
    return send(response, 200, { seen, log });
  }
  if (url.pathname.startsWith("/upload/")) {
    uploads.set(url.pathname.slice(8), body);
    response.writeHead(200, { ETag: `"${createHash("md5").update(body).digest("hex")}"` });
    return response.end();
  }
  const whole = { success: true, errors: [], messages: [] };
  try {
    const done = await answer(request, body, url);
    if (done === null) return response.destroy();
    send(response, 200, { ...whole, ...done });
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    const [status, code] = error instanceof ApiError ? [error.status, error.code] : [500, 0];
    send(response, status, { ...whole, success: false, errors: [{ code, message: error.message }], result: null });
  }
});

let host = "";
server.listen(0, "127.0.0.1", () => {
  host = `127.0.0.1:${server.address().port}`;
  console.log(server.address().port);
});
process.on("SIGTERM", async () => {
  server.closeAllConnections();
  await miniflare.dispose();
  process.exit(0);
});
