package foreign_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/testprog"
)

// pack has Python write a tar, and tell where the contents begin in it, and how
// long it is. Python 3 writes the GNU format as Python 2 does by default.
const pack = `
import io, json, sys, tarfile
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8")
for name, size in json.load(sys.stdin):
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, 1352924178.75
    tar.addfile(member, io.BytesIO(bytes(size)))
tar.close()
out.seek(0)
offsets = [member.offset_data for member in tarfile.open(fileobj=out)]
print(json.dumps([offsets, len(out.getvalue())]))
`

func TestTarLayoutIsPythons(t *testing.T) {
	python := testprog.Need(t, "python3")
	var members []foreign.TarMember
	add := func(name string, sizes ...int64) {
		for _, size := range sizes {
			members = append(members, foreign.TarMember{Name: name, Size: size})
		}
	}
	for _, length := range []int{1, 99, 100, 101, 155, 255, 256, 510, 511, 512, 513, 1022, 1023, 1024, 1500} {
		add(strings.Repeat("n", length), 0, 1)
		add("dir/"+strings.Repeat("d/", length/2)+"f", 513)
	}
	add("plain", 0, 1, 511, 512, 513, 1023, 1024, 1025, 10239, 10240, 10241, 100_000)
	for _, n := range []int{33, 49, 50, 51, 85, 170, 171, 255} {
		add(strings.Repeat("ü", n), 7)
		add(strings.Repeat("日", n), 7)
	}
	// Several beginnings of the list, so that tars end at several places of a
	// record. One Python after the other takes its time.
	for n := range len(members) + 1 {
		if n < len(members) && n%9 != 0 {
			continue
		}
		input := make([][2]any, n)
		for i, m := range members[:n] {
			input[i] = [2]any{m.Name, m.Size}
		}
		text, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "-c", pack)
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var want [2]json.RawMessage
		var wantOffsets []int64
		var wantTotal int64
		for _, err := range []error{json.Unmarshal(out, &want), json.Unmarshal(want[0], &wantOffsets), json.Unmarshal(want[1], &wantTotal)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		offsets, total, ok := foreign.TarLayout(members[:n])
		if diff := cmp.Diff(wantOffsets, offsets); diff != "" || !ok || total != wantTotal {
			t.Fatalf("%d members: %d bytes, %t; want %d\n%s", n, total, ok, wantTotal, diff)
		}
	}
}

// TestTarLayoutUnknown: where a size isn't known, all behind it is unknown.
func TestTarLayoutUnknown(t *testing.T) {
	good := foreign.TarMember{Name: "a", Size: 1}
	for name, odd := range map[string]foreign.TarMember{
		"no size": {Name: "a", Size: -1},
		"no name": {Size: 1},
		"endless": {Name: "a", Size: 1<<63 - 1},
	} {
		offsets, total, ok := foreign.TarLayout([]foreign.TarMember{good, good, odd, good})
		if diff := cmp.Diff([]int64{512, 1536, -1, -1}, offsets); diff != "" || total != 0 || ok {
			t.Errorf("%s: %d, %t\n%s", name, total, ok, diff)
		}
	}
}
