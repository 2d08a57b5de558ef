package mtglacier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/firn-archive/firn/mtjournal"
)

// files checks the options that name files.
func (g *gatherer) files(o *Options) {
	if o.Command == UploadFile {
		g.source(o)
	}
	if o.Dir != "" {
		g.directory(o)
	}
	if g.given("journal") {
		o.Journal = g.text("journal")
		g.journal(o)
	}
	if g.given("new-journal") {
		o.NewJournal = g.text("new-journal")
		g.newJournal(o)
	}
	if o.Command == UploadFile && g.wrong == nil {
		g.relName(o)
	}
}

// stat looks at a file that an option names.
func (g *gatherer) stat(o *Options, name string) (fs.FileInfo, error) {
	path, err := o.path(g.env, name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, reason(err)
	}
	return info, nil
}

func (g *gatherer) directory(o *Options) {
	if utf8.RuneCountInString(o.Dir) >= maxDir {
		g.fault("%s should be shorter than %d characters", g.called("dir"), maxDir)
		return
	}
	info, err := g.stat(o, o.Dir)
	switch {
	case err != nil:
		g.fault("Directory %q of %s: %v", o.Dir, g.called("dir"), err)
	case !info.IsDir():
		g.fault("Directory %q of %s: it is not a directory", o.Dir, g.called("dir"))
	}
}

// journal checks that the journal is there, or can be made.
func (g *gatherer) journal(o *Options) {
	info, err := g.stat(o, o.Journal)
	mustExist := o.Command != Sync && o.Command != UploadFile
	switch {
	case errors.Is(err, fs.ErrNotExist) && mustExist:
		g.fault("Journal file %q not found", o.Journal)
	case errors.Is(err, fs.ErrNotExist):
		if dir, err := g.stat(o, filepath.Dir(o.Journal)); err != nil || !dir.IsDir() {
			g.fault("Journal file %q cannot be made: there is no directory %q", o.Journal, filepath.Dir(o.Journal))
		}
	case err != nil:
		g.fault("Journal file %q: %v", o.Journal, err)
	case !info.Mode().IsRegular():
		g.fault("Journal file %q is not a plain file", o.Journal)
	case o.Command != RestoreCompleted && o.Command != CheckLocalHash && !o.DryRun:
		g.writable(o)
	}
}

// writable checks that lines can be appended to a journal which is there.
func (g *gatherer) writable(o *Options) {
	path, err := o.path(g.env, o.Journal)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		g.fault("Journal file %q is not writable: %v", o.Journal, reason(err))
	}
}

func (g *gatherer) newJournal(o *Options) {
	info, err := g.stat(o, o.NewJournal)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		g.fault("Journal file %q: %v", o.NewJournal, err)
	case !info.Mode().IsRegular() || info.Size() > 0:
		g.fault("Journal file %q, of %s, already exists and is not empty", o.NewJournal, g.called("new-journal"))
	}
}

// source checks which of upload-file's options are there together: a file and a
// folder that it is in, or a file or stdin and a name. An option of the command
// line puts one of the config file aside that it doesn't go with.
func (g *gatherer) source(o *Options) {
	g.exclusive("filename", "stdin")
	g.exclusive("dir", "set-rel-filename")
	if g.wrong != nil {
		return
	}
	o.Filename, o.RelFilename, o.Dir = g.text("filename"), g.text("set-rel-filename"), g.text("dir")
	o.Stdin = g.flag("stdin")
	switch {
	case o.Stdin:
		g.fromStdin(o)
	case !g.given("filename"):
		g.fault("Please specify --filename or --stdin")
	case !g.given("dir") && !g.given("set-rel-filename"):
		g.fault("Please specify --set-rel-filename or --dir")
	default:
		g.without("check-max-file-size", "--stdin", false)
		g.without("base-dir", "--dir", g.given("dir"))
		g.file(o)
	}
	if g.given("set-rel-filename") && !mtjournal.ValidName(o.RelFilename) {
		g.fault("%s should be a relative name, without . and .. and //, and without tabs and line ends", g.called("set-rel-filename"))
	}
	if !o.Stdin {
		o.CheckMaxFileSize = 0
	}
}

// exclusive refuses two options together.
func (g *gatherer) exclusive(a, b string) {
	x, y := g.values[a], g.values[b]
	switch {
	case !g.given(a) || !g.given(b):
	case x.inConfig && !y.inConfig:
		delete(g.values, a)
	case y.inConfig && !x.inConfig:
		delete(g.values, b)
	default:
		g.fault("%s and %s are mutually exclusive", &x, &y)
	}
}

// without refuses an option on the command line that needs another, unless that
// is there.
func (g *gatherer) without(name, needs string, there bool) {
	if s := g.values[name]; !there && g.given(name) && !s.inConfig {
		g.fault("%s can only be used with %s", &s, needs)
	}
}

// fromStdin checks what has to be known of what stdin will give.
func (g *gatherer) fromStdin(o *Options) {
	g.without("dir", "--filename", false)
	g.without("base-dir", "--dir", false)
	o.Dir = ""
	for _, name := range []string{"set-rel-filename", "check-max-file-size"} {
		if !g.given(name) {
			g.fault("Please specify --%s with --stdin", name)
		}
	}
	if o.CheckMaxFileSize > maxParts*o.PartSize && o.PartSize > 0 {
		g.fault("With --partsize=%d a file can have up to %d MiB: %s=%d needs larger parts", o.PartSize, maxParts*o.PartSize, g.called("check-max-file-size"), o.CheckMaxFileSize)
	}
}

// maxParts is how many parts an upload may have. Source: API reference, "Upload
// Part".
const maxParts = 10000

// file checks the file that is to be uploaded.
func (g *gatherer) file(o *Options) {
	info, err := g.stat(o, o.Filename)
	switch {
	case err != nil:
		g.fault("File %q of %s: %v", o.Filename, g.called("filename"), err)
	case !info.Mode().IsRegular():
		g.fault("File %q of %s is not a plain file", o.Filename, g.called("filename"))
	case info.Size() == 0:
		g.fault("File %q of %s is empty: the service stores nothing that is", o.Filename, g.called("filename"))
	default:
		g.readable(o)
	}
}

func (g *gatherer) readable(o *Options) {
	path, err := o.path(g.env, o.Filename)
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		g.fault("File %q of %s is not readable: %v", o.Filename, g.called("filename"), reason(err))
	}
}

// relName gives the file the name that it has below the folder, where no other is
// given. Symbolic links in both are followed first.
func (g *gatherer) relName(o *Options) {
	if o.RelFilename != "" {
		return
	}
	name, err := relName(g.env, o)
	if err != nil {
		g.fault("File %q of %s: %v", o.Filename, g.called("filename"), err)
	}
	o.RelFilename = name
}

func relName(env Env, o *Options) (string, error) {
	var real [2]string
	for i, name := range []string{o.Dir, o.Filename} {
		path, err := o.path(env, name)
		if err != nil {
			return "", err
		}
		if real[i], err = filepath.EvalSymlinks(path); err != nil {
			return "", reason(err)
		}
	}
	rel, err := filepath.Rel(real[0], real[1])
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("it is not inside of the directory %q of --dir", o.Dir)
	}
	name, err := o.Encodings.Filenames.Decode(filepath.ToSlash(rel))
	if err == nil && !mtjournal.ValidName(name) {
		err = fmt.Errorf("a journal can't have the name %q", name)
	}
	return name, err
}
