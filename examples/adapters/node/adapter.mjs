// A pool adapter in Node. It speaks the whole contract over a pool that pretends (`pool.mjs`); put your own in its place.
//
//   npm install && node adapter.mjs --proto-dir ../../../proto --state-dir /tmp/node-pool --port 7070
//   xisuan adapter conformance 127.0.0.1:7070
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';
import { failure, Refused } from './errors.mjs';
import { hasEnded, Pool } from './pool.mjs';
import { milliseconds, readLaunch, requireRunId } from './rules.mjs';

const { FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED } = grpc.status;
const { values: options } = parseArgs({
  options: {
    'proto-dir': { type: 'string', default: '../../../proto' },
    'state-dir': { type: 'string', default: './state' },
    'pool-id': { type: 'string', default: 'node-example' },
    port: { type: 'string', default: '0' },
    nodes: { type: 'string', default: '8' },
  },
});

const instanceId = randomBytes(8).toString('hex');
const version = { technology: 'node-example', adapterVersion: '0.1.0', instanceId };
const can = {
  ...version,
  poolId: options['pool-id'],
  contractVersion: 1,
  runtimes: ['process'],
  gangs: true,
  maxRuntime: true,
  maxBatch: 500,
  rememberedRuns: 100_000,
  watchWindow: 100_000,
  refusesWhenFull: true,
  simulates: true,
};
const nodes = Array.from({ length: Number(options.nodes) }, (_, number) => ({
  nodeId: `node-${number + 1}`,
  architecture: 'ARCHITECTURE_X86_64',
  allocatable: { cpuMilli: 64_000, memoryBytes: 256 * 2 ** 30, acceleratorMilli: 0 },
}));

// -- changes: the journal behind Watch. A cursor is "instance.number", so that those of another life are known. ----

const changes = [];
const watchers = new Set();
const pool = new Pool(nodes, options['state-dir'], (run) => {
  changes.push(status(run));
  for (const wake of watchers) wake();
});
const cursorAt = (number) => `${instanceId}.${number}`;

function positionOf(cursor) {
  if (!cursor) return 0;
  const [instance, digits] = cursor.split('.');
  if (instance !== instanceId || !/^\d{1,15}$/.test(digits) || Number(digits) > changes.length) {
    throw failure(FAILED_PRECONDITION, 'cursor: expired; List, then watch from there', 'CURSOR_EXPIRED');
  }
  return Number(digits);
}

// -- values ---------------------------------------------------------------------------------------------------------

const timestamp = (ms) => (ms === null || ms === undefined ? null : { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });

function status(run) {
  const ended = hasEnded(run);
  const started = run.startsMs !== null && run.state !== 'RUN_STATE_STARTING';
  return {
    runId: run.runId,
    state: run.state,
    nodes: run.nodes,
    message: ended ? run.message : '',
    startedAt: started ? timestamp(run.startsMs) : null,
    endedAt: ended ? timestamp(run.endsMs) : null,
    ...(ended && run.exitCode !== null && run.exitCode !== undefined ? { exitCode: run.exitCode } : {}),
  };
}

/** The fence, and the size of a batch: looked at before any item. */
function admit(request, items) {
  const epoch = BigInt(request.epoch);
  if (epoch < 1n) throw failure(INVALID_ARGUMENT, `epoch = ${epoch}: must be at least 1`);
  if (items > can.maxBatch) throw failure(INVALID_ARGUMENT, `${items} items: at most ${can.maxBatch}`);
  if (epoch < pool.epoch) {
    throw failure(FAILED_PRECONDITION, `epoch ${epoch}: ${pool.epoch} has been seen; give up leading`, 'STALE_EPOCH');
  }
  if (epoch > pool.epoch) pool.admit(epoch);
}

