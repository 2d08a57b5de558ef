package migrate

import (
	"fmt"
	"strings"
	"unicode"
)

// The files of a folder that goes to a machine in the region.
const (
	ToGoProgram = "firn"
	ToGoCatalog = "catalog.jsonl.zst" // what the catalog knows of both stores
	ToGoConfig  = "config"            // folder of the configuration; no secrets
	ToGoScript  = "run.sh"
	ToGoReadme  = "README.txt"
	ToGoResult  = "result.firn" // made there, and taken home
)

// A ToGo is a migration that another machine is to do.
type ToGo struct {
	From, To string   // stores, as that machine names them
	Args     []string // further arguments of the migration
	Env      []string // NAME=value; no secrets
	Host     string   // the machine whose trees they are
}

// Script is run.sh. It can be called as often as one likes: what is done isn't done
// again, and what was begun goes on.
func (t ToGo) Script() string {
	var env strings.Builder
	for _, one := range t.Env {
		name, value, _ := strings.Cut(one, "=")
		fmt.Fprintf(&env, "export %s=%s\n", name, word(value))
	}
	return fmt.Sprintf(`#!/bin/sh
# Moves %[9]s to %[10]s.
# What is given to this script goes to firn migrate: --yes, --max-cost 50, --dry-run.
set -u
cd "$(dirname "$0")" || exit 1
FIRN_HOME=$PWD/home
FIRN_CONFIG_DIR=$PWD/%[3]s
export FIRN_HOME FIRN_CONFIG_DIR
%[4]s
if [ ! -e home/imported ]; then
	mkdir -p home && ./%[5]s catalog import %[6]s && : > home/imported || exit 1
fi
while :; do
	./%[5]s migrate %[1]s %[2]s%[7]s --wait "$@"
	status=$?
	[ "$status" -eq 75 ] || break
	sleep 900
done
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
case " $* " in *" --dry-run "* | *" -n "*) exit "$status" ;; esac
./%[5]s migrate %[1]s %[2]s --to-go-result %[8]s || exit 1
echo "take home: $PWD/%[8]s"
exit "$status"
`, word(t.From), word(t.To), ToGoConfig, env.String(), ToGoProgram, ToGoCatalog, prefixed(t.Args), ToGoResult, line(t.From), line(t.To))
}

// word is a word of the script. Bytes other than ASCII stay, since not every sh knows
// dollar-single-quotes.
func word(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+=,", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// line is a text that ends no line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

// prefixed are arguments as words, each behind a space.
func prefixed(args []string) string {
	text := ""
	for _, arg := range args {
		text += " " + word(arg)
	}
	return text
}

// Readme is README.txt.
func (t ToGo) Readme() string {
	return fmt.Sprintf(`This folder moves %[1]s to %[2]s, by a machine that is in
the region of the first, so that no byte crosses the internet.

1. Start a small machine in that region, with a role that has the permissions that
   firn policy migrate %[1]s %[2]s prints. There are no keys in here.
2. Copy this folder there, and call: sh %[3]s --dry-run
   That shows the price. Then: sh %[3]s --yes, or with --max-cost 50, say. It takes
   days; after a reboot call it again. To have it outlive the connection:
   nohup sh %[3]s --yes > log 2>&1 &
3. When it is done, take %[4]s home, and there call: firn catalog import %[4]s
   From then on the machine %[5]s knows where everything is.
4. Delete the source from either place, but from one: firn migrate --finish %[1]s %[2]s

home/ is made there: the catalog. Keep it until the source is gone.
`, line(word(t.From)), line(word(t.To)), ToGoScript, ToGoResult, line(t.Host))
}
