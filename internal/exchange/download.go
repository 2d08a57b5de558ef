package exchange

import "io"

// A Download is a body that comes: so many bytes of it, no more, and no fewer
// without an error. It ends when nothing comes for too long.
type Download struct {
	body io.ReadCloser
	x    *Exchange
	left int64 // bytes still expected; below 0 where the length is not known
	read int64 // bytes that came
	err  error // given once, given ever
}

// Unbounded is the length of a download that ends where its body does.
const Unbounded = -1

// Download gives the body of the answer of an exchange that Streams: length bytes
// of it, or Unbounded. A body that breaks off gives an error of kind Network. Its
// Close ends the exchange.
func (x *Exchange) Download(body io.ReadCloser, length int64) *Download {
	return &Download{body: body, x: x, left: length}
}

// Read reads what comes next.
func (d *Download) Read(p []byte) (int, error) {
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
	d.x.expect(d.x.client.stall())
	n, err := d.body.Read(p)
	d.read += int64(n)
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

// Received is how many bytes came.
func (d *Download) Received() int64 { return d.read }

// Broken is the error that the download ended with; nil where it goes on, or came
// to its end.
func (d *Download) Broken() error {
	if d.err == io.EOF {
		return nil
	}
	return d.err
}

// Close ends the exchange.
func (d *Download) Close() error {
	d.x.Release()
	return d.body.Close()
}
