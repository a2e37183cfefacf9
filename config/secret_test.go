package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"
)

// TestSecretNeverPrints: whatever a secret stands in and whatever prints it.
func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	type holder struct {
		Key     Secret
		key     Secret
		pointer *Secret
		Keys    []Secret
		Map     map[string]Secret
		Any     any
	}
	secret := NewSecret(sentinel)
	h := holder{Key: secret, key: secret, pointer: &secret, Keys: []Secret{secret}, Map: map[string]Secret{"k": secret}, Any: secret}
	var printed []string
	for _, value := range []any{secret, &secret, h, &h, []any{secret}} {
		for _, verb := range strings.Split("%v %+v %#v %s %q %x %X %d %t %5.1f %p %T %w %z %-40s", " ") {
			printed = append(printed, fmt.Sprintf(verb, value))
		}
		printed = append(printed, fmt.Sprint(value), fmt.Sprintln(value), fmt.Errorf("why: %v", value).Error(), errors.New(fmt.Sprint(value)).Error())
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
			out, err := marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			printed = append(printed, string(out))
		}
		printed = append(printed, logged(t, value))
	}
	for _, text := range printed {
		if strings.Contains(text, sentinel) || strings.Contains(text, fmt.Sprintf("%x", sentinel)) {
			t.Errorf("the key is shown: %s", text)
		}
	}
	if shown := fmt.Sprintf("%v|%q|%x", secret, secret, secret); shown != "[secret]|[secret]|[secret]" {
		t.Errorf("printed as %s", shown)
	}
	if secret.Reveal() != sentinel || strings.Contains(secret.Fingerprint(), sentinel) || len(secret.Fingerprint()) != 8 {
		t.Errorf("revealed as %s, fingerprint %s", secret.Reveal(), secret.Fingerprint())
	}
}

// logged is what zap makes of a value in a structured and in a plain log.
func logged(t *testing.T, value any) string {
	t.Helper()
	var out strings.Builder
	for _, encoder := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zapcore.DebugLevel))
		log.Info("message", zap.Any("value", value), zap.Reflect("again", value))
		log.Sugar().Infof("value: %v", value)
	}
	return out.String()
}

// TestConfigNeverPrintsKeys: a whole configuration may be printed by mistake.
func TestConfigNeverPrintsKeys(t *testing.T) {
	t.Parallel()
	c := mustParse(t, `
upstreams: [{name: a, url: http://a, keys: [sk-sentinel-1]}]
routes: [{prefix: /, upstream: a}]
clients: [{name: alice, keys: [sk-sentinel-2]}]
`)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", c, *c, *c.Upstreams[0]), string(asJSON), logged(t, c)} {
		if strings.Contains(text, sentinel) {
			t.Errorf("a key is shown: %s", text)
		}
	}
}
