package limit

import (
	"context"
	"crypto/sha1" //nolint:gosec // this is how Redis names scripts
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// A script is one that the server may or may not know.
type script struct{ text, digest string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // this is how Redis names scripts
	return script{text, hex.EncodeToString(sum[:])}
}

// run calls the script by its digest, and sends the text where the server does not know it.
func (s script) run(ctx context.Context, client redis.UniversalClient, keys []string, args []any) *redis.Cmd {
	ctx = context.WithoutCancel(ctx)
	cmd := s.command(ctx, client, "evalsha", s.digest, keys, args)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = s.command(ctx, client, "eval", s.text, keys, args)
	}
	return cmd
}

func (s script) command(ctx context.Context, client redis.UniversalClient, verb, what string, keys []string, args []any) *redis.Cmd {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, verb, what, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	_ = client.Process(ctx, once{cmd}) // the command has its error
	return cmd
}

// once is a command that a cluster's client does not send again after a network error, only where
// a node said that it had not run it.
type once struct{ *redis.Cmd }

// NoRetry implements the library's interface.
func (once) NoRetry() bool { return true }
