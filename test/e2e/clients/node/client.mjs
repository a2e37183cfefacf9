// Calls an OpenAI-style API with the official SDK and prints, as one JSON document, all it saw.
//
// BASE_URL and API_KEY come from the environment. Two runs against the same API print the same
// document, whatever stands between, if what stands between changes nothing.
import { createHash } from 'node:crypto';
import OpenAI, { toFile } from 'openai';
import { WebSocket } from 'ws';

const { BASE_URL, API_KEY } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0, timeout: 30_000 });

const messages = [{ role: 'user', content: 'What is the answer? Grüße, 世界 🌍' }];
const tools = ['weather', 'time'].map((name) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: {} } },
}));

const digest = (data) => ({ bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') });
const binary = async (response) => digest(Buffer.from(await response.arrayBuffer()));

// All that comes of a stream or a list of pages.
async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

// The answer's headers, but for the time of day.
const headers = (list) => [...list].filter(([name]) => name !== 'date').sort();

// The answer as it came, and as the SDK understood it.
async function raw(promise) {
  const { data, response } = await promise.withResponse();
  return { status: response.status, headers: headers(response.headers), parsed: data };
}

async function stream(promise) {
  const { data, response } = await promise.withResponse();
  return { status: response.status, headers: headers(response.headers), events: await all(data) };
}

// An error as the SDK throws it. Not whole: without the words and headers, which are the gateway's own.
async function failure(call, whole = true) {
  try {
    await call();
  } catch (error) {
    const seen = { class: error.constructor.name, status: error.status, type: error.type, code: error.code };
    return whole ? { ...seen, message: error.message, body: error.error, headers: headers(error.headers) } : seen;
  }
  return 'no error';
}

async function chat() {
  const plain = { model: 'gpt-4o-mini', messages };
  const create = (more, options) => client.chat.completions.create({ ...plain, ...more }, options);
  return {
    plain: await raw(create({})),
    choices: await raw(create({ n: 2 })),
    stream: await stream(
      create({ stream: true, stream_options: { include_usage: true } }, { headers: { 'mock-events': '40' } }),
    ),
    tools: await raw(create({ tools })),
    toolsStream: await stream(create({ tools, stream: true })),
    completion: await raw(client.completions.create({ model: 'm', prompt: ['one', 'two'] })),
    completionStream: await stream(client.completions.create({ model: 'm', prompt: 'one', stream: true })),
  };
}

async function media() {
  const audio = await toFile(Buffer.alloc(76_800, 'audio'), 'a.wav');
  const image = await client.images.generate({ model: 'dall-e-3', prompt: 'a toll gate', response_format: 'b64_json' });
  const speech = { model: 'tts-1', voice: 'alloy', input: 'hello' };
  return {
    embeddings: await raw(
      client.embeddings.create({ model: 'm', input: ['one', 'two'], encoding_format: 'float' }),
    ),
    packed: await client.embeddings.create({ model: 'm', input: 'one', dimensions: 16 }),
    image: digest(Buffer.from(image.data[0].b64_json, 'base64')),
    transcription: await raw(client.audio.transcriptions.create({ model: 'whisper-1', file: audio })),
    speech: await binary(await client.audio.speech.create(speech, { headers: { 'mock-size': '300000' } })),
  };
}

async function files() {
  const lines = Array.from({ length: 5000 }, (_, i) => `{"line": ${i}}\n`).join('');
  const uploaded = await client.files.create({ file: await toFile(Buffer.from(lines), 'ümläut.jsonl'), purpose: 'batch' });
  return {
    uploaded,
    listed: await all(client.files.list()),
    retrieved: await client.files.retrieve(uploaded.id),
    content: await binary(await client.files.content(uploaded.id)),
    deleted: await client.files.delete(uploaded.id),
    left: await all(client.files.list()),
  };
}

async function models() {
  return {
    listed: await all(client.models.list()),
    plain: await client.models.retrieve('gpt-4o-mini'),
    withSlash: await client.models.retrieve('meta/llama'),
  };
}

async function responses() {
  return {
    plain: await raw(client.responses.create({ model: 'gpt-4o-mini', input: 'Who are you?' })),
    stream: await stream(client.responses.create({ model: 'gpt-4o-mini', input: messages, stream: true })),
  };
}

// As a browser does it, which can send a key only as a subprotocol. (The SDK's own class insists on TLS.)
function realtime() {
  const url = `${BASE_URL.replace(/^http/, 'ws')}/realtime?model=gpt-realtime`;
  const socket = new WebSocket(url, ['realtime', `openai-insecure-api-key.${API_KEY}`]);
  const seen = [];
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => {
      socket.send('text');
      socket.send(Buffer.alloc(100_000, 'binary'));
    });
    socket.on('message', (data, isBinary) => {
      seen.push(isBinary ? digest(data) : data.toString());
      if (seen.length === 3) socket.close(1000, 'done');
    });
    socket.on('close', (code, reason) => resolve({ seen, code, reason: reason.toString(), protocol: socket.protocol }));
  });
}

async function errors() {
  const stranger = client.withOptions({ apiKey: 'wrong-key-0123456789' });
  const ask = { model: 'm', messages };
  const ordered = (orders) => () => client.chat.completions.create(ask, { headers: orders });
  return {
    wrongKey: await failure(() => stranger.models.list(), false),
    notFound: await failure(() => client.models.retrieve('none')),
    tooMany: await failure(ordered({ 'mock-status': '429', 'mock-header': 'retry-after: 1' })),
    badRequest: await failure(() => client.chat.completions.create({ model: 'm', messages: [] })),
    broken: await failure(ordered({ 'mock-status': '503' })),
  };
}

const seen = {};
for (const section of [chat, media, files, models, responses, realtime, errors]) {
  seen[section.name] = await section();
}
process.stdout.write(JSON.stringify(seen, null, 1));
