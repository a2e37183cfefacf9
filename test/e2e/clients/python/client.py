"""Calls an OpenAI-style API with the official SDK and prints, as one JSON document, all it saw.

BASE_URL and API_KEY come from the environment. Two runs against the same API print the same
document, whatever stands between, if what stands between changes nothing.
"""

import base64
import hashlib
import json
import os
import sys

import openai

BASE_URL, API_KEY = os.environ["BASE_URL"], os.environ["API_KEY"]
QUESTION = [{"role": "user", "content": "What is the answer? Grüße, 世界 🌍"}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "time")
]
AUDIO = b"RIFF" + bytes(range(256)) * 300

client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=30)


def digest(data):
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def headers(response):
    """The answer's headers, but for the time of day."""
    return sorted([name.lower(), value] for name, value in response.headers.multi_items() if name.lower() != "date")


def raw(call, **arguments):
    """The answer as it came, and as the SDK understood it."""
    response = call.with_raw_response
    response = response(**arguments) if callable(response) else response.create(**arguments)
    return {"status": response.status_code, "headers": headers(response), "parsed": response.parse().to_dict(mode="json")}


def stream(call, **arguments):
    events = call.create(stream=True, **arguments)
    seen = [event.to_dict(mode="json") for event in events]
    return {"status": events.response.status_code, "headers": headers(events.response), "events": seen}


def failure(call, whole=True):
    """An error as the SDK raises it. Not whole: without the words and headers, which are the gateway's own."""
    try:
        call()
    except openai.APIStatusError as error:
        seen = {"class": type(error).__name__, "status": error.status_code, "type": error.type, "code": error.code}
        if whole:
            seen |= {"message": error.message, "body": error.body, "headers": headers(error.response)}
        return seen
    return "no error"


def chat():
    plain = {"model": "gpt-4o-mini", "messages": QUESTION}
    counted = {**plain, "stream_options": {"include_usage": True}, "extra_headers": {"mock-events": "40"}}
    return {
        "plain": raw(client.chat.completions, **plain),
        "choices": raw(client.chat.completions, n=2, **plain),
        "stream": stream(client.chat.completions, **counted),
        "tools": raw(client.chat.completions, tools=TOOLS, **plain),
        "tools stream": stream(client.chat.completions, tools=TOOLS, **plain),
        "completion": raw(client.completions, model="m", prompt=["one", "two"]),
        "completion stream": stream(client.completions, model="m", prompt="one"),
    }


def media():
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="hello", extra_headers={"mock-size": "300000"}
    ) as speech:
        spoken = {"status": speech.status_code, "headers": headers(speech), **digest(speech.read())}
    image = client.images.generate(model="dall-e-3", prompt="a toll gate", response_format="b64_json")
    return {
        "embeddings": raw(client.embeddings, model="text-embedding-3-small", input=["one", "two"], encoding_format="float"),
        "embeddings, packed": client.embeddings.create(model="m", input="one", dimensions=16).to_dict(mode="json"),
        "image": digest(base64.b64decode(image.data[0].b64_json)),
        "transcription": raw(client.audio.transcriptions, model="whisper-1", file=("a.wav", AUDIO)),
        "speech": spoken,
    }


def files():
    content = b"".join(b'{"line": %d}\n' % i for i in range(5000))
    uploaded = client.files.create(file=("ümläut.jsonl", content), purpose="batch")
    return {
        "uploaded": uploaded.to_dict(mode="json"),
        "listed": [file.to_dict(mode="json") for file in client.files.list()],
        "retrieved": client.files.retrieve(uploaded.id).to_dict(mode="json"),
        "content": digest(client.files.content(uploaded.id).read()),
        "deleted": client.files.delete(uploaded.id).to_dict(mode="json"),
        "left": [file.to_dict(mode="json") for file in client.files.list()],
    }


def models():
    return {
        "listed": [model.to_dict(mode="json") for model in client.models.list()],
        "plain": client.models.retrieve("gpt-4o-mini").to_dict(mode="json"),
        "with a slash": client.models.retrieve("meta/llama").to_dict(mode="json"),
    }


def responses():
    return {
        "plain": raw(client.responses, model="gpt-4o-mini", input="Who are you?"),
        "stream": stream(client.responses, model="gpt-4o-mini", input=QUESTION),
    }


def realtime():
    with client.realtime.connect(model="gpt-realtime") as connection:
        first = connection.recv().to_dict(mode="json")
        connection.send({"type": "response.create", "event_id": "x" * 100_000})
        return {"first": first, "echoed": digest(connection.recv_bytes())}


def errors():
    stranger = client.with_options(api_key="wrong-key-0123456789")
    ask = {"model": "m", "messages": QUESTION}
    return {
        "wrong key": failure(lambda: stranger.models.list(), whole=False),
        "not found": failure(lambda: client.models.retrieve("none")),
        "too many": failure(lambda: client.chat.completions.create(**ask, extra_headers={
            "mock-status": "429", "mock-header": "retry-after: 1"})),
        "bad request": failure(lambda: client.chat.completions.create(model="m", messages=[])),
        "broken": failure(lambda: client.chat.completions.create(**ask, extra_headers={"mock-status": "503"})),
    }


SECTIONS = (chat, media, files, models, responses, realtime, errors)
json.dump({section.__name__: section() for section in SECTIONS}, sys.stdout, indent=1, sort_keys=True)
