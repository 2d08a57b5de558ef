package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A JobState says what the catalog knows of a job.
type JobState uint8

// The states of a job.
const (
	JobIntended JobState = 1 // recorded, perhaps asked for
	JobRunning  JobState = 2
	JobReady    JobState = 3
	JobFailed   JobState = 10
	JobGone     JobState = 11 // expired, or never asked for
)

// A Job is one that the catalog keeps track of.
type Job struct {
	ID      int64 // row; given by JobIntent
	Store   int64
	Run     int64
	Token   firn.Token // zero of a job that somebody else started
	Archive int64      // row of the archive it brings; 0 of inventories
	State   JobState
	Asked   time.Time // when it was intended, by the local clock
	// Remote is what the store said of it last; before that what was asked
	// for: Kind, Tier, Archive, Range (zero: the whole archive). Its
	// Description is not kept.
	Remote firn.Job
}

// JobIntent records a job that is about to be asked for, and gives its ID. Of
// job it takes Store, Run, Token, Archive and of Remote what is asked for. Where
// Archive is 0 it is the row of what is asked for, if there is one.
// Errors: Invalid (no token).
func (c *Catalog) JobIntent(ctx context.Context, job Job) (int64, error) {
	if job.Token.IsZero() {
		return 0, &firn.Error{Op: "record job", Subject: string(job.Remote.Archive), Kind: firn.Invalid, Err: errors.New("no token")}
	}
	job.State, job.Asked, job.Remote.ID = JobIntended, c.clock.Now(), ""
	err := c.write(ctx, "record job", string(job.Remote.Archive), func(tx tx) (err error) {
		if job.Archive == 0 && job.Remote.Archive != "" {
			if job.Archive, err = archiveByRemote(tx, job.Store, job.Remote.Archive); err != nil {
				return err
			}
		}
		job.ID, err = insertJob(tx, &job)
		return err
	})
	return job.ID, err
}

// JobStarted records the store's id of a job. Errors: NotFound.
func (c *Catalog) JobStarted(ctx context.Context, id int64, remote firn.JobID) error {
	return c.write(ctx, "record job", string(remote), func(tx tx) error {
		return tx.row("UPDATE job SET remote = ?, state = max(state, 2) WHERE id = ? RETURNING id", string(remote), id).Scan(&id)
	})
}

// JobSeen records what the store says of a job, in the row that has its id, or
// else its token, or else in a new one: token is zero where its description
// has none. It gives the row.
func (c *Catalog) JobSeen(ctx context.Context, store int64, token firn.Token, job firn.Job) (id int64, err error) {
	err = c.write(ctx, "record job", string(job.ID), func(tx tx) error {
		id, err = findJob(tx, store, token, job.ID)
		if err != nil {
			return err
		}
		if id != 0 {
			return updateJob(tx, id, &job)
		}
		j := Job{Store: store, Token: token, State: jobStateOf(job.State), Asked: c.clock.Now(), Remote: job}
		if job.Archive != "" {
			if j.Archive, err = archiveByRemote(tx, store, job.Archive); err != nil {
				return err
			}
		}
		if id, err = insertJob(tx, &j); err != nil {
			return err
		}
		return updateJob(tx, id, &job)
	})
	return id, err
}

func jobStateOf(s firn.JobState) JobState {
	switch s {
	case firn.JobReady:
		return JobReady
	case firn.JobFailed:
		return JobFailed
	}
	return JobRunning
}

// findJob gives the row of a job; 0 where there is none. A token whose row has
// another id is that of a job asked for twice: the second has a row of its own.
func findJob(tx tx, store int64, token firn.Token, remote firn.JobID) (id int64, err error) {
	err = tx.row("SELECT id FROM job WHERE remote = ? AND store = ? LIMIT 1", string(remote), store).Scan(&id)
	if !isNoRows(err) || token.IsZero() {
		return id, ignoreNoRows(err)
	}
	err = tx.row("SELECT id FROM job WHERE token = ? AND store = ? AND remote IS NULL LIMIT 1", token[:], store).Scan(&id)
	return id, ignoreNoRows(err)
}

func ignoreNoRows(err error) error {
	if isNoRows(err) {
		return nil
	}
	return err
}

