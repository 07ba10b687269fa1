import json
import sys

name = ""
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    name = body.get("node_id", name)
    answer = {"type": body["type"] + "_ok"}
    if body["type"] == "double":
        answer["result"] = 2 * abs(body["number"])
    print(json.dumps({"src": name, "dest": message["src"], "body": answer}), flush=True)
