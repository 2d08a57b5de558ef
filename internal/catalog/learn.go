package catalog

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/firn-archive/firn"
)

// A Lesson is what somebody found out about a content whose hash nobody knew.
type Lesson struct {
	Archive int64 // row
	Member  int64 // place in its order of contents, as in Location
	Content firn.Content
}

// LearnContent is LearnContents for one content.
func (c *Catalog) LearnContent(ctx context.Context, archive, member int64, content firn.Content) error {
	return c.LearnContents(ctx, []Lesson{{archive, member, content}})
}

// LearnContents records the hashes of contents that were taken in without one,
// once their bytes were read and verified. From then on they are found by their
// content, as others are. It is safe to say it twice; what is gone meanwhile is
// passed over. It makes no versions: a snapshot that only adds to an older one
// doesn't tell of it, the next full one does.
// Errors: Invalid (no hash is given), Conflict (another size or hash is known):
// then nothing of it all is recorded.
func (c *Catalog) LearnContents(ctx context.Context, lessons []Lesson) error {
	if len(lessons) == 0 {
		return nil
	}
	if i := slices.IndexFunc(lessons, func(l Lesson) bool { return l.Content.Tree.IsZero() }); i >= 0 {
		return lessons[i].refuse(firn.Invalid, "there is no hash to be recorded")
	}
	if err := c.tidy(ctx); err != nil {
		return err
	}
	inOrder := slices.SortedFunc(slices.Values(lessons), func(a, b Lesson) int { return cmp.Compare(hash64(a.Content.Tree), hash64(b.Content.Tree)) })
	return c.write(ctx, "record content", lessons[0].subject(), func(tx tx) error {
		index := insertTrees.batch(tx)
		for _, l := range inOrder {
			fresh, err := learn(tx, l)
			if err == nil && fresh {
				c.trees.fresh.Add(1)
				err = index.add(hash64(l.Content.Tree), l.Archive, l.Member)
			}
			if err != nil {
				return err
			}
		}
		return index.flush()
	})
}

// learn writes down one hash; false: there is nothing to write down.
func learn(tx tx, l Lesson) (fresh bool, err error) {
	var size int64
	var tree []byte
	err = tx.row("SELECT size, tree FROM location WHERE archive = ? AND member = ?", l.Archive, l.Member).Scan(&size, &tree)
	switch {
	case isNoRows(err):
		return false, nil
	case err != nil:
		return false, err
	case size != l.Content.Size:
		return false, l.refuse(firn.Conflict, "it has %d bytes, and is recorded as one of %d", l.Content.Size, size)
	case tree != nil && !bytes.Equal(tree, l.Content.Tree[:]):
		return false, l.refuse(firn.Conflict, "its tree hash is %s, and %x is recorded", l.Content.Tree, tree)
	case tree != nil:
		return false, nil
	}
	return true, tx.exec("UPDATE location SET tree = ? WHERE archive = ? AND member = ?", l.Content.Tree[:], l.Archive, l.Member)
}

func (l *Lesson) subject() string { return fmt.Sprintf("%d of archive %d", l.Member, l.Archive) }

func (l *Lesson) refuse(kind firn.Kind, why string, args ...any) error {
	return &firn.Error{Op: "record content", Subject: l.subject(), Kind: kind, Err: fmt.Errorf(why, args...)}
}
