package mock

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// keptContent is how much of an upload is kept. Of a longer file the content is the pattern, as
	// many bytes as the file has.
	keptContent = 1 << 20

	// keptFiles bounds how many files there are; the oldest goes.
	keptFiles = 1000
)

// file is one that was uploaded. Its id is made of its digest, so that the same file has the same.
type file struct {
	id, purpose string
	upload
}

func (f *file) object() object {
	return object{
		"id": f.id, "object": "file", "bytes": f.length, "created_at": created, "filename": f.name,
		"purpose": f.purpose, "status": "processed", "sha256": f.digest,
	}
}

func (c *call) uploadFile() {
	fields, sent, err := c.readForm(keptContent)
	if err != nil || sent == nil {
		c.badForm(err)
		return
	}
	f := file{id: "file-" + sent.digest[:24], purpose: fields["purpose"], upload: *sent}
	c.server.keep(f)
	c.sendJSON(0, f.object())
}

func (s *Server) keep(f file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = slices.DeleteFunc(s.files, func(g file) bool { return g.id == f.id })
	s.files = append(s.files, f)
	if len(s.files) > keptFiles {
		s.files = s.files[1:]
	}
}

func (c *call) listFiles() {
	c.server.mu.Lock()
	data := make([]object, len(c.server.files))
	for i, f := range c.server.files {
		data[i] = f.object()
	}
	c.server.mu.Unlock()
	c.sendJSON(0, object{"object": "list", "data": data, "has_more": false})
}

func (c *call) showFile() {
	if f, ok := c.findFile(); ok {
		c.sendJSON(0, f.object())
	}
}

func (c *call) fileContent() {
	f, ok := c.findFile()
	if !ok {
		return
	}
	if f.length > keptContent || c.orders.size >= 0 {
		c.sendPattern("application/octet-stream", f.length)
		return
	}
	c.send(answer{
		status: c.orders.status, contentType: "application/octet-stream", length: f.length, count: 1, piece: one(f.head),
	})
}

func (c *call) deleteFile() {
	f, ok := c.findFile()
	if !ok {
		return
	}
	c.server.mu.Lock()
	c.server.files = slices.DeleteFunc(c.server.files, func(g file) bool { return g.id == f.id })
	c.server.mu.Unlock()
	c.sendJSON(0, object{"id": f.id, "object": "file", "deleted": true})
}

// findFile finds the file that the path names; false means that the refusal has been sent.
func (c *call) findFile() (file, bool) {
	id := c.segment(3)
	c.server.mu.Lock()
	i := slices.IndexFunc(c.server.files, func(f file) bool { return f.id == id })
	var f file
	if i >= 0 {
		f = c.server.files[i]
	}
	c.server.mu.Unlock()
	if i < 0 {
		param := "id"
		c.fail(http.StatusNotFound, apiError{Message: "No such File object: " + id, Type: "invalid_request_error", Param: &param})
	}
	return f, i >= 0
}

// segment is one segment of the path, unescaped.
func (c *call) segment(i int) string {
	raw := strings.Split(c.r.URL.EscapedPath(), "/")[i]
	name, err := url.PathUnescape(raw)
	if err != nil {
		return raw
	}
	return name
}

// models are what there is. One has a slash in its name, as many providers' have.
func models() []object {
	var list []object
	for _, id := range []string{"gpt-4o-mini", "meta/llama", "text-embedding-3-small"} {
		list = append(list, object{"id": id, "object": "model", "created": created, "owned_by": "mock"})
	}
	return list
}

func (c *call) listModels() {
	c.sendJSON(0, object{"object": "list", "data": models()})
}

func (c *call) showModel() {
	id := c.segment(3)
	for _, model := range models() {
		if model["id"] == id {
			c.sendJSON(0, model)
			return
		}
	}
	c.fail(http.StatusNotFound, apiError{
		Message: "The model '" + id + "' does not exist", Type: "invalid_request_error",
		Param: new("model"), Code: new("model_not_found"),
	})
}
