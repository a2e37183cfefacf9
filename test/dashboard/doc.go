// Package dashboard looks at the dashboard in a real Chromium, and compares what it shows with what was sent.
// `make test-dashboard` runs it. $TOLLGATE_BIN names the program (default bin/tollgate), $CHROMIUM the browser
// (default: chromium on PATH). Where $DASHBOARD_SHOTS names a directory, pictures of the page are put there.
package dashboard
