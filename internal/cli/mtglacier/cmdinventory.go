package mtglacier

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/inventory"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/mtjournal"
)

// inventoryMark is the description of the job that retrieve-inventory starts: the
// JSON {"type":"full"} in base64url behind a mark. Source: lib/App/MtAws/MetaData.pm
// of mt-aws-glacier 1.120.
const inventoryMark = "mtijob1 eyJ0eXBlIjoiZnVsbCJ9"

// retrieveInventory asks for a list of all archives.
func (r *runner) retrieveInventory(ctx context.Context) error {
	return r.withVault(ctx, func(s *session) error {
		format := firn.InventoryJSON
		if r.InventoryFormat == string(firn.InventoryCSV) {
			format = firn.InventoryCSV
		}
		id, err := s.askInventory(ctx, format)
		if err != nil {
			return err
		}
		r.did("Retrieved Inventory, job id %s", id)
		return nil
	})
}

// inventoryTries is how often an inventory is asked for whose answers are lost.
const inventoryTries = 3

// askInventory starts the job. Where the answer is lost it is looked for among
// those that run.
func (s *session) askInventory(ctx context.Context, format firn.InventoryFormat) (firn.JobID, error) {
	for try := 1; ; try++ {
		id, err := s.store.StartInventory(ctx, firn.InventorySpec{Description: inventoryMark, Format: format})
		if firn.KindOf(err) != firn.Lost || try == inventoryTries {
			return id, err
		}
		for j, err := range s.store.Jobs(ctx) {
			if err != nil {
				return "", err
			}
			if isFullInventory(&j) && j.State == firn.JobRunning && j.Format == format {
				return j.ID, nil
			}
		}
	}
}

// isFullInventory reports whether a job lists all archives.
func isFullInventory(j *firn.Job) bool { return j.Kind == firn.InventoryJob && !j.Partial }

// downloadInventory makes a journal of the newest list of archives that is ready.
// Where there is none it does nothing.
func (r *runner) downloadInventory(ctx context.Context) error {
	return r.withVault(ctx, func(s *session) error {
		var newest firn.Job
		for j, err := range s.store.Jobs(ctx) {
			if err != nil {
				return err
			}
			if isFullInventory(&j) && j.State == firn.JobReady && (newest.ID == "" || j.Created.After(newest.Created)) {
				newest = j
			}
		}
		r.did("Fetched job list for inventory retrieval")
		if newest.ID == "" {
			return nil
		}
		return s.writeInventory(ctx, newest)
	})
}

// writeInventory writes the journal: all of it, or nothing.
func (s *session) writeInventory(ctx context.Context, job firn.Job) error {
	f, err := atomicfile.Create(s.at(s.NewJournal), 0o644)
	if err != nil {
		return problemf("Cannot write journal %s: %v", s.NewJournal, reason(err))
	}
	out := bufio.NewWriterSize(f, 256<<10)
	err = s.readInventory(ctx, job, func(a firn.Archive) error {
		line, err := s.lineOf(&a)
		if err == nil {
			_, err = out.Write(line)
		}
		return err
	})
	err = errors.Join(err, out.Flush())
	if info, there := os.Stat(s.at(s.NewJournal)); err == nil && there == nil && info.Size() > 0 {
		err = fs.ErrExist
	}
	if err != nil {
		return errors.Join(problemf("Cannot write journal %s: %v", s.NewJournal, err), f.Abort())
	}
	if err := f.Commit(); err != nil {
		return problemf("Cannot write journal %s: %v", s.NewJournal, reason(err))
	}
	name := "JSON"
	if job.Format == firn.InventoryCSV {
		name = "CSV"
	}
	s.did("Downloaded inventory in %s format", name)
	return nil
}

// readInventory reads the list of a job, in either form.
func (s *session) readInventory(ctx context.Context, job firn.Job, each func(firn.Archive) error) error {
	if job.Format != firn.InventoryCSV {
		_, err := s.store.Inventory(ctx, job.ID, each)
		return err
	}
	f, err := s.spooled(ctx, job)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = inventory.ReadCSV(io.NewSectionReader(f, 0, job.InventorySize), each, nil)
	return err
}

// spooled downloads the output of a job into a file of its own.
func (s *session) spooled(ctx context.Context, job firn.Job) (*os.File, error) {
	d, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Clock: s.env.Clock, Events: s.events})
	if err != nil {
		return nil, err
	}
	dir, err := wire.SpoolDir(s.wire)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "inventory-*.csv")
	if err != nil {
		return nil, err
	}
	// The service gives no hash of inventories.
	_, err = d.Download(ctx, transfer.Download{Path: "the inventory", Job: job.ID, Size: job.InventorySize, Unproven: true, Dest: f})
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// lineOf is the line of an archive: under the name that its description has, or,
// where that says none which a journal can hold, under its id.
func (s *session) lineOf(a *firn.Archive) ([]byte, error) {
	rec := mtjournal.Record{
		Op: mtjournal.Created, Time: max(a.Created.Unix(), 0), Archive: string(a.ID), Size: a.Size, Tree: a.Tree.String(), Path: string(a.ID),
	}
	nameless, err := rec.AppendLine(nil)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", a.ID, err)
	}
	d := describe.Decode(a.Description)
	switch d.Format {
	case describe.Firn, describe.MT1, describe.MT2:
	default:
		return nameless, nil
	}
	rec.Path, rec.MTime, rec.HasMTime = d.Path, d.ModTime.Unix(), !d.ModTime.IsZero()
	named, err := rec.AppendLine(nil)
	if err != nil || d.Kind != describe.File {
		return nameless, nil
	}
	line, err := s.Encodings.Journal.Encode(string(named))
	if err != nil {
		return nameless, nil
	}
	return []byte(line), nil
}

// withVault is a command with one worker, of which firn's catalog need not know.
func (r *runner) withVault(ctx context.Context, do func(*session) error) error {
	r.started(1)
	s, err := r.vault(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return do(s)
}
