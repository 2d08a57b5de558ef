package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
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
	var id int64
	err := c.writeAgain(ctx, "record job", string(job.Remote.Archive), func(tx tx) (err error) {
		job := job // what it finds may be taken back, and it runs again
		if job.Archive == 0 && job.Remote.Archive != "" {
			if job.Archive, err = archiveByRemote(tx, job.Store, job.Remote.Archive); err != nil {
				return err
			}
		}
		id, err = insertJob(tx, &job)
		return err
	})
	return id, err
}

// JobStarted records the store's id of a job. Errors: NotFound.
func (c *Catalog) JobStarted(ctx context.Context, id int64, remote firn.JobID) error {
	return c.writeAgain(ctx, "record job", string(remote), func(tx tx) error {
		return tx.row("UPDATE job SET remote = ?, state = max(state, 2) WHERE id = ? RETURNING id", string(remote), id).Scan(&id)
	})
}

// JobHastened is JobStarted of a request that a job of that id comes faster, whose row
// takes the place of the one that waited for it before; 0: none did. No other copy is
// made. Errors: NotFound.
func (c *Catalog) JobHastened(ctx context.Context, id int64, remote firn.JobID, before int64) error {
	return c.write(ctx, "record job", string(remote), func(tx tx) error {
		err := tx.row("UPDATE job SET remote = ?, state = max(state, 2) WHERE id = ? RETURNING id", string(remote), id).Scan(&id)
		if err != nil || before == 0 {
			return err
		}
		return tx.row("UPDATE job SET state = 11, message = 'asked for by a faster tier' WHERE id = ? RETURNING id", before).Scan(&before)
	})
}

// JobThawed is JobStarted of a job whose copy of an archive of so many bytes is
// charged for: it was asked to stay for some days. Errors: NotFound.
func (c *Catalog) JobThawed(ctx context.Context, id int64, remote firn.JobID, size int64, days int) error {
	return c.write(ctx, "record job", string(remote), func(tx tx) error {
		var store int64
		var class string
		err := tx.row("UPDATE job SET remote = ?, state = max(state, 2) WHERE id = ? RETURNING store, coalesce((SELECT class FROM object WHERE archive = job.archive), '')", string(remote), id).Scan(&store, &class)
		if err != nil || firn.PaceOf(class) == firn.InstantPace { // it can be read without a copy
			return err
		}
		return charge(tx, store, c.clock.Now(), Charge{Op: CopyOp, Rest: daysLong(days), Calls: 1, Bytes: size})
	})
}

// CopyExtended records that a copy of an archive of so many bytes stays for some
// days more: that is a request, and more of the copy.
func (c *Catalog) CopyExtended(ctx context.Context, store int64, size int64, days int) error {
	return c.write(ctx, "record what is charged for", fmt.Sprint("in store ", store), func(tx tx) error {
		return charge(tx, store, c.clock.Now(), Charge{Op: ExtendOp, Rest: daysLong(days), Calls: 1, Bytes: size})
	})
}

func daysLong(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }

// A SeenJob is a job in a store's list.
type SeenJob struct {
	Token firn.Token // in its description; zero: there is none
	Job   firn.Job
	Row   int64 // that has the job's id; 0: it is to be found
}

// JobSeen records what the store says of a job, in the row that has its id, or
// else its token, or else in a new one: token is zero where its description
// has none. It gives the row.
func (c *Catalog) JobSeen(ctx context.Context, store int64, token firn.Token, job firn.Job) (id int64, err error) {
	err = c.write(ctx, "record job", string(job.ID), func(tx tx) error {
		id, err = c.seeJob(tx, store, &SeenJob{Token: token, Job: job})
		return err
	})
	return id, err
}

