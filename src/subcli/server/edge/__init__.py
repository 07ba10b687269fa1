"""The first layers that a request passes: access log, body and header limits, origins."""
