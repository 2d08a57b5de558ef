package catalog

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn/internal/rows"
)

// sameTrees tells which trees of the stream are here under whatever name, since
// they have a run in common.
func (in *rowReader) sameTrees(known map[runKey]knownRun) map[int64]int64 {
	same := map[int64]int64{}
	for i := range in.heads.runs {
		run := &in.heads.runs[i]
		if run.ID < 0 || run.Tree == 0 || same[run.Tree] != 0 {
			continue
		}
		if k, ok := known[in.keyOfRun(run)]; ok && k.tree != 0 {
			same[run.Tree] = k.tree
		}
	}
	return same
}

// writeTree finds the tree that a tree of the stream is, or makes it.
func (in *rowReader) writeTree(tx tx, r *rows.Tree, same map[int64]int64) error {
	if tree := same[r.ID]; tree != 0 {
		return in.isTree(tx, r, tree)
	}
	own := *r
	own.Name = safeTreeName(r.Name)
	name := own.Name
	for n := 1; ; n++ {
		tree, err := scanTree(tx.row("SELECT "+treeColumns+" FROM tree WHERE store = ? AND name = ?", in.store, name))
		if isNoRows(err) {
			break
		}
		if err != nil {
			return err
		}
		if !tree.IsBound() || r.Host == "" && len(r.Root) == 0 || tree.Host == r.Host && tree.Root == string(r.Root) {
			return in.isTree(tx, r, tree.ID)
		}
		name = otherName(&own, n)
	}
	id, err := tx.insert("INSERT INTO tree (store, name, host, root, recipients, keys) VALUES (?, ?, ?, ?, ?, ?)",
		in.store, name, r.Host, []byte(string(r.Root)), r.Recipients, strings.Join(r.Keys, "\n"))
	if err != nil {
		return err
	}
	in.trees[r.ID] = id
	in.out.Trees++
	if name != r.Name {
		in.out.Renamed[r.Name] = name
	}
	return nil
}

// safeTreeName is the name of a tree, made fit to be one.
func safeTreeName(name string) string {
	if checkTreeName(name) == nil {
		return name
	}
	name = strings.Map(func(c rune) rune {
		if c == '/' || !unicode.IsPrint(c) {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
	if name = name[:runesWithin(name, maxTreeName)]; checkTreeName(name) != nil {
		return "unnamed"
	}
	return name
}

// isTree takes a tree of the stream for one that is here.
func (in *rowReader) isTree(tx tx, r *rows.Tree, tree int64) error {
	in.trees[r.ID] = tree
	if _, known := in.treeBytes[tree]; !known {
		var bytes int64
		if err := tx.row("SELECT bytes FROM tree WHERE id = ?", tree).Scan(&bytes); err != nil {
			return err
		}
		in.treeBytes[tree] = bytes
	}
	return in.updateTree(tx, tree, r)
}

// otherName is the nth name that a tree gets where others have its own:
// NAME@HOST, as far as such a name may be.
func otherName(r *rows.Tree, n int) string {
	suffix := "@" + strings.Map(func(c rune) rune {
		if c == '/' || !unicode.IsPrint(c) {
			return '_'
		}
		return c
	}, r.Host)
	const most = maxTreeName / 2
	if suffix = suffix[:runesWithin(suffix, most)]; n > 1 {
		suffix += fmt.Sprint("-", n)
	}
	return r.Name[:runesWithin(r.Name, maxTreeName-len(suffix))] + suffix
}

// runesWithin gives how many bytes the runes of a text have that fit into most.
func runesWithin(text string, most int) (n int) {
	for i, c := range text {
		if end := i + utf8.RuneLen(c); end <= most {
			n = end
		}
	}
	return n
}

// updateTree fills in what is not known of a tree. Where it is, and whom it is
// encrypted for, this machine knows best once it was synced here.
func (in *rowReader) updateTree(tx tx, tree int64, r *rows.Tree) error {
	if err := tx.exec("UPDATE tree SET host = ?, root = ? WHERE id = ? AND host = '' AND length(root) = 0", r.Host, []byte(string(r.Root)), tree); err != nil {
		return err
	}
	return tx.exec("UPDATE tree SET recipients = ?, keys = ? WHERE id = ? AND recipients IS NULL AND NOT EXISTS (SELECT 1 FROM run WHERE tree = ? AND catalog = 1)",
		r.Recipients, strings.Join(r.Keys, "\n"), tree, tree)
}
