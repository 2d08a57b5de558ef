package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// splitStreams reads all streams in a file.
func splitStreams(t *testing.T, data []byte) (streams []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openStreams(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		one, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, string(one))
		more, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return streams
		}
	}
}

func TestStreamsAreToldApart(t *testing.T) {
	long := `{"archive":{"note":"` + strings.Repeat("x", 200_000) + "\"}}\n"
	for name, want := range map[string][]string{
		"empty":            {""},
		"one":              {"{\"header\":{}}\n{\"end\":{}}\n"},
		"two":              {"{\"header\":{}}\n{\"end\":{}}\n", "{\"header\":{\"seq\":2}}\n"},
		"without an end":   {"{\"header\":1}\n", "{\"header\":2}\n", "{\"header\":3}"},
		"no header":        {"something else\n", "{\"header\":{}}\n"},
		"header in a line": {"{\"header\":{}}\n{\"x\":\"{\\\"header\\\":\"}{\"header\":\n"},
		"long lines":       {"{\"header\":{}}\n" + long + long, "{\"header\":{}}\n" + long},
	} {
		t.Run(name, func(t *testing.T) {
			all := strings.Join(want, "")
			if diff := cmp.Diff(want, splitStreams(t, []byte(all))); diff != "" {
				t.Error(diff)
			}
			z, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, splitStreams(t, z.EncodeAll([]byte(all), nil))); diff != "" && all != "" {
				t.Errorf("compressed: %s", diff)
			}
		})
	}
}

// FuzzStreams: nothing of a file is lost or changed, and each stream but the
// first begins with a header.
func FuzzStreams(f *testing.F) {
	f.Add("{\"header\":{}}\n{\"end\":{}}\n{\"header\":{}}\n")
	f.Add("\n\n{\"header\":")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "\x28\xb5\x2f\xfd") || strings.HasPrefix(text, "age-") {
			t.Skip("it is no text")
		}
		streams := splitStreams(t, []byte(text))
		if got := strings.Join(streams, ""); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		for _, one := range streams[1:] {
			if !strings.HasPrefix(one, headerLine) || strings.Contains(one, "\n"+headerLine) {
				t.Errorf("a stream %q", one)
			}
		}
	})
}

func TestStreamsThatCantBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"age-encryption.org/v1\n-> X25519 x\n": "it is encrypted; open it first: age --decrypt",
	} {
		path := filepath.Join(t.TempDir(), "rows")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openStreams(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
