package config

import (
	"fmt"
	"strings"
	"testing"
)

// roundTrip imports a file in both ways and sees that the tollgate.yaml means the same.
func roundTrip(t *testing.T, file, content string, environment map[string]string) {
	t.Helper()
	want, message, err := parseEnv(file, content, environmentOf(environment))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{"REQ_RATE_LIMIT_BACKEND": message.GetLimitStore().GetRedis()}
	numbers := map[string]bool{}
	for _, u := range message.GetUpstreams() {
		for _, key := range u.GetKeys() {
			if !numbers[key] {
				numbers[key] = true
				keys[fmt.Sprintf("OPENAI_API_KEY_%d", len(numbers))] = key
			}
		}
	}
	for i, c := range message.GetClients() {
		keys[fmt.Sprintf("FORWARD_KEY_%d", i+1)] = c.GetKeys()[0]
	}
	for _, withKeys := range []bool{true, false} {
		written, _, err := Import(file, content, environmentOf(environment), withKeys)
		if err != nil {
			t.Fatal(err)
		}
		variables := keys
		if withKeys {
			variables = nil
		}
		got, err := Parse("tollgate.yaml", written, environmentOf(variables))
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		got.Source, got.Warnings, got.Files = want.Source, want.Warnings, want.Files // are of the way in
		if !got.Equal(want) {
			t.Errorf("means something else:\n%s\n%s\n%s", written, dump(want), dump(got))
		}
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"nothing":      "",
		"keys":         "OPENAI_API_KEY=sk-1,sk-2",
		"forward keys": "OPENAI_API_KEY=sk-1,sk-2\nFORWARD_KEY=fk-1,fk-2",
		"no keys":      "FORWARD_KEY=fk-1",
		"odd keys":     "OPENAI_API_KEY='123,true,null,~,*,&a,!b,#c,${NO}$${x},@,`,\"q\",a: b'\nFORWARD_KEY=0x1F,-,?,{,2024-01-01,%s",
		"default time": "TIMEOUT=10",
		"chat log":     "LOG_CHAT=true\nPRINT_CHAT=true\nTZ=Asia/Shanghai",
		"bare log":     "LOG_CHAT=true",
		"limits":       "REQ_RATE_LIMIT={\"/v1/chat\":\"60/minute;600/hour\"}\nGLOBAL_RATE_LIMIT=10 per 2 hours",
		"many":         "OPENAI_BASE_URL='https://a.example/x, http://b:81'\nOPENAI_ROUTE_PREFIX='/a, b/c/'\nEXTRA_BASE_URL=http://c\nEXTRA_ROUTE_PREFIX=/c${D}-$E\nOPENAI_API_KEY=sk-1\nTIMEOUT=2.5\nIP_WHITELIST=192.0.2.0/24\nIP_BLACKLIST=192.0.2.9,2001:db8::1\nPROXY=http://127.0.0.1:3128",
		"levels":       `OPENAI_API_KEY_CONFIG={"sk-a": [0, 1], "sk-b": [1, 2], "sk-c": [2]}` + "\n" + `FORWARD_KEY_CONFIG={"0": ["fk-0"], "1": ["fk-1", "fk-11"], "2": ["fk-2"]}` + "\n" + `LEVEL_MODELS={"1": ["gpt-4"], "2": ["*"]}` + "\n" + `REQ_RATE_LIMIT={"/v1": [{"level": 2, "limit": "1/day"}]}` + "\n" + `CUSTOM_MODEL_CONFIG={"backend": "ollama", "model_map": {"gpt-4": "qwen2:7b"}, "api_base": "http://localhost:11434"}`,
		"braces":       "OPENAI_ROUTE_PREFIX=/a$${B:-c}{d}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, ".env", content, map[string]string{"B": "${C}", "D": "$${"})
		})
	}
}

// TestImportShowsNoKey: unless it is asked to.
func TestImportShowsNoKey(t *testing.T) {
	t.Parallel()
	const content = "OPENAI_API_KEY=sk-sentinel-1, sk-sentinel-2\nFORWARD_KEY=sk-sentinel-3\n"
	written, _, err := Import(".env", content, environmentOf(nil), false)
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Imported from OpenAI-Forward's variables in .env.
# Every field is explained in docs/config.md.
#
# Before you start, set these environment variables to the keys:
#   OPENAI_API_KEY_1
#   OPENAI_API_KEY_2
#   FORWARD_KEY_1

upstreams:
  - name: openai
    url: https://api.openai.com
    keys:
      - ${OPENAI_API_KEY_1}
      - ${OPENAI_API_KEY_2}
routes:
  - prefix: /
    upstream: openai
    auth: passthrough # a client's key is swapped, any other travels on; required refuses others
clients:
  - name: forward-key-b525f796
    keys:
      - ${FORWARD_KEY_1}
`
	if string(written) != want {
		t.Errorf("got:\n%s", written)
	}
	_, _, err = Import(".env", content+"OPENAI_BASE_URL=sk-sentinel-url\n", environmentOf(nil), false)
	if err == nil || strings.Contains(err.Error(), sentinel) {
		t.Errorf("a bad URL: %v", err)
	}
}
