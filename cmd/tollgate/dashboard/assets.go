package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed assets
var assets embed.FS

// files serves the page.
func files() http.Handler {
	root, err := fs.Sub(assets, "assets")
	if err != nil {
		panic("bug: the dashboard's files are not where they are built in: " + err.Error())
	}
	server := http.FileServerFS(root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("cache-control", "no-cache")
		server.ServeHTTP(w, r)
	})
}
