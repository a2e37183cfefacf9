package convert_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/extproc/openai/convert"
)

// FuzzMutatedBodies: whatever is put in whatever place of an answer, it is the same there and back, or
// it is not converted.
func FuzzMutatedBodies(f *testing.F) {
	all := bodies(f)
	maps.DeleteFunc(all, func(_, body string) bool { return len(body) > 1<<14 })
	names := slices.Sorted(maps.Keys(all))
	for i := range names {
		f.Add(uint8(i), []byte{5, 9}, []byte("\x01\x02\x03\x04"))
		f.Add(uint8(i), []byte{30}, []byte{3})
	}
	f.Fuzz(func(t *testing.T, which uint8, places, values []byte) {
		name := names[int(which)%len(names)]
		tree := meaning(t, []byte(all[name]))
		for i, place := range places[:min(len(places), len(values), 8)] {
			left := int(place)
			tree = mutate(tree, &left, values[i])
		}
		body, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := convert.StreamFromPlain(apiOf(name), body, convert.Options{IncludeUsage: true})
		if err != nil {
			if !errors.Is(err, convert.ErrNotConvertible) {
				t.Error(err)
			}
			return
		}
		got := plainOf(t, apiOf(name), stream)
		if diff := cmp.Diff(normal(tree), normal(meaning(t, got))); diff != "" {
			t.Errorf("%s\n(-before +after)\n%s", body, diff)
		}
	})
}

// mutate puts a value in the place of the one that is that many down the tree, or takes it out.
func mutate(tree any, left *int, value uint8) any {
	pool := []any{nil, "", "text é😀\n \"q\"", json.Number("0"), json.Number("1.50"), []any{}, map[string]any{}, true, []any{"a", json.Number("2")}, map[string]any{"index": json.Number("0"), "type": "text"}}
	*left--
	if *left < 0 {
		*left = 1 << 30
		return pool[int(value)%len(pool)]
	}
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if *left == 0 && int(value)%(len(pool)+2) >= len(pool) {
				*left = 1 << 30
				delete(tree, name)
				return tree
			}
			tree[name] = mutate(tree[name], left, value)
		}
	case []any:
		for i := range tree {
			tree[i] = mutate(tree[i], left, value)
		}
	}
	return tree
}
