"""Dashboards by `python-socketio`, at once by WebSocket and moved to one: what they hear until the last word of the story, and
what is told to whom is not let in. By polling alone the library may wait half a minute for its own goodbye."""

import asyncio
import json
import os
import random

import socketio

NODES = os.environ.get("NODES", os.environ["GATEWAY"]).split(",")
SPREAD = random.Random(os.environ.get("SPREAD"))
TOKENS = json.loads(os.environ["TOKENS"])
WAYS = {"websocket": ["websocket"], "upgraded": ["polling", "websocket"]}
NAMESPACE = "/dashboard"


def tell(**words):
    """Tells the test: one JSON value a line."""
    print(json.dumps(words), flush=True)


async def enter(way, auth):
    """Comes in: the client, and what it heard when the story is over. Or nobody, and what was said of why."""
    client = socketio.AsyncClient(reconnection=False)
    refusal = {}
    words = []
    over = asyncio.get_running_loop().create_future()

    async def on_any(kind, *more):
        words.append({"type": kind, "words": more})
        if kind == "story:end" and not over.done():
            over.set_result(words)

    client.on("*", on_any, namespace=NAMESPACE)
    client.on("connect_error", lambda error=None: refusal.update(said=error), namespace=NAMESPACE)
    try:
        await client.connect(f"http://{SPREAD.choice(NODES)}", transports=WAYS[way], namespaces=[NAMESPACE], auth=auth, wait_timeout=20)
    except socketio.exceptions.ConnectionError:
        await client.disconnect()
        return None, refusal.get("said")
    return client, over


async def turned_away(name, way, auth):
    client, said = await enter(way, auth)
    tell(name=f"{name} {way}", entered=client is not None, said=None if client else said)


async def main():
    visitors = []
    for user, way in [*(("ann", way) for way in WAYS), ("bob", "upgraded")]:
        client, over = await enter(way, {"token": TOKENS[user]})
        if client is None:
            raise RuntimeError(f"{user} {way}: {over}")
        answer = await client.call("ping", "é", namespace=NAMESPACE, timeout=20)
        name = f"{user} {way}"
        tell(name=name, id=client.get_sid(NAMESPACE), carrier=client.transport(), answer=answer)
        visitors.append((name, client, over))
    tell(name="all are in")
    for name, client, over in visitors:
        for line in await asyncio.wait_for(over, 60):
            tell(name=name, **line)
        await client.disconnect()
    for way in WAYS:
        await turned_away("missing", way, None)
        for name in ("invalid", "expired", "agent", "banned"):
            await turned_away(name, way, {"token": TOKENS[name]})
        ten = [(await enter(way, {"token": TOKENS[way]}))[0] for _ in range(10)]
        await turned_away("eleventh", way, {"token": TOKENS[way]})
        for client in ten:
            await client.disconnect()


asyncio.run(main())
