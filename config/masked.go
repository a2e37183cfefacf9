package config

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// secretFields are the schema's fields that hold a secret, or a URL with a password in it.
func secretFields() map[string]bool {
	return map[string]bool{"keys": true, "token": true, "redis": true}
}

// mostShown is up to which size, encoded, a configuration is shown: nobody reads more, and writing it takes long.
const mostShown = 8 << 20

// masked writes a configuration for operators to read: as YAML, with what is set, every secret as its
// fingerprint. References to files and digests of keys stay, environment variables are gone. It is written when
// it is asked for first, since that takes as long as to read it; until then the message is kept, with its secrets.
func masked(message *tollgatev1.Config, config *Config) func() string {
	return sync.OnceValue(func() string {
		if size := proto.Size(message); size > mostShown {
			return fmt.Sprintf("# The configuration is too large to be shown here: %d MB.\n", size>>20)
		}
		shown, ok := proto.Clone(message).(*tollgatev1.Config)
		if !ok {
			panic("bug: a clone of another type")
		}
		secrets := secretsIn(reflect.ValueOf(config), map[uintptr]bool{})
		fields := secretFields()
		// The callback never fails, so neither does Range.
		_ = protorange.Range(shown.ProtoReflect(), func(values protopath.Values) error {
			text, isText := values.Index(-1).Value.Interface().(string)
			if isText {
				set(values, mask(text, fields[fieldOf(values)], secrets))
			}
			return nil
		})
		written, err := render(shown)
		if err != nil {
			return "# " + oneLine(err.Error()) + "\n"
		}
		return string(written)
	})
}

// fieldOf names the field that a value is in, also where that is a list.
func fieldOf(values protopath.Values) string {
	for i := len(values.Path) - 1; i >= 0; i-- {
		if step := values.Path[i]; step.Kind() == protopath.FieldAccessStep {
			return string(step.FieldDescriptor().Name())
		}
	}
	return ""
}

// mask hides a text that is a secret, or holds one.
func mask(text string, secret bool, secrets []Secret) string {
	if text == "" {
		return text
	}
	if secret && !strings.HasPrefix(text, "file:") && !strings.HasPrefix(text, "sha256:") {
		return "[secret " + NewSecret(text).Fingerprint() + "]"
	}
	for _, s := range secrets {
		if value := s.Reveal(); len(value) >= 4 {
			text = strings.ReplaceAll(text, value, "[secret "+s.Fingerprint()+"]")
		}
	}
	return text
}

// secretsIn finds all secrets in a value, wherever they are.
func secretsIn(v reflect.Value, seen map[uintptr]bool) []Secret {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return nil
		}
		seen[v.Pointer()] = true
		return secretsIn(v.Elem(), seen)
	case reflect.Slice, reflect.Array:
		var found []Secret
		for i := range v.Len() {
			found = append(found, secretsIn(v.Index(i), seen)...)
		}
		return found
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Secret]() && v.CanInterface() {
			if s, ok := v.Interface().(Secret); ok {
				return []Secret{s}
			}
		}
		var found []Secret
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				found = append(found, secretsIn(v.Field(i), seen)...)
			}
		}
		return found
	default:
		return nil
	}
}