/** `read(item)`, or the Refused that it throws. */
function attempt(read, item) {
  try {
    return read(item);
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

function page(all, request) {
  const size = request.pageSize || 1000;
  const token = request.pageToken;
  const first = token ? Number(/^p(\d{1,9})$/.exec(token)?.[1] ?? NaN) : 0;
  if (size < 0 || Number.isNaN(first)) throw failure(INVALID_ARGUMENT, 'page: not a size or a token of ours');
  const items = all.slice(first, first + size);
  return { items, nextPageToken: first + size < all.length ? `p${first + size}` : '' };
}

// -- the calls ------------------------------------------------------------------------------------------------------

const calls = {
  GetVersion: () => ({ oldest: 1, newest: 1, ...version, now: timestamp(Date.now()) }),
  GetCapabilities: () => can,
  ListNodes: (request) => {
    const { items, nextPageToken } = page(nodes, request);
    return { nodes: items, nextPageToken, sharedDiskBytes: 2 ** 40 };
  },
  List: (request) => {
    // The cursor is taken before the page is read, and only that of the first page is used.
    const cursor = cursorAt(changes.length);
    const { items, nextPageToken } = page([...pool.runs.values()], request);
    return { runs: items.map(status), nextPageToken, cursor };
  },
  Inspect: (request) => {
    const run = pool.runs.get(request.runId);
    if (!run) throw failure(NOT_FOUND, `run_id = ${request.runId}: this pool has never heard of it`);
    return { status: status(run) };
  },
  Launch: (request) => {
    admit(request, request.items.length);
    const results = pool.launch(request.items.map((item) => attempt((one) => readLaunch(one, can), item)));
    return {
      results: results.map((result, i) => ({
        runId: request.items[i].runId,
        ...(result instanceof Refused ? { error: result.item } : { accepted: status(result) }),
      })),
    };
  },
  Stop: (request) => {
    admit(request, request.items.length);
    const refused = request.items.map((item) =>
      attempt((one) => (requireRunId(one.runId), milliseconds(one.grace, 'grace'), null), item));
    const stopped = pool.stop(request.items.filter((_, i) => !refused[i]).map((item) => item.runId));
    return {
      results: request.items.map((item, i) => ({
        runId: item.runId,
        ...(refused[i] ? { error: refused[i].item } : { status: status(stopped.shift()) }),
      })),
    };
  },
  RenewLeases: (request) => {
    admit(request, 0);
    return { now: timestamp(Date.now()), expiredRunIds: [] };
  },
};

/** Changes from the cursor on; the first message at once, and a sign of life every 4 s. */
function watch(call) {
  let position;
  try {
    position = positionOf(call.request.cursor);
  } catch (error) {
    call.emit('error', error);
    return;
  }
  const send = () => {
    const runs = changes.slice(position, position + 1000);
    position += runs.length;
    call.write({ cursor: cursorAt(position), runs });
    if (position < changes.length) setImmediate(send);
  };
  const beat = setInterval(send, 4000);
  watchers.add(send);
  call.on('cancelled', () => {
    clearInterval(beat);
    watchers.delete(send);
  });
  send();
}

const undeclared = (name) => failure(UNIMPLEMENTED, `${name}: this pool does not declare the capability`);
const definition = loader.loadSync('xisuan/pool/v1/pool_adapter_service.proto', {
  includeDirs: [path.resolve(options['proto-dir'])],
  longs: String,
  enums: String,
  defaults: true,
  arrays: true,
});
const { service } = grpc.loadPackageDefinition(definition).xisuan.pool.v1.PoolAdapterService;
const handlers = {};
for (const [name, { responseStream }] of Object.entries(service)) {
  if (name === 'Watch') handlers[name] = watch;
  else if (responseStream) handlers[name] = (call) => call.emit('error', undeclared(name));
  else {
    handlers[name] = (call, answer) => {
      try {
        if (!calls[name]) throw undeclared(name);
        answer(null, calls[name](call.request));
      } catch (error) {
        answer(error);
      }
    };
  }
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': 64 * 2 ** 20, 'grpc.max_send_message_length': 64 * 2 ** 20 });
server.addService(service, handlers);
server.bindAsync(`127.0.0.1:${options.port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    process.stderr.write(`${options.port}: cannot listen: ${error.message}\n`);
    process.exit(2);
  }
  process.stdout.write(`${can.poolId} (${version.technology}): 127.0.0.1:${port}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
