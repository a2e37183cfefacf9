package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tollgate/config"
)

// tokenVariable is the environment variable that holds the admin port's token. A flag would show it to all
// processes of the machine.
const tokenVariable = "TOLLGATE_ADMIN_TOKEN" //nolint:gosec // a name, and no token

// adminPort is a running tollgate's port for operators.
type adminPort struct {
	address   string
	tokenFile string
}

func (p *adminPort) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.address, "admin", config.DefaultAdmin, "its `address` for operators")
	flags.StringVar(&p.tokenFile, "token-file", "", "the `file` with its token, where it has one (default: $"+tokenVariable+")")
}

// ask sends a request. The answer is a 200, and its body is to be closed.
func (p *adminPort) ask(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.address+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking tollgate: %w", err)
	}
	token := os.Getenv(tokenVariable)
	if p.tokenFile != "" {
		content, err := os.ReadFile(p.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		token = strings.TrimSpace(string(content))
	}
	if token != "" {
		request.Header.Set("authorization", "Bearer "+token)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return nil, withHint(fmt.Errorf("asking tollgate: %w", err), "is tollgate running? --admin says where it listens for operators")
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<12))
	err = fmt.Errorf("asking tollgate for %s: %s: %s", path, response.Status, strings.TrimSpace(string(said)))
	if response.StatusCode == http.StatusUnauthorized {
		return nil, withHint(err, "set "+tokenVariable+" to admin.token, or name its file by --token-file")
	}
	if response.StatusCode == http.StatusNotFound {
		return nil, withHint(err, "with admin.metrics_only it serves /metrics alone")
	}
	return nil, err
}

// read asks for JSON.
func (p *adminPort) read(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	response, err := p.ask(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading what tollgate says: %w", err)
	}
	return nil
}

// askWithin bounds how long an operator waits.
const askWithin = 10 * time.Second
