// Calls as promises, repeated where the contract says that the same call may succeed later.
import { setTimeout as pause } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';

/** The service is starting, moving, gone or full. Submissions are idempotent by their key, so all calls may be repeated. */
export const worthRepeating = (error) =>
  [grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED].includes(error.code);

/** Milliseconds until the next try: what the service asks for (google.rpc.RetryInfo), or twice as long each time. */
export function retryDelay(error, failures) {
  const [details] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return (details && askedDelay(details)) ?? Math.min(5_000, 100 * 2 ** failures) * (0.5 + Math.random() / 2);
}

export function unaryOf(service, patienceSeconds) {
  return async (method, request) => {
    const until = Date.now() + patienceSeconds * 1000;
    for (let failures = 0; ; failures++) {
      try {
        return await new Promise((resolve, reject) =>
          service[method](request, { deadline: until }, (error, answer) => (error ? reject(error) : resolve(answer))),
        );
      } catch (error) {
        const delay = retryDelay(error, failures);
        if (!worthRepeating(error) || Date.now() + delay > until) throw error;
        await pause(delay);
      }
    }
  };
}

// google.rpc.Status { Any details = 3 }, Any { type_url = 1, value = 2 }, RetryInfo { Duration retry_delay = 1 },
// Duration { seconds = 1, nanos = 2 }: four messages of a few fields each, so they are read by hand.
function askedDelay(status) {
  for (const detail of fields(status)[3] ?? []) {
    const any = fields(detail);
    if (any[1]?.[0].toString() !== 'type.googleapis.com/google.rpc.RetryInfo') continue;
    const duration = fields(fields(any[2]?.[0] ?? Buffer.alloc(0))[1]?.[0] ?? Buffer.alloc(0));
    return (duration[1]?.[0] ?? 0) * 1000 + (duration[2]?.[0] ?? 0) / 1e6;
  }
  return undefined;
}

/** The values of a message by field number: numbers of varints, buffers of everything with a length. */
function fields(buffer) {
  const found = {};
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = buffer[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < buffer.length) {
    const key = varint();
    const length = varint();
    const value = key & 7 ? buffer.subarray(at, (at += length)) : length;
    (found[key >> 3] ??= []).push(value);
  }
  return found;
}
