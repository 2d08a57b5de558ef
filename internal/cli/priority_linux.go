package cli

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Values that ioprio_set takes. Source: ioprio_set(2).
const (
	ioprioWhoProcess = 1
	ioprioClassIdle  = 3 << 13
)

// lowerPriority lets other programs go first, at the processors and at the
// disks. Linux keeps both for each thread: those that there are are changed one
// by one, and threads that come later have the priority of the one that made
// them. While a pass finds a new one, which may come from one that it had not
// reached yet, it goes on.
func lowerPriority() error {
	done := map[int]bool{}
	for found := true; found; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		found = false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id], found = true, true
			if err := lowerThread(id); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

func lowerThread(id int) error {
	_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(id), ioprioClassIdle)
	if errno != 0 && errno != unix.ENOSYS { // a kernel may be built without
		return errno
	}
	const lowest = 19
	return unix.Setpriority(unix.PRIO_PROCESS, id, lowest)
}
