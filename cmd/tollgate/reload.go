package main

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/xds"
)

// aheadAtMost is up to how many bytes a file is read before it has rested. It bounds how long the reading of half a
// file can hold up that of the whole: less than a second.
const aheadAtMost = 1 << 20

// reading is a configuration as it was read, ready to be brought into force.
type reading struct {
	source    source // which has read it
	config    *config.Config
	resources xds.Parts // nil: it means the same as what is in force
}

// take reads the configuration. What the source remembers of it is not used before the configuration is.
func (l *live) take() (*reading, error) {
	defer l.threads.read()()
	r := &reading{source: *l.source}
	var err error
	if r.config, err = r.source.load(); err != nil {
		return nil, err
	}
	if !r.config.Equal(l.inForce()) {
		r.resources, err = build(r.config, l.shared)
	}
	return r, err
}

// takeAhead reads what may still be written, so that an edit need not wait for its rest and then for its reading. It
// counts only if the files hold the very same when they have rested; until then nobody hears of it, nor of errors.
func (l *live) takeAhead() {
	l.ahead = nil
	if info, err := os.Stat(l.source.file()); err != nil || info.Size() > aheadAtMost || !l.stale() {
		return
	}
	if r, err := l.take(); err == nil {
		l.ahead = r
	}
}

// stale tells whether the files must be read.
func (l *live) stale() bool { return l.read == nil || l.source.changed(l.read) }

// reload reads the configuration again and applies it if it differs. It tells whether it did.
func (l *live) reload(ctx context.Context) bool {
	next, err := l.ahead, error(nil)
	l.ahead = nil
	begin := time.Now()
	if next == nil || l.source.changed(next.config.Files) { // else it was stale when that was read
		if !l.stale() {
			return false
		}
		next, err = l.take()
	}
	if err == nil {
		*l.source, l.read = next.source, next.config.Files
		if next.resources == nil {
			return false
		}
		err = l.enforce(ctx, next.config, next.resources)
	}
	if err != nil {
		l.read = nil
		l.metrics.ReloadFailed()
		l.history.turnedDown(l.inForce().Source, err)
		l.log.Error("the new configuration is not used; the last good one stays in force", zap.Error(err))
		return false
	}
	l.log.Info("a new configuration is in force", zap.String("from", next.config.Source), zap.Duration("took", time.Since(begin)))
	if names := atStart(l.started, next.config); len(names) > 0 {
		l.log.Warn("what these fields say counts from the next start on", zap.Strings("fields", names))
	}
	for _, warning := range next.config.Warnings {
		l.log.Warn(warning)
	}
	return true
}
