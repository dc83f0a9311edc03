"""A kubelet for tests that runs the command of a pod's first container as a process of this machine, without its image.

    python -m tests.servers.process_kubelet KUBECONFIG CERTIFICATE KEY FOLDER NODE...

KWOK's nodes only pretend; with these the conformance suite sees programs run, fail, write, ignore a polite stop, and
be restarted as a service. What it keeps of a kubelet's duties: pod status, grace periods, restart policy, output and
commands in pods over HTTPS for the API server, and the node's sign of life. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

Json = dict[str, Any]
_SIGN_OF_LIFE_S = 8.0
_INDEX = "batch.kubernetes.io/job-completion-index"


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Kubelet:
    """All nodes named on the command line, in one process."""

    def __init__(self, session: aiohttp.ClientSession, server: str, folder: Path, nodes: list[str]) -> None:
        self._session = session
        self._server = server
        self._folder = folder
        self._nodes = nodes
        self._pods: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Event] = {}
        self._grace: dict[str, float] = {}
        self._ended: set[str] = set()
        self._settings: dict[str, dict[str, str]] = {}  # pod name -> environment of its program
        self._beside: dict[str, list[asyncio.subprocess.Process]] = {}  # pod name -> commands that were executed

    async def serve(self, certificate: str, key: str) -> int:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._execute)
        runner = web.AppRunner(app)
        await runner.setup()
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trust.load_cert_chain(certificate, key)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
        await site.start()
        port: int = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # no public way to ask
        return port

    async def register(self, port: int) -> None:
        amounts = {"cpu": "64", "memory": "256Gi", "pods": "500"}
        for node in self._nodes:
            status = {
                "allocatable": amounts,
                "capacity": amounts,
                "addresses": [
                    {"type": "InternalIP", "address": "127.0.0.1"},
                    {"type": "Hostname", "address": node},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
                "nodeInfo": {"architecture": "amd64"},
                # The API server then hands WebSockets on as they are, and does not translate them to SPDY.
                "declaredFeatures": ["ExtendWebSocketsToKubelet"],
            }
            metadata = {"name": node, "labels": {"kubernetes.io/hostname": node, "kubelet": "process"}}
            await self._ask("POST", "/api/v1/nodes", {"metadata": metadata, "status": status})

    async def live(self) -> None:
        while True:
            ready = {"type": "Ready", "status": "True", "reason": "Tests", "lastHeartbeatTime": now()}
            for node in self._nodes:
                await self._patch(f"/api/v1/nodes/{node}/status", {"status": {"conditions": [ready]}})
            await asyncio.sleep(_SIGN_OF_LIFE_S)

    async def watch(self) -> None:
        while True:
            listed = await self._ask("GET", "/api/v1/pods")
            for pod in listed["items"]:
                self._see(pod)
            query = f"watch=true&timeoutSeconds=300&resourceVersion={listed['metadata']['resourceVersion']}"
            async with self._session.get(f"{self._server}/api/v1/pods?{query}") as response:
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self._see(event["object"])

    def _see(self, pod: Json) -> None:
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        if pod["spec"].get("nodeName") not in self._nodes:
            return
        if uid not in self._pods and uid not in self._ended:
            self._leaving[uid] = asyncio.Event()
            self._pods[uid] = asyncio.create_task(self._run(pod), name=self._log(metadata["name"]).name)
        if "deletionTimestamp" in metadata:
            self._grace[uid] = float(metadata.get("deletionGracePeriodSeconds") or 0)
            if uid in self._pods:
                self._leaving[uid].set()
            elif uid in self._ended:
                asyncio.create_task(self._remove(pod))  # noqa: RUF006 - it ends by itself, at once

    async def _run(self, pod: Json) -> None:
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        begun = now()
        restarts = 0
        code = 0
        while not self._leaving[uid].is_set():
            process = await self._start(pod)
            await self._report(pod, "Running", {"running": {"startedAt": now()}}, begun, restarts)
            code = await self._wait(uid, pod["metadata"]["name"], process)
            if spec.get("restartPolicy") != "Always":
                break
            restarts += 1
        ended = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": now()}}
        await self._report(pod, "Failed" if code else "Succeeded", ended, begun, restarts)
        self._ended.add(uid)
        del self._pods[uid]
        if self._leaving[uid].is_set():
            await self._remove(pod)

    async def _start(self, pod: Json) -> asyncio.subprocess.Process:
        container = pod["spec"]["containers"][0]
        settings = {"PATH": os.environ["PATH"]}
        for one in container.get("env", ()):
            of_task = pod["metadata"].get("annotations", {}).get(_INDEX, "0")
            settings[one["name"]] = one.get("value", "") if "valueFrom" not in one else of_task
        self._settings[pod["metadata"]["name"]] = settings
        with self._log(pod["metadata"]["name"]).open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *container.get("command", ["true"]),
                env=settings, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    async def _wait(self, uid: str, pod: str, process: asyncio.subprocess.Process) -> int:
        """Until the process has ended: by itself, politely, or by force when the grace is over."""
        ended = asyncio.create_task(process.wait())
        leaving = asyncio.create_task(self._leaving[uid].wait())
        await asyncio.wait((ended, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        for number, patience_s in ((signal.SIGTERM, self._grace.get(uid, 0.0)), (signal.SIGKILL, 10.0)):
            if ended.done():
                break
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself, and is about to be collected
                os.killpg(process.pid, number)
            await asyncio.wait((ended,), timeout=patience_s)
        code = await ended
        for beside in self._beside.pop(pod, []):
            if beside.returncode is None:
                os.killpg(beside.pid, signal.SIGKILL)  # a container's end is that of all in it
        return 128 - code if code < 0 else code

    async def _report(self, pod: Json, phase: str, state: Json, begun: str, restarts: int) -> None:
        container = pod["spec"]["containers"][0]
        is_up = phase == "Running"
        status = {
            "phase": phase,
            "startTime": begun,
            "conditions": [{"type": "Ready", "status": str(is_up), "lastTransitionTime": now()}],
            "containerStatuses": [
                {"name": container["name"], "image": container["image"], "imageID": "", "ready": is_up,
                 "started": is_up, "restartCount": restarts, "state": state}
            ],
        }  # fmt: skip
        await self._patch(self._path(pod) + "/status", {"status": status})

    async def _remove(self, pod: Json) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._ask("DELETE", self._path(pod), options)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        path = self._log(request.match_info["pod"])
        follow = request.query.get("follow") == "true"
        offset = 0
        while True:
            is_over = not any(task.get_name() == path.name for task in self._pods.values())
            content = path.read_bytes()[offset:] if path.exists() else b""
            if content:
                offset += len(content)
                await response.write(content)
            elif not follow or is_over:
                return response
            else:
                await asyncio.sleep(0.1)

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        """`exec` in v5.channel.k8s.io. As in real containers, a command outlives the connection that began it."""
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        pod = request.match_info["pod"]
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *request.query.getall("command"), env=self._settings[pod], stdin=pipe, stdout=pipe, stderr=pipe,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            text = f'exec: "{error.filename}": executable file not found in $PATH'
            return await self._tell(socket, {"status": "Failure", "reason": "InternalError", "message": text})
        self._beside.setdefault(pod, []).append(process)
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        if "input" not in request.query:
            process.stdin.close()
        feeding = asyncio.create_task(self._feed(socket, process.stdin))
        await asyncio.gather(self._pump(socket, 1, process.stdout), self._pump(socket, 2, process.stderr))
        code = await process.wait()
        feeding.cancel()
        code = 128 - code if code < 0 else code
        causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
        failed = {"status": "Failure", "reason": "NonZeroExitCode", "details": causes}
        return await self._tell(socket, failed if code else {"status": "Success"})

    async def _feed(self, socket: web.WebSocketResponse, pipe: asyncio.StreamWriter) -> None:
        async for message in socket:
            channel, content = message.data[0], message.data[1:]
            if channel == 0:
                pipe.write(content)
                await pipe.drain()
            elif channel == 255:
                pipe.close()

    async def _pump(self, socket: web.WebSocketResponse, channel: int, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(32 * 1024):
            if not socket.closed:
                await socket.send_bytes(bytes([channel]) + piece)

    async def _tell(self, socket: web.WebSocketResponse, status: Json) -> web.StreamResponse:
        if not socket.closed:
            await socket.send_bytes(b"\x03" + json.dumps({"metadata": {}, **status}).encode())
            await socket.close()
        return socket

    def _log(self, pod: str) -> Path:
        return self._folder / f"{pod}.log"

    def _path(self, pod: Json) -> str:
        return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"

    async def _patch(self, path: str, body: Json) -> None:
        await self._ask("PATCH", path, body)

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer; what is gone meanwhile is no fault of the kubelet."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind}
        async with self._session.request(method, self._server + path, json=body, headers=headers) as response:
            if response.status not in (404, 409):
                response.raise_for_status()
            answer: Json = await response.json()
            return answer


async def main(kubeconfig: str, certificate: str, key: str, folder: str, *nodes: str) -> None:
    settings = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    server = settings["clusters"][0]["cluster"]["server"]
    headers = {"Authorization": f"Bearer {settings['users'][0]['user']['token']}"}
    connector = aiohttp.TCPConnector(ssl=False, limit=64)
    timeout = aiohttp.ClientTimeout(total=None)
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=timeout, read_bufsize=2**21
    ) as s:
        kubelet = Kubelet(s, server, Path(folder), list(nodes))
        await kubelet.register(await kubelet.serve(certificate, key))
        tasks = [asyncio.create_task(one) for one in (kubelet.live(), kubelet.watch(), over.wait())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
