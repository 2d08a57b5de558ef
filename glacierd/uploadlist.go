package glacierd

import (
	"strconv"

	"github.com/firn-archive/firn/treehash"
)

func listUploads(c *call, v *vault) error {
	limit, after, err := c.page(v, uploadID)
	if err != nil {
		return err
	}
	type entry struct {
		ArchiveDescription *string
		CreationDate       string
		MultipartUploadId  string
		PartSizeInBytes    int64
		VaultARN           string
	}
	page := struct {
		Marker      *string
		UploadsList []entry
	}{UploadsList: []entry{}}
	err = c.read(v, func(t tx) error {
		return t.each("SELECT "+uploadColumns+" FROM upload WHERE ended IS NULL AND number > ? ORDER BY number LIMIT ?", []any{after, limit + 1},
			func(scan func(...any) error) error {
				var u upload
				if err := scan(u.columns()...); err != nil {
					return err
				}
				if n := len(page.UploadsList); n == limit {
					page.Marker = &page.UploadsList[n-1].MultipartUploadId
					return nil
				}
				page.UploadsList = append(page.UploadsList, entry{orNull(u.description), stamp(u.created), v.seal(uploadID, u.ref), u.partSize, c.arn(v.name)})
				return nil
			})
	})
	if err != nil {
		return err
	}
	return c.reply(page)
}

func listParts(c *call, v *vault) error {
	query := c.r.URL.Query()
	limit, err := c.limit(query, pageSize)
	if err != nil {
		return err
	}
	var first int64
	if marker := query.Get("marker"); marker != "" {
		var ok bool
		if first, ok = parseOffset(marker); !ok || first > maxParts {
			return invalid("Invalid marker: %s", marker)
		}
	}
	type entry struct{ RangeInBytes, SHA256TreeHash string }
	page := struct {
		ArchiveDescription *string
		CreationDate       string
		Marker             *string
		MultipartUploadId  string
		PartSizeInBytes    int64
		Parts              []entry
		VaultARN           string
	}{MultipartUploadId: c.item, VaultARN: c.arn(v.name), Parts: []entry{}}
	err = c.read(v, func(t tx) error {
		u, err := v.openUpload(t)
		if err != nil {
			return err
		}
		page.ArchiveDescription, page.CreationDate, page.PartSizeInBytes = orNull(u.description), stamp(u.created), u.partSize
		base := partKey(u.number, 0)
		return t.each("SELECT key, size, tree_hash FROM part WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",
			[]any{base + first, partKey(u.number, maxParts), limit + 1},
			func(scan func(...any) error) error {
				var key, size int64
				var hash []byte
				if err := scan(&key, &size, &hash); err != nil {
					return err
				}
				index := key - base
				if len(page.Parts) == limit {
					marker := strconv.FormatInt(index, 10)
					page.Marker = &marker
					return nil
				}
				start := index * u.partSize
				page.Parts = append(page.Parts, entry{span{start, start + size - 1}.String(), treehash.Hash(hash).String()})
				return nil
			})
	})
	if err != nil {
		return err
	}
	return c.reply(page)
}

// page reads the page size and the marker of a list of things that have ids:
// the marker is the id of the last one that was given.
func (c *call) page(v *vault, kind idKind) (limit int, after int64, err error) {
	query := c.r.URL.Query()
	if limit, err = c.limit(query, pageSize); err != nil {
		return 0, 0, err
	}
	marker := query.Get("marker")
	if marker == "" {
		return limit, 0, nil
	}
	r, from := v.open(kind, marker)
	if from != fromHere {
		return 0, 0, invalid("Invalid marker: %s", marker)
	}
	return limit, r.number, nil
}

// orNull is nil for an empty text, which becomes null in JSON.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
