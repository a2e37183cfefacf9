// Package tokens says how many tokens a request may take, and how many it has taken where the upstream
// does not tell.
//
//   - [Reserve] is in the path of every request whose tokens are limited. It estimates: a tokenizer takes
//     some 200 ns a byte, an estimate 5.
//   - [Count] is beside the path, for streams that end without usage. It tokenizes, 64 KiB of the prompt
//     and as much of the answer; of longer ones it counts parts that are spread over them.
//
// # How near
//
// Text of OpenAI's models is counted as OpenAI counts it, but for a token now and then where a line of
// nothing but spaces follows another, or where text of more than a kilobyte has no space. What chats add
// to their text is counted by the rule that OpenAI's cookbook gives. Tools are counted as the JSON that
// they are, which is a sixth more than they take with OpenAI. Reasoning that the upstream keeps to itself
// cannot be counted, nor can what it remembers of earlier calls (previous_response_id). The bytes of
// images, audio and files are never counted: each takes a flat figure.
//
// Vocabularies of others are not at hand, and their models are counted with o200k_base. For English, code
// and JSON, Llama 3 takes as many tokens, Claude 2 up to an eighth and Mistral 7B a quarter more; for
// languages of other scripts than Latin, up to four times as many.
//
// The estimate is meant to be too large rather than too small. Of 1,600 texts in 45 languages and formats
// it was below the truth for one in twelve, and by more than a tenth for one in sixty; it was an eighth
// above it on average, and more than half above it for one in a hundred. It is farthest below for languages
// that the vocabulary hardly knows (Lao, Uzbek; Indonesian with cl100k_base), and farthest above for
// capitals, Thai and Hindi.
//
// # The library
//
// github.com/tiktoken-go/tokenizer has the vocabularies compiled in, takes n·log n for n bytes without a
// space, is released still, and is MIT-licensed. Two vocabularies are 10 MB of the program; each is loaded
// when it is first needed, once (20 ms; 7 and 4 MB). Its splitter is quadratic in some runs of white
// space, so it is given a kilobyte at a time. github.com/pkoukk/tiktoken-go with its offline loader takes
// three times as long for text, the square of n for text without spaces (4 s for 64 KiB of one letter), half
// a second and 17 MB to load one vocabulary, and has all four in the program.
package tokens
