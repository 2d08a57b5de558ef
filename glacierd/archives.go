package glacierd

import (
	"net/http"
	"strconv"

	"github.com/firn-archive/firn/treehash"
)

// Limits of archives. Source: Amazon Glacier developer guide, "Quotas", and
// API reference, "Upload Archive".
const (
	maxSingleUpload = 4 << 30
	maxDescription  = 1024
)

// storedInVain is how many bytes are taken in before it is looked whether the vault
// takes them: of fewer that costs more than it spares, since whoever records them
// looks once more.
const storedInVain = 1 << 20

func uploadArchive(c *call, v *vault) error {
	description, err := c.uploadHeaders(maxSingleUpload)
	if err != nil {
		return err
	}
	if c.r.ContentLength > storedInVain {
		if err := c.read(v, func(tx) error { return nil }); err != nil {
			return err
		}
	}
	p, err := v.place(c.ctx)
	if err != nil {
		return err
	}
	got, err := v.take(c, p)
	if err != nil {
		return err
	}
	a := archive{ref: ref{p.number, newSalt()}, size: got.size, hash: got.tree, description: description}
	var recorded bool // unless the commit failed
	err = c.writeAgain(v, func(t tx) (err error) {
		defer func() { recorded = err == nil }()
		if got.leaves != nil {
			if err := t.exec("INSERT INTO part VALUES (?, ?, ?, '', ?)", partKey(p.number, 0), got.size, got.tree[:], got.leaves); err != nil {
				return err
			}
		}
		if got.small != nil {
			if err := t.exec("INSERT INTO small VALUES (?, ?)", p.number, got.small); err != nil {
				return err
			}
		}
		return v.insertArchive(t, a)
	})
	if err != nil {
		if !recorded {
			got.drop()
			p.settle()
		}
		return err
	}
	p.settle()
	return c.created(v, a)
}

// created answers with the id of a new archive.
func (c *call) created(v *vault, a archive) error {
	id := v.seal(archiveID, a.ref)
	h := c.w.Header()
	h.Set("Location", c.location("archives", id))
	h.Set("x-amz-archive-id", id)
	h.Set("x-amz-sha256-tree-hash", a.hash.String())
	return c.empty(http.StatusCreated)
}

// uploadHeaders checks the headers that go with bytes to be stored, of which
// there may be most, and gives the description.
func (c *call) uploadHeaders(most int64) (description string, err error) {
	if n := c.r.ContentLength; n < 1 || n > most {
		return "", invalid("Invalid Content-Length: %d", n)
	}
	if c.r.Header.Get("x-amz-content-sha256") == "" {
		return "", missing("x-amz-content-sha256")
	}
	if _, err := c.treeHashHeader(); err != nil {
		return "", err
	}
	return c.description(c.r.Header.Get("x-amz-archive-description"))
}

func (c *call) treeHashHeader() (treehash.Hash, error) {
	const name = "x-amz-sha256-tree-hash"
	text := c.r.Header.Get(name)
	if text == "" {
		return treehash.Hash{}, missing(name)
	}
	h, err := treehash.Parse(text)
	if err != nil {
		return treehash.Hash{}, invalid("Invalid %s: %s", name, text)
	}
	return h, nil
}

func checksumMismatch(expected, computed treehash.Hash) error {
	return invalid("Checksum mismatch: expected %s, computed %s", expected, computed)
}

// description checks a text that archives and jobs carry.
func (c *call) description(text string) (string, error) {
	if len(text) > maxDescription {
		return "", invalid("Invalid description: it has %d characters, more than %d", len(text), maxDescription)
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return "", invalid("Invalid description: %s. Only printable ASCII characters are allowed", strconv.QuoteToASCII(text))
		}
	}
	return text, nil
}

// An archive is a row of that table.
type archive struct {
	ref
	size        int64
	hash        treehash.Hash
	created     int64
	deleted     *int64
	partSize    int64 // 0: one file
	description string
}

// insertArchive makes an archive part of the vault, from now on.
func (v *vault) insertArchive(t tx, a archive) error {
	at, seq, err := t.change(+1, a)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO archive (number, salt, size, tree_hash, created, created_seq, part_size, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		a.number, a.salt, a.size, a.hash[:], at, seq, a.partSize, a.description)
}

// change notes that an archive comes (+1) or goes (-1), and gives the time and
// the place of that among all changes.
func (t tx) change(sign int64, a archive) (at, seq int64, err error) {
	_, err = t.one(`
		INSERT INTO change (at, seq, archives, bytes, json, csv)
		SELECT max(at, ?1), seq + 1, archives + ?2, bytes + ?3, json + ?4, csv + ?5 FROM change ORDER BY at DESC, seq DESC LIMIT 1
		RETURNING at, seq`,
		[]any{t.now(), sign, sign * a.size, sign * a.jsonSize(), sign * a.csvSize()}, &at, &seq)
	return at, seq, err
}

// find gives the archive of an id, also a deleted one.
func (v *vault) find(t tx, id string) (a archive, found bool, err error) {
	r, from := v.open(archiveID, id)
	if from == fromElsewhere {
		return a, false, invalid("Invalid vault name: %s", t.c.arn(v.name))
	}
	if from != fromHere {
		return a, false, t.c.noArchive(id)
	}
	a.number = r.number
	var hash []byte
	found, err = t.one("SELECT salt, size, tree_hash, created, deleted, part_size, description FROM archive WHERE number = ?", []any{r.number},
		&a.salt, &a.size, &hash, &a.created, &a.deleted, &a.partSize, &a.description)
	if found {
		a.hash = treehash.Hash(hash)
	}
	return a, found && a.salt == r.salt, err
}

func (c *call) noArchive(id string) error { return notFound("The archive ID was not found: %s", id) }

// deleteArchive may be repeated: an archive that was here once counts as found.
func deleteArchive(c *call, v *vault) error {
	var gone bool
	var number int64
	err := c.write(v, func(t tx) error {
		a, found, err := v.find(t, c.item)
		if err != nil || !found || a.deleted != nil {
			return err
		}
		age := t.now() - a.created
		if err := t.allowed(facts{age: &age}); err != nil {
			return err
		}
		at, seq, err := t.change(-1, a)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE archive SET deleted = ?, deleted_seq = ? WHERE number = ?", at, seq, a.number); err != nil {
			return err
		}
		number = a.number
		gone, err = v.discard(t, a.number)
		return err
	})
	if err != nil {
		return err
	}
	if gone {
		v.removeBody(number)
	}
	return c.empty(http.StatusNoContent)
}

// discard removes a small body, or notes that a body is to be removed, and reports
// whether its file is to go at once: the outputs of finished jobs keep it until they
// expire.
func (v *vault) discard(t tx, number int64) (now bool, err error) {
	if err := t.forget(v.takeRemoved()); err != nil {
		return false, err
	}
	var due int64
	_, err = t.one("SELECT coalesce(max(expires), 0) FROM job WHERE archive = ?1 AND ripe <= ?2 AND expires > ?2 AND failure IS NULL",
		[]any{number, t.now()}, &due)
	if err != nil {
		return false, err
	}
	if due == 0 {
		var one int64
		if gone, err := t.one("DELETE FROM small WHERE number = ? RETURNING number", []any{number}, &one); gone || err != nil {
			return false, err
		}
	}
	return due == 0, t.exec("INSERT OR REPLACE INTO garbage VALUES (?, ?)", number, due)
}
