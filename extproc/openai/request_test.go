package openai_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai"
)

func TestParseRequestJSON(t *testing.T) {
	for _, c := range []struct {
		name, body, model string
		stream            bool
		fields            map[string]string
	}{
		{
			"all", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}],"n": 2 }`, "gpt-4o", true,
			map[string]string{"model": `"gpt-4o"`, "stream": "true", "messages": `[{"role":"user","content":"hi"}]`, "n": "2"},
		},
		{"the last of two counts", `{"model":"a","stream":true,"model":"b","stream":false}`, "b", false, map[string]string{"model": `"b"`, "stream": "false"}},
		{"an escaped name is the same name", `{"mod\u0065l":"a"}`, "a", false, map[string]string{"model": `"a"`}},
		{"another case is another name", `{"Model":"a"}`, "", false, map[string]string{"Model": `"a"`}},
		{"a model that is no string", `{"model":{"name":"a"}}`, "", false, map[string]string{"model": `{"name":"a"}`}},
		{"null", `{"model":null,"stream":null}`, "", false, map[string]string{"model": "null", "stream": "null"}},
		{"nothing", ` {} `, "", false, map[string]string{}},
		{"with a byte order mark", "\xef\xbb\xbf{\"model\":\"a\"}", "a", false, map[string]string{"model": `"a"`}},
		{"numbers stay as they were sent", `{"seed":12345678901234567890,"t":1.0e-2}`, "", false, map[string]string{"seed": "12345678901234567890", "t": "1.0e-2"}},
	} {
		// Upstreams do not look at the content-type; neither may a rule that looks for the model.
		for _, kind := range []string{"application/json", "", "text/plain", "application/x-www-form-urlencoded", "; ;"} {
			got, err := openai.ParseRequest(openai.Chat, kind, []byte(c.body))
			if err != nil {
				t.Errorf("%s, %q: %v", c.name, kind, err)
				continue
			}
			fields := map[string]string{}
			for name, raw := range got.Fields {
				fields[name] = string(raw)
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" || got.Model != c.model || got.Stream != c.stream || got.API != openai.Chat {
				t.Errorf("%s, %q: got model %q, stream %v\n%s", c.name, kind, got.Model, got.Stream, diff)
			}
		}
	}
}

// TestParseRequestErrors checks what is said, and that nothing of the body is.
func TestParseRequestErrors(t *testing.T) {
	form := "multipart/form-data; boundary=b"
	for _, c := range []struct{ name, kind, body, want string }{
		{"empty", "", "", "the body is empty; a JSON object is expected"},
		{"blank", "", " \n", "the body is empty; a JSON object is expected"},
		{"cut short", "", `{"model":"SECRET`, "the body is not valid JSON: it goes wrong at byte 16 of 16"},
		{"not JSON", "", `SECRET`, "the body is not valid JSON: it goes wrong at byte 1 of 6"},
		{"more after it", "", `{"a":1}SECRET`, "the body is not valid JSON: it goes wrong at byte 8 of 13"},
		{"array", "", `["SECRET"]`, "the body is JSON, but an array where an object is expected"},
		{"string", "", `"SECRET"`, "the body is JSON, but a string where an object is expected"},
		{"number", "", `7`, "the body is JSON, but a number where an object is expected"},
		{"boolean", "", `true`, "the body is JSON, but a boolean where an object is expected"},
		{"null", "", `null`, "the body is JSON, but null where an object is expected"},
		{"no boundary", "multipart/form-data", "SECRET", "the content-type is multipart/form-data, but has no usable boundary"},
		{"bad boundary", "multipart/form-data; boundary", "SECRET", "the content-type is multipart/form-data, but has no usable boundary"},
		{"no form", form, "SECRET", "the body is not a valid form: it goes wrong at part 1"},
		{"form without end", form, "--b\r\nContent-Disposition: form-data; name=model\r\n\r\nSECRET", "the body is not a valid form: part 1 has no end"},
		{"too many parts", form, strings.Repeat("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n", 1001) + "--b--\r\n", "the form has more than 1000 parts"},
	} {
		_, err := openai.ParseRequest(openai.Chat, c.kind, []byte(c.body))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestParseRequestForm(t *testing.T) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, pair := range [][2]string{
		{"model", "whisper-0"},
		{"model", "whisper-1"},
		{"stream", "true"},
		{"prompt", "say \"hi\"\n"},
		{"timestamp_granularities[]", "word"},
		{"timestamp_granularities[]", "segment"},
	} {
		if err := form.WriteField(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "speech.mp3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = file.Write(bytes.Repeat([]byte{0xff, '\r', '\n', '-'}, 1<<16)); err != nil {
		t.Fatal(err)
	}
	if err = form.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := openai.ParseRequest(openai.Transcriptions, form.FormDataContentType(), body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := &openai.Request{
		API: openai.Transcriptions, Model: "whisper-1", Stream: true,
		Repeated: true,
		Fields: map[string]json.RawMessage{
			"model": json.RawMessage(`"whisper-1"`), "stream": json.RawMessage(`"true"`), "prompt": json.RawMessage(`"say \"hi\"\n"`),
			"timestamp_granularities[]": json.RawMessage(`["word","segment"]`),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzParseRequest wants what encoding/json reads to be read, and each field to be JSON.
func FuzzParseRequest(f *testing.F) {
	f.Add("application/json", []byte(`{"model":"a","stream":true,"x":[{}]}`))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--b--\r\n"))
	f.Add("", []byte(`[`))
	f.Add("", []byte(` {"a":1,"a":{"b":[1e5,"\u0061"]},"\u0061b":null,"":""} `))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		got, err := openai.ParseRequest(openai.Chat, kind, body)
		var theirs map[string]json.RawMessage
		isJSON := json.Unmarshal(body, &theirs) == nil && theirs != nil
		if kind == "" && isJSON != (err == nil) && !bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
			t.Errorf("%v, encoding/json: %v", err, isJSON)
		}
		if err != nil {
			return
		}
		if kind == "" && isJSON && utf8.Valid(body) {
			if diff := cmp.Diff(theirs, got.Fields); diff != "" {
				t.Errorf("(-encoding/json +ours):\n%s", diff)
			}
		}
		for name, raw := range got.Fields {
			if !json.Valid(raw) {
				t.Errorf("field %q is not JSON: %q", name, raw)
			}
		}
		if raw, ok := got.Fields["model"]; got.Model != "" && (!ok || raw[0] != '"') {
			t.Errorf("model %q of %q", got.Model, raw)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	message := `{"role":"user","content":"` + strings.Repeat("tell me about it ", 60) + `"}`
	for name, n := range map[string]int{"1KB": 1, "100KB": 100} {
		body := []byte(`{"model":"gpt-4o","stream":true,"messages":[` + strings.Repeat(message+",", n-1) + message + `],"temperature":0.7}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openai.ParseRequest(openai.Chat, "application/json", body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
