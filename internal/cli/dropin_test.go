package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestDropInIsNamed: help and completion know the older programs, and options of
// firn's are none of theirs.
func TestDropInIsNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		out  string
		err  string
	}{
		{[]string{"firn", "--help"}, 0, "  glacier ", ""},
		{[]string{"firn", "--help"}, 0, "  mtglacier ", ""},
		{[]string{"firn", "help", "glacier"}, 0, "glacier-cli's program glacier", ""},
		{[]string{"firn", "__complete", "gl"}, 0, "glacier\tbe glacier-cli", ""},
		{[]string{"firn", "__complete", "glacier", ""}, 0, "vault\narchive\njob\n", ""},
		{[]string{"firn", "__complete", "glacier", "archive", "c"}, 0, "checkpresent\n", ""},
		{[]string{"firn", "__complete", "mtglacier", "check"}, 0, "check-local-hash\n", ""},
		{[]string{"firn", "glacier", "-h"}, 0, "usage: glacier [-h]", ""},
		{[]string{"firn", "--quiet", "glacier", "job", "list"}, 2, "", "glacier: error: unrecognized arguments: --quiet"},
		{[]string{"firn", "glacier", "archive", "checkpresent", "v"}, 2, "", "the following arguments are required: name"},
		{[]string{"/usr/bin/Glacier.EXE", "vault", "x"}, 2, "", "invalid choice: 'x'"},
	} {
		env := testEnv(t)
		var out, errs bytes.Buffer
		env.Stdout, env.Stderr = &out, &errs
		if code := Main(t.Context(), c.args, env); code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.err) {
			t.Errorf("%v: %d\n%s%s\nwant %d, %q, %q", c.args, code, &out, &errs, c.code, c.out, c.err)
		}
	}
}