// insertJob writes what is known of a job when it is asked for.
func insertJob(tx tx, job *Job) (int64, error) {
	var token, from, to any
	if !job.Token.IsZero() {
		token = job.Token[:]
	}
	r := &job.Remote
	if r.Range.Len() > 0 {
		from, to = r.Range.Start, r.Range.End
	}
	sec, nsec := instant(job.Asked)
	return tx.insert(`INSERT INTO job (store, run, token, kind, state, archive, remote_archive, from_byte, to_byte, tier, asked, asked_ns)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		job.Store, job.Run, token, string(r.Kind), job.State, job.Archive, string(r.Archive), from, to, string(r.Tier), sec, nsec)
}

// updateJob writes what the store says of a job.
func updateJob(tx tx, id int64, j *firn.Job) error {
	var from, to any
	if j.Range.Len() > 0 {
		from, to = j.Range.Start, j.Range.End
	}
	created, createdNs := instant(j.Created)
	completed, completedNs := instant(j.Completed)
	return tx.exec(`UPDATE job SET remote = ?, state = ?, kind = ?, tier = ?, from_byte = coalesce(?, from_byte), to_byte = coalesce(?, to_byte),
		created = ?, created_ns = ?, completed = ?, completed_ns = ?, archive_size = ?, archive_tree = ?, range_tree = ?,
		partial = ?, output = ?, message = ? WHERE id = ?`,
		string(j.ID), jobStateOf(j.State), string(j.Kind), string(j.Tier), from, to,
		created, createdNs, completed, completedNs, j.ArchiveSize, j.ArchiveTree[:], j.RangeTree[:],
		j.Partial, j.InventorySize, j.Message, id)
}

const jobColumns = `id, store, run, token, coalesce(archive, 0), state, asked, asked_ns,
	coalesce(remote, ''), kind, coalesce(remote_archive, ''), coalesce(from_byte, 0), coalesce(to_byte, 0), tier,
	coalesce(created, -62135596800), coalesce(created_ns, 0), coalesce(completed, -62135596800), coalesce(completed_ns, 0),
	archive_size, archive_tree, range_tree, partial, output, message`

func scanJob(rows *sql.Rows) (j Job, err error) {
	var token, archiveTree, rangeTree []byte
	var asked, askedNs, created, createdNs, completed, completedNs int64
	r := &j.Remote
	err = rows.Scan(&j.ID, &j.Store, &j.Run, &token, &j.Archive, &j.State, &asked, &askedNs,
		&r.ID, &r.Kind, &r.Archive, &r.Range.Start, &r.Range.End, &r.Tier,
		&created, &createdNs, &completed, &completedNs,
		&r.ArchiveSize, &archiveTree, &rangeTree, &r.Partial, &r.InventorySize, &r.Message)
	copy(j.Token[:], token)
	copy(r.ArchiveTree[:], archiveTree)
	copy(r.RangeTree[:], rangeTree)
	j.Asked, r.Created, r.Completed = at(asked, askedNs), at(created, createdNs), at(completed, completedNs)
	switch j.State {
	case JobRunning:
		r.State = firn.JobRunning
	case JobReady:
		r.State = firn.JobReady
	case JobFailed:
		r.State = firn.JobFailed
	}
	return j, err
}

// OpenJobs lists a store's jobs that are intended, running or ready, oldest
// first.
func (c *Catalog) OpenJobs(ctx context.Context, store int64) (jobs []Job, err error) {
	return c.jobs(ctx, fmt.Sprint("of store ", store), "SELECT "+jobColumns+" FROM job WHERE store = ? AND state < 10 ORDER BY id", store)
}

// JobsOf lists the open jobs that bring an archive, or parts of it, oldest
// first.
func (c *Catalog) JobsOf(ctx context.Context, archive int64) (jobs []Job, err error) {
	return c.jobs(ctx, fmt.Sprint("of archive ", archive), "SELECT "+jobColumns+" FROM job WHERE archive = ? AND state < 10 ORDER BY id", archive)
}

func (c *Catalog) jobs(ctx context.Context, subject, query string, arg int64) (jobs []Job, err error) {
	err = c.read(ctx, "list jobs", subject, func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			j, err := scanJob(rows)
			jobs = append(jobs, j)
			return err
		}, query, arg)
	})
	return jobs, err
}

// JobGone records that a job is not there any more, or never was, and why.
// Errors: NotFound.
func (c *Catalog) JobGone(ctx context.Context, id int64, reason string) error {
	return c.write(ctx, "record job", fmt.Sprint(id), func(tx tx) error {
		return tx.row("UPDATE job SET state = 11, message = ? WHERE id = ? RETURNING id", reason, id).Scan(&id)
	})
}
