"""What a request passes first: access log, body and header limits, origins."""
