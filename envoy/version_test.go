package envoy

import "testing"

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][2]uint32{
		"\n/envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL\n\n": {1, 40},
		"envoy  version: 0/2.3.4-dev/Modified/DEBUG/BoringSSL":                                           {2, 3},
	} {
		major, minor, err := parseVersion(said)
		if major != want[0] || minor != want[1] || err != nil {
			t.Errorf("%q: got %d.%d, %v", said, major, minor, err)
		}
	}
	for _, said := range []string{"envoy  version: house build", "", "x /99999999999.1.1/"} {
		if major, minor, err := parseVersion(said); err == nil {
			t.Errorf("%q: got %d.%d, want an error", said, major, minor)
		}
	}
}
