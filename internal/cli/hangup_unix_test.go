//go:build unix

package cli

import (
	"syscall"
	"testing"
)

func TestHangups(t *testing.T) {
	asked, stop := hangups()
	for range 3 {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-asked
	}
	stop()
}
