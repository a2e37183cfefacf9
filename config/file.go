package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// File is a file that a configuration was read from, and a digest of what it held.
type File struct {
	Path string

	held [sha256.Size]byte
}

// Changed tells whether the file holds something else by now. One that is not there holds nothing.
func (f File) Changed() bool {
	content, err := os.ReadFile(f.Path)
	return err != nil && !errors.Is(err, fs.ErrNotExist) || sha256.Sum256(content) != f.held
}

// from notes the file that the configuration stands in, before those that it names.
func (c *Config) from(path string, content []byte) {
	c.Files = slices.Insert(c.Files, 0, File{Path: path, held: sha256.Sum256(content)})
}

// samePaths tells whether files are in the same places.
func samePaths(a, b []File) bool {
	return slices.EqualFunc(a, b, func(a, b File) bool { return a.Path == b.Path })
}
