package restore

import (
	"os"
	"testing"
)

// TestNamesThatDifferInCase: where the file system doesn't tell them apart, the
// one that was there is not replaced by the other; elsewhere they are two.
func TestNamesThatDifferInCase(t *testing.T) {
	b := newBed(t)
	b.write("Name", "of the one", itsTime)
	it := fileItem("name", "of the other")
	was := b.look(it, Always)
	if _, err := os.Lstat(b.name("name")); err == nil {
		if was.stays == nil {
			t.Error("Name would be replaced by name")
		}
		return
	}
	if was.state != isAbsent {
		t.Errorf("name is %+v", was)
	}
}

// TestRealName: names that are hard links of one file are each real.
func TestRealName(t *testing.T) {
	b := newBed(t)
	for _, name := range []string{"Name", "other", "123", "dir~1"} {
		b.write(name, "text", itsTime)
	}
	os.Link(b.name("Name"), b.name("nAME")) // one file already where case doesn't count
	for _, name := range []string{"Name", "nAME", "other", "123", "dir~1"} {
		info, err := b.root.Lstat(name)
		b.must(err)
		got, err := realName(b.root, name, info)
		b.must(err)
		if exists := entry(t, b, name); (got == name) != exists {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// entry reports whether a folder lists a name.
func entry(t *testing.T, b *bed, name string) bool {
	list, err := os.ReadDir(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		if one.Name() == name {
			return true
		}
	}
	return false
}
