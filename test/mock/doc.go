// Package mock is an upstream that speaks enough of OpenAI's API (and Anthropic's messages) that
// official SDKs are content. `tollgate mock` serves it, and the tests use it.
//
// It is deterministic: the same request gets the same bytes, whenever it comes. Ids and times are
// fixed, texts are made from what was asked, binary content is one known pattern. Only uploaded
// files are remembered, until they are deleted.
//
// What it serves: chat completions (plain, streamed, tool calls), completions, embeddings,
// responses, images, transcriptions, speech, files, models, messages, realtime (a WebSocket that
// echoes), /benchmark/v1/chat/completions, and /echo with all below it, which tells what arrived.
//
// # Behaviour to order
//
// Request headers make it behave, so that no test needs a server of its own:
//
//	mock-status: 429           answer so; from 400 on with an error in OpenAI's shape
//	mock-delay: 200ms          wait before the first byte
//	mock-events: 100           so many content events in a stream
//	mock-interval: 5ms         wait between two events (or 64 KiB chunks)
//	mock-stall: 10s            wait once, in the middle of the body
//	mock-size: 1048576         so many bytes of speech or file content
//	mock-encoding: gzip        compress the answer
//	mock-header: Name: value   add a header to the answer (repeatable)
//	mock-trailers: Name: value add a trailer to the answer (repeatable)
//	mock-step: NAME            send each event only when [Server.Step] says so
//	mock-break: WHERE          cut the connection: after-headers, mid-body (between two events, or
//	                           within the only one), mid-event, or reset (before any header)
//	mock-garble: HOW           send what no upstream should: not-http, chunk (a chunk's length is none), too-long
//	                           or too-short (content-length), half (a part as if it were whole), noise (within)
//	mock-words: some words     answer with these
//	mock-times: NAME 2         all this for the first two requests with this NAME, others as usual
//	mock-for-key: KEY          all this for requests that show this key, others as usual
//
// A value that makes no sense, or another header that begins so, is a 400 with a sentence.
package mock
