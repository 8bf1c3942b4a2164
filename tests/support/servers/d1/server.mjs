// Copyright (c) 2026 lifeline.recovery contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Cloudflare's API for D1 before the real engine. Prints its port.
// Files come and go by signed URLs; faults, and what was asked and answered, by POST /control.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";

import { ApiError, Database } from "./database.mjs";
import { dispose } from "./engine.mjs";

const TOKEN = process.env.D1_TOKEN;
const files = `${process.argv[3]}/files`;
await mkdir(files);

const databases = new Map();
let rules = [];
let seen = 0;
let log = [];
let exchanges = null;

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

function asObjects({ columns, rows }) {
  return rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
}

const operations = {
  async query(database, body) {
    const results = await database.query(statementsOf(body));
    return results.map((item) => ({ results: asObjects(item.results), success: true, meta: item.meta }));
  },
  async raw(database, body) {
    const results = await database.query(statementsOf(body));
    return results.map((item) => ({ results: item.results, success: true, meta: item.meta }));
  },
  async import(database, body, rule) {
    // A file that is there already is taken at once.
    const filename = `${database.uuid}-${body.etag}`;
    if (body.action === "init" && !existsSync(`${files}/${filename}`)) {
      return { success: true, type: "import", filename, upload_url: `http://${host}/upload/${filename}` };
    }
    switch (body.action) {
      case "init":
      case "ingest":
        if (body.filename && (body.filename !== filename || !existsSync(`${files}/${filename}`))) {
          throw new ApiError(400, 7400, "The uploaded file is not what was announced");
        }
        return database.import(filename, `${files}/${filename}`, rule?.slow);
      case "poll":
        return database.poll("import", body.current_bookmark);
      default:
        throw new ApiError(400, 7400, "Unknown action");
    }
  },
  async export(database, body) {
    if (body.output_format !== "polling") throw new ApiError(400, 7400, "output_format must be polling");
    if (body.current_bookmark) return database.poll("export", body.current_bookmark);
    const { no_schema: noSchema = false, no_data: noData = false, tables = [] } = body.dump_options ?? {};
    const token = randomUUID();
    return database.export({ noSchema, noData, tables }, `${files}/${token}`, `http://${host}/download/${token}`);
  },
};

async function route(request, url, body, rule) {
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
      const shown = found.slice((page - 1) * size, page * size).map((item) => item.listed());
      return { result: shown, result_info: { page, per_page: size, count: shown.length, total_count: found.length } };
    }
    case "POST all": {
      if ([...databases.values()].some((item) => item.name === body.name)) {
        throw new ApiError(400, 7502, `A database with the name '${body.name}' already exists`);
      }
      const made = new Database(body.name);
      databases.set(made.uuid, made);
      return { result: made.listed() };
    }
    case "GET one":
      return { result: await find(id).shown() };
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
      return { result: await work(find(id), body, rule) };
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
  const rule = rules.find((item) => item.at === seen || item.at === "always" || seen % item.every === 0);
  if (rule?.before) throw faults[rule.before]();
  if (rule?.drop === "before") return null;
  const done = await route(request, url, body.length ? JSON.parse(body.toString()) : {}, rule);
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

async function upload(request, response, name) {
  const part = `${files}/${randomUUID()}.part`;
  const digest = createHash("md5");
  await pipeline(request, async function* (source) {
    for await (const chunk of source) {
      digest.update(chunk);
      yield chunk;
    }
  }, createWriteStream(part));
  const etag = digest.digest("hex");
  // Only what was announced is kept.
  if (name.endsWith(`-${etag}`)) await rename(part, `${files}/${name}`);
  else await rm(part);
  response.writeHead(200, { ETag: `"${etag}"` });
  response.end();
}

async function control(told) {
  if (told.copy) await find(told.copy.database).copy(told.copy.to);
  if (told.rules) [rules, seen, log] = [told.rules, 0, []];
  const found = { seen, log, exchanges };
  if (told.record !== undefined) exchanges = told.record ? [] : null;
  return found;
}

async function serve(request, response) {
  const url = new URL(request.url, "http://x");
  const [, place, name] = /^\/(upload|download)\/([0-9a-f-]+)$/.exec(url.pathname) ?? [];
  if (place === "upload") return upload(request, response, name);
  if (place === "download") {
    response.writeHead(200, { "Content-Type": "application/sql" });
    return pipeline(createReadStream(`${files}/${name}`), response);
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (url.pathname === "/control") return send(response, 200, await control(JSON.parse(body.toString())));
  const whole = { success: true, errors: [], messages: [] };
  let [status, document] = [200, null];
  try {
    const done = await answer(request, body, url);
    if (done === null) return response.destroy();
    document = { ...whole, ...done };
    // A job that goes on.
    if (done.result?.status === "active") status = 202;
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    const code = error instanceof ApiError ? error.code : 0;
    status = error.status ?? 500;
    document = { ...whole, success: false, errors: [{ code, message: error.message }], result: null };
  }
  exchanges?.push({
    method: request.method, path: url.pathname, query: Object.fromEntries(url.searchParams), status, answer: document,
    body: body.length ? JSON.parse(body.toString()) : null,
  });
  return send(response, status, document);
}

const server = createServer((request, response) =>
  serve(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  }));

let host = "";
server.listen(0, "127.0.0.1", () => {
  host = `127.0.0.1:${server.address().port}`;
  console.log(server.address().port);
});
process.on("SIGTERM", async () => {
  server.closeAllConnections();
  await dispose();
  process.exit(0);
});
