package restore

import (
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// A flusher makes files and names durable: on Linux all that a file system
// holds at a time. A thousand small files take one such call no longer than one
// of them takes an fsync. Source: syncfs(2); since Linux 5.8 it tells of errors.
type flusher struct {
	folders map[uint64]string // one on each file system that files went to
}

// files makes files durable.
func (fl *flusher) files(files []finished) error {
	seen := map[uint64]bool{}
	for _, one := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(one.f.Fd()), &st); err != nil {
			return os.NewSyscallError("fstat", err)
		}
		if seen[st.Dev] {
			continue
		}
		seen[st.Dev] = true
		if err := unix.Syncfs(int(one.f.Fd())); err != nil {
			return os.NewSyscallError("syncfs", err)
		}
		if fl.folders == nil {
			fl.folders = map[uint64]string{}
		}
		fl.folders[st.Dev] = path.Dir(one.file.Path)
	}
	return nil
}

// folder sees to the names in a folder: with all others, in names.
func (*flusher) folder(*os.Root, string) error { return nil }

// names makes the names below root durable.
func (fl *flusher) names(root *os.Root) error {
	folders := []string{"."}
	for _, f := range fl.folders {
		folders = append(folders, f)
	}
	for _, f := range folders {
		d, err := root.Open(f)
		if err != nil {
			return err
		}
		err = os.NewSyscallError("syncfs", unix.Syncfs(int(d.Fd())))
		if closeErr := d.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}
