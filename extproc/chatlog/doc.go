// Package chatlog records what was asked and answered: JSON Lines, one line for the request and one
// for the answer, tied by uid, in the layout of OpenAI-Forward.
//
//	DIR/PREFIX/chat/chat.log           completion/completion.log  whisper/whisper.log
//	DIR/PREFIX/embedding/embedding.log responses/responses.log    messages/messages.log
//
// PREFIX is the route's, with _ for / ("openai" for the route /). Files are for their owner only.
//
// # What it promises
//
// Nobody who is recorded waits: lines go through a bounded queue to one writer. What does not fit, or
// cannot be written because the disk is full or read-only, is dropped whole, counted, and said once;
// when writing works again it goes on by itself. [Log.Close] writes all that was accepted.
//
// A record holds no key: headers are not in it. What people wrote is, unless [Options] takes it out.
package chatlog
