package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"tollgate/config"
)

const (
	defaultConfig = "tollgate.yaml"
	defaultEnv    = ".env"
	forwardYAML   = "openai-forward-config.yaml" // where OpenAI-Forward 0.8 has it, it counts before .env
)

// source is where the configuration comes from, and what the command line says over it. A file that was
// read once counts as named from then on: should it vanish while Tollgate runs, what comes next in line must
// not take its place, which could be the environment, and everyone could pass.
type source struct {
	config string // path of a tollgate.yaml; empty: the one in the working directory, if there is one
	env    string // path of OpenAI-Forward's file, for where there is no tollgate.yaml; empty: as there
	port   uint16 // over the listener's; 0: as configured
	admin  string // over admin.address; empty: as configured

	ungrouped bool // it is for one Envoy, that belongs to no group

	reader config.Reader
}

func (s *source) addFlags(flags *pflag.FlagSet) {
	s.addFileFlags(flags)
	flags.Uint16Var(&s.port, "port", 0, "the `port` for clients, over what the configuration says")
	flags.StringVar(&s.admin, "admin", "", "the `address` for operators, over what the configuration says")
}

// addFileFlags is for verbs to which addresses mean nothing.
func (s *source) addFileFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&s.config, "config", "c", "", "the `file` to read (default tollgate.yaml, if there is one)")
	flags.StringVar(&s.env, "env", "", "OpenAI-Forward's `file`, read where there is no tollgate.yaml (default openai-forward-config.yaml, if there is one, else .env)")
}

// path gives the tollgate.yaml to read; empty where the environment is the source.
func (s *source) path() (string, error) {
	if s.config != "" {
		return s.config, nil
	}
	_, err := os.Stat(defaultConfig)
	switch {
	case err == nil:
		return defaultConfig, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	}
	return "", fmt.Errorf("looking for %s: %w", defaultConfig, err)
}

// load reads the configuration.
func (s *source) load() (*config.Config, error) {
	path, err := s.path()
	if err != nil {
		return nil, err
	}
	var c *config.Config
	if path != "" {
		c, err = s.reader.Load(path, os.LookupEnv)
	} else {
		c, err = s.loadEnv()
	}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return nil, fmt.Errorf("the configuration cannot be used:\n%w", indent(problems))
	case errors.Is(err, fs.ErrNotExist):
		return nil, withHint(err, "name the file by --config or --env, or start where tollgate.yaml is")
	case errors.Is(err, fs.ErrPermission):
		return nil, withHint(err, "whoever runs tollgate must be able to read it: chown it to them; it may hold keys")
	case err != nil:
		return nil, err
	}
	if s.ungrouped && len(c.Groups) > 0 {
		return nil, withHint(errors.New("the configuration has groups of Envoys, and this one would belong to none"),
			"start `tollgate serve`, and each Envoy with what `tollgate bootstrap --group` prints")
	}
	if s.port != 0 {
		c.Listener.Address = netip.AddrPortFrom(c.Listener.Address.Addr(), s.port)
	}
	if s.admin != "" {
		if c.Admin.Address, err = netip.ParseAddrPort(s.admin); err != nil {
			return nil, fmt.Errorf("--admin must be IP:PORT, such as %s, and not %q", config.DefaultAdmin, s.admin)
		}
		if c.Admin.Exposed() {
			return nil, fmt.Errorf("--admin %s %s", s.admin, config.ExposedHint)
		}
	}
	if path != "" {
		s.config = path
	}
	return c, nil
}

// loadEnv reads what OpenAI-Forward reads: a file, if there is one or one is named, and the environment.
func (s *source) loadEnv() (*config.Config, error) {
	file := forwardFile(s.env)
	_, err := os.Stat(file)
	if err != nil && s.env != "" {
		return nil, fmt.Errorf("reading OpenAI-Forward's variables: %w", err)
	}
	c, loadErr := config.LoadEnv(file, os.LookupEnv)
	if err == nil && loadErr == nil {
		s.env = file
	}
	return c, loadErr //nolint:wrapcheck // it says what was being read
}

// changed tells whether any of the files that were read has changed since, or another one counts now, without reading
// what they mean.
func (s *source) changed(files []config.File) bool {
	return s.file() != files[0].Path || slices.ContainsFunc(files, config.File.Changed)
}

// file is the one that counts, tollgate.yaml or OpenAI-Forward's; empty: it cannot be told.
func (s *source) file() string {
	path, err := s.path()
	if err == nil && path == "" {
		path = forwardFile(s.env)
	}
	return path
}

// forwardFile is the file of OpenAI-Forward that counts where none is named.
func forwardFile(named string) string {
	if named != "" {
		return named
	}
	if info, err := os.Stat(forwardYAML); err == nil && info.Size() > 0 {
		return forwardYAML
	}
	return defaultEnv
}

// args hands the source on to a child process.
func (s *source) args() []string {
	var args []string
	if s.env != "" {
		args = append(args, "--env", s.env)
	}
	if s.config != "" {
		args = append(args, "--config", s.config)
	}
	if s.port != 0 {
		args = append(args, "--port", strconv.Itoa(int(s.port)))
	}
	if s.admin != "" {
		args = append(args, "--admin", s.admin)
	}
	return args
}
