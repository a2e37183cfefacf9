package mock_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestGarbled: each kind of garbage is what it is said to be, for streams and plain answers.
func TestGarbled(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	for _, body := range []string{chat + `,"stream":true}`, chat + "}"} {
		_, usual, err := ask(t, "POST", url+"/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		half := usual[:len(usual)/2]
		for how, want := range map[string]struct {
			body string
			err  string
		}{
			"not-http":  {"", "malformed HTTP"},
			"chunk":     {half, "invalid byte in chunk length"},
			"too-long":  {usual, io.ErrUnexpectedEOF.Error()},
			"too-short": {half, ""},
			"half":      {half, ""},
		} {
			_, got, err := ask(t, "POST", url+"/v1/chat/completions", body, "mock-garble", how)
			if got != want.body || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
				t.Errorf("%s: got %q, %v; want %q, %q", how, got, err, want.body, want.err)
			}
		}
		_, noisy, err := ask(t, "POST", url+"/v1/chat/completions", body, "mock-garble", "noise")
		if err != nil || noisy == usual || strings.Replace(noisy, mock.Noise, "", 1) != usual {
			t.Errorf("noise: got %q, %v", noisy, err)
		}
	}
}

// TestWords: an answer has the words that were ordered, as many as were ordered.
func TestWords(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	_, got, err := ask(t, "POST", url+"/v1/chat/completions", chat+"}", "mock-words", "a b", "mock-events", "3")
	if want := `"content":"a b a"`; err != nil || !strings.Contains(got, want) {
		t.Error(errors.Join(err, errors.New("got "+got+", want "+want)))
	}
}
