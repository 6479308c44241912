"""One request from wherever this runs, told as a line of JSON: client.py METHOD URL HEADERS BODY SECONDS. On SIGTERM it
finishes what it does, as an agent should, and ends."""

import http.client
import json
import signal
import sys
import urllib.parse

signal.signal(signal.SIGTERM, lambda *_: None)
method, url, headers, body, seconds = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=float(seconds))
told = {"status": None, "body": "", "error": None}
try:
    connection.request(method, parts.path, body or None, json.loads(headers))
    answer = connection.getresponse()
    told["status"] = answer.status
    told["body"] = answer.read().decode()
except TimeoutError:
    told["error"] = "no answer"
except OSError as error:
    told["error"] = type(error).__name__
except http.client.HTTPException as error:
    told["error"] = type(error).__name__
print(json.dumps(told), flush=True)
