package envoy

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// sayWithin bounds how long a program may take to tell its version.
const sayWithin = 10 * time.Second

// Version asks a program which Envoy it is.
func Version(ctx context.Context, program string) (major, minor uint32, err error) {
	ctx, cancel := context.WithTimeout(ctx, sayWithin)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	return parseVersion(string(said))
}

// parseVersion reads "envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL".
func parseVersion(said string) (major, minor uint32, err error) {
	found := regexp.MustCompile(`/(\d{1,4})\.(\d{1,4})\.\d+[^/]*/`).FindStringSubmatch(said)
	if found == nil {
		return 0, 0, fmt.Errorf("no version of Envoy: %.100q", said)
	}
	for i, into := range []*uint32{&major, &minor} {
		n, err := strconv.ParseUint(found[i+1], 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("no version of Envoy: %.100q: %w", said, err)
		}
		*into = uint32(n)
	}
	return major, minor, nil
}
