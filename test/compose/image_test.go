package compose

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// image collects the files of an image that stands in for one that cannot be pulled.
type image struct {
	t    *testing.T
	tar  *tar.Writer
	done map[string]bool
}

// standIn makes an image of files of this machine. Changes are instructions of a Dockerfile.
func (d *docker) standIn(name string, fill func(*image), changes ...string) {
	d.t.Helper()
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	cmd := exec.CommandContext(d.t.Context(), "docker", append(args, "-", name)...)
	cmd.Env = d.env
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	i := &image{t: d.t, tar: tar.NewWriter(in), done: map[string]bool{}}
	i.directory("tmp", 0o1777, 0)
	fill(i)
	if err := errors.Join(i.tar.Close(), in.Close(), cmd.Wait()); err != nil {
		d.t.Fatalf("making the image %s: %v: %s", name, err, &said)
	}
}

func (i *image) write(h *tar.Header, content io.Reader) {
	i.t.Helper()
	if i.done[h.Name] {
		return
	}
	i.done[h.Name] = true
	err := i.tar.WriteHeader(h)
	if err == nil && content != nil {
		_, err = io.Copy(i.tar, content)
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *image) directory(name string, mode int64, owner int) {
	i.write(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

func (i *image) link(name, to string) {
	i.write(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}, nil)
}

// file copies one, whatever links lead to it.
func (i *image) file(name, from string) {
	i.t.Helper()
	f, err := os.Open(from)
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		i.t.Fatal(err)
	}
	i.write(&tar.Header{Name: name, Mode: int64(info.Mode().Perm() | 0o444), Size: info.Size()}, f)
}

// program copies one, and the libraries that it is linked with.
func (i *image) program(name, from string) {
	i.t.Helper()
	found, err := exec.LookPath(from)
	if err != nil {
		i.t.Fatal(err)
	}
	i.file(name, found)
	out, err := exec.CommandContext(i.t.Context(), "ldd", found).Output()
	if err != nil {
		return // it is linked with none
	}
	for word := range strings.FieldsSeq(string(out)) {
		if path.IsAbs(word) {
			i.file(strings.TrimPrefix(word, "/"), word)
		}
	}
}

// tree copies a directory.
func (i *image) tree(name, from string) {
	i.t.Helper()
	err := filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			i.file(path.Join(name, filepath.ToSlash(strings.TrimPrefix(file, from))), file)
		}
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// commands are what a shell needs to be one.
func (i *image) commands(names ...string) {
	i.program("bin/busybox", "busybox")
	for _, name := range names {
		i.link("bin/"+name, "busybox")
	}
}

// modules copies what `go mod download` asks a proxy for, as far as the program needs it.
func (i *image) modules(name, root string) {
	i.t.Helper()
	cache := filepath.Join(goEnv(i.t, "GOMODCACHE"), "cache", "download")
	cmd := exec.CommandContext(i.t.Context(), "go", "mod", "download", "-json")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		i.t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var m struct{ Zip string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			i.t.Fatal(err)
		}
		i.file(path.Join(name, filepath.ToSlash(strings.TrimPrefix(m.Zip, cache))), m.Zip)
	}
	// Of all others, what they need is read, and no more.
	err = filepath.WalkDir(cache, func(file string, entry fs.DirEntry, err error) error {
		if ext := filepath.Ext(file); err == nil && entry.Type().IsRegular() && (ext == ".mod" || ext == ".info") {
			i.file(path.Join(name, filepath.ToSlash(strings.TrimPrefix(file, cache))), file)
		}
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// compiled copies the packages of the program as far as they are compiled here already, out of Go's cache, so that the
// image does not take minutes to make. Go itself decides whether they are what it would have made.
func (i *image) compiled(name, root string) {
	i.t.Helper()
	cmd := exec.CommandContext(i.t.Context(), "go", "list", "-export", "-deps", "-trimpath", "-f", "{{.Export}}", "./cmd/tollgate")
	cmd.Dir, cmd.Stderr, cmd.Env = root, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		i.t.Fatal(err)
	}
	wanted := map[string]bool{}
	for file := range strings.FieldsSeq(string(out)) {
		id := strings.TrimSuffix(filepath.Base(file), "-d")
		wanted[id] = true
		i.file(path.Join(name, id[:2], id+"-d"), file)
	}
	// What says which of them came of what: v1, what went in, what came out, its size, when.
	cache := goEnv(i.t, "GOCACHE")
	err = filepath.WalkDir(cache, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "-a") || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(file)
		if words := strings.Fields(string(text)); err == nil && len(words) == 5 && wanted[words[2]] {
			i.file(path.Join(name, entry.Name()[:2], entry.Name()), file)
		}
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(fmt.Errorf("go env %s: %w", name, err))
	}
	return strings.TrimSpace(string(out))
}
