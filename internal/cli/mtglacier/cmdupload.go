package mtglacier

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
)

// uploadFile sends one file, or what comes on stdin, under a name that the journal
// doesn't have.
func (r *runner) uploadFile(ctx context.Context) error {
	j, err := r.openJournal(false)
	if err != nil {
		return err
	}
	defer j.close()
	if _, known := j.state.Latest(r.RelFilename); known {
		return problemf("File with same name already exists in Journal: %s", r.RelFilename)
	}
	if r.Stdin {
		if err := r.fillStdin(); err != nil {
			return err
		}
	}
	r.started(r.Concurrency)
	return r.asRun(ctx, r.openTarget, func(s *session) error { return s.uploadOne(ctx, j) })
}

// fillStdin makes sure that there is something on stdin, before an upload is
// begun.
func (r *runner) fillStdin() error {
	in := bufio.NewReader(r.env.Stdin)
	_, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		return problemf("Empty input from STDIN - cannot upload empty archive")
	}
	if err != nil {
		return problemf("Cannot read STDIN: %v", err)
	}
	r.env.Stdin = in
	return nil
}

func (s *session) uploadOne(ctx context.Context, j *journal) error {
	up, err := s.uploads(ctx, j)
	if err != nil {
		return err
	}
	if _, known := j.state.Latest(s.RelFilename); known {
		return up.finish() // an earlier run had sent it, and was killed before it could say so
	}
	if s.Stdin {
		err = up.stream(ctx, s.RelFilename, int64(s.CheckMaxFileSize)<<20)
	} else {
		_, err = up.send(ctx, s.RelFilename, s.openFile, nil)
	}
	return errors.Join(err, up.finish())
}

// openFile opens the file that is to be uploaded.
func (s *session) openFile() (transfer.File, error) {
	f, err := os.Open(s.at(s.Filename))
	if err != nil {
		return nil, err
	}
	return &scan.File{File: f}, nil
}
