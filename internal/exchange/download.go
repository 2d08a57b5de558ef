package exchange

import "io"

// A download is a body that comes: left bytes of it, no more, and no fewer
// without an error. It ends when nothing comes for too long.
type download struct {
	io.ReadCloser
	x    *Exchange
	left int64 // bytes still expected; below 0 where the length is not known
	err  error // given once, given ever
}

// Unbounded is the length of a download that ends where its body does.
const Unbounded = -1

// Download gives the body of the answer of an exchange that Streams: length bytes
// of it, or Unbounded. A body that breaks off gives an error of kind Network. Its
// Close ends the exchange.
func (x *Exchange) Download(body io.ReadCloser, length int64) io.ReadCloser {
	return &download{ReadCloser: body, x: x, left: length}
}

func (d *download) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.left == 0 {
		d.err = io.EOF
		return 0, io.EOF
	}
	if d.left > 0 && int64(len(p)) > d.left {
		p = p[:d.left]
	}
	d.x.expect(stallWithin)
	n, err := d.ReadCloser.Read(p)
	d.x.pause()
	if d.left > 0 {
		d.left -= int64(n)
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && d.left <= 0:
		d.err = io.EOF
	case err == io.EOF:
		d.err = d.x.brokenOff(io.ErrUnexpectedEOF)
	default:
		d.err = d.x.brokenOff(err)
	}
	return n, d.err
}

func (d *download) Close() error {
	d.x.Release()
	return d.ReadCloser.Close()
}
