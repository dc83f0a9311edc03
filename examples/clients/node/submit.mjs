// A system that submits workloads and follows them to their end, in Node. It knows nothing of Xisuan but proto/.
//
//   npm install && node submit.mjs --proto-dir ../../../proto --home ~/.xisuan --queue demo/node --jobs 20
//
// It may be killed at any moment and started again with the same --batch: what was accepted before is found again by its
// key and not submitted twice.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import grpc from '@grpc/grpc-js';
import { connect } from './connection.mjs';
import { retryDelay, unaryOf, worthRepeating } from './calls.mjs';

const { values: options } = parseArgs({
  options: {
    'proto-dir': { type: 'string', default: '../../../proto' },
    home: { type: 'string' }, // of a service on this machine: address, authority and token are read from it
    address: { type: 'string' },
    ca: { type: 'string' },
    'token-file': { type: 'string' },
    queue: { type: 'string', default: 'demo/node' },
    batch: { type: 'string', default: `batch-${Date.now()}` },
    jobs: { type: 'string', default: '10' },
    patience: { type: 'string', default: '90' }, // seconds for which a call is repeated while the service is away
  },
});

const home = options.home;
const service = connect(path.resolve(options['proto-dir']), {
  address: options.address ?? JSON.parse(fs.readFileSync(path.join(home, 'endpoint.json'), 'utf8')).address,
  ca: fs.readFileSync(options.ca ?? path.join(home, 'access', 'ca.pem')),
  token: fs.readFileSync(options['token-file'] ?? path.join(home, 'access', 'administrator.token'), 'utf8').trim(),
});
const call = unaryOf(service, Number(options.patience));

const specs = Array.from({ length: Number(options.jobs) }, (_, number) => ({
  queue: options.queue,
  clientKey: `${options.batch}-${number}`, // the same key and body again: the same workload
  name: `node-${number}`,
  requirements: { perTask: { cpuMilli: 100, memoryBytes: 64 * 2 ** 20 }, tasks: 1 },
  program: { command: ['sh', '-c', `echo from Node ${number}`] },
  estimatedRuntime: { seconds: 2 },
  maxRuntime: { seconds: 60 },
}));

// Watching begins before submitting, so that no change can come in between.
const { cursor: start } = await firstMessage({});
const accepted = await submitAll(specs);
const ends = await followToTheEnd(accepted, start);
const sample = await call('get', { workloadId: accepted[0] });
console.log(JSON.stringify({ accepted, ends, output: await output(accepted[0]), runs: sample.workload.runs.length }));
service.close();
process.exitCode = Object.values(ends).every((state) => state === 'WORKLOAD_STATE_SUCCEEDED') ? 0 : 3;

/** Ids in the order of `all`. Items that the service has no room for come again when it said so. */
async function submitAll(all) {
  const ids = new Map();
  let open = all;
  while (open.length) {
    const { results } = await call('submitBatch', { workloads: open });
    const again = [];
    let wait = 0;
    results.forEach((result, position) => {
      if (result.accepted) ids.set(open[position].clientKey, result.accepted.workload.workloadId);
      else if (result.error.retryable) {
        again.push(open[position]);
        wait = Math.max(wait, result.error.retryAfterMs);
      } else {
        const fields = result.error.fieldViolations.map((one) => `${one.field}: ${one.description}`);
        throw new Error(`${open[position].clientKey}: ${[result.error.message, ...fields].join('; ')}`);
      }
    });
    open = again;
    if (open.length) await pause(wait);
  }
  return all.map((spec) => ids.get(spec.clientKey));
}

/** The final state of each workload. A stream that breaks goes on after the last message that was heard. */
async function followToTheEnd(ids, cursor) {
  const ends = {};
  const wanted = new Set(ids);
  // What was known by its key may have ended before this stream began.
  for (const workloadId of ids) note(workloadId, (await call('get', { workloadId })).workload.state);
  let failures = 0;
  while (Object.keys(ends).length < wanted.size) {
    const stream = service.watch({ workloadIds: ids, cursor });
    try {
      for await (const message of stream) {
        cursor = message.cursor;
        failures = 0;
        for (const change of message.changes) note(change.workloadId, change.state);
        if (Object.keys(ends).length === wanted.size) break;
      }
    } catch (error) {
      if (!worthRepeating(error)) throw error;
      await pause(retryDelay(error, failures++));
    } finally {
      stream.cancel();
    }
  }
  return ends;

  function note(workloadId, state) {
    if (/_(SUCCEEDED|FAILED|CANCELLED)$/.test(state)) ends[workloadId] = state;
  }
}

async function firstMessage(request) {
  for (let failures = 0; ; failures++) {
    const stream = service.watch(request);
    try {
      for await (const message of stream) return message;
    } catch (error) {
      if (!worthRepeating(error)) throw error;
      await pause(retryDelay(error, failures));
    } finally {
      stream.cancel();
    }
  }
}

/** Null where the pool that ran it keeps no output. */
async function output(workloadId) {
  const chunks = [];
  try {
    for await (const { chunk } of service.logs({ workloadId })) chunks.push(chunk);
  } catch (error) {
    if (error.code === grpc.status.NOT_FOUND) return null;
    throw error;
  }
  return Buffer.concat(chunks).toString();
}
