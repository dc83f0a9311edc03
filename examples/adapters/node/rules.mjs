// What a launch must look like: the rules of workload.proto and pool_adapter_service.proto that every adapter checks.
import grpc from '@grpc/grpc-js';
import { Refused } from './errors.mjs';

const { INVALID_ARGUMENT } = grpc.status;
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ZONES = new Set(['ZONE_UNSPECIFIED', 'ZONE_INTERNET', 'ZONE_EXTRANET', 'ZONE_INTRANET', 'ZONE_DEDICATED']);
const MOST = { cpuMilli: 1e9, memoryBytes: 2 ** 50, diskBytes: 2 ** 60, acceleratorMilli: 1e9 };
const TEN_YEARS_MS = 10 * 366 * 86_400_000;

function require(holds, field, value, rule) {
  if (!holds) throw new Refused(INVALID_ARGUMENT, `${field} = ${String(value).slice(0, 80)}: ${rule}`);
}

export function requireRunId(runId) {
  require(RUN_ID.test(runId), 'run_id', JSON.stringify(runId), 'letters, digits, . _ -, at most 128');
}

/** Milliseconds of a Duration, rounded up; 0 where there is none. */
export function milliseconds(duration, field) {
  if (!duration) return 0;
  const ms = Number(duration.seconds) * 1000 + Math.ceil(duration.nanos / 1e6);
  require(ms >= 0 && ms <= TEN_YEARS_MS, field, `${ms} ms`, 'a duration is 0 s to ten years');
  return ms;
}

/** What this pool keeps of a launch. Throws Refused for what is malformed, or not declared. */
export function readLaunch(item, can) {
  requireRunId(item.runId);
  const needs = item.requirements ?? {};
  const perTask = needs.perTask ?? {};
  const need = {};
  for (const [name, most] of Object.entries(MOST)) {
    need[name] = Number(perTask[name] ?? 0);
    require(need[name] >= 0 && need[name] <= most, `requirements.per_task.${name}`, perTask[name], `0 to ${most}`);
  }
  require(need.cpuMilli > 0 || need.memoryBytes > 0, 'requirements.per_task', 0, 'CPU or memory must be above 0');
  const tasks = needs.tasks || 1;
  require(tasks >= 1 && tasks <= 10_000, 'requirements.tasks', tasks, '1 to 10,000');
  require(ZONES.has(needs.zone ?? 'ZONE_UNSPECIFIED'), 'requirements.zone', needs.zone, 'unknown zone');
  require(item.nodes.length === tasks, 'nodes', item.nodes.length, `name one node for each of the ${tasks} tasks`);
  const { command = [], image = '', environment = {} } = item.program ?? {};
  require(command.length > 0 && command[0] && !image, 'program', image, 'this pool runs commands: give one');
  require(!command.some((word) => word.includes('\0')), 'program.command', 'NUL', 'must not contain NUL');
  for (const name of Object.keys(environment)) {
    require(name && !name.includes('='), 'program.environment', name, 'a name must not be empty or contain "="');
  }
  require(can.runtimes.includes(item.runtime || 'process'), 'runtime', item.runtime, 'this pool runs processes');
  for (const [field, asked] of [
    ['service', item.service],
    ['reservation_id', item.reservationId],
    ['restore_from', item.restoreFrom],
  ]) {
    require(!asked, field, asked, 'this pool does not declare the capability');
  }
  const lostAfter = milliseconds(item.partition?.lostAfter, 'partition.lost_after');
  const stops = item.partition?.onDisconnect === 'ON_DISCONNECT_STOP';
  require(can.leases || !(lostAfter && stops), 'partition', 'stop', 'this pool does not declare leases');
  return {
    runId: item.runId,
    nodes: item.nodes,
    need,
    maxRuntimeMs: milliseconds(item.maxRuntime, 'max_runtime'),
    lastsMs: milliseconds(item.estimatedRuntime, 'estimated_runtime') || 60_000,
  };
}
