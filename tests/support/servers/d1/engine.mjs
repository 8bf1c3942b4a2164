// Copyright (c) 2026 lifeline.recovery contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The real engine of D1, workerd run by miniflare, and the files that it keeps its databases in.

import { createHash, createHmac, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, copyFile, mkdir, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";

// What Node 18 lacks, or has elsewhere.
globalThis.File ??= (await import("node:buffer")).File;
String.prototype.toWellFormed ??= function () {
  return Buffer.from(String(this)).toString();
};
String.prototype.isWellFormed ??= function () {
  return this.toWellFormed() === String(this);
};

const [modules, home] = process.argv.slice(2);
const { Miniflare } = await import(pathToFileURL(`${modules}/miniflare/dist/src/index.js`).href);

const SLOTS = 96;
const PIECE = 256 * 1024;

// An object that is imported into reads a file as a stream, in one transaction, which is more than D1 offers.
const worker = `import { DurableObject } from "cloudflare:workers";

export class Importer extends DurableObject {
  async fetch(request) {
    const { storage } = this.ctx;
    const state = () => storage.sql.exec("SELECT total_changes() AS changes, last_insert_rowid() AS last").one();
    const began = Date.now();
    const before = state();
    const [meta, told] = [{ rows_read: 0, rows_written: 0 }, { num_queries: 0 }];
    const tables = () => [...storage.sql.exec(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND lower(substr(name, 1, 4)) <> '_cf_'")];
    const broken = ({ name }) => {
      try {
        return [...storage.sql.exec('PRAGMA foreign_key_check("' + name.replaceAll('"', '""') + '")')].length;
      } catch (error) {
        // A key whose parent has no unique index is judged when rows are written, and not at the commit.
        if (error.message.includes("foreign key mismatch")) return 0;
        throw error;
      }
    };
    const ingest = (text) => {
      const done = storage.sql.ingest(text);
      told.num_queries += done.statementCount;
      meta.rows_read += done.rowsRead;
      meta.rows_written += done.rowsWritten;
      return done.remainder;
    };
    try {
      await storage.transaction(async () => {
        let held = "";
        for await (const text of request.body.pipeThrough(new TextDecoderStream())) held = ingest(held + text);
        // A last statement without its end, unless only a comment is left, which the engine takes for an error.
        const left = held.replace(/^(\\s|--[^\\n]*|\\/\\*[^]*?\\*\\/)+/, "");
        const rest = left && ingest(left + "\\n;");
        // What never becomes complete is run, so that the engine says why.
        if (rest.trim()) storage.sql.exec(rest);
        // The object would break at its commit, without words.
        if (tables().some(broken)) throw new Error("FOREIGN KEY constraint failed: SQLITE_CONSTRAINT");
      });
    } catch (error) {
      await request.body.cancel().catch(() => undefined);
      return Response.json({ error: error.message });
    }
    const after = state();
    return Response.json({ ...told, meta: {
      ...meta, duration: Date.now() - began, changes: after.changes - before.changes, last_row_id: after.last,
      changed_db: true, size_after: storage.sql.databaseSize,
    } });
  }
}

async function query(env, { slot, statements }) {
  const sql = statements.map((item) => item.sql);
  const params = statements.map((item) => item.params ?? []);
  const done = await env[slot].alwaysPrimarySession._send("/query", sql, params, "ROWS_AND_COLUMNS");
  if (done.success === false) throw new Error(done.error);
  return done;
}

async function dump(env, { slot, noSchema, noData, tables }) {
  const statement = env[slot].prepare("PRAGMA miniflare_d1_export(?,?,?);").bind(noSchema, noData, ...tables);
  return (await statement.raw())[0];
}

export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/import/")) {
    return env.IMPORTER.get(env.IMPORTER.idFromName(pathname.slice(8))).fetch(request);
  }
  try {
    const asked = await request.json();
    return Response.json({ done: await (pathname === "/dump" ? dump : query)(env, asked) });
  } catch (error) {
    return Response.json({ error: String(error.cause?.message ?? error.message) });
  }
} }`;

const d1Databases = Object.fromEntries(Array.from({ length: SLOTS }, (_, number) => [`S${number}`, `s${number}`]));
const miniflare = new Miniflare({
  modules: true, script: worker, cf: false, compatibilityDate: "2026-01-01", compatibilityFlags: ["experimental"],
  d1Databases, d1Persist: `${home}/d1`,
  durableObjects: { IMPORTER: { className: "Importer", useSQLite: true } }, durableObjectsPersist: `${home}/objects`,
});
await miniflare.ready;

const free = Object.keys(d1Databases);

export class EngineError extends Error {}

export const takeSlot = () => free.shift();
export const dispose = () => miniflare.dispose();
export const query = (slot, statements) => ask("query", { slot, statements });
export const dump = (slot, options) => ask("dump", { slot, ...options });

// The file of a database. Nothing may be put there once it was asked anything.
export const fileOf = (slot) =>
  `${home}/d1/miniflare-D1DatabaseObject/${idOf("miniflare-D1DatabaseObject", slot.toLowerCase())}.sqlite`;

export const keptFile = (name) => `${home}/kept/${name}.sqlite`;

// A consistent copy while no client commits. The log goes first: what the engine then moves out of it is in both.
export async function copyDatabase(from, to) {
  await mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  for (const end of ["-wal", ""]) if (await exists(from + end)) await copyFile(from + end, to + end);
}

export async function sizeOf(file) {
  let size = 0;
  for (const end of ["-wal", ""]) if (await exists(file + end)) size += (await stat(file + end)).size;
  return size;
}

// Run a file of statements upon a copy of a database. Tells what that did; the caller removes the copy, file.
export async function importFile(database, path) {
  const name = randomUUID();
  const file = `${home}/objects/-Importer/${idOf("-Importer", name)}.sqlite`;
  await copyDatabase(database, file);
  const stream = Readable.toWeb(createReadStream(path, { highWaterMark: PIECE }));
  try {
    return { told: await ask(`import/${name}`, stream), file };
  } catch (error) {
    await removeDatabase(file);
    throw error;
  }
}

export async function removeDatabase(file) {
  for (const end of ["-wal", "-shm", ""]) await rm(file + end, { force: true });
}

async function ask(path, body) {
  const stream = body instanceof ReadableStream;
  const answer = await miniflare.dispatchFetch(`http://engine/${path}`, {
    method: "POST", ...(stream ? { body, duplex: "half" } : { body: JSON.stringify(body) }),
  });
  const result = await answer.json();
  if (result.error !== undefined) throw new EngineError(bare(result.error));
  return stream ? result : result.done;
}

// What the service says is without what miniflare puts around it.
const bare = (text) => text.replace(/^(D1_ERROR|Failed to parse body as JSON, got: Error): /, "").split("\n    at ")[0];

// As workerd derives the id of an object, and so the name of its file, from a name.
function idOf(namespace, name) {
  const key = createHash("sha256").update(namespace).digest();
  const sign = (data) => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  const first = sign(name);
  return Buffer.concat([first, sign(first)]).toString("hex");
}

const exists = (path) => access(path).then(() => true, () => false);
