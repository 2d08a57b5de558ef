// Package usage measures what a process takes: processor, time and memory.
package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A Usage is what a process took.
type Usage struct {
	CPU, Wall time.Duration
	Memory    int64 // most at a time, bytes; 0 where the system doesn't tell
}

// command makes a program launch another one: -launch FILE PROGRAM ARG...
const command = "-launch"

// Main launches what Timed of a parent process asked this one for, and never
// returns then. Every program that calls Timed calls it first.
//
// The launcher is there for the sake of its size. Linux counts the memory of a
// parent for its child until that is another program (setmax_mm_hiwater_rss in
// fs/exec.c), and a bench that holds a million names is larger than firn.
func Main() {
	if len(os.Args) < 4 || os.Args[1] != command {
		return
	}
	if err := launch(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A report is what the launcher writes.
type report struct {
	Usage
	Status int // exit status of the program
}

func launch(file, program string, args []string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	s := cmd.ProcessState
	data, err := json.Marshal(report{Usage{s.UserTime() + s.SystemTime(), time.Since(start), peakMemory(s)}, s.ExitCode()})
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o666)
}

// Timed runs a process to its end, whatever its exit status.
func Timed(cmd *exec.Cmd) (u Usage, status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return u, 0, err
	}
	file, err := os.CreateTemp("", "firn-usage-*.json")
	if err != nil {
		return u, 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if cmd.Err != nil {
		return u, 0, cmd.Err
	}
	name := cmd.String()
	cmd.Args = append([]string{self, command, file.Name(), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = self
	if err := cmd.Run(); err != nil {
		return u, 0, fmt.Errorf("%s: %w", name, err)
	}
	var r report
	if err := json.NewDecoder(file).Decode(&r); err != nil {
		return u, 0, fmt.Errorf("%s: %w", name, err)
	}
	return r.Usage, r.Status, nil
}
