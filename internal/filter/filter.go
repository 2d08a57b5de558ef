// Package filter decides which files of a tree are left out: by rules in
// mt-aws-glacier's manner, by the patterns of a .gitignore file, by regular
// expressions, size and age, and by what a disk has that nobody wants kept.
package filter

import (
	"regexp"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// Options say what to leave out. A file is kept only where each of them keeps
// it. The zero value leaves out the default list.
type Options struct {
	// Rules are in order: the first that matches decides.
	Rules []Rule
	// Patterns are in order: the last that matches decides.
	Patterns []Pattern
	// Regexps leave out each file whose path has a match, and each directory
	// with all below it; a directory's path ends with a slash.
	Regexps []*regexp.Regexp

	// Of regular files, by size in bytes: those below MinSize, and those above
	// MaxSize where that isn't 0.
	MinSize, MaxSize int64
	// Of regular files, by time of modification: those not before OlderThan,
	// and those before NewerThan. Zero means no limit.
	OlderThan, NewerThan time.Time

	// OneVolume leaves out directories on other volumes than the root's.
	OneVolume bool
	// Caches leaves out directories that say they are caches; see
	// [CacheTag]. Root is then the tree's directory.
	Caches bool
	Root   string
	// Own is the path of firn's own data folder, where that is in the tree: it
	// changes with every sync, and is always left out. Empty: it is elsewhere.
	Own string
	// KeepLitter keeps what the default list names; see [Litter].
	KeepLitter bool
}

// A Filter judges the files of one tree. It is safe for concurrent use; a nil
// one keeps all.
type Filter struct {
	o Options
	// litterStart tells of each byte whether a name to be left out by default
	// begins with it: of most files nothing more needs to be asked.
	litterStart [256]bool
}

// New gives the filter for the options.
func New(o Options) *Filter {
	f := &Filter{o: o}
	if !o.KeepLitter {
		for _, name := range Litter() {
			f.litterStart[name[0]] = true
		}
	}
	return f
}

// Scan gives the options of a scan that is filtered.
func (f *Filter) Scan() scan.Options {
	if f == nil {
		return scan.Options{}
	}
	return scan.Options{Filter: f.Judge, OneVolume: f.o.OneVolume}
}

// Judge gives the verdict on a file that is on the disk.
func (f *Filter) Judge(file *firn.File) scan.Verdict {
	if f.o.Caches && file.Kind == firn.Directory && isCache(f.o.Root, file.Path) {
		return scan.Verdict{Leave: true, Reason: "marked as a cache"}
	}
	return f.judge(file)
}

// Covers reports whether a file that isn't on the disk any more would be left
// out, or is below a directory that would be: then its absence means nothing.
// What only the disk can tell, which is what is a cache and what another
// volume, doesn't count.
func (f *Filter) Covers(file *firn.File) bool {
	if f == nil {
		return false
	}
	for i := range file.Path {
		if file.Path[i] != '/' {
			continue
		}
		dir := firn.File{Path: file.Path[:i], Kind: firn.Directory}
		if v := f.judge(&dir); v.Leave && !v.Below {
			return true
		}
	}
	return file.Path != "" && f.judge(file).Leave
}

// usualPath is the length in bytes up to which paths are judged without
// allocating.
const usualPath = 256

func (f *Filter) judge(file *firn.File) scan.Verdict {
	if f.o.Own != "" && file.Path == f.o.Own {
		return scan.Verdict{Leave: true, Reason: "firn's own data"}
	}
	var buf [usualPath]byte
	s := append(append(buf[:0], '/'), file.Path...)
	isDir := file.Kind == firn.Directory
	slash := len(s) - 1
	for s[slash] != '/' {
		slash--
	}
	name := s[slash+1:]
	if !isDir && IsUnfinished(name) {
		return scan.Verdict{Leave: true, Litter: true, Reason: UnfinishedReason}
	}
	if len(name) > 0 && f.litterStart[name[0]] && isLitter(name, isDir) {
		return scan.Verdict{Leave: true, Litter: true, Reason: LitterReason}
	}
	if v := judgeByPatterns(f.o.Patterns, s, name, isDir); v.Leave {
		return v
	}
	if v := f.judgeByRegexps(file.Path, isDir); v.Leave {
		return v
	}
	if file.Kind == firn.Regular {
		if v := f.judgeByStamp(&file.Stamp); v.Leave {
			return v
		}
	}
	if isDir {
		s = append(s, '/')
		name = nil
	}
	return judgeByRules(f.o.Rules, s, name)
}

func (f *Filter) judgeByRegexps(path string, isDir bool) scan.Verdict {
	if isDir && len(f.o.Regexps) > 0 {
		path += "/"
	}
	for _, re := range f.o.Regexps {
		if re.MatchString(path) {
			return scan.Verdict{Leave: true, Reason: "regexp " + re.String()}
		}
	}
	return scan.Verdict{}
}

func (f *Filter) judgeByStamp(s *firn.Stamp) scan.Verdict {
	o := &f.o
	reason := ""
	switch {
	case s.Size < o.MinSize:
		reason = "smaller than --min-size"
	case o.MaxSize > 0 && s.Size > o.MaxSize:
		reason = "larger than --max-size"
	case !o.OlderThan.IsZero() && !s.ModTime.Before(o.OlderThan):
		reason = "not older than --older-than"
	case !o.NewerThan.IsZero() && s.ModTime.Before(o.NewerThan):
		reason = "not newer than --newer-than"
	}
	return scan.Verdict{Leave: reason != "", Reason: reason}
}
