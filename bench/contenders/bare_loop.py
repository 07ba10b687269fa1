"""The bare loop with websockets: decode each frame, write it as a line."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def main() -> None:
    async with connect(sys.argv[1]) as socket:
        async for frame in socket:
            assert isinstance(frame, str)
            event = json.loads(frame)
            sys.stdout.write(frame + "\n")
            if event["type"] == "complete":
                break


asyncio.run(main())
