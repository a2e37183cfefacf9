// Package dashboard is what operators look at: a page on the admin port, and the data that it and `tollgate
// top` show.
//
//	/dashboard/                     the page; its files are built in, it asks no other host for anything
//	/dashboard/api/state            routes, clients, keys, models: a State
//	/dashboard/api/points           what happened in each second of the last 15 minutes: Points
//	/dashboard/api/stream           the same from now on, as server-sent events
//	/dashboard/api/chats            the latest chats, newest first; ?q= searches
//	/dashboard/api/chats/ID         one of them, /stream follows its answer
//	/dashboard/api/config           the configuration in force, without secrets, and what came before
//
// It decides nothing and counts nothing: [Options] hand in what there is to show. [Guard] says who may look.
package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
)

// Options are where the data come from. All functions may be called by many goroutines.
type Options struct {
	State   func(ctx context.Context) State
	History func() Configuration
	Points  *Recorder
	Chats   *Chats // nil: none are kept
}

// Handler serves the page and its data.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("/dashboard/", http.StatusFound))
	mux.Handle("GET /dashboard", http.RedirectHandler("/dashboard/", http.StatusFound))
	mux.Handle("GET /dashboard/", http.StripPrefix("/dashboard/", files()))
	mux.HandleFunc("GET /dashboard/api/state", func(w http.ResponseWriter, r *http.Request) { write(w, o.State(r.Context())) })
	mux.HandleFunc("GET /dashboard/api/config", func(w http.ResponseWriter, _ *http.Request) { write(w, o.History()) })
	mux.HandleFunc("GET /dashboard/api/points", func(w http.ResponseWriter, _ *http.Request) { write(w, o.Points.All()) })
	mux.HandleFunc("GET /dashboard/api/stream", o.Points.stream)
	mux.HandleFunc("GET /dashboard/api/chats", o.Chats.list)
	mux.HandleFunc("GET /dashboard/api/chats/{id}", o.Chats.one)
	mux.HandleFunc("GET /dashboard/api/chats/{id}/stream", o.Chats.follow)
	return mux
}

// write answers with JSON.
func write(w http.ResponseWriter, value any) {
	w.Header().Set("content-type", "application/json")
	w.Header().Set("cache-control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(true) // whoever shows it as a page by mistake shows text
	_ = encoder.Encode(value)   // who left does not read it
}
