// Copyright (c) 2026 lifeline.recovery contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Databases of the account: their bookmarks, and the long jobs during which they answer nobody.

import { createHash, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";

import * as engine from "./engine.mjs";

// Of a larger database only the states are kept that an import or a restore replaced.
const MOST_KEPT = 64 * 1024 * 1024;

// How long an answer waits for a job, and a finished export for being asked for.
const PATIENCE = 1000;
const EXPORT_ASKED = 5000;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

// A bookmark is a state; the files of each but the last one are kept.
export class Database {
  #queue = Promise.resolve();
  #job = null;

  constructor(name) {
    this.uuid = randomUUID();
    this.name = name;
    this.created_at = new Date().toISOString();
    this.slot = take();
    this.bookmarks = [];
    this.#mark();
  }

  get bookmark() {
    return this.#now.id;
  }

  get #now() {
    return this.bookmarks.at(-1);
  }

  get #busy() {
    if (this.#job?.until < Date.now()) this.#job = null;
    return this.#job?.status === "active" ? this.#job : null;
  }

  query(statements) {
    this.#refuseWhileBusy();
    return this.#inTurn(async () => {
      // What only reads is plain to see; all else may write.
      if (!statements.every(({ sql }) => /^\s*(SELECT|VALUES|EXPLAIN)\b/i.test(sql))) await this.#keep();
      const results = await reported(engine.query(this.slot, statements));
      if (results.some((item) => item.meta.changed_db)) this.#mark();
      return results.map((item) => ({ ...item, meta: located(item.meta) }));
    });
  }

  restore(found) {
    return this.#inTurn(async () => {
      const from = found === this.#now ? engine.fileOf(this.slot) : found.kept;
      if (!from) throw new ApiError(400, 7500, "The bookmark or timestamp is not within the time travel window");
      const previous = this.bookmark;
      await this.#replace(from);
      return { bookmark: this.bookmark, previous_bookmark: previous, message: `Restored to ${found.id}` };
    });
  }

  async import(filename, path, slow = 0) {
    if (this.#job?.filename !== filename) {
      this.#refuseWhileBusy();
      const job = { type: "import", filename, at_bookmark: this.bookmark, status: "active" };
      this.#job = job;
      job.done = this.#inTurn(async () => {
        await new Promise((resolve) => setTimeout(resolve, slow * 1000));
        const { told, file } = await engine.importFile(engine.fileOf(this.slot), path);
        await this.#replace(file);
        await engine.removeDatabase(file);
        job.result = { final_bookmark: this.bookmark, ...told, meta: located(told.meta) };
      });
      this.#settle(job);
    }
    const told = await this.#told();
    // A finished one is told to who asks for it.
    return told.status === "complete" ? { ...told, status: "active", result: undefined } : told;
  }

  async export(options, path, url) {
    this.#refuseWhileBusy();
    const job = { type: "export", at_bookmark: this.bookmark, status: "active" };
    this.#job = job;
    job.done = this.#inTurn(async () => {
      const lines = await engine.dump(this.slot, options);
      await writeFile(path, `${lines.join("\n")}\n`);
      job.result = { filename: `${this.uuid}.sql`, signed_url: url };
    });
    // It blocks until it is asked for, or nobody did.
    await job.done.then(() => (job.until = Date.now() + EXPORT_ASKED), (error) => fail(job, error));
    return polling(job);
  }

  // The state of a job to who asks for it by the bookmark that it began at.
  async poll(type, bookmark) {
    if (this.#job?.type !== type || this.#job.at_bookmark !== bookmark) {
      throw new ApiError(400, 7500, `There is no ${type} of ${bookmark}`);
    }
    if (this.#job.result) this.#job.status = "complete";
    return this.#told();
  }

  copy(to) {
    return this.#inTurn(() => engine.copyDatabase(engine.fileOf(this.slot), to));
  }

  #told() {
    const wait = new Promise((resolve) => setTimeout(resolve, PATIENCE).unref());
    return Promise.race([this.#job.done.catch(() => undefined), wait]).then(() => polling(this.#job));
  }

  #settle(job) {
    job.done.then(() => (job.status = "complete"), (error) => fail(job, error));
  }

  #refuseWhileBusy() {
    if (this.#busy) throw new ApiError(400, 7500, `Currently processing a long-running ${this.#busy.type}.`);
  }

  #inTurn(work) {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #mark() {
    const number = (this.bookmarks.length + 1).toString(16).padStart(8, "0");
    const digest = createHash("md5").update(`${this.uuid}${number}`).digest("hex");
    this.bookmarks.push({ id: `${number}-00000000-00004c6d-${digest}`, at: Date.now(), kept: null });
  }

  async #keep() {
    const file = engine.fileOf(this.slot);
    if (this.#now.kept || (await engine.sizeOf(file)) > MOST_KEPT) return;
    const kept = engine.keptFile(this.#now.id);
    await engine.copyDatabase(file, kept);
    this.#now.kept = kept;
  }

  // Go on in a new slot with this file; nobody writes to the old one any more, so that its file is what was.
  async #replace(file) {
    const slot = take();
    await engine.copyDatabase(file, engine.fileOf(slot));
    this.#now.kept ??= engine.fileOf(this.slot);
    this.slot = slot;
    this.#mark();
  }

  listed() {
    return { uuid: this.uuid, name: this.name, version: "production", created_at: this.created_at };
  }

  async shown() {
    const size = Math.max(12288, await engine.sizeOf(engine.fileOf(this.slot)));
    return { ...this.listed(), num_tables: 0, file_size: size, read_replication: { mode: "disabled" } };
  }
}

// What miniflare does not tell.
function located(meta) {
  return {
    served_by: "v3-prod", served_by_region: "EEUR", served_by_colo: "FRA", served_by_primary: true,
    timings: { sql_duration_ms: meta.duration }, ...meta,
  };
}

function take() {
  const slot = engine.takeSlot();
  if (slot === undefined) throw new ApiError(400, 7406, "You have reached the maximum number of databases");
  return slot;
}

function fail(job, error) {
  if (!(error instanceof engine.EngineError)) console.error(error);
  Object.assign(job, { status: "error", error: error.message });
}

function polling({ type, at_bookmark, status, error, result }) {
  const shown = status === "complete" ? { result } : status === "error" ? { error } : {};
  return { success: status !== "error", type, at_bookmark, messages: [], status, ...shown };
}

async function reported(work) {
  try {
    return await work;
  } catch (error) {
    if (error instanceof engine.EngineError) throw new ApiError(400, 7500, error.message);
    throw error;
  }
}
