package main

import (
	"os"
	"os/exec"
	"testing"
)

// BenchmarkStart is what the smallest commands take, from start to end: those that
// other programs call before each thing that they do.
func BenchmarkStart(b *testing.B) {
	home := b.TempDir()
	for name, args := range map[string][]string{
		"version":      {"--version"},
		"unknown":      {"glacier", "--compatibility-test-git-annex"},
		"checkpresent": {"glacier", "archive", "checkpresent", "v", "--quiet", "n"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(os.Args[0], args...)
				cmd.Env = append(os.Environ(), programVar+"=1", "HOME="+home, "XDG_CACHE_HOME=")
				cmd.Run() // an unknown option is an error
				if code := cmd.ProcessState.ExitCode(); code != 0 && (name != "unknown" || code != 2) {
					b.Fatalf("status %d", code)
				}
			}
		})
	}
}
