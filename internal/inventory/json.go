package inventory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/firn-archive/firn"
)

// maxEntry is how many bytes of JSON are held at once: one archive's, or one
// value that nobody asked for. The service's entries have at most 3 KiB.
const maxEntry = 1 << 20

// errTooLong is the answer of a ration that is used up.
var errTooLong = fmt.Errorf("more than %d KiB without an end: this is not an inventory", maxEntry>>10)

// A ration lets maxEntry bytes through, then no more until it is renewed, so
// that a decoder which reads to the end of a value can't be made to hold all.
type ration struct {
	r    io.Reader
	left int
}

func (r *ration) renew() { r.left = maxEntry }

func (r *ration) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooLong
	}
	n, err := r.r.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// byteOrderMark is what some editors put before text in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// past gives a reader of r that begins behind the mark, if there is one.
func past(mark []byte, r *bufio.Reader) *bufio.Reader {
	if head, _ := r.Peek(len(mark)); bytes.Equal(head, mark) {
		r.Discard(len(mark)) // it is in the buffer
	}
	return r
}

// A jsonReader is on its way through an inventory.
type jsonReader struct {
	dec    *json.Decoder
	ration *ration
	info   firn.InventoryInfo
	each   func(firn.Archive) error
	bad    func(error) error
	number int64 // of the archives so far, from 1
	listed bool  // ArchiveList was seen
	slowly bool  // by encoding/json alone
}

// ReadJSON reads an inventory in JSON from r to its end, and hands each archive
// to each, in order. It takes the keys in any order, and passes over those it
// doesn't know. What it answers is complete only where it gives no error.
//
// An entry that isn't an archive goes to bad, as an *Error, and the rest is
// read; where bad is nil, or answers an error, that ends it.
func ReadJSON(r io.Reader, each func(firn.Archive) error, bad func(error) error) (firn.InventoryInfo, error) {
	return readJSON(r, &jsonReader{each: each, bad: bad})
}

func readJSON(r io.Reader, j *jsonReader) (firn.InventoryInfo, error) {
	j.ration = &ration{r: past(byteOrderMark, bufio.NewReaderSize(r, 64<<10))}
	j.dec = json.NewDecoder(j.ration)
	err := j.read()
	var own *stop
	switch {
	case errors.As(err, &own):
		return j.info, own.error
	case err != nil:
		e := &Error{Err: err}
		if j.number > 0 {
			e.Where = fmt.Sprintf("after archive %d", j.number)
		}
		return j.info, e
	}
	return j.info, nil
}

// A stop is an error that goes back as it is.
type stop struct{ error }

func (j *jsonReader) read() error {
	if err := j.delimiter('{'); err != nil {
		return err
	}
	for j.more() {
		key, err := j.token()
		if err != nil {
			return err
		}
		if err := j.value(key); err != nil {
			return err
		}
	}
	if err := j.delimiter('}'); err != nil {
		return err
	}
	if !j.listed {
		return errors.New("not an inventory: no ArchiveList")
	}
	if _, err := j.token(); err == nil || errors.As(err, new(*json.SyntaxError)) {
		return errors.New("more follows the inventory")
	} else if err != io.EOF {
		return err
	}
	return nil
}

// value reads what stands at one key of the inventory.
func (j *jsonReader) value(key json.Token) (err error) {
	switch key {
	case "VaultARN":
		j.ration.renew()
		return j.dec.Decode(&j.info.Subject)
	case "InventoryDate":
		var s *string
		j.ration.renew()
		if err = j.dec.Decode(&s); err == nil && s != nil {
			j.info.Date, err = moment(*s)
		}
		return err
	case "ArchiveList":
		if j.listed {
			return errors.New("two lists of archives")
		}
		j.listed = true
		return j.archives()
	}
	return j.skip()
}

func (j *jsonReader) archives() error {
	switch open, err := j.token(); {
	case err != nil:
		return err
	case open == nil: // null: an empty list
		return nil
	case open != json.Delim('['):
		return fmt.Errorf("not an inventory: its ArchiveList begins with %s", quote(fmt.Sprint(open)))
	}
	if !j.slowly {
		if err := j.plainArchives(); err != nil {
			return err
		}
	}
	for j.more() {
		if err := j.archive(); err != nil {
			return err
		}
	}
	return j.delimiter(']')
}

// archive reads one entry of the list.
func (j *jsonReader) archive() error {
	var e entry
	j.ration.renew()
	err := j.dec.Decode(&e)
	if err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return err // there is no way to go on
	}
	return j.take(&e, err)
}

// take hands out an entry. Err says that it was there, but is none.
func (j *jsonReader) take(e *entry, err error) error {
	var a firn.Archive
	j.number++
	if err == nil {
		a, err = e.archive()
	}
	if err != nil {
		err = &Error{Where: fmt.Sprintf("archive %d", j.number), Err: err}
		if j.bad != nil {
			err = j.bad(err)
		}
		if err != nil {
			return &stop{err}
		}
		return nil
	}
	if err := j.each(a); err != nil {
		return &stop{err}
	}
	j.info.Archives++
	return nil
}

// delimiter reads one brace or bracket.
func (j *jsonReader) delimiter(want json.Delim) error {
	got, err := j.token()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err == nil && got != want {
		err = fmt.Errorf("not an inventory: %s where %s is expected", quote(fmt.Sprint(got)), want)
	}
	return err
}

func (j *jsonReader) more() bool {
	j.ration.renew()
	return j.dec.More()
}

func (j *jsonReader) token() (json.Token, error) {
	j.ration.renew()
	return j.dec.Token()
}

// skip passes over one value, however large, without holding it.
func (j *jsonReader) skip() error {
	for depth := 0; ; {
		t, err := j.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
