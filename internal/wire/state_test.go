package wire

import (
	"os"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

func TestVolumeWarning(t *testing.T) {
	for _, c := range []struct {
		v    volume
		want string
	}{
		{volume{total: 100 << 30, free: 50 << 30}, ""},
		{volume{total: 2 << 30, free: 1 << 30}, ""},
		{volume{total: 100 << 30, free: 1<<30 - 1}, "only 1023 MiB are free"},
		{volume{total: 2<<30 - 1, free: 1 << 30}, "a file system of only 2047 MiB"},
		{volume{total: 100 << 30, free: 100 << 30, memory: true}, "which is memory"},
	} {
		got := c.v.warning("/var/x")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || c.want != "" && !strings.Contains(got, "/var/x") {
			t.Errorf("%+v: %q, want %q", c.v, got, c.want)
		}
	}
}

func TestCheckDataDir(t *testing.T) {
	var said []string
	check := func(dir string) error {
		said = nil
		return CheckDataDir(Env{
			Getenv: func(k string) string { return map[string]string{"FIRN_HOME": dir}[k] },
			Events: func(e firn.Event) { said = append(said, e.(firn.NoticeEvent).Text) },
		})
	}
	if err := check(t.TempDir() + "/missing"); err != nil || len(said) > 0 {
		t.Errorf("a folder that isn't there: %v, %q", err, said)
	}
	v, err := volumeOf(t.TempDir())
	if err != nil {
		t.Skipf("this system doesn't tell: %v", err)
	}
	if v.total < v.free || v.total == 0 {
		t.Errorf("%+v", v)
	}
	const memory = "/dev/shm" // Linux has it, in most cases
	if v, err := volumeOf(memory); err == nil && v.memory {
		dir, err := os.MkdirTemp(memory, "firn")
		if err != nil {
			t.Skip(err)
		}
		defer os.Remove(dir)
		if err := check(dir); err != nil || len(said) != 1 || !strings.Contains(said[0], "memory") {
			t.Errorf("in memory: %v, %q", err, said)
		}
	}
}
