package usage

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Good is Timed of a process whose end must be a good one.
func Good(cmd *exec.Cmd) (Usage, error) {
	name := cmd.String()
	u, status, err := Timed(cmd)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d", name, status)
	}
	return u, err
}

// Median gives the median of each figure, of an odd number the middle one, of
// an even the lower.
func Median(all []Usage) Usage {
	return Usage{
		CPU:    middle(all, func(u Usage) time.Duration { return u.CPU }),
		Wall:   middle(all, func(u Usage) time.Duration { return u.Wall }),
		Memory: middle(all, func(u Usage) int64 { return u.Memory }),
	}
}

func middle[T cmp.Ordered](all []Usage, figure func(Usage) T) T {
	var figures []T
	for _, u := range all {
		figures = append(figures, figure(u))
	}
	slices.Sort(figures)
	return figures[(len(figures)-1)/2]
}

// MemoryText is the most memory that was used, for people.
func (u Usage) MemoryText() string {
	if u.Memory == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d MiB", u.Memory>>20)
}

// Machine describes what this runs on.
func Machine() string {
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// processor is the processor's name, where the system has it in a file.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unnamed processor"
}
