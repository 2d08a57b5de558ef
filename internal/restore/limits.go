package restore

import "sync"

// limits bound what one restore brings.
type limits struct {
	mu           sync.Mutex
	files, bytes int64
}

// any reports whether there are limits.
func (l *limits) any(o *Options) bool { return o.MaxFiles > 0 || o.MaxBytes > 0 }

// take counts a file of so many bytes, and reports whether it is within the
// limits. The first one that isn't ends it: what comes later isn't taken either,
// so that the next restore has an order to rely on.
func (l *limits) take(o *Options, bytes int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files++
	l.bytes += bytes
	return (o.MaxFiles == 0 || l.files <= o.MaxFiles) && (o.MaxBytes == 0 || l.bytes <= o.MaxBytes)
}
