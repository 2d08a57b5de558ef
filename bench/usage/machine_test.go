package usage

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	got := Median([]Usage{{CPU: 3, Memory: 1}, {CPU: 1, Memory: 5}, {CPU: 2, Memory: 9}, {CPU: 4}})
	if got.CPU != 2 || got.Memory != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestGood: another status than 0 is an error.
func TestGood(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), burnVar+"=1")
	if _, err := Good(cmd); err == nil || !strings.Contains(err.Error(), "status 3") {
		t.Error(err)
	}
}

func TestMachine(t *testing.T) {
	if got := Machine(); !strings.Contains(got, "cores") {
		t.Error(got)
	}
}
