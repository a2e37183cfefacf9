"""What python-dotenv makes of .env files: {"environment": {}, "files": [base64]} on standard input,
a list of the variables that each file sets on standard output."""

import base64
import io
import json
import logging
import os
import sys

from dotenv.main import DotEnv

logging.disable(logging.CRITICAL)
case = json.load(sys.stdin)
os.environ.clear()
os.environ.update(case["environment"])
results = []
for content in case["files"]:
    # A stream that does to line ends what open() does, read as load_dotenv(override=False) reads it.
    stream = io.TextIOWrapper(io.BytesIO(base64.b64decode(content)), encoding="utf-8")
    read = DotEnv(None, stream=stream, override=False).dict()
    results.append({name: value for name, value in read.items() if value is not None})
json.dump(results, sys.stdout)
