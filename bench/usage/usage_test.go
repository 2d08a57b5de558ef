package usage

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// burnVar makes the test program use some memory and time, and end with 3.
const burnVar = "FIRN_TEST_BURN"

func TestMain(m *testing.M) {
	Main()
	if os.Getenv(burnVar) != "" {
		touch(32 << 20)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// touch uses so many bytes.
func touch(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestTimed(t *testing.T) {
	large := touch(256 << 20) // more than the process that is measured
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), burnVar+"=1")
	u, status, err := Timed(cmd)
	if err != nil || status != 3 {
		t.Fatalf("status %d, %v", status, err)
	}
	if u.CPU <= 0 || u.Wall <= 0 {
		t.Errorf("it took no time: %+v", u)
	}
	if runtime.GOOS == "linux" && (u.Memory < 32<<20 || u.Memory > int64(len(large))/2) {
		t.Errorf("it took %d bytes of memory", u.Memory)
	}
	runtime.KeepAlive(large)
}

func TestTimedSaysWhatFails(t *testing.T) {
	for name, cmd := range map[string]*exec.Cmd{
		"a name that isn't there": exec.Command("firn-no-such-program"),
		"a path that isn't there": exec.Command("/firn/no/such/program"),
	} {
		if u, status, err := Timed(cmd); err == nil {
			t.Errorf("%s: status %d, %+v", name, status, u)
		}
	}
}
