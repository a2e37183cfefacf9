package pyliteral_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/chatlog/pyliteral"
)

// literals are texts as repr writes them, and as people might.
func literals() []string {
	return []string{
		`{'messages': [{'role': 'user', 'content': 'it\'s "fine"\n\tdone \\'}], 'model': 'gpt-4', 'stream': True, 'n': None}`,
		`{"a": "b'c", 'é': '\xe9\u4f60\U0001f600\101'}`,
		`[1, -2, 3.5, 1e10, 2.5e-3, (), (1,), (1), (1, 2), [], {}, [1,], {'a': 1,}]`,
		`'one' "two" u'three' r'\n'`, "'''triple\n'quoted' '''", `"\q \
joined"`, `False`,
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := pyliteral.Parse(literals()[0])
	want := map[string]any{
		"messages": []any{map[string]any{"role": "user", "content": "it's \"fine\"\n\tdone \\"}},
		"model":    "gpt-4", "stream": true, "n": nil,
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAsPython compares with Python's own reader.
func TestAsPython(t *testing.T) {
	t.Parallel()
	python := os.Getenv("TOLLGATE_PYTHON")
	if python == "" {
		python = "python3"
	}
	for _, text := range literals() {
		cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", "import ast,json,sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v (needs Python 3)", text, err)
		}
		value, err := pyliteral.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		ours, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if json.Unmarshal(out, &want) != nil || json.Unmarshal(ours, &got) != nil {
			t.Fatalf("%s: not JSON: %s, %s", text, out, ours)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -Python +ours\n%s", text, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, column := range map[string]string{
		``: "1", `{'a' 1}`: "6", `[1 2]`: "4", `'abc`: "5", `{1: 2}`: "3", `b'x'`: "1", `{'a': x}`: "7",
		`'\x4'`: "2", `1 2`: "3", strings.Repeat("[", 1000): "502", `{'a': 1`: "8",
	} {
		_, err := pyliteral.Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), "column "+column+":") {
			t.Errorf("%.20s: got %v, want an error at column %s", text, err, column)
		}
	}
}

// FuzzParse: whatever comes, there is a value or an error, and a value can be written as JSON.
func FuzzParse(f *testing.F) {
	for _, text := range literals() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := pyliteral.Parse(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(value); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
