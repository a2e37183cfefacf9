package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docker is a daemon and how it is asked.
type docker struct {
	t   *testing.T
	dir string
	env []string
}

// startDocker starts a daemon. Where there can be none, the test is skipped.
func startDocker(t *testing.T) *docker {
	t.Helper()
	dir := os.Getenv(inside)
	if dir == "" {
		said, err := namespaces("true").CombinedOutput()
		t.Skipf("skipped: a daemon needs namespaces of its own, which root has: %v: %s", err, said)
	}
	for _, program := range []string{"dockerd", "docker", "containerd", "runc", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: there is no %s: Debian's packages docker.io and busybox-static have it, and `make test-compose` installs them", program)
		}
	}
	for _, name := range []string{"TOLLGATE_COMPOSE", "TOLLGATE_PROMETHEUS"} {
		if _, err := os.Stat(os.Getenv(name)); err != nil {
			t.Skipf("skipped: %s names no program, which `make test-compose` gets: %v", name, err)
		}
	}
	if said, err := exec.CommandContext(t.Context(), "busybox", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("skipped: no network of its own for the daemon: %v: %s", err, said)
	}
	plugins := filepath.Join(dir, "config", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Getenv("TOLLGATE_COMPOSE"), filepath.Join(plugins, "docker-compose")); err != nil {
		t.Fatal(err)
	}
	d := &docker{t: t, dir: dir, env: append(os.Environ(),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "docker.sock"), "DOCKER_CONFIG="+filepath.Join(dir, "config"), "HOME="+dir,
		"DOCKER_BUILDKIT=1")}
	var err error
	for _, driver := range []string{"overlay2", "vfs"} {
		if err = d.serve(driver); err == nil {
			t.Logf("the daemon stores by %s", driver)
			break
		}
	}
	if err != nil {
		t.Skipf("skipped: no daemon starts here: %v", err)
	}
	if err := d.tryContainer(); err != nil {
		t.Skipf("skipped: no container runs here: %v", err)
	}
	return d
}

// tryContainer runs a program as Compose would: in a network of its own, with a port outside.
func (d *docker) tryContainer() error {
	d.standIn("try", func(i *image) { i.commands("true") })
	_, networked := d.try(d.t.Context(), "network", "create", "try")
	_, ran := d.try(d.t.Context(), "run", "--rm", "--network", "try", "--publish", "127.0.0.1::80", "--cap-drop", "ALL", "--read-only", "try", "/bin/true")
	_, removed := d.try(d.t.Context(), "network", "rm", "try")
	return errors.Join(networked, ran, removed)
}

// serve starts dockerd. It ends with the namespaces.
func (d *docker) serve(driver string) error {
	empty := filepath.Join(d.dir, "daemon.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		return err
	}
	cmd := exec.Command("dockerd", "--config-file", empty, "--storage-driver", driver, "--bridge", "none",
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/"+filepath.Base(d.dir),
		"--data-root", filepath.Join(d.dir, driver), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "docker.pid"), "--host", "unix://"+filepath.Join(d.dir, "docker.sock"))
	log, err := os.Create(filepath.Join(d.dir, driver+".log"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(time.Minute)
	for err = errors.New("it does not answer"); err != nil; {
		select {
		case failed := <-ended:
			return fmt.Errorf("dockerd ended: %w: %s", failed, lastLine(log.Name()))
		case <-deadline:
			_ = cmd.Process.Kill()
			return fmt.Errorf("%w: %s", err, lastLine(log.Name()))
		case <-again.C:
			_, err = d.try(d.t.Context(), "version")
		}
	}
	d.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			d.t.Logf("dockerd ended: %v", err)
		}
	})
	return nil
}

func lastLine(file string) []byte {
	text, _ := os.ReadFile(file)
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

// try runs docker.
func (d *docker) try(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env, cmd.Stderr = d.env, &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s%s", strings.Join(args, " "), err, out, &said)
	}
	return strings.TrimSpace(string(out)), nil
}

// run runs docker, which must do as it is told.
func (d *docker) run(args ...string) string {
	d.t.Helper()
	out, err := d.try(d.t.Context(), args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}
