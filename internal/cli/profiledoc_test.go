package cli

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/notify"
)

const profilesDoc = "../../docs/profiles.md"

// TestProfilesDocumented: what the page on profiles shows is a file that can be
// read, and it names all keys of messages and trees.
func TestProfilesDocumented(t *testing.T) {
	page, err := os.ReadFile(profilesDoc)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{env: testEnv(t)}
	home := func(string) string { return "/home/me" }
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Error("it shows no file")
	}
	for _, text := range append([][][]byte{{nil, config.Example}}, blocks...) {
		file, err := config.Parse(text[1], "/c/config.toml", home, a.profileKeys())
		if err != nil {
			t.Errorf("%v in:\n%s", err, text[1])
			continue
		}
		for _, p := range file.Profiles {
			if err := a.checkProfile(file, p); err != nil {
				t.Errorf("%v in:\n%s", err, text[1])
			}
		}
	}
	for field := range reflect.TypeFor[notify.Message]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("the field %s of messages is not told of", name)
		}
	}
	for _, key := range a.profileKeys().Tree {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("the key %s of trees is not told of", key)
		}
	}
}
