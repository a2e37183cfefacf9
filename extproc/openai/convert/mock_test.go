package convert_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
	"tollgate/extproc/openai/convert"
	"tollgate/test/mock"
)

// TestBothFormsOfOneUpstream: what the mock streams becomes what it answers plainly to the same request,
// and what it answers plainly becomes a stream of the same.
func TestBothFormsOfOneUpstream(t *testing.T) {
	server := mock.New(mock.Options{})
	ask := func(api openai.API, body string) []byte {
		path := map[openai.API]string{
			openai.Chat: "/v1/chat/completions", openai.Completions: "/v1/completions", openai.Responses: "/v1/responses", openai.Messages: "/v1/messages",
		}[api]
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		answer, err := io.ReadAll(recorder.Body)
		if err != nil || recorder.Code != http.StatusOK {
			t.Fatalf("%d %s %v", recorder.Code, answer, err)
		}
		return answer
	}
	for _, c := range []struct {
		api     openai.API
		members string
		noUsage bool // the mock streams none
	}{
		{openai.Chat, `"messages":[{"role":"user","content":"Grüße an alle 😀"}],"stream_options":{"include_usage":true}`, false},
		{openai.Chat, `"messages":[{"role":"user","content":"hi"}],"n":3,"stream_options":{"include_usage":true}`, false},
		{openai.Chat, `"messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}]`, false},
		{openai.Completions, `"prompt":["one","two"]`, true},
		{openai.Responses, `"input":"hi"`, false},
		{openai.Messages, `"messages":[{"role":"user","content":"hi"}],"max_tokens":9`, false},
	} {
		plain := ask(c.api, `{"model":"m",`+c.members+`}`)
		stream := ask(c.api, `{"model":"m","stream":true,`+c.members+`}`)
		want := meaning(t, plain)
		if object, ok := want.(map[string]any); ok && c.noUsage {
			delete(object, "usage")
		}
		if diff := cmp.Diff(want, meaning(t, plainOf(t, c.api, [][]byte{stream}))); diff != "" {
			t.Errorf("%s %s (-plain +of the stream)\n%s", c.api, c.members, diff)
		}
		made, err := convert.StreamFromPlain(c.api, plain, convert.Options{IncludeUsage: !c.noUsage})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(assembled(c.api, stream), assembled(c.api, bytes.Join(made, nil))); diff != "" {
			t.Errorf("%s %s (-streamed +of the plain)\n%s", c.api, c.members, diff)
		}
	}
}

// assembled is a stream as Tollgate reads it.
func assembled(api openai.API, stream []byte) *openai.Answer {
	a := openai.NewAssembler(api)
	var reader openai.Reader
	reader.Feed(stream, a.Add)
	return a.Answer()
}