// JobsSeen is JobSeen of some thousand jobs, in one transaction. What is said twice of a
// row counts once, whichever.
func (c *Catalog) JobsSeen(ctx context.Context, store int64, jobs []SeenJob) error {
	if len(jobs) == 0 {
		return nil
	}
	return c.write(ctx, "record jobs", fmt.Sprint("of store ", store), func(tx tx) error {
		known := updateJobs.batch(tx)
		for part := range slices.Chunk(jobs, jobsAtOnce) {
			if err := c.seeJobs(tx, store, part, known); err != nil {
				return err
			}
		}
		return nil
	})
}

// jobsAtOnce is how many jobs are told in one statement: with the values of more it
// takes more memory, and no less time.
const jobsAtOnce = 128

// seeJobs records some jobs: through a batch, empty before and after, those whose rows are
// known.
func (c *Catalog) seeJobs(tx tx, store int64, jobs []SeenJob, known *batch) (err error) {
	for i := range jobs {
		if j := &jobs[i]; j.Row != 0 {
			err = known.add(toldOf(j.Row, &j.Job)...)
		} else {
			_, err = c.seeJob(tx, store, j)
		}
		if err != nil {
			return err
		}
	}
	return known.flush()
}

func (c *Catalog) seeJob(tx tx, store int64, seen *SeenJob) (id int64, err error) {
	job := &seen.Job
	id, named, err := findJob(tx, store, seen.Token, job.ID)
	switch {
	case err != nil:
		return 0, err
	case named:
		return id, updateJob(tx, id, job)
	case id != 0:
		return id, nameJob(tx, id, job)
	}
	j := Job{Store: store, Token: seen.Token, State: jobStateOf(job.State), Asked: c.clock.Now(), Remote: *job}
	if job.Archive != "" {
		if j.Archive, err = archiveByRemote(tx, store, job.Archive); err != nil {
			return 0, err
		}
	}
	if id, err = insertJob(tx, &j); err != nil {
		return 0, err
	}
	return id, nameJob(tx, id, job)
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

// findJob gives the row of a job; 0 where there is none. Named: it has the job's
// id already. A token whose row has another id is that of a job asked for twice:
// the second has a row of its own.
func findJob(tx tx, store int64, token firn.Token, remote firn.JobID) (id int64, named bool, err error) {
	err = tx.row("SELECT id FROM job WHERE remote = ? AND store = ? ORDER BY id DESC LIMIT 1", string(remote), store).Scan(&id)
	if !isNoRows(err) || token.IsZero() {
		return id, err == nil, ignoreNoRows(err)
	}
	err = tx.row("SELECT id FROM job WHERE token = ? AND store = ? AND remote IS NULL LIMIT 1", token[:], store).Scan(&id)
	return id, false, ignoreNoRows(err)
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

// nameJob is updateJob of a job whose row doesn't have its id yet.
func nameJob(tx tx, id int64, j *firn.Job) error {
	if err := tx.exec("UPDATE job SET remote = ? WHERE id = ?", string(j.ID), id); err != nil {
		return err
	}
	return updateJob(tx, id, j)
}

// updateJob writes what the store says of a job.
func updateJob(tx tx, id int64, j *firn.Job) error {
	b := updateJobs.batch(tx)
	if err := b.add(toldOf(id, j)...); err != nil {
		return err
	}
	return b.flush()
}

// updateJobs writes what toldOf gives of jobs.
var updateJobs = newBulk(`UPDATE job SET state = v.column2, kind = v.column3, tier = coalesce(nullif(v.column4, ''), tier),
	from_byte = coalesce(v.column5, from_byte), to_byte = coalesce(v.column6, to_byte),
	created = v.column7, created_ns = v.column8, completed = v.column9, completed_ns = v.column10,
	archive_size = v.column11, archive_tree = v.column12, range_tree = v.column13,
	partial = v.column14, output = v.column15, message = v.column16 FROM (VALUES `,
	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ") v WHERE job.id = v.column1")

// toldOf gives the row of a job, and what the store says of it.
func toldOf(id int64, j *firn.Job) []any {
	var from, to any
	if j.Range.Len() > 0 {
		from, to = j.Range.Start, j.Range.End
	}
	created, createdNs := instant(j.Created)
	completed, completedNs := instant(j.Completed)
	return []any{id, int64(jobStateOf(j.State)), string(j.Kind), string(j.Tier), from, to,
		created, createdNs, completed, completedNs, j.ArchiveSize, j.ArchiveTree[:], j.RangeTree[:],
		j.Partial, j.InventorySize, j.Message}
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
	for j, err := range jobPages(ctx, c, store, 0, func(j *Job) int64 { return j.ID },
		"SELECT "+jobColumns+" FROM job WHERE store = ? AND state < 10 AND id > ? ORDER BY id LIMIT ?", scanJob) {
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// jobPages reads open jobs page by page: query takes the store, a row that they
// are after, and how many.
func jobPages[T any](ctx context.Context, c *Catalog, store, after int64, row func(*T) int64, query string, scan func(*sql.Rows) (T, error)) iter.Seq2[T, error] {
	return paged(ctx, c, "list jobs", fmt.Sprint("of store ", store), func() pager[T] {
		last := after
		return func(tx tx, page []T) (_ []T, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) error {
				one, err := scan(rows)
				page, last = append(page, one), row(&one)
				return err
			}, query, store, last, c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}

// A JobKey is what tells an open job from others, and what the catalog knows of
// its fate.
type JobKey struct {
	ID     int64 // row
	Kind   firn.JobKind
	State  JobState
	Remote firn.JobID // empty while it is only intended
	Token  firn.Token // zero of a job that somebody else started
	Asked  time.Time  // when it was intended, by the local clock
	Seen   bool       // the store has told of it
	Tier   firn.Tier
	// Archive is what it is to bring, of one that is only intended.
	Archive firn.ArchiveID
	Handed  bool // to somebody who asks in our place: see HandJobs
}

// OpenJobKeys is OpenJobs where there may be too many to hold all of them: after a
// row, and as little of each as it takes to find it. It holds no lock while the
// consumer works: a job that ends meanwhile may be among them, one that is
// recorded meanwhile is. It ends with the first error.
func (c *Catalog) OpenJobKeys(ctx context.Context, store, after int64) iter.Seq2[JobKey, error] {
	return jobPages(ctx, c, store, after, func(k *JobKey) int64 { return k.ID },
		`SELECT id, kind, state, coalesce(remote, ''), token, asked, asked_ns, created IS NOT NULL, tier, handed,
			CASE WHEN remote IS NULL THEN coalesce(remote_archive, '') ELSE '' END
		FROM job WHERE store = ? AND state < 10 AND id > ? ORDER BY id LIMIT ?`, scanJobKey)
}

// HandJobs records that somebody else asks for the retrievals of a store that were
// recorded since a time, by the local clock, and that the store hasn't told of.
func (c *Catalog) HandJobs(ctx context.Context, store int64, since time.Time) error {
	for last, more := int64(0), true; more; {
		err := c.write(ctx, "record jobs", fmt.Sprint("of store ", store), func(tx tx) error {
			var most, n int64
			err := tx.row("SELECT coalesce(max(id), 0), count(*) FROM (SELECT id FROM job WHERE store = ? AND state < 10 AND id > ? ORDER BY id LIMIT ?)", store, last, c.sizes.page).Scan(&most, &n)
			if more = n == int64(c.sizes.page); n == 0 || err != nil {
				return err
			}
			err = tx.exec("UPDATE job SET handed = 1 WHERE store = ? AND state < 10 AND id > ? AND id <= ? AND kind = ? AND created IS NULL AND asked >= ?",
				store, last, most, string(firn.RetrievalJob), since.Unix())
			last = most
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func scanJobKey(rows *sql.Rows) (k JobKey, err error) {
	var kind, remote, token, tier, archive sql.RawBytes
	var state, asked, askedNs, seen int64
	err = rows.Scan(&k.ID, &kind, &state, &remote, &token, &asked, &askedNs, &seen, &tier, &k.Handed, &archive)
	copy(k.Token[:], token)
	k.Archive = firn.ArchiveID(archive)
	k.Kind, k.State, k.Remote = jobKind(kind), JobState(state), firn.JobID(remote)
	k.Asked, k.Seen, k.Tier = at(asked, askedNs), seen != 0, jobTier(tier)
	return k, err
}

// jobKind is a kind without memory of its own.
func jobKind(b []byte) firn.JobKind {
	switch string(b) {
	case string(firn.RetrievalJob):
		return firn.RetrievalJob
	case string(firn.InventoryJob):
		return firn.InventoryJob
	}
	return firn.JobKind(b)
}

// jobTier is a tier without memory of its own.
func jobTier(b []byte) firn.Tier {
	for _, t := range []firn.Tier{firn.Bulk, firn.Standard, firn.Expedited} {
		if string(b) == string(t) {
			return t
		}
	}
	return firn.Tier(b)
}

// JobByRemote finds a job by the store's id, whatever its state; false where the
// catalog has none.
func (c *Catalog) JobByRemote(ctx context.Context, store int64, id firn.JobID) (job Job, ok bool, err error) {
	err = c.read(ctx, "find job", string(id), func(tx tx) error {
		jobs, err := readJobs(tx, "SELECT "+jobColumns+" FROM job WHERE remote = ? AND store = ? ORDER BY id DESC LIMIT 1", string(id), store)
		if len(jobs) > 0 {
			job, ok = jobs[0], true
		}
		return err
	})
	return job, ok, err
}

// Jobs gives some thousand jobs by their rows, whatever their state. Errors:
// NotFound.
func (c *Catalog) Jobs(ctx context.Context, ids []int64) (jobs []Job, err error) {
	err = c.read(ctx, "read jobs", fmt.Sprint(len(ids), " of them"), func(tx tx) error {
		for _, id := range ids {
			one, err := readJobs(tx, "SELECT "+jobColumns+" FROM job WHERE id = ?", id)
			if err == nil && len(one) == 0 {
				err = sql.ErrNoRows
			}
			if err != nil {
				return wrap(tx.ctx, "read job", fmt.Sprint(id), err)
			}
			jobs = append(jobs, one[0])
		}
		return nil
	})
	return jobs, err
}

func readJobs(tx tx, query string, args ...any) (jobs []Job, err error) {
	err = tx.each(func(rows *sql.Rows) error {
		j, err := scanJob(rows)
		jobs = append(jobs, j)
		return err
	}, query, args...)
	return jobs, err
}

// JobGone records that a job is not there any more, or never was, and why.
// Errors: NotFound.
func (c *Catalog) JobGone(ctx context.Context, id int64, reason string) error {
	return c.JobsGone(ctx, []int64{id}, reason)
}

// JobsGone is JobGone of some thousand jobs, in one transaction: of all, or after
// an error of none.
func (c *Catalog) JobsGone(ctx context.Context, ids []int64, reason string) error {
	if len(ids) == 0 {
		return nil
	}
	return c.writeAgain(ctx, "record job", fmt.Sprint(ids[0]), func(tx tx) error {
		there := make(map[int64]bool, len(ids))
		scan := func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			there[id] = true
			return err
		}
		b := jobsGone.batch(tx, reason)
		for _, id := range ids {
			if b.args = append(b.args, id); b.full() {
				if err := b.query(scan); err != nil {
					return err
				}
			}
		}
		if err := b.query(scan); err != nil {
			return err
		}
		for _, id := range ids {
			if !there[id] {
				return wrap(tx.ctx, "record job", fmt.Sprint(id), sql.ErrNoRows)
			}
		}
		return nil
	})
}

var jobsGone = newBulk("UPDATE job SET state = 11, message = ? WHERE id IN (SELECT column1 FROM (VALUES ", "(?)", ")) RETURNING id")
