package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestCompleteStore(t *testing.T) {
	env := testEnv(t)
	for _, dir := range []string{"vaults/photos", "vaults/.hidden", "vaults/evil\nname", "videos"} {
		if err := os.MkdirAll(filepath.Join(env.Dir, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(env.Dir, "victory"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		word string
		want []string
	}{
		{"", []string{"glacier:", "local:"}},
		{"gl", []string{"glacier:"}},
		{"glacier:", nil},
		{"x", nil},
		{"local:", []string{"local:vaults/", "local:videos/"}},
		{"local:v", []string{"local:vaults/", "local:videos/"}},
		{"local:vaults/", []string{"local:vaults/photos/"}},
		{"local:vaults/.", []string{"local:vaults/.hidden/"}},
		{"local:" + env.Dir + "/vi", []string{"local:" + env.Dir + "/videos/"}},
		{"local:none/", nil},
	}
	a := &app{env: env}
	for _, tt := range tests {
		got, directive := a.completeStore(tt.word)
		slices.Sort(got)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: -want +got:\n%s", tt.word, d)
		}
		if directive&cobra.ShellCompDirectiveNoSpace == 0 {
			t.Errorf("%q: a name is only begun, and a space follows", tt.word)
		}
	}
}
