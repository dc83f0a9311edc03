// A pool that pretends: runs start after 20 ms, take their estimate, and succeed. Every decision is a line on disk
// before it is answered, so that the pool of the next process knows what this one promised.
import fs from 'node:fs';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import { Refused } from './errors.mjs';

const { FAILED_PRECONDITION, NOT_FOUND, RESOURCE_EXHAUSTED } = grpc.status;
const ENDED = new Set(['RUN_STATE_SUCCEEDED', 'RUN_STATE_FAILED', 'RUN_STATE_STOPPED']);

export class Pool {
  /** `told(run)` hears every change of state, in order. */
  constructor(nodes, folder, told) {
    this.nodes = nodes;
    this.runs = new Map(); // run id -> run; a run without nodes is one that was stopped before it came
    this.epoch = 0n;
    this.told = told;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.path = path.join(folder, 'decisions.jsonl');
    this.#recover();
    this.file = fs.openSync(this.path, 'a');
  }

  /** Raises the fence, durably. */
  admit(epoch) {
    this.epoch = epoch;
    this.#write([{ epoch: String(epoch) }]);
  }

  /** Launches what is new; one run or Refused an item, in order. */
  launch(launches) {
    const fresh = [];
    const results = launches.map((launch) => {
      if (launch instanceof Refused) return launch;
      const known = this.runs.get(launch.runId);
      if (known) {
        if (known.nodes.length) return known;
        return new Refused(FAILED_PRECONDITION, `${launch.runId}: was stopped before this launch came`);
      }
      const refusal = this.#refuse(launch);
      if (refusal) return refusal;
      const startsMs = Date.now() + 20;
      const limited = launch.maxRuntimeMs > 0 && launch.maxRuntimeMs < launch.lastsMs;
      const run = {
        runId: launch.runId,
        nodes: launch.nodes,
        need: launch.need,
        startsMs,
        endsMs: startsMs + (limited ? launch.maxRuntimeMs : launch.lastsMs),
        ending: limited ? 'RUN_STATE_FAILED' : 'RUN_STATE_SUCCEEDED',
        exitCode: limited ? 143 : 0,
        message: limited ? 'ran longer than max_runtime, and was stopped' : '',
        state: 'RUN_STATE_STARTING',
      };
      this.runs.set(run.runId, run);
      fresh.push(run);
      return run;
    });
    this.#write(fresh);
    for (const run of fresh) {
      this.told(run);
      this.#arm(run);
    }
    return results;
  }

  /** Stops runs; what each is now, in order. */
  stop(runIds) {
    const changed = new Set();
    for (const runId of runIds) {
      let run = this.runs.get(runId);
      if (!run) {
        run = { runId, nodes: [], need: {}, startsMs: Infinity, message: 'stopped before it was launched' };
        this.runs.set(runId, run);
      } else if (ENDED.has(run.state)) {
        continue;
      } else {
        run.message = 'stopped as asked';
      }
      if (run.state !== 'RUN_STATE_RUNNING') run.startsMs = null;
      Object.assign(run, { endsMs: Date.now(), ending: 'RUN_STATE_STOPPED', exitCode: null, state: 'RUN_STATE_STOPPED' });
      changed.add(run);
    }
    this.#write([...changed]);
    for (const run of changed) this.told(run);
    return runIds.map((runId) => this.runs.get(runId));
  }

  #refuse(launch) {
    for (const nodeId of new Set(launch.nodes)) {
      const node = this.nodes.find((each) => each.nodeId === nodeId);
      if (!node) return new Refused(NOT_FOUND, `${nodeId}: no such node: list the nodes anew`);
      const times = launch.nodes.filter((each) => each === nodeId).length;
      for (const [name, amount] of Object.entries(launch.need)) {
        if (name !== 'diskBytes' && amount * times > this.#free(node, name)) {
          return new Refused(RESOURCE_EXHAUSTED, `${nodeId}: has no room: place it anew`, true);
        }
      }
    }
    return null;
  }

  #free(node, name) {
    let free = node.allocatable[name] ?? 0;
    for (const run of this.runs.values()) {
      if (!ENDED.has(run.state)) {
        for (const nodeId of run.nodes) if (nodeId === node.nodeId) free -= run.need[name] ?? 0;
      }
    }
    return free;
  }

  /** Lets a run go on: starting, running, ended, each at its time. */
  #arm(run) {
    const due = run.state === 'RUN_STATE_STARTING' ? run.startsMs : run.endsMs;
    const timer = setTimeout(() => {
      if (ENDED.has(run.state)) return; // it was stopped meanwhile
      if (run.state === 'RUN_STATE_STARTING' && Date.now() >= run.startsMs) {
        run.state = 'RUN_STATE_RUNNING';
        this.told(run);
      } else if (run.state === 'RUN_STATE_RUNNING' && Date.now() >= run.endsMs) {
        run.state = run.ending;
        this.told(run);
        return;
      }
      this.#arm(run);
    }, Math.min(Math.max(1, due - Date.now()), 2 ** 30));
    timer.unref();
  }

  #recover() {
    if (!fs.existsSync(this.path)) return;
    const lines = fs.readFileSync(this.path, 'utf8').split('\n');
    for (const line of lines.slice(0, -1)) { // an unfinished last line was never acknowledged
      const decision = JSON.parse(line);
      if (decision.epoch) this.epoch = BigInt(decision.epoch);
      else this.runs.set(decision.runId, decision);
    }
    const now = Date.now();
    for (const run of this.runs.values()) {
      if (ENDED.has(run.state)) continue;
      if (now >= run.endsMs) run.state = run.ending;
      else run.state = now >= run.startsMs ? 'RUN_STATE_RUNNING' : 'RUN_STATE_STARTING';
      this.#arm(run);
    }
  }

  #write(decisions) {
    if (!decisions.length) return;
    fs.writeSync(this.file, decisions.map((each) => `${JSON.stringify(each)}\n`).join(''));
    fs.fdatasyncSync(this.file);
  }
}

export const hasEnded = (run) => ENDED.has(run.state);
